"""
The side of MX sync that calls
==============================
Commands in, what became of them out; here is a peer that speaks version 2:

>>> from Kamaelia.Support.Protocol.MXSync.Commands import Delete
>>> client = SyncClient()
>>> client.receive_data(b"200 Yeah, what do you want?\\n")
>>> client.data_to_send()
b'vers3\\n'
>>> client.receive_data(b'102 Invalid command "vers3"\\n')
>>> client.data_to_send()
b'vers2\\n'
>>> client.receive_data(b"802 Yes, I speak version 2, what do you think?\\n")
>>> client.next_outcome()
Established(version=2)
>>> client.offer(Delete("192.0.2.1", "<a@b>", "<c@d>", 5, 9))
True
>>> client.data_to_send()
b'del2 addr 192.0.2.1 from <a@b> rcpt <c@d> date 5 aw 9\\r\\n'
>>> client.receive_data(b"201 All right, I'll do that\\n")
>>> client.next_outcome()
Sent(command=Delete(address='192.0.2.1', sender='<a@b>', recipient='<c@d>', date=5, until=9))

Its states::

    GREETING --200--> VERS3 --803--> IDLE <--201-- ASKED
                        '--else--> VERS2 --802, else--> IDLE (version 2, 1)
    IDLE --offer()--> ASKED     IDLE --quit()--> GOODBYE --202--> closed
    any --anything else--> closed

Rules. One command is under way at a time, never two: a real peer carries out the first of two that
come together, says nothing and closes. Each command that offer() takes has exactly one outcome:
Sent, Failed, or Skipped if this peer cannot be told it at all. Whatever is not the answer that was
waited for, an answer to nothing or a line of more than 511 bytes means that the two sides no longer
speak of the same thing, and ends the connection; the command may then have been carried out, and to
tell it again does no harm. Time is the owner's: `waiting` says whether there is something to wait
for, fail() ends the wait.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Support.Protocol.MXSync.Commands import (
    LINE_BYTES,
    NEWEST_VERSION,
    Command,
    shown,
    to_line,
)


@dataclass(frozen=True, slots=True)
class Established:
    """The peer listens, and speaks this version."""

    version: int


@dataclass(frozen=True, slots=True)
class Sent:
    """The peer has said that it does so."""

    command: Command


@dataclass(frozen=True, slots=True)
class Skipped:
    """This peer cannot be told so, now or later: nothing was sent, the connection goes on."""

    command: Command
    why: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The connection is over. command: what was under way, to be told again; None: nothing was.

    refused: the peer has read it and answered with an error, which it most likely will again (105
    and 106 are not about the command, but about who we are)."""

    command: Command | None
    why: str
    refused: bool = False


Outcome: TypeAlias = Established | Sent | Skipped | Failed


class _State(Enum):
    GREETING = auto()
    VERS3 = auto()
    VERS2 = auto()
    IDLE = auto()
    ASKED = auto()
    GOODBYE = auto()
    CLOSED = auto()


class SyncClient:
    """SyncClient() -> one connection to a peer; see the module for its states and rules.

    version: what the peer speaks, 0 while that is not known."""

    __slots__ = ("_buffer", "_command", "_out", "_outcomes", "_state", "version")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._command: Command | None = None
        self._out = b""
        self._outcomes: deque[Outcome] = deque()
        self._state = _State.GREETING
        self.version = 0

    @property
    def idle(self) -> bool:
        """Whether offer() would take a command now."""
        return self._state is _State.IDLE

    @property
    def waiting(self) -> bool:
        """Whether it is the peer's turn to say something."""
        return self._state not in (_State.IDLE, _State.CLOSED)

    @property
    def under_way(self) -> Command | None:
        """The command that has been told and not been answered."""
        return self._command

    @property
    def leaving(self) -> bool:
        """Whether good-bye has been said, and nobody has answered."""
        return self._state is _State.GOODBYE

    @property
    def closed(self) -> bool:
        """Whether the connection is to end, once all is sent."""
        return self._state is _State.CLOSED

    # ---- the owner

    def offer(self, command: Command) -> bool:
        """Tell the peer so. False: not now, something else is under way, or it is over."""
        if not self.idle:
            return False
        try:
            line = to_line(command, self.version)
        except LocalProtocolError as error:
            self._outcomes.append(Skipped(command, str(error)))
            return True
        if line is None:
            why = f"version {self.version} has no word for {type(command).__name__}"
            self._outcomes.append(Skipped(command, why))
            return True
        self._out += line
        self._command = command
        self._state = _State.ASKED
        return True

    def quit(self) -> None:
        """Say good-bye, if nothing else is under way; else, end at once. The former is not waited
        for by anybody who has better to do."""
        if self.idle:
            self._out += b"quit\n"
            self._state = _State.GOODBYE
        else:
            self.fail("we have ended it")

    def fail(self, why: str) -> None:
        """The connection is over, for this reason (for a person to read); harmless if it was."""
        if not self.closed:
            self._end(why, refused=False)

    def next_outcome(self) -> Outcome | None:
        """Return what has become of something, in order; None: nothing new."""
        return self._outcomes.popleft() if self._outcomes else None

    def data_to_send(self) -> bytes:
        """Return what is to be sent, once."""
        data, self._out = self._out, b""
        return data

    # ---- the peer

    def receive_data(self, data: bytes) -> None:
        """Take what came from the peer, cut anywhere."""
        if self.closed:
            return
        self._buffer += data
        while self._buffer and not self.closed:
            if not self.waiting:
                self.fail(f"it speaks without being asked: {_quoted(self._buffer)}")
                return
            end = self._buffer.find(b"\n", 0, LINE_BYTES + 1)
            if end < 0:
                if len(self._buffer) > LINE_BYTES:
                    self.fail(f"a line of more than {LINE_BYTES} bytes")
                return
            line = bytes(self._buffer[:end]).removesuffix(b"\r")
            del self._buffer[: end + 1]
            self._hear(line)

    def receive_eof(self) -> None:
        """The peer has closed its side."""
        if self._state is _State.GOODBYE:
            self._state = _State.CLOSED  # it could have said so, but that is how it ends
        else:
            self.fail("connection closed by the peer")

    def _hear(self, line: bytes) -> None:
        code = line.split(b" ", 1)[0]
        match self._state, code:
            case _State.GREETING, b"200":
                self._ask_for(_State.VERS3, b"vers3\n")
            case _State.VERS3, b"803":
                self._establish(NEWEST_VERSION)
            case _State.VERS2, b"802":
                self._establish(NEWEST_VERSION - 1)
            case ((_State.VERS3 | _State.VERS2), _) if _is_code(code):
                # It does not know it, and listens on.
                if self._state is _State.VERS3:
                    self._ask_for(_State.VERS2, b"vers2\n")
                else:
                    self._establish(1)
            case _State.ASKED, b"201" if self._command is not None:
                self._outcomes.append(Sent(self._command))
                self._command = None
                self._state = _State.IDLE
            case _State.GOODBYE, _:
                self._state = _State.CLOSED
            case _:
                self._end(f"it says {_quoted(line)}", refused=_is_code(code) and code < b"200")

    def _ask_for(self, state: _State, line: bytes) -> None:
        self._out += line
        self._state = state

    def _establish(self, version: int) -> None:
        self.version = version
        self._state = _State.IDLE
        self._outcomes.append(Established(version))

    def _end(self, why: str, *, refused: bool) -> None:
        if self._state is not _State.GOODBYE:  # else: that is what it was to do
            command, self._command = self._command, None
            self._outcomes.append(Failed(command, why, refused and command is not None))
        self._state = _State.CLOSED
        self._out = b""


def _is_code(code: bytes) -> bool:
    """Whether it is one, and does not say that the connection is over."""
    return len(code) == 3 and code.isdigit() and code not in (b"105", b"106")


def _quoted(line: bytes | bytearray) -> str:
    return f'"{shown(line.decode("latin-1"))}"'
