"""
The side of MX sync that is called
==================================
Lines of a peer in, commands out; each is answered when it is said to have been applied:

>>> server = SyncServer()
>>> server.greet()
>>> server.receive_data(b"vers3\\nflush addr 192.0.2.1\\r\\nquit\\n")
>>> server.next_command()
Flush(address='192.0.2.1')
>>> print(server.data_to_send().decode(), end="")
200 Yeah, what do you want?
803 Yes, I speak version 3, what do you think?
>>> server.applied(True)
>>> server.next_command() is None, server.closed
(True, True)
>>> server.data_to_send()
b"201 All right, I'll do that\\n202 Good bye\\n"

Its states::

    NEW --greet()--> OPEN --next_command()--> APPLYING --applied(True)--> OPEN
    any --refuse(), dismiss(), applied(False), quit, too much of anything--> closed

Rules. Each line has exactly one answer (help has several), in order, however many lines came at
once: the next command is read when the one before it has its answer. Words are case-sensitive, the
line may end with LF or CR LF. A command that could not be applied is not answered at all: the peer
sees the connection end, keeps its entry and tells it again, where an error would tell it nothing.
A line of more than 511 bytes is answered as the half command that it is, and ends the connection;
so do more than 50 lines in a row, an error, help or a version each, of which nothing was applied.
"""

from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Support.Protocol.MXSync.Commands import (
    LINE_BYTES,
    Command,
    SyncLineError,
    read_command,
    shown,
)

USELESS_LINES = 50  # in a row: somebody who tries it by hand is still welcome
WAITING_BYTES = 1_048_576  # given before what came earlier was applied

_HELP = (
    "Help? Sure, we have help here:",
    "",
    "add addr IP from S rcpt R date T        S, not known yet, has tried to reach R",
    "del addr IP from S rcpt R date T        it may pass",
    "del2 addr IP from S rcpt R date T aw U  it may pass until U",
    "flush addr IP                           forget what is known of IP",
    "vers2, vers3                            which version do you speak?",
    "help                                    this",
    "quit                                    the end",
    "",
    "IP: IPv4 or IPv6. S, R: with < and >. T, U: seconds since 1970.",
)
_ANSWERS = {
    "help": "\n".join(f"203 {line}".rstrip() for line in _HELP),
    "vers2": "802 Yes, I speak version 2, what do you think?",
    "vers3": "803 Yes, I speak version 3, what do you think?",
}


class SyncServer:
    """SyncServer() -> one connection of a peer; see the module for its states and rules.

    closed: the connection is to end once all is sent; what comes is ignored. reason: why, for a
    log, "" after a quit. version: the highest that the peer has asked for and got, else 1."""

    __slots__ = (
        *("_buffer", "_greeted", "_out", "_pending", "_useless"),
        *("closed", "reason", "version"),
    )

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._greeted = False
        self._out = bytearray()
        self._pending = False
        self._useless = 0
        self.closed = False
        self.reason = ""
        self.version = 1

    @property
    def pending(self) -> bool:
        """Whether a command waits to be said to have been applied."""
        return self._pending

    @property
    def in_line(self) -> bool:
        """Whether something has come that is not answered."""
        return bool(self._buffer) and not self.closed

    # ---- the beginning and the end

    def greet(self) -> None:
        """Let the peer talk. Before that nothing is read."""
        if self._greeted or self.closed:
            raise LocalProtocolError("there is one greeting, at the beginning")
        self._greeted = True
        self._say("200 Yeah, what do you want?")

    def refuse(self) -> None:
        """Instead of greet(): this is no peer of ours."""
        if self._greeted or self.closed:
            raise LocalProtocolError("who has been greeted cannot be refused")
        self._say("106 You have no permission to talk, go away!")
        self._end("no peer of ours")

    def dismiss(self) -> None:
        """End it, since there are no peers any more; a command that waits is not answered."""
        if not self.closed:
            self._say("105 No more peers, shutting down!")
            self._end("no more peers")

    # ---- what comes and goes

    def receive_data(self, data: bytes) -> None:
        """Add bytes, cut anywhere."""
        if self.closed:
            return
        self._buffer += data
        if len(self._buffer) > WAITING_BYTES:
            self._end(f"more than {WAITING_BYTES} bytes that nobody has read")

    def next_command(self) -> Command | None:
        """Return the next command, to be applied; None: not now."""
        if self._pending or not self._greeted:
            return None
        while not self.closed and (line := self._next_line()) is not None:
            command = self._read(line)
            if command is not None:
                self._pending = True
                return command
            if self._useless > USELESS_LINES:
                self._end(f"more than {USELESS_LINES} lines in a row without use")
        return None

    def applied(self, ok: bool) -> None:
        """Answer the command that next_command() gave last; not ok: end the connection."""
        if self.closed:
            return  # dismissed while it was applied
        if not self._pending:
            raise LocalProtocolError("there is no command that could have been applied")
        self._pending = False
        if ok:
            self._useless = 0
            self._say("201 All right, I'll do that")
        else:
            self._end("a command could not be applied")

    def data_to_send(self) -> bytes:
        """Return what is to be sent, once."""
        data = bytes(self._out)
        self._out.clear()
        return data

    # ---- lines

    def _next_line(self) -> bytes | None:
        end = self._buffer.find(b"\n", 0, LINE_BYTES + 1)
        if end < 0:
            if len(self._buffer) > LINE_BYTES:
                self._say("103 Incomplete command")
                self._end(f"a line of more than {LINE_BYTES} bytes")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line.removesuffix(b"\r")

    def _read(self, line: bytes) -> Command | None:
        # Latin-1: each byte stays one character, so that what is no ASCII can be seen, and refused.
        words = line.decode("latin-1").replace("\t", " ").split(" ")
        words = [word for word in words if word]
        try:
            if words and words[0] in ("help", "vers2", "vers3", "quit"):
                self._answer(words)
            else:
                return read_command(words)
        except SyncLineError as refused:
            self._say(str(refused))
        self._useless += 1
        return None

    def _answer(self, words: list[str]) -> None:
        if len(words) > 1:
            raise SyncLineError(f'104 Unexpected keyword "{shown(words[1])}"')
        if words[0] == "quit":
            self._say("202 Good bye")
            self._end("")
            return
        self._say(_ANSWERS[words[0]])
        if words[0] != "help":
            self.version = max(self.version, int(words[0][-1]))

    def _say(self, text: str) -> None:
        self._out += text.encode("ascii") + b"\n"

    def _end(self, reason: str) -> None:
        self.closed = True
        self.reason = reason
        self._pending = False
        self._buffer.clear()
