"""
Negotiation: what MTA and filter may do, and which steps both leave out
=======================================================================
The MTA begins with an offer: its version, the edits that it allows, and the steps of the protocol
that can be left out. A filter says what it wishes; `negotiate` makes the answer of both.

>>> wishes = Wishes(Action.ADD_HEADERS, replies=b"R", macros={Stage.MAIL: ("i", "auth_authen")})
>>> agreed = negotiate(Negotiate(6, 0x1FF, 0x1FFFFF), wishes)
>>> agreed.version, agreed.actions
(6, <Action.ADD_HEADERS|SET_MACROS: 257>)
>>> agreed.sends(b"B"), agreed.wants_answer(b"M"), agreed.wants_answer(b"R")
(False, False, True)

The rules. Nothing is answered that was not offered, and the lower version holds. What the filter
does not wish to hear is not sent ("no" bits); where it has nothing to say the MTA does not wait for
it ("no answer" bits), which spares a trip between the two. An MTA that offers less (Postfix with an
old milter_protocol) sends and waits more, and `Agreement` knows it.

A list of macros REPLACES the MTA's for that stage: name all that are needed. Stages that are not
named keep theirs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from struct import pack

from Kamaelia.Support.Protocol.Milter.Commands import LEADING_SPACE, Negotiate
from Kamaelia.Support.Protocol.Milter.Packets import MilterProtocolError, packet

VERSION = 6
OLDEST = 2


class Action(IntFlag):
    """Edits at the end of a message, and the right to ask for macros."""

    NONE = 0
    ADD_HEADERS = 0x1
    CHANGE_BODY = 0x2
    ADD_RECIPIENTS = 0x4
    DELETE_RECIPIENTS = 0x8
    CHANGE_HEADERS = 0x10  # also to insert one
    QUARANTINE = 0x20
    CHANGE_SENDER = 0x40
    ADD_RECIPIENTS_WITH_ARGUMENTS = 0x80
    SET_MACROS = 0x100
    ALL = 0x1FF


class Step(IntFlag):
    """What of the protocol can be left out, and what it can have beside the usual."""

    NONE = 0
    NO_CONNECT = 0x1
    NO_HELO = 0x2
    NO_MAIL = 0x4
    NO_RCPT = 0x8
    NO_BODY = 0x10
    NO_HEADERS = 0x20
    NO_END_OF_HEADERS = 0x40
    NO_ANSWER_HEADERS = 0x80
    NO_UNKNOWN = 0x100
    NO_DATA = 0x200
    SKIP = 0x400  # the filter may say: no more of the body
    REFUSED_RECIPIENTS = 0x800  # tell me of recipients that the MTA refuses, too
    NO_ANSWER_CONNECT = 0x1000
    NO_ANSWER_HELO = 0x2000
    NO_ANSWER_MAIL = 0x4000
    NO_ANSWER_RCPT = 0x8000
    NO_ANSWER_DATA = 0x10000
    NO_ANSWER_UNKNOWN = 0x20000
    NO_ANSWER_END_OF_HEADERS = 0x40000
    NO_ANSWER_BODY = 0x80000
    HEADER_LEADING_SPACE = LEADING_SPACE
    ALL = 0x1FFFFF


class Stage(IntEnum):
    """Where macros are told, as a list of wishes names it."""

    CONNECT = 0
    HELO = 1
    MAIL = 2
    RCPT = 3
    DATA = 4
    END_OF_MESSAGE = 5
    END_OF_HEADERS = 6


# Command byte -> the bits "do not send" and "no answer to".
_LEAVE_OUT: dict[bytes, tuple[Step, Step]] = {
    b"C": (Step.NO_CONNECT, Step.NO_ANSWER_CONNECT),
    b"H": (Step.NO_HELO, Step.NO_ANSWER_HELO),
    b"M": (Step.NO_MAIL, Step.NO_ANSWER_MAIL),
    b"R": (Step.NO_RCPT, Step.NO_ANSWER_RCPT),
    b"T": (Step.NO_DATA, Step.NO_ANSWER_DATA),
    b"U": (Step.NO_UNKNOWN, Step.NO_ANSWER_UNKNOWN),
    b"L": (Step.NO_HEADERS, Step.NO_ANSWER_HEADERS),
    b"N": (Step.NO_END_OF_HEADERS, Step.NO_ANSWER_END_OF_HEADERS),
    b"B": (Step.NO_BODY, Step.NO_ANSWER_BODY),
}
_NEVER_ANSWERED = b"ODAQK"


@dataclass(frozen=True, slots=True, eq=False)  # one for all sessions: to be known by identity
class Wishes:
    """What a filter would like to have. Make one, for all connections.

    actions: the edits it may make. headers (with their end), body, data (the DATA command),
    unknown (unknown commands), refused_recipients: whether it is to be told of these; connections,
    HELO, senders, recipients and the end of a message it always is. replies: the command bytes of
    `CHMRTULNB` that it answers itself; all others of them go on without it. The end of a message is
    always answered. macros: what it wants to know at a stage, names without braces. exact_headers:
    tell the blanks behind a header's colon, too."""

    actions: Action = Action.NONE
    headers: bool = False
    body: bool = False
    data: bool = False
    unknown: bool = False
    refused_recipients: bool = False
    replies: bytes = b""
    macros: Mapping[Stage, tuple[str, ...]] = field(default_factory=dict)
    exact_headers: bool = False

    def hears(self, command: bytes) -> bool:
        """Whether the filter is to be told of this command."""
        if command in b"LN":
            return self.headers
        if command == b"B":
            return self.body
        if command == b"T":
            return self.data
        return self.unknown if command == b"U" else True


@dataclass(frozen=True, slots=True)
class Agreement:
    """What holds between an MTA and a filter. wire: the filter's answer to the offer."""

    version: int
    actions: Action
    protocol: Step
    wire: bytes = b""

    def sends(self, command: bytes) -> bool:
        """Whether the MTA sends this command."""
        bits = _LEAVE_OUT.get(command)
        return bits is None or not self.protocol & bits[0]

    def wants_answer(self, command: bytes) -> bool:
        """Whether the MTA waits for an answer to this command."""
        bits = _LEAVE_OUT.get(command)
        if bits is None:
            return command not in _NEVER_ANSWERED
        return not self.protocol & bits[1]

    @property
    def leading_space(self) -> bool:
        """Whether header values come, and go, with the blank behind the colon."""
        return bool(self.protocol & Step.HEADER_LEADING_SPACE)


def negotiate(offer: Negotiate, wishes: Wishes) -> Agreement:
    """Make the answer to an MTA's offer. Raises MilterProtocolError for a version that nobody has
    spoken for twenty years."""
    if offer.version < OLDEST:
        raise MilterProtocolError(f"milter version {offer.version} is too old")
    version = min(offer.version, VERSION)
    actions = wishes.actions & ~Action.SET_MACROS
    if wishes.macros:
        actions |= Action.SET_MACROS
    actions = Action(int(actions) & offer.actions)
    protocol = Step(_steps(wishes) & offer.protocol)
    payload = pack(">III", version, actions, protocol)
    if actions & Action.SET_MACROS:
        payload += _macro_lists(wishes.macros)
    return Agreement(version, actions, protocol, packet(b"O", payload))


def _steps(wishes: Wishes) -> int:
    """All bits that this filter would like to have."""
    steps = 0
    for command, (leave_out, no_answer) in _LEAVE_OUT.items():
        if not wishes.hears(command):
            steps |= leave_out
        if command not in wishes.replies:
            steps |= no_answer
    if wishes.body:
        steps |= Step.SKIP
    if wishes.refused_recipients:
        steps |= Step.REFUSED_RECIPIENTS
    if wishes.exact_headers:
        steps |= Step.HEADER_LEADING_SPACE
    return int(steps)


def _macro_lists(macros: Mapping[Stage, tuple[str, ...]]) -> bytes:
    lists = []
    for stage, names in sorted(macros.items()):
        words = " ".join(_braced(name) for name in names)
        lists.append(pack(">I", stage) + words.encode("ascii") + b"\0")
    return b"".join(lists)


def _braced(name: str) -> str:
    """A macro's name as MTAs write it."""
    if not name.isascii() or not name.isprintable() or not name or set(name) & set(" {}"):
        raise ValueError("the name of a macro has printable ASCII, no blank and no braces")
    return name if len(name) == 1 else f"{{{name}}}"
