"""
Does the real mail server relay because it is we who ask?
=========================================================
A mail server trusts its own network, and every client of ours comes to it from our address. If that
is enough for it to take mail for any domain, the two of us together are an open relay, and
allowed_domains is all that stands between it and the world. So it is asked, before we take mail:
from our address, in a stranger's name, for a domain that is nobody's (RFC 2606).

Example Usage
-------------
::

    findings = examine(config)
    for problem in findings.problems:  # such as: mail server 127.0.0.1 port 8025 relays ...
        print(problem)

How does it work?
-----------------
One short conversation, on a socket of its own that blocks: it is for the start of the program and
for its check of the configuration, when there is nobody yet who could be kept waiting. No message
is sent. ``time_limit`` seconds are the end of it, whatever the server does. If clients are
announced (client_info), this one is 192.0.2.1, which is nobody's address (RFC 5737).

A server that cannot be asked, or says "not now", is a warning and no problem: mail servers are
restarted, and the proxy greylists meanwhile. Only what was proved is a problem.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import ip_address
from typing import Protocol

FOREIGN = ("example.net", "example.com", "example.org")  # RFC 2606: mail for them goes nowhere
STRANGER = {4: "192.0.2.1", 6: "2001:db8::1"}  # RFC 5737 and RFC 3849
MAX_LINE = 2048
MAX_LINES = 128
MAX_SERVERS = 16
SHOWN = 160
_PROXY2 = b"\r\n\r\n\0\r\nQUIT\n"


class Settings(Protocol):
    """What must be known of a configuration."""

    @property
    def smtp_ip(self) -> str: ...
    @property
    def smtp_port(self) -> int: ...
    @property
    def backends(self) -> Sequence[tuple[str, int, int, str]]: ...
    @property
    def backend_protocol(self) -> Enum: ...
    @property
    def backend_tls(self) -> Enum: ...
    @property
    def backend_tls_name(self) -> str: ...
    @property
    def client_info(self) -> Enum: ...
    @property
    def servername(self) -> str: ...
    @property
    def allowed_domains(self) -> Collection[str]: ...


@dataclass(frozen=True, slots=True)
class Findings:
    """What came out of it, a line each: what must be mended, what may be, and what is good."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class _TalkError(Exception):
    """The conversation is over; the text says why."""


def probe(config: Settings, tls: ssl.SSLContext | None = None) -> list[str]:
    """Only what must be mended before mail is taken; see examine()."""
    return examine(config, tls).problems


def examine(
    config: Settings,
    tls: ssl.SSLContext | None = None,
    *,
    relaying: bool = True,
    time_limit: float = 10.0,
    clock: Callable[[], float] = time.monotonic,
) -> Findings:
    """Ask each of the real mail servers what it offers and, if relaying, whether it relays.

    tls: for STARTTLS, if the server offers it. time_limit: seconds for each of them; all together
    have three times as long."""
    findings = Findings()
    servers = [(row[0], row[1]) for row in config.backends] or [(config.smtp_ip, config.smtp_port)]
    end = clock() + 3 * time_limit
    for host, port in list(dict.fromkeys(servers))[:MAX_SERVERS]:
        where = f"mail server {host} port {port}"
        try:
            with closing(_Talk(host, port, clock, min(clock() + time_limit, end))) as talk:
                _examine_one(talk, where, config, tls, relaying, findings)
        except (_TalkError, OSError) as error:
            why = str(error) if isinstance(error, _TalkError) else error.strerror or str(error)
            findings.warnings.append(f"{where} could not be asked: {why}")
    return findings


def _examine_one(
    talk: _Talk,
    where: str,
    config: Settings,
    tls: ssl.SSLContext | None,
    relaying: bool,
    findings: Findings,
) -> None:
    offers = _greet(talk, config)
    if tls is not None and "STARTTLS" in offers:
        talk.ask("STARTTLS", "220")
        talk.encrypt(tls, config.backend_tls_name)
        offers = talk.hello(config)
    elif config.backend_tls.value in ("require", "verify"):
        findings.problems.append(
            f"{where} does not offer STARTTLS: let it, or set backend_tls = may"
        )
        return
    told = ", ".join(line for line in offers.values() if line)
    findings.notes.append(f"{where} offers {told or 'nothing but mail'}")
    if config.client_info.value == "xclient":
        if "XCLIENT" not in offers:
            findings.problems.append(
                f"{where} does not offer XCLIENT to us: let it (Postfix:"
                " smtpd_authorized_xclient_hosts), or set client_info = none"
            )
            return
        talk.ask(f"XCLIENT NAME=[UNAVAILABLE] ADDR={STRANGER[4]}", "220")
        talk.hello(config)
    if relaying:
        _try_to_relay(talk, where, config, findings)
    talk.say("QUIT")


def _greet(talk: _Talk, config: Settings) -> dict[str, str]:
    how = config.client_info.value
    if how in ("proxy1", "proxy2"):
        talk.announce(how)
        try:
            talk.expect("220")
        except _TalkError as error:
            raise _TalkError(f"{error} (does it take the PROXY protocol from us?)") from error
    else:
        talk.expect("220")
    return talk.hello(config)


def _try_to_relay(talk: _Talk, where: str, config: Settings, findings: Findings) -> None:
    own = sorted(domain.lstrip(".") for domain in config.allowed_domains)
    foreign = next((name for name in FOREIGN if name not in own), "relay-test.invalid")
    was_asked = False
    unclear = ""  # a reply that says no more than "not now"
    # From one of its own domains, which careless rules trust; and from nobody, which no rule about
    # senders refuses.
    plain = [name for name in own if name.isascii()]  # others take SMTPUTF8 to be said
    for sender in (f"relay-check@{plain[0] if plain else config.servername}", ""):
        reply = talk.ask(f"MAIL FROM:<{sender}>")
        if reply[0][0] == "2":
            reply = talk.ask(f"RCPT TO:<relay-test@{foreign}>")
            was_asked = True
            if reply[0][0] not in "45":
                findings.problems.append(_relays(where, sender, foreign, talk, config))
                return
        if reply[0][0] == "4":
            unclear = unclear or reply[-1]
        talk.ask("RSET")
    if unclear:
        findings.warnings.append(
            f"{where}: whether it relays could not be found out, it said {shown(unclear)!r}: look"
            " again later with kamaelia-grey -c; if it always says that, have it answer us at once"
            " (no greylisting of our address, no look-up that fails)"
        )
    elif not was_asked:
        findings.warnings.append(f"{where} took no sender: whether it relays is not known")


def _relays(where: str, sender: str, foreign: str, talk: _Talk, config: Settings) -> str:
    cure = "have it look at who the client is before it trusts an address"
    if config.client_info.value == "none":
        cure = (
            f"take {talk.our_address} away from what it trusts (Postfix: mynetworks, or"
            " smtpd_relay_restrictions=reject_unauth_destination for this port), or let it know"
            " who the client is (client_info = xclient or proxy2)"
        )
    return (
        f"{where} relays: it takes mail from <{sender}> for relay-test@{foreign}, because we ask:"
        f" {cure}; or set relay_check = no"
    )


class _Talk:
    """A conversation with a mail server, line by line, to a deadline."""

    def __init__(self, host: str, port: int, clock: Callable[[], float], until: float) -> None:
        self._clock = clock
        self._until = until
        self._host = host
        self._unread = b""
        self._sock = socket.create_connection((host, port), timeout=self._left())

    @property
    def our_address(self) -> str:
        """As the server sees it."""
        return str(self._sock.getsockname()[0])

    def close(self) -> None:
        self._sock.close()

    def encrypt(self, context: ssl.SSLContext, name: str) -> None:
        """Go on in TLS; name: what its certificate must be for, "" for its address."""
        if self._unread:  # CVE-2011-0411, the reply's side
            raise _TalkError("it said more than 220 to STARTTLS")
        self._sock.settimeout(self._left())
        try:
            self._sock = context.wrap_socket(self._sock, server_hostname=name or self._host)
        except ssl.SSLError as error:
            raise _TalkError(f"TLS failed: {getattr(error, 'verify_message', '') or error}") from (
                error
            )

    def hello(self, config: Settings) -> dict[str, str]:
        """EHLO, or HELO if that is all it knows: keyword -> line, of what it offers."""
        if config.backend_protocol.value == "lmtp":
            lines = self.ask(f"LHLO {config.servername}", "250")
        else:
            lines = self.ask(f"EHLO {config.servername}")
            if lines[0][:3] != "250":
                self.ask(f"HELO {config.servername}", "250")
                return {}
        return {(line[4:].split() or [""])[0].upper(): shown(line[4:]) for line in lines[1:]}

    def announce(self, how: str) -> None:
        """The PROXY protocol: the client that we pretend to have."""
        host, port = self._sock.getpeername()[:2]
        there = ip_address(host)
        stranger = ip_address(STRANGER[there.version])
        if how == "proxy1":
            header = f"PROXY TCP{there.version} {stranger} {there} 50000 {port}\r\n".encode("ascii")
        else:
            ports = (50_000).to_bytes(2) + int(port).to_bytes(2)
            addresses = stranger.packed + there.packed + ports
            family = b"\x11" if there.version == 4 else b"\x21"
            header = _PROXY2 + b"\x21" + family + len(addresses).to_bytes(2) + addresses
        self._send(header)

    def ask(self, command: str, wanted: str = "") -> list[str]:
        """The lines of the reply. Raises _TalkError if it does not begin with what is wanted."""
        self.say(command)
        return self.expect(wanted, command.partition(" ")[0])

    def say(self, command: str) -> None:
        self._send(command.encode("ascii") + b"\r\n")

    def expect(self, wanted: str, what: str = "") -> list[str]:
        """The lines of the next reply."""
        lines: list[str] = []
        while len(lines) < MAX_LINES:
            line = self._line()
            lines.append(line)
            if not line[:3].isdigit() or line[3:4] not in ("-", " ", ""):
                break
            if line[3:4] != "-":
                if not line.startswith(wanted):
                    raise _TalkError(f"it said {shown(line)!r}{f' to {what}' if what else ''}")
                return lines
        raise _TalkError(f"that is no mail server: it said {shown(lines[-1])!r}")

    def _send(self, data: bytes) -> None:
        self._sock.settimeout(self._left())
        self._sock.sendall(data)

    def _line(self) -> str:
        while b"\n" not in self._unread:
            if len(self._unread) > MAX_LINE:
                raise _TalkError("that is no mail server: its line has no end")
            self._sock.settimeout(self._left())
            data = self._sock.recv(MAX_LINE)
            if not data:
                raise _TalkError("it closed the connection")
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return line.rstrip(b"\r").decode("ascii", "replace")

    def _left(self) -> float:
        left = self._until - self._clock()
        if left <= 0:
            raise _TalkError("it took too long")
        return left


def shown(text: str) -> str:
    """A stranger's words for a terminal or a log: printable ASCII, and not too many."""
    return "".join(each if " " <= each <= "~" else "?" for each in text[:SHOWN])
