"""
A filter's session: what an MTA's connection means, event by event
==================================================================
The filter's side of the milter protocol, without I/O. Bytes go in, events come out (the classes of
Commands), answers go in (the bytes of Responses), bytes come out.

>>> from Kamaelia.Support.Protocol.Milter.MTASession import MTASession
>>> mta, session = MTASession(), FilterSession(Wishes(replies=b"R"))
>>> session.receive_data(mta.negotiate())
>>> session.next_event() is None  # it negotiates by itself
True
>>> mta.receive_data(session.data_to_send())
>>> mta.next_response().kind, mta.agreement.wants_answer(b"M")
(b'O', False)
>>> session.receive_data(mta.connect("mx.example.net", "192.0.2.7"))
>>> session.next_event()
Connect(host='mx.example.net', family='4', port=0, address='192.0.2.7', path='')

States::

    OFFER     --O-->  CONNECT             the answer is ours, nobody is asked
    CONNECT   --C-->  SESSION
    SESSION   --M-->  ENVELOPE            also M after M: the one before was refused
    ENVELOPE  --R, T-->  ENVELOPE         after a refused DATA another recipient may come
    ENVELOPE, CONTENT  --L, N, B-->  CONTENT
    ENVELOPE, CONTENT  --E-->  ENDING  --answer-->  SESSION
    any behind CONNECT --A, H-->  SESSION
    any       --K-->  CONNECT, --Q, end of the stream-->  closed

Any other order raises MilterProtocolError, and so does what cannot be read; then it is closed.

The rules. An event that the filter wishes to answer (`Wishes.replies`), and the end of a message,
waits: `waiting` is true and no other event is given until `answer`. But for three: Abort, Quit and
QuitNewConnection say that nobody wants the answer any more; they end the waiting, and an answer
that comes later belongs to nothing. All other events are answered with CONTINUE if the MTA wants an
answer at all. What was not wished for but comes is passed over in the same way.

Macros are kept as they came and read when somebody asks. Those of connection and HELO hold for the
session, all others until the end of the message; each packet replaces the one before of its stage.
"""

from functools import lru_cache

from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Support.Protocol.Milter.Commands import (
    Command,
    Decoder,
    Negotiate,
    Quit,
    decode,
    decoders,
    macros_of,
)
from Kamaelia.Support.Protocol.Milter.Negotiation import Agreement, Wishes, negotiate
from Kamaelia.Support.Protocol.Milter.Packets import MilterProtocolError, PacketReader
from Kamaelia.Support.Protocol.Milter.Responses import CONTINUE, PROGRESS

MACRO_BYTES = 65_536  # of one packet: what MTAs send is a hundredth of it
UNREAD_BYTES = 2 << 20  # that may come while an event waits: an MTA waits as well

# Bits, so that a command's rule can name several states.
OFFER, CONNECT, SESSION, ENVELOPE, CONTENT, ENDING = (1, 2, 4, 8, 16, 32)
_CONNECTED = SESSION | ENVELOPE | CONTENT | ENDING
_MESSAGE = ENVELOPE | CONTENT
# Command -> the states in which it makes sense, the state behind it (0: the same).
_RULES: dict[bytes, tuple[int, int]] = {
    b"C": (CONNECT, SESSION),
    b"H": (_CONNECTED, SESSION),
    b"M": (_CONNECTED, ENVELOPE),
    b"R": (ENVELOPE, 0),
    b"T": (ENVELOPE, 0),
    b"U": (_CONNECTED, 0),
    b"L": (_MESSAGE, CONTENT),
    b"N": (_MESSAGE, CONTENT),
    b"B": (_MESSAGE, CONTENT),
    b"E": (_MESSAGE, ENDING),
}
_NOBODY_WAITS = (b"A", b"Q", b"K")
_LATEST_FIRST = (b"E", b"N", b"B", b"L", b"T", b"R", b"U", b"M", b"H", b"C")
_OF_MESSAGE = (b"E", b"N", b"B", b"L", b"T", b"R", b"U", b"M")
_BEHIND_MAIL = _OF_MESSAGE[:-1]
_STAGES = frozenset(_LATEST_FIRST)

# Command -> states, next state, decoder (None: not wished for), whether it waits, else the answer.
_Plan = dict[bytes, tuple[int, int, Decoder | None, bool, bytes]]


class FilterSession:
    """FilterSession(wishes) -> the filter's side of one connection.

    agreement: what was agreed on, None before. waiting: an event waits for its answer. closed: no
    more events come. out: bytes for the MTA; whoever sends them puts b"" there, or uses
    `data_to_send`."""

    __slots__ = (
        *("_eof", "_macros", "_plan", "_reader", "_state", "_wishes"),
        *("agreement", "closed", "out", "waiting"),
    )

    def __init__(self, wishes: Wishes) -> None:
        self._wishes = wishes
        self._reader = PacketReader()
        self._macros: dict[bytes, bytes | dict[str, str]] = {}
        self._plan: _Plan = {}
        self._state = OFFER
        self._eof = False
        self.agreement: Agreement | None = None
        self.waiting = False
        self.closed = False
        self.out = b""

    # ---- bytes

    def receive_data(self, data: bytes) -> None:
        """Take what has come. Raises MilterProtocolError if too much comes while an event waits."""
        if self.closed:
            return
        self._reader.receive_data(data)
        if self.waiting and self._reader.unread > UNREAD_BYTES:
            self.closed = True
            raise MilterProtocolError("too much came while an answer was waited for")

    def receive_eof(self) -> None:
        """The MTA sends no more: behind what has come there is a Quit."""
        self._eof = True

    def data_to_send(self) -> bytes:
        """What is to be sent now; the next call gives what has been said since."""
        data, self.out = self.out, b""
        return data

    # ---- events and answers

    def next_event(self) -> Command | None:
        """The next event, or None: there is none yet, or one waits for its answer. Raises
        MilterProtocolError; then the session is closed."""
        if self.closed:
            return None
        try:
            return self._next_event()
        except MilterProtocolError:
            self.closed = True
            self.waiting = False
            raise

    def answer(self, wire: bytes) -> None:
        """Answer the event that waits: one final response, edits before it only at the end of a
        message. Raises LocalProtocolError if none waits."""
        if not self.waiting or not wire:
            raise LocalProtocolError("no event waits for an answer, or there is nothing in it")
        self.waiting = False
        self.out += wire
        if self._state == ENDING:
            self._state = SESSION
            self._forget(_OF_MESSAGE)

    def progress(self) -> None:
        """Say that the answer is still being worked on: the MTA waits as long again. Does nothing
        if none is waited for. At the end of a message only, unless the MTA is Postfix: Sendmail
        takes it for "go on" at all other events."""
        if self.waiting:
            self.out += PROGRESS

    # ---- what is known

    @property
    def in_message(self) -> bool:
        """Whether a message has begun and is not over."""
        return self._state >= ENVELOPE

    @property
    def unread(self) -> int:
        """Bytes that came and have not been looked at."""
        return self._reader.unread

    def macro(self, name: str) -> str:
        """What the MTA has said last of this macro, a name without braces; "" if it has not."""
        macros = self._macros
        if not macros:
            return ""
        raw = name.encode("utf-8", "backslashreplace")
        for stage in _LATEST_FIRST:
            if stage not in macros:  # as most are, and with each recipient four are asked for
                continue
            values = macros[stage]
            if type(values) is bytes:
                # Most of what is asked for is not there. Where it is may be in a value, which is
                # what a stranger said: only after a look at all it is known to be a name.
                if raw not in values:
                    continue
                values = macros[stage] = macros_of(values)
            value: str | None = values.get(name)  # type: ignore[union-attr]
            if value is not None:
                return value
        return ""

    # ---- the machine

    def _next_event(self) -> Command | None:
        reader = self._reader
        while True:
            if self.waiting and reader.peek() not in _NOBODY_WAITS:
                return self._end() if self._eof else None
            found = reader.next_packet()
            if found is None:
                return self._end() if self._eof else None
            command, payload = found
            if command == b"D":
                self._note_macros(payload)
                continue
            plan = self._plan.get(command)
            if plan is None:
                event = self._seldom(command, payload)
                if event is not None:
                    return event
                continue
            states, behind, decoder, waits, answer = plan
            state = self._state
            if not state & states:
                raise MilterProtocolError(f"the command {command!r} is out of order")
            if behind:
                if state >= ENVELOPE >= behind:
                    self._begin(behind)
                self._state = behind
            self.waiting = waits
            self.out += answer
            if decoder is not None:
                return decoder(payload)

    def _seldom(self, command: bytes, payload: bytes) -> Command | None:
        """Negotiation, and the ends of messages, sessions, connections."""
        event = decode(command, payload)
        if command == b"O":
            if self._state != OFFER or not isinstance(event, Negotiate):
                raise MilterProtocolError("a second negotiation")
            self.agreement, self._plan = _agree(event, self._wishes)
            self.out += self.agreement.wire
            self._state = CONNECT
            return None
        if command not in _NOBODY_WAITS:
            raise MilterProtocolError("a command before the negotiation")
        self.waiting = False
        if command == b"Q":
            self.closed = True
        elif command == b"K":
            self._macros.clear()
            self._state = min(self._state, CONNECT)
        elif self._state & _CONNECTED:
            self._state = SESSION
            self._forget(_OF_MESSAGE)
        return event

    def _end(self) -> Quit:
        self.closed = True
        self.waiting = False
        return Quit()

    def _begin(self, behind: int) -> None:
        """HELO or MAIL, while a message is not over: what is known of that one is forgotten. The
        macros of the new one have come already."""
        self._forget(_OF_MESSAGE if behind == SESSION else _BEHIND_MAIL)

    def _note_macros(self, payload: bytes) -> None:
        if len(payload) > MACRO_BYTES:
            raise MilterProtocolError(f"macros of {len(payload)} bytes")
        stage = payload[:1]
        if stage in _STAGES:
            self._macros[stage] = payload[1:]

    def _forget(self, stages: tuple[bytes, ...]) -> None:
        macros = self._macros
        if macros:
            for stage in stages:
                macros.pop(stage, None)


@lru_cache(maxsize=64)  # one connection's offer is like the other's
def _agree(offer: Negotiate, wishes: Wishes) -> tuple[Agreement, _Plan]:
    """What both agree on, and what that means for each command."""
    agreement = negotiate(offer, wishes)
    take_apart = decoders(agreement.protocol)
    plan: _Plan = {}
    for command, (states, behind) in _RULES.items():
        told = wishes.hears(command)
        waits = told and (command == b"E" or command in wishes.replies)
        answered = waits or not agreement.wants_answer(command)
        decoder = take_apart[command] if told else None
        plan[command] = (states, behind, decoder, waits, b"" if answered else CONTINUE)
    return agreement, plan
