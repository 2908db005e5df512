"""
Certificates of the front door, and how the real mail server's is looked at
============================================================================
One ``ssl.SSLContext`` for all clients, with a certificate for each name that they may ask for.
Files may be replaced while the program runs: whoever renews them needs to tell nobody.

Example Usage
-------------
::

    own = CertificatePair(Path("/etc/ssl/mx.pem"), Path("/etc/ssl/mx.key"))
    other = CertificatePair(Path("/etc/ssl/lists.pem"), Path("/etc/ssl/lists.key"))
    certificates = Certificates(own, {"*.lists.example.org": other})
    context = certificates.context()  # for STARTTLS of each client
    if certificates.changed():  # costs a look at the clock, once a minute one at the files
        for problem in certificates.reload():
            log.error("%s", problem)

Rules
-----
* A name is looked for as it is, then as ``*.`` and what is behind its first dot; if there is
  neither, or the client asked for none, the default is shown: a mail server that does not check
  names (most do not) must not be turned away for one.
* A pair that cannot be used (missing, unreadable, encrypted, the key of another certificate) keeps
  the old one in force; each pair by itself. When the program starts there is no old one, and it is
  a CertificateError.
* Nobody's certificate is asked for, TLS is 1.2 or newer, and nothing is compressed (CRIME) or
  negotiated twice in a connection.
* Reading files blocks: call ``reload()`` where that does no harm (it takes less than a millisecond
  for a pair on a local disk).
"""

from __future__ import annotations

import base64
import binascii
import re
import ssl
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from pathlib import Path

from Kamaelia.Apps.Grey.Config.Schema import Config

LOOK_SECONDS = 60.0
DAY_SECONDS = 86_400.0
MAX_BYTES = 1 << 20  # of a file with certificates; chains have some kilobytes
MAX_CHAIN = 20
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----")

Signature = tuple[tuple[int, int, int] | None, ...]


class CertificateError(ValueError):
    """Certificates that cannot be used: which file, and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class CertificatePair:
    """Two files in PEM: the certificate with those above it, and its private key; they may be
    one."""

    certificate: Path
    key: Path


class _Shown:
    """One pair as it is shown now."""

    __slots__ = ("context", "pair", "seen")

    def __init__(self, pair: CertificatePair) -> None:
        self.pair = pair
        self.seen = _signature(pair)  # before reading: what changes meanwhile is read again
        self.context = server_context(pair)

    def reload(self) -> Iterator[str]:
        """Read again what has changed; what is wrong with it."""
        now = _signature(self.pair)
        if now == self.seen:
            return
        self.seen = now
        try:
            self.context = server_context(self.pair)
        except CertificateError as error:
            yield f"{error}; the certificate from before stays in force"


class Certificates:
    """Certificates(default, by_name, clock=time.monotonic) -> what a server shows to its clients.

    by_name: host name, or ``*.`` and a domain, in any case. clock: seconds, for ``changed()``.
    Raises CertificateError."""

    def __init__(
        self,
        default: CertificatePair | None,
        by_name: Mapping[str, CertificatePair] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        pairs = dict.fromkeys([*([default] if default else []), *(by_name or {}).values()])
        shown = {pair: _Shown(pair) for pair in pairs}
        self._shown = list(shown.values())
        self._by_name = {name.lower(): shown[pair] for name, pair in (by_name or {}).items()}
        # Without a default the first of the named ones: some certificate must be shown to a client
        # that names nobody.
        self._default = self._shown[0] if self._shown else None
        self._clock = clock
        self._next_look = -inf

    def context(self) -> ssl.SSLContext | None:
        """For the next client: its handshake picks the certificate. None: there is no TLS."""
        if self._default is None:
            return None
        context = self._default.context
        if self._by_name and context.sni_callback is None:
            context.sni_callback = self._pick
        return context

    def changed(self) -> bool:
        """Whether a file is another one than when it was read; looks once a minute at the most."""
        now = self._clock()
        if now < self._next_look:
            return False
        self._next_look = now + LOOK_SECONDS
        return any(_signature(shown.pair) != shown.seen for shown in self._shown)

    def reload(self) -> list[str]:
        """Read the files that have changed. Returns what is wrong; those stay as they were."""
        return [problem for shown in self._shown for problem in shown.reload()]

    def expiring(self, now: float, days: float = 14) -> list[str]:
        """A line for each certificate in the files that is over, or will be within so many days.

        now: seconds since the epoch. Of a file only the first that is over in time is named."""
        lines = []
        for path in dict.fromkeys(shown.pair.certificate for shown in self._shown):
            try:
                ends = [_not_after(der) for der in _certificates_in(path)]
            except (OSError, ValueError) as error:
                lines.append(f"certificate {path}: its date cannot be read: {error}")
                continue
            until = min(ends, default=inf)
            if until <= now + days * DAY_SECONDS:
                day = datetime.fromtimestamp(until, UTC).strftime("%Y-%m-%d %H:%M UTC")
                verb = "has expired" if until <= now else "expires"
                lines.append(f"certificate {path} {verb} on {day}: renew it")
        return lines

    def _pick(
        self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext
    ) -> None:
        # What comes out of here would end the handshake, and a stranger chooses the name: nothing
        # in here can fail.
        if name is None:
            return
        name = name.lower().rstrip(".")
        shown = self._by_name.get(name) or self._by_name.get("*." + name.partition(".")[2])
        if shown is not None:
            connection.context = shown.context


def certificates_of(config: Config) -> Certificates:
    """The certificates that a configuration names. Raises CertificateError."""
    default = None
    if config.tls_certificate is not None:
        default = CertificatePair(config.tls_certificate, config.tls_key or config.tls_certificate)
    named = {name: CertificatePair(certificate, key) for name, certificate, key in config.tls_names}
    return Certificates(default, named)


def server_context(pair: CertificatePair) -> ssl.SSLContext:
    """A context that shows this pair. Raises CertificateError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # PROTOCOL_TLS_SERVER asks for no certificate. What it leaves: a client that negotiates again
    # and again makes us work for nothing.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    for path in dict.fromkeys((pair.certificate, pair.key)):
        _check_readable(path)
    asked = False

    def no_password() -> bytes:
        # Without this OpenSSL would ask for it on the terminal, and wait.
        nonlocal asked
        asked = True
        return b""

    try:
        context.load_cert_chain(pair.certificate, pair.key, password=no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        why = f"the key in {pair.key} is encrypted: store it without a password"
        why = why if asked else _why(error, pair)
        raise CertificateError(f"certificate {pair.certificate}: {why}") from error
    return context


def backend_context(mode: str, ca: Path | None = None) -> ssl.SSLContext | None:
    """The context for connections to the real mail server; None for "off".

    mode: "off", "may", "require" or "verify". Only the last looks at its certificate, which then
    must be for the name that is given as server_hostname, and signed by one of those in ca, a file
    in PEM, or by one that this system trusts. Raises CertificateError for a ca that cannot be read,
    ValueError for another mode."""
    if mode == "off":
        return None
    if mode not in ("may", "require", "verify"):
        raise ValueError(f"{mode!r} is no way to encrypt: off, may, require or verify")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if mode != "verify":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if ca is None:
        context.load_default_certs()
        return context
    _check_readable(ca)
    try:
        context.load_verify_locations(ca)
    except (ssl.SSLError, OSError) as error:
        raise CertificateError(f"backend_tls_ca {ca}: holds no certificate in PEM") from error
    return context


def _check_readable(path: Path) -> None:
    """Raise CertificateError if there is nothing to read: OpenSSL does not say which of two files
    it means."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for its other end
            raise CertificateError(f"certificate {path}: is no file")
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise CertificateError(f"certificate {path}: {error.strerror}") from error


def _why(error: Exception, pair: CertificatePair) -> str:
    reason = getattr(error, "reason", None) or ""
    if "MISMATCH" in reason:
        return f"the key in {pair.key} belongs to another certificate"
    text = reason.lower().replace("_", " ") or "is no certificate in PEM"
    return f"cannot be used with the key in {pair.key}: {text}"


def _signature(pair: CertificatePair) -> Signature:
    """What is different for a file that was replaced or written."""
    found: list[tuple[int, int, int] | None] = []
    for path in (pair.certificate, pair.key):
        try:
            status = path.stat()
        except OSError:
            found.append(None)
        else:
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(found)


# ---- when a certificate ends: the ssl module tells that only of a peer's


def _certificates_in(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        text = file.read(MAX_BYTES)
    blocks = _PEM.findall(text)[:MAX_CHAIN]
    try:
        found = [base64.b64decode(b"".join(block.split()), validate=True) for block in blocks]
    except binascii.Error as error:
        raise ValueError(f"no base64: {error}") from error
    if not found:
        raise ValueError("no certificate in PEM in it")
    return found


def _not_after(der: bytes) -> float:
    """Seconds since the epoch at which a certificate ends (RFC 5280, 4.1). Raises ValueError."""
    _, certificate, _ = _element(der)
    _, contents, _ = _element(certificate)
    tag, _, rest = _element(contents)
    if tag == 0xA0:  # the version, which the oldest certificates do not have
        _, _, rest = _element(rest)
    for _ in range(2):  # algorithm, issuer
        _, _, rest = _element(rest)
    _, validity, _ = _element(rest)
    _, _, rest = _element(validity)
    tag, text, _ = _element(rest)
    digits = text.decode("ascii")
    if tag == 0x17:  # UTCTime has two digits for the year: RFC 5280, 4.1.2.5.1
        digits = ("20" if digits < "5" else "19") + digits
    return datetime.strptime(digits, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """Tag, contents, and what is behind it, of an element in DER."""
    if len(data) < 2:
        raise ValueError("a certificate ends early")
    length, start = data[1], 2
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4 or len(data) < 2 + count:
            raise ValueError("a certificate has a length that cannot be")
        start += count
        length = int.from_bytes(data[2:start])
    if len(data) < start + length:
        raise ValueError("a certificate ends early")
    return data[0], data[start : start + length], data[start + length :]
