"""
An MTA's session: the other side of the milter protocol
=======================================================
Makes the commands of an MTA and reads a filter's responses, without I/O: for tests, benchmarks, and
for whoever wants to ask a milter. Each method returns the bytes to send, b"" if the filter has
asked not to be told.

>>> mta = MTASession()
>>> mta.negotiate()[:5], mta.waiting
(b'\\x00\\x00\\x00\\rO', True)
>>> mta.receive_data(bytes.fromhex("0000000d4f 00000006 00000001 00000072"))
>>> mta.next_response().kind, mta.agreement.actions
(b'O', <Action.ADD_HEADERS: 1>)
>>> mta.header(b"Subject", b"hello")
b''
>>> mta.mail("<>", macros={"i": "4C1F2A"})
b'\\x00\\x00\\x00\\x0bDMi\\x004C1F2A\\x00\\x00\\x00\\x00\\x04M<>\\x00'

The rules. The filter is held to what was agreed on: an answer to nothing, an edit before the end of
a message or of a kind that was not negotiated, SKIP at the wrong place and a reply that no MTA
would say raise MilterProtocolError. `waiting` says whether an answer is due; a real MTA then sends
nothing. The order of commands is the caller's.
"""

import ipaddress
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from struct import unpack

from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Support.Protocol.Milter.Commands import (
    Abort,
    BodyChunk,
    Command,
    Connect,
    DataCommand,
    EndOfHeaders,
    EndOfMessage,
    Header,
    Helo,
    Macros,
    MailFrom,
    Negotiate,
    Quit,
    QuitNewConnection,
    Recipient,
    UnknownCommand,
    encode,
    text_of,
)
from Kamaelia.Support.Protocol.Milter.Negotiation import Action, Agreement, Stage, Step
from Kamaelia.Support.Protocol.Milter.Packets import MilterProtocolError, PacketReader, packet
from Kamaelia.Support.Protocol.Milter.Responses import BODY_BYTES, FINALS

FULL_OFFER = Negotiate(6, int(Action.ALL), int(Step.ALL))

_EDITS: dict[bytes, Action] = {
    b"h": Action.ADD_HEADERS,
    b"i": Action.CHANGE_HEADERS,
    b"m": Action.CHANGE_HEADERS,
    b"b": Action.CHANGE_BODY,
    b"+": Action.ADD_RECIPIENTS,
    b"2": Action.ADD_RECIPIENTS_WITH_ARGUMENTS,
    b"-": Action.DELETE_RECIPIENTS,
    b"e": Action.CHANGE_SENDER,
    b"q": Action.QUARANTINE,
}
_is_reply = re.compile(rb"[45]\d\d (?:[^%\r\n\0]|%%)*").fullmatch


@dataclass(frozen=True, slots=True)
class Response:
    """One packet of a filter: its first byte and the rest."""

    kind: bytes
    payload: bytes = b""

    @property
    def final(self) -> bool:
        """Whether the MTA goes on with it; edits and signs of progress stand before."""
        return self.kind in FINALS

    @property
    def text(self) -> str:
        """What a reply says to the client: with its code, lines joined with LF, "%%" as "%"."""
        text = text_of(self.payload.removesuffix(b"\0"))
        return text.replace("%%", "%").replace("\r\n", "\n")

    @property
    def index(self) -> int:
        """Where a header is inserted, or which one is changed."""
        (index,) = unpack(">I", self.payload[:4]) if self.kind in b"im" else (0,)
        return int(index)

    @property
    def strings(self) -> tuple[bytes, ...]:
        """The strings of an edit: name and value, address, reason."""
        start = 4 if self.kind in b"im" else 0
        return tuple(self.payload[start:].removesuffix(b"\0").split(b"\0"))


class MTASession:
    """MTASession(offer=FULL_OFFER) -> an MTA's side of one connection.

    agreement: None before the filter has answered the offer. macros: the lists of names that it
    asked for, by stage; without braces. skipping: it wants no more of this body."""

    def __init__(self, offer: Negotiate = FULL_OFFER) -> None:
        self.offer = offer
        self.agreement: Agreement | None = None
        self.macros: dict[Stage, tuple[str, ...]] = {}
        self.skipping = False
        self._due: deque[bytes] = deque()  # commands that are not answered yet
        self._reader = PacketReader()

    @property
    def waiting(self) -> bool:
        """Whether an answer is due."""
        return bool(self._due)

    # ---- commands

    def negotiate(self) -> bytes:
        """Begin."""
        offer = self.offer
        self._due.append(b"O")
        return packet(*encode(offer))

    def connect(
        self,
        host: str,
        address: str = "",
        port: int = 0,
        family: str = "",
        macros: Mapping[str, str] | None = None,
    ) -> bytes:
        """A client has connected. family: that of the address, or "U", if it is not said; with
        "L", address is a path."""
        if not family:
            family = str(ipaddress.ip_address(address).version) if address else "U"
        return self.tell(Connect(host, family, port, address), macros)

    def helo(self, name: str, macros: Mapping[str, str] | None = None) -> bytes:
        """HELO or EHLO."""
        return self.tell(Helo(name), macros)

    def mail(self, address: str, *arguments: str, macros: Mapping[str, str] | None = None) -> bytes:
        """MAIL; address with < >."""
        return self.tell(MailFrom(address, arguments), macros)

    def rcpt(self, address: str, *arguments: str, macros: Mapping[str, str] | None = None) -> bytes:
        """RCPT; address with < >."""
        return self.tell(Recipient(address, arguments), macros)

    def data(self, macros: Mapping[str, str] | None = None) -> bytes:
        """DATA."""
        return self.tell(DataCommand(), macros)

    def unknown(self, line: str) -> bytes:
        """A command that the MTA does not know."""
        return self.tell(UnknownCommand(line))

    def header(self, name: str | bytes, value: str | bytes) -> bytes:
        """One header field; the value with what stands before it, if that was agreed on."""
        texts = [each.encode("utf-8") if isinstance(each, str) else each for each in (name, value)]
        return self.tell(Header(texts[0], texts[1], b""))

    def end_of_headers(self) -> bytes:
        """The empty line."""
        return self.tell(EndOfHeaders())

    def body(self, data: bytes) -> bytes:
        """A piece of the body, 65535 bytes at the most; b"" if the filter wants no more."""
        return self.tell(BodyChunk(data))

    def end_of_message(self, macros: Mapping[str, str] | None = None) -> bytes:
        """The message is complete."""
        return self.tell(EndOfMessage(), macros)

    def abort(self) -> bytes:
        """The message is over."""
        return self.tell(Abort())

    def quit(self) -> bytes:
        """All is over."""
        return self.tell(Quit())

    def quit_new_connection(self) -> bytes:
        """The session is over, the next one begins with `connect`."""
        return self.tell(QuitNewConnection())

    def tell(self, command: Command, macros: Mapping[str, str] | None = None) -> bytes:
        """Any of the commands, and the macros that belong to it (empty: told, but there are none).

        Raises LocalProtocolError before the negotiation, for a piece of a body that is too large,
        and for what cannot be written."""
        agreed = self.agreement
        return self.command(*encode(command, agreed.protocol if agreed is not None else 0), macros)

    def command(
        self, command: bytes, payload: bytes = b"", macros: Mapping[str, str] | None = None
    ) -> bytes:
        """The same with a command's byte and its payload, whatever it is."""
        agreed = self.agreement
        if agreed is None:
            raise LocalProtocolError("nothing has been negotiated")
        if command == b"M":
            self.skipping = False
        elif command == b"B" and len(payload) > BODY_BYTES:
            raise LocalProtocolError(f"a piece of a body has {BODY_BYTES} bytes at the most")
        if not agreed.sends(command) or (command == b"B" and self.skipping):
            return b""
        if agreed.wants_answer(command):
            self._due.append(command)
        before = b"" if macros is None else macro_packet(command, macros)
        return before + packet(command, payload)

    # ---- responses

    def receive_data(self, data: bytes) -> None:
        """Take what has come."""
        self._reader.receive_data(data)

    def next_response(self) -> Response | None:
        """The next response, None if there is none yet. Raises MilterProtocolError."""
        found = self._reader.next_packet()
        if found is None:
            return None
        response = Response(*found)
        if not self._due:
            raise MilterProtocolError(f"the response {response.kind!r} answers nothing")
        asked = self._due[0]
        if asked == b"O":
            self._agree(response)
        elif response.kind in _EDITS:
            self._check_edit(asked, response)
        elif response.final:
            self._check_final(asked, response)
        elif response.kind != b"p":
            raise MilterProtocolError("an unknown response")
        if asked == b"O" or response.final:
            self._due.popleft()
        return response

    def _agree(self, response: Response) -> None:
        payload, offer = response.payload, self.offer
        if response.kind != b"O" or len(payload) < 12:
            raise MilterProtocolError("the offer was not answered")
        version, actions, steps = unpack(">III", payload[:12])
        if version > offer.version or actions & ~offer.actions or steps & ~offer.protocol:
            raise MilterProtocolError("the filter wants what was not offered")
        self.agreement = Agreement(version, Action(actions), Step(steps), packet(*_pair(response)))
        lists = payload[12:]
        while lists:
            names, end, rest = lists[4:].partition(b"\0")
            stage = int.from_bytes(lists[:4], "big")
            if not end or stage > max(Stage) or not actions & Action.SET_MACROS:
                raise MilterProtocolError("a list of macros that cannot be")
            self.macros[Stage(stage)] = tuple(name.strip("{}") for name in text_of(names).split())
            lists = rest

    def _check_edit(self, asked: bytes, response: Response) -> None:
        agreed, kind = self.agreement, response.kind
        if kind in b"im" and len(response.payload) < 4:
            raise MilterProtocolError(f"the edit {kind!r} does not say which header it is about")
        if asked != b"E" or agreed is None or not agreed.actions & _EDITS[kind]:
            raise MilterProtocolError(f"the edit {kind!r} is not allowed here")

    def _check_final(self, asked: bytes, response: Response) -> None:
        if response.kind == b"s":
            agreed = self.agreement
            if asked != b"B" or agreed is None or not agreed.protocol & Step.SKIP:
                raise MilterProtocolError("SKIP is not allowed here")
            self.skipping = True
        elif response.kind == b"y" and not _may_be_said(response.payload):
            raise MilterProtocolError("a reply that no MTA would say")


def macro_packet(command: bytes, macros: Mapping[str, str]) -> bytes:
    """The macros that belong to a command; names without braces."""
    return packet(*encode(Macros(command, dict(macros))))


def _pair(response: Response) -> tuple[bytes, bytes]:
    return response.kind, response.payload


def _may_be_said(payload: bytes) -> bool:
    """Whether both MTAs would take this reply: one code, single percents nowhere, a NUL behind."""
    *most, last = payload[:-1].split(b"\r\n")
    lines = [line[:3] + b" " + line[4:] for line in most if line[3:4] == b"-"]
    same = {line[:3] for line in (*lines, last)}
    whole = len(lines) == len(most) and len(same) == 1 and payload[-1:] == b"\0"
    return whole and all(_is_reply(line) for line in (*lines, last))
