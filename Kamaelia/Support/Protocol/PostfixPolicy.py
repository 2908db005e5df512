"""
Postfix's policy delegation protocol
====================================
Before Postfix takes a client, a sender or a recipient it can ask a program of somebody else's
(`check_policy_service`). A request is lines of `name=value` and an empty line; the answer is one
line, `action=` and what might stand in an access(5) table, and an empty line. One connection serves
many requests, one after the other. (Postfix's own documentation: SMTPD_POLICY_README.)

Example Usage
-------------
>>> parser = PolicyParser()
>>> parser.receive_data(b"request=smtpd_access_policy\\nprotocol_state=RCPT\\nsender=\\nclient_a")
>>> parser.next_request() is None
True
>>> parser.receive_data(b"ddress=192.0.2.7\\n\\n")
>>> request = parser.next_request()
>>> request["client_address"], request["sender"]
('192.0.2.7', '')
>>> action("DEFER_IF_PERMIT 4.7.1 come back later")
b'action=DEFER_IF_PERMIT 4.7.1 come back later\\n\\n'

The rules. An empty value says what a missing line says: nothing is known. A name that nobody knows
is kept and does no harm, for Postfix gets new ones with the years. Of a name that comes twice the
first line counts. What is not UTF-8 is spelt out (`\\\\xff`), and so are control characters, which
strangers may put into an address. All else that is odd, NUL or CR, a line without `=`, a request of
another kind or one that is too long, is a PolicySyntaxError, and the connection is good for nothing
any more: nobody can say what its peer means.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from Kamaelia.Exceptions import LocalProtocolError, ProtocolError

LIMIT = 65_536  # bytes of one request; Postfix sends about 600
# Postfix sends a reply as one line and a header as one: longer ones are no use to it.
ACTION_CHARACTERS = 990
KIND = "smtpd_access_policy"

_CONTROLS = bytes([*range(10), *range(11, 32), 127])  # all but the end of a line
_controls = re.compile(r"[\x00-\x1f\x7f]")
_inner_controls = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
_xtext = re.compile(rb"\+([0-9A-Fa-f]{2})")

# All that Postfix 3.7 sends, in its order. A request that begins like that (nearly all do) is taken
# apart by one expression, in half the time that it takes line by line. The last group is for what
# later ones put behind it.
_NAMES = (
    *("request", "protocol_state", "protocol_name", "client_address", "client_name"),
    *("client_port", "reverse_client_name", "server_address", "server_port", "helo_name", "sender"),
    *("recipient", "recipient_count", "queue_id", "instance", "size", "etrn_domain", "stress"),
    *("sasl_method", "sasl_username", "sasl_sender", "ccert_subject", "ccert_issuer"),
    *("ccert_fingerprint", "ccert_pubkey_fingerprint", "encryption_protocol"),
    *("encryption_cipher", "encryption_keysize", "policy_context"),
)
_whole = re.compile(
    "".join(
        [
            f"request=({KIND})\n",
            *(rf"{name}=(.*+)\n" for name in _NAMES[1:]),
            r"((?:[^=\n]++=.*+\n)*+)\n",
        ]
    )
).fullmatch
_none_given = dict.fromkeys(_NAMES, "")  # a copy of it need not grow while it is filled


class PolicySyntaxError(ProtocolError):
    """What came is no request. The text is one printable line."""


# Not frozen: to set the field around that lock takes three times as long, and there is one of these
# for each decision.
@dataclass(slots=True)
class PolicyRequest:
    """One question of Postfix's. `attributes`: as they came, also the empty ones; in no order."""

    attributes: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        """The value of an attribute, "" if it was empty or did not come."""
        return self.attributes.get(name, "")

    @classmethod
    def parse(cls, block: bytes) -> "PolicyRequest":
        """The request that has these lines, without the empty one. Raises PolicySyntaxError."""
        # As a whole, with a look at the bytes that takes no time: a request has some 25 lines.
        text = block.decode("utf-8", "backslashreplace")
        if len(block.translate(None, _CONTROLS)) != len(block):
            text = _spelt_out(text)
        lines = text.split("\n")
        lines.reverse()  # so that of two the first is what stays
        try:
            given = dict([line.split("=", 1) for line in lines])
        except ValueError:
            bad = next(line for line in lines if "=" not in line)
            raise PolicySyntaxError(f"a line without '=': {bad[:80]!a}") from None
        if given.get("request") != KIND:
            raise PolicySyntaxError(f"no request={KIND} in {_shown(block)}")
        if "" in given:
            raise PolicySyntaxError(f"an attribute without a name: {'=' + given[''][:80]!a}")
        return cls(given)

    def to_wire(self) -> bytes:
        """What Postfix would send. Raises LocalProtocolError for what no request can have."""
        lines = [f"{name}={value}" for name, value in self.attributes.items()]
        if any(_controls.search(line) for line in lines) or any(
            not name or "=" in name for name in self.attributes
        ):
            raise LocalProtocolError(f"cannot be sent: {self.attributes!a}")
        return "\n".join((*lines, "", "")).encode("utf-8", "surrogatepass")


class PolicyParser:
    """PolicyParser(limit=65536) -> takes bytes in any slices, gives each request once complete.

    limit: bytes of one request; a longer one is a PolicySyntaxError, also before its end is there.
    How much may wait in here is for the caller to limit: no more is kept than it was given."""

    __slots__ = ("_at", "_buffer", "_error", "_limit", "_searched")

    def __init__(self, limit: int = LIMIT) -> None:
        self._buffer = b""  # nearly always one whole request comes, which is never copied then
        self._at = 0  # before that all is taken
        self._searched = 0  # and before that no request ends: not to be looked at again
        self._limit = limit
        self._error: PolicySyntaxError | None = None

    def __len__(self) -> int:
        """How many bytes wait: of requests that nobody has taken, or that are not complete."""
        return len(self._buffer) - self._at

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes of the connection."""
        if self._error is not None:
            return
        rest = self._buffer
        if rest:
            at, self._at = self._at, 0
            self._searched -= at
            data = (rest[at:] if at else rest) + data
        self._buffer = data

    def only_request(self) -> PolicyRequest | None:
        """The next request, if it is all that waits here and looks as Postfix's do nowadays; None:
        next_request() knows. In half the time."""
        buffer = self._buffer
        if self._at or not buffer.endswith(b"\n\n") or len(buffer) - 2 > self._limit:
            return None
        found = _whole(buffer.decode("utf-8", "backslashreplace"))
        if found is None or len(buffer.translate(None, _CONTROLS)) != len(buffer):
            return None
        self._buffer = b""
        self._searched = 0
        values = found.groups()
        given = _none_given.copy()
        given.update(zip(_NAMES, values, strict=False))  # but for the last group
        for line in values[-1].split("\n")[:-1]:
            name, _, value = line.partition("=")
            given.setdefault(name, value)
        return PolicyRequest(given)

    def next_request(self) -> PolicyRequest | None:
        """The next request; None: more bytes are needed.

        Raises PolicySyntaxError for what is none, and from then on always."""
        if self._error is not None:
            raise self._error
        buffer, at = self._buffer, self._at
        if not buffer:
            return None
        end = buffer.find(b"\n\n", self._searched)
        if (end if end >= 0 else len(buffer)) - at > self._limit:
            self._fail(PolicySyntaxError(f"a request of more than {self._limit} bytes"))
        if end < 0:
            self._searched = max(at, len(buffer) - 1)
            return None
        try:
            request = PolicyRequest.parse(buffer[at:end])
        except PolicySyntaxError as error:
            self._fail(error)
        if end + 2 == len(buffer):
            self._buffer = b""
            self._at = self._searched = 0
        else:
            self._at = self._searched = end + 2
        return request

    def _fail(self, error: PolicySyntaxError) -> NoReturn:
        self._error = error
        self._buffer = b""  # nobody will ever want it
        self._at = 0
        raise error


def action(text: str) -> bytes:
    """An answer on the wire: an action of access(5), such as "DUNNO". Whatever the text has in it,
    this is one answer: printable ASCII, cut at ACTION_CHARACTERS.

    Raises LocalProtocolError if there is nothing in it: Postfix would take that for a fault."""
    if not (text.isascii() and text.isprintable()):
        text = _controls.sub("?", text).encode("ascii", "backslashreplace").decode("ascii")
    if len(text) > ACTION_CHARACTERS:
        text = text[:ACTION_CHARACTERS]
    if not text or text.isspace():
        raise LocalProtocolError("an action needs a word")
    return f"action={text}\n\n".encode("ascii")


def decoded_xtext(text: str) -> str:
    """The names in a client certificate (ccert_subject, ccert_issuer) as they are: Postfix 2.2.11
    and later write some characters as `+XX`. Control characters come out as `?`.

    >>> decoded_xtext("Anna+20M+C3+BCller")
    'Anna Müller'
    """
    if "+" not in text:
        return text
    data = _xtext.sub(lambda found: bytes.fromhex(found[1].decode("ascii")), text.encode("utf-8"))
    return _controls.sub("?", data.decode("utf-8", "backslashreplace"))


def _spelt_out(text: str) -> str:
    """Strangers put control characters between the quotes of a local part, and Postfix hands them
    on. The two that it does not are for nobody to send."""
    if "\0" in text or "\r" in text:
        raise PolicySyntaxError(f"NUL or CR in {text[:80]!a}")
    return _inner_controls.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _shown(block: bytes) -> str:
    """Enough of it to be recognised by, on one line."""
    return ascii(block[:80].decode("utf-8", "backslashreplace"))


__all__ = ["LIMIT", "PolicyParser", "PolicyRequest", "PolicySyntaxError", "action", "decoded_xtext"]
