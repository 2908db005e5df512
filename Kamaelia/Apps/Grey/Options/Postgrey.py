"""
--from-postgrey: a greylist.conf out of postgrey's options
==========================================================
`from_postgrey` takes the options that postgrey is started with and gives the text of a
greylist.conf with which Postfix gets the same decisions. What has no counterpart here stands in it
as a comment that says why. Nothing is written and nothing is started.

Example Usage
-------------
::

    kamaelia-grey --from-postgrey --inet=10023 --delay=60 > /etc/greylist.conf
    kamaelia-grey --from-postgrey /etc/default/postgrey > /etc/greylist.conf

>>> text = from_postgrey(["--inet=10023", "--delay=60"], hostname="mx.example.org")
>>> [line for line in text.splitlines() if line.startswith(("policy_socket ", "greylist_delay"))]
['policy_socket = inet:10023@127.0.0.1', 'greylist_delay = 60s']

Rules. The options are read as postgrey reads them: by their whole name, values behind = or as the
next word, of several the last. A word that is no option is a file like Debian's
/etc/default/postgrey, whose POSTGREY_OPTS and POSTGREY_TEXT count as if they stood there. With no
word at all that file is read. What postgrey itself would refuse is refused: BadOptionsError.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from Kamaelia.Apps.Grey.Config.Addresses import address, host_name
from Kamaelia.Apps.Grey.Config.Sockets import place
from Kamaelia.Apps.Grey.Config.Values import (
    BadValueError,
    file_mode,
    log_facility,
    path,
    user_name,
)
from Kamaelia.Apps.Grey.Options.Checking import say

DEFAULTS_FILE = Path("/etc/default/postgrey")
FOLDER = "/etc/postgrey"
_WEEK = 604_800
_DAY = 86_400
_LONGEST_WINDOW = 52 * _WEEK
_LONGEST_PASS = 520 * 7  # days
_MOST_BYTES = 1 << 16


class BadOptionsError(ValueError):
    """These are no options of postgrey's; the text says which, and what to write."""


_LETTERS = {"h": "help", "v": "verbose", "q": "quiet", "u": "unix", "i": "inet", "d": "daemonize"}
_SWITCHES = frozenset(
    ("verbose", "quiet", "daemonize", "lookup-by-subnet", "lookup-by-host", "privacy", "exim")
)
_NUMBERS = frozenset(("delay", "max-age", "ipv4cidr", "ipv6cidr", "listen-queue-size"))
_TEXTS = frozenset(
    (
        *("unix", "socketmode", "inet", "pidfile", "user", "group", "dbdir", "hostname"),
        *("syslog-facility", "retry-window", "greylist-action", "greylist-text"),
        *("whitelist-clients", "whitelist-recipients", "x-greylist-header"),
    )
)
_MAYBE = "auto-whitelist-clients"  # whose value may be left out


@dataclass(slots=True)
class _Options:
    """What was said. texts: the last value of each; files: of those that may come again."""

    texts: dict[str, str] = field(default_factory=dict)
    switches: set[str] = field(default_factory=set)
    files: dict[str, list[str]] = field(default_factory=dict)

    def number(self, name: str, default: int) -> int:
        return int(self.texts.get(name, default)) or default  # so does postgrey, for 0


def show(arguments: Sequence[str]) -> int:
    """Print the text; returns the exit code."""
    try:
        text = from_postgrey(arguments)
    except BadOptionsError as error:
        say([f"kamaelia-grey: --from-postgrey: {error}"])
        return os.EX_USAGE
    except OSError as error:
        say([f"kamaelia-grey: --from-postgrey: {error}"])
        return os.EX_OSERR
    sys.stdout.write(text)
    return os.EX_OK


def from_postgrey(
    arguments: Sequence[str],
    *,
    hostname: str | None = None,
    exists: Callable[[Path], bool] = Path.exists,
) -> str:
    """The text of a greylist.conf. hostname: of this machine; None: the system knows it. Raises
    BadOptionsError, and OSError for a file that cannot be read."""
    options = _Options()
    _take(options, list(arguments) or [str(DEFAULTS_FILE)], may_name_file=True)
    if "unix" not in options.texts and "inet" not in options.texts:
        raise BadOptionsError("--unix=PATH or --inet=[HOST:]PORT must be there: where Postfix asks")
    options.texts.setdefault("hostname", socket.gethostname() if hostname is None else hostname)
    out = _Out()
    out.lines += [
        f"# greylist.conf made of postgrey's options: {_printable(shlex.join(arguments))}".rstrip(),
        "# Take over what it knows (stop both before, and see the manual page):",
        "#     kamaelia-grey --import postgrey"
        f" {_printable(shlex.quote(options.texts.get('dbdir', '/var/lib/postgrey')))}/postgrey.db",
    ]
    for write in (_door, _process, _waiting, _clients, _exempt, _words):
        out.lines.append("")
        write(out, options, exists)
    return "\n".join(out.lines) + "\n"


# --- reading ---


def _take(options: _Options, words: list[str], *, may_name_file: bool) -> None:
    while words:
        word = words.pop(0)
        if word == "--":
            return
        if not word.startswith("-") or word == "-":
            if may_name_file:  # postgrey itself passes over it
                _take(options, _words_of(Path(word)), may_name_file=False)
            continue
        name, equals, value = word.partition("=")
        _take_option(options, name, value if equals else None, words)


def _take_option(options: _Options, word: str, value: str | None, words: list[str]) -> None:
    """One option; value None: it is the next of the words, if it takes one."""
    name = word.lstrip("-")
    name = _LETTERS.get(name, name)
    if name in ("help", "version"):
        raise BadOptionsError(f"{word}: postgrey's options are in its manual page, postgrey(8)")
    if name in _SWITCHES:
        if value is not None:
            raise BadOptionsError(f"{word} takes no value")
        options.switches.add(name)
        return
    if name == _MAYBE:
        if value is None:
            value = "5" if not words or words[0].startswith("-") else words.pop(0)
        options.texts[name] = value or "0"
        return
    if name not in _NUMBERS and name not in _TEXTS:
        raise BadOptionsError(f"{word[:60]!r} is no option of postgrey")
    if value is None and words and not words[0].startswith("-"):
        value = words.pop(0)
    if not value:
        raise BadOptionsError(f"{word} takes a value")
    if name in _NUMBERS and not re.fullmatch(r"[+-]?[0-9]{1,9}", value, re.ASCII):
        raise BadOptionsError(f"{word}: {value[:60]!r} is no number")
    options.texts[name] = value
    if name.startswith("whitelist-"):
        options.files.setdefault(name, []).append(value)


def _words_of(file: Path) -> list[str]:
    """The options in a file like Debian's /etc/default/postgrey."""
    with file.open(encoding="utf-8", errors="backslashreplace") as opened:
        text = opened.read(_MOST_BYTES)
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = re.match(r"\s*(?:export\s+)?(POSTGREY_OPTS|POSTGREY_TEXT)=(.*)", line)
        if match is None:
            continue
        try:
            parts = shlex.split(match[2], comments=True)
        except ValueError as error:
            raise BadOptionsError(f"{file}: {match[1]}: {error}") from None
        value = parts[0] if parts else ""
        # A shell would put in what it had before.
        found[match[1]] = re.sub(r"\$\{?POSTGREY_OPTS\}?", found.get(match[1], ""), value)
    if not found:
        raise BadOptionsError(f"{file} has no line POSTGREY_OPTS=...")
    words = found.get("POSTGREY_OPTS", "").split()
    if found.get("POSTGREY_TEXT"):
        words.append(f"--greylist-text={found['POSTGREY_TEXT']}")
    # As its start script does.
    return ["--pidfile=/var/run/postgrey.pid", "--daemonize", *words]


# --- writing ---


class _Out:
    """The lines of the new file."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def set(self, name: str, value: str, why: str = "") -> None:
        if why:
            self.note(why)
        self.lines.append(f"{name} = {_quoted(value)}".rstrip())

    def note(self, text: str) -> None:
        self.lines.append(f"# {_printable(text)}")

    def checked(self, name: str, value: str, kind: Callable[[str], object], option: str) -> None:
        """A value that may be none here."""
        try:
            kind(value)
        except BadValueError as error:
            self.note(f"--{option}={value}: no counterpart, for here {error}")
        else:
            if value.isprintable():
                self.set(name, value)
            else:
                self.note(f"--{option}={value}: no counterpart, it cannot be printed")


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _quoted(value: str) -> str:
    if re.fullmatch(r"[^\s#\"=\\]*", value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _door(out: _Out, options: _Options, _: object) -> None:
    texts = options.texts
    if "inet" in texts:
        if "unix" in texts:
            out.note(f"--unix={texts['unix']}: postgrey takes --inet if it has both")
        out.set("policy_socket", _inet(texts["inet"]))
    else:
        where = f"unix:{texts['unix']}"
        try:
            place(where)
        except BadValueError as error:
            raise BadOptionsError(f"--unix: {error}: {error.cure}") from None
        out.set("policy_socket", where)
        out.checked("policy_socket_mode", texts.get("socketmode", "666"), file_mode, "socketmode")
    if "exim" in options.switches:
        out.note(
            "--exim: no counterpart. Exim waits for the end of the connection, and a policy service"
            " keeps it open; let the SMTP proxy of this program stand before Exim"
        )
    if "listen-queue-size" in texts:
        out.note("--listen-queue-size: no counterpart; the system's largest queue is used")
    out.checked("servername", texts["hostname"], host_name, "hostname")


def _inet(text: str) -> str:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    host = {"": "127.0.0.1", "localhost": "127.0.0.1", "0": "0.0.0.0", "*": "::"}.get(host, host)  # noqa: S104
    try:
        host = address(host)
        where = f"inet{'6' if ':' in host else ''}:{port}@{host}"
        place(where)
    except BadValueError as error:
        raise BadOptionsError(f"--inet={text}: {error}: {error.cure}") from None
    return where


def _process(out: _Out, options: _Options, _: object) -> None:
    texts, switches = options.texts, options.switches
    user, group = texts.get("user", "postgrey"), texts.get("group", "postgrey")
    out.checked("user", f"{user}:{group}", user_name, "user")
    out.checked(
        "database",
        f"{texts.get('dbdir', '/var/lib/postgrey').rstrip('/')}/kamaelia-grey.sqlite3",
        path,
        "dbdir",
    )
    if "pidfile" in texts:
        out.checked("pid_file", texts["pidfile"], path, "pidfile")
    daemon = "daemonize" in switches
    out.set("nodetach", "no" if daemon else "yes")
    out.set("log_to", "syslog" if daemon else "stderr")
    out.checked("logfac", texts.get("syslog-facility", "mail"), log_facility, "syslog-facility")
    if "verbose" in switches:
        out.set("verbose", "yes")
    if "quiet" in switches:
        out.note("--quiet: no counterpart; each decision is logged (`quiet` here is another thing)")
    if "privacy" in switches:
        out.note("--privacy: no counterpart; the database has addresses that can be read")
    out.set("store_failure", "defer", "When its database fails, postgrey ends, and Postfix defers.")


def _waiting(out: _Out, options: _Options, _: object) -> None:
    delay = options.number("delay", 300)
    if delay < 0:
        out.set("greylist_mode", "off", f"--delay={delay}: nobody waits")
    else:
        out.set("greylist_mode", "all")
    kept = min(max(1, delay), _WEEK)
    if delay > kept:
        out.note(f"--delay={delay}: up to 1w here")
    out.set("greylist_delay", f"{kept}s")
    window = _window(options.texts.get("retry-window", "2"))
    # There it begins with the first try, here when the delay is over.
    ours = min(max(1, window - kept), _LONGEST_WINDOW)
    if window < kept:
        out.note("--retry-window is not longer than --delay: postgrey lets nobody in. Mend it:")
        ours = 2 * _DAY
    elif ours != window - kept:
        out.note("--retry-window: up to 52w here")
    out.set("retry_window", f"{ours}s", "Counted from the end of the delay: --retry-window less it")
    days = options.number("max-age", 35)
    kept_days = min(max(1, days), _LONGEST_PASS)
    if kept_days != days:
        out.note(f"--max-age={days}: from 1 day to 520 weeks here")
    out.set("pass_lifetime", f"{kept_days}d")


def _window(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,6})(h?)", text, re.IGNORECASE | re.ASCII)
    if match is None:
        raise BadOptionsError(f"--retry-window={text[:60]}: write days, or hours as in 6h")
    return int(match[1]) * (3600 if match[2] else _DAY)


def _clients(out: _Out, options: _Options, _: object) -> None:
    by_host = "lookup-by-host" in options.switches
    for name, setting, default, longest in (
        ("ipv4cidr", "network_prefix4", 24, 32),
        ("ipv6cidr", "network_prefix6", 64, 128),
    ):
        prefix = longest if by_host else options.number(name, default)
        if not 0 <= prefix <= longest:
            raise BadOptionsError(f"--{name}={prefix}: from 0 to {longest}")
        out.set(setting, str(prefix))
    out.set("key_order", "network")
    out.set("normalise_senders", "yes", "Senders that differ in a number or an extension are one")
    passes = options.texts.get(_MAYBE, "5")
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", passes, re.ASCII):
        raise BadOptionsError(f"--{_MAYBE}={passes[:60]}: write a number")
    count = int(passes)
    ours = min(max(1, count), 1000) if count else 0
    if count > ours:
        out.note(f"--{_MAYBE}={count}: up to 1000 here")
    out.set("client_passes", str(ours), "Here the client is its network, there its one address")
    out.set("client_abuse", "100")
    out.set("new_per_network", "0", "Nobody counts how many strangers one network has")


def _exempt(out: _Out, options: _Options, exists: Callable[[Path], bool]) -> None:
    out.note("Whom to ask about is Postfix's business: of those it asks about, nobody is exempt")
    for name, value in (
        ("allowed_senders", ""),
        ("noauth", "yes"),
        ("nospf", "yes"),
        ("noaccessdb", "yes"),
    ):
        out.set(name, value)
    for kind in ("clients", "recipients"):
        usual = [f"{FOLDER}/whitelist_{kind}", f"{FOLDER}/whitelist_{kind}.local"]
        named = options.files.get(f"whitelist-{kind}", usual)
        there = [name for name in named if exists(Path(name))]
        for name in dict.fromkeys(named):
            if name not in there:
                out.note(f"{name} is not there; add it to the list below when it is")
        setting = f"postgrey_whitelist_{kind}"
        if there:
            out.lines.append(f"{setting}:")
            out.lines += [f"    {_quoted(name)}" for name in dict.fromkeys(there)]
        else:
            out.set(setting, "")


def _words(out: _Out, options: _Options, _: object) -> None:
    texts = options.texts
    action = texts.get("greylist-action", "DEFER_IF_PERMIT")
    if action.upper() != "DEFER_IF_PERMIT":
        out.note(
            f"--greylist-action={action}: no counterpart. It is always DEFER_IF_PERMIT, so that a"
            " recipient whom Postfix refuses for good hears that"
        )
    if "x-greylist-header" in texts:
        out.note(f"--x-greylist-header={texts['x-greylist-header']}: no counterpart, ours is fixed")
    out.set("greylist_ecode", "4.2.0", "As postgrey says it to a Postfix of today")
    out.set("report", "delays", "An X-Greylist header for mail that had to wait")
    if "greylist-text" not in texts:
        out.note("Without --greylist-text: in our own words, which say how long to wait")
        return
    text = texts["greylist-text"]
    if not text.isprintable():
        out.note(f"--greylist-text={text}: no counterpart, it cannot be printed")
        return
    codes = {"%s": "%Rt", "%r": "%sr", "%": "%%"}
    ours = re.sub("%[sr]?", lambda found: codes[found[0]], text)
    escaped = ours.replace("\\", "\\\\").replace('"', '\\"')
    out.lines.append(f'racl greylist default msg "{escaped}"')
