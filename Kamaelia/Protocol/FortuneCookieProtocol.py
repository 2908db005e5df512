"""
A saying for everybody who connects
===================================
Sends one saying, slowly enough to be read as it comes, and ends. It is the usual first protocol to
play a server with: there is something to see, and nothing to type.

Example Usage
-------------
Without a network, and faster, so that one sees what it does::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Protocol.FortuneCookieProtocol import FortuneCookieProtocol
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.PureTransformer import PureTransformer

    Pipeline(
        FortuneCookieProtocol(command="echo You will see a server.", bitrate=8000.0),
        PureTransformer(bytes.decode),
        ConsoleEchoer(),
    ).run()

It prints::

    You will see a server.

As a server it is the protocol of a ServerCore: ``ServerCore(protocol=FortuneCookieProtocol,
port=1500)``; to hear it, ``nc localhost 1500``.

The saying is what the command ``fortune -a`` writes, at 320 bits a second in pieces of one byte.
Where there is no such command, or it has nothing to say, it is one of a dozen that are built in
(the original then said nothing). A peer that only ends its own side hears it all; one that has gone
is not talked to any longer.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Sequence
from typing import Any

from Kamaelia.File.ChildProcess import Command
from Kamaelia.File.ReadFileAdaptor import CommandSource, ReadFileAdaptor, Source

SAYINGS = (
    "A component that knows nobody can work with everybody.",
    "He who polls is busy; he who waits is ready.",
    "Whatever you send, someone will one day receive.",
    "A queue without a limit is a leak that has not met its load.",
    "Before you pause, look into your boxes.",
    "The end is a message as well: pass it on.",
    "Two threads and one variable make three problems.",
    "Slow readers teach fast writers patience.",
    "The bug is in the part that was too simple to test.",
    "Good wires make good neighbours.",
    "Today is a fine day to delete code.",
    "Everything flows, if you let it go.",
)
# Where games are installed; not on the path of every user.
GAMES = "/usr/games"


def fortune() -> Command:
    """The command that tells fortunes; an empty one if there is none."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), GAMES])
    found = shutil.which("fortune", path=path)
    return (found, "-a") if found else ""


class FortuneCookieProtocol(ReadFileAdaptor):
    """FortuneCookieProtocol(debug=0) -> sends a saying, then ends; ServerCore's peer, peerport, ...
    become attributes."""

    choose: Callable[[Sequence[str]], str] = staticmethod(random.choice)
    find: Callable[[], Command] = staticmethod(fortune)

    def __init__(
        self,
        debug: int = 0,
        command: Command = "",
        bitrate: float = 320.0,
        chunkrate: float = 40,
        **attributes: Any,  # noqa: ANN401 - they become attributes
    ) -> None:
        super().__init__(
            command=command,
            readmode="bitrate",
            bitrate=bitrate,
            chunkrate=chunkrate,
            debug=debug,
            **attributes,
        )

    def source(self) -> Source:
        built_in = (self.choose(SAYINGS) + "\n").encode()
        return Cookie(self.command or self.find(), built_in)


class Cookie(Source):
    """Cookie(command, built_in) -> the command's output, or where there is none, built_in."""

    def __init__(self, command: Command, built_in: bytes) -> None:
        self._command = CommandSource(command) if command else None
        self._built_in = built_in

    def open(self, adaptor: ReadFileAdaptor) -> None:
        if self._command is not None:
            self._command.open(adaptor)

    def read(self) -> bytes | None:
        data = self._command.read() if self._command is not None else b""
        if data:
            self._built_in = b""
        elif data is not None:
            data, self._built_in = self._built_in, b""
        return data

    def close(self) -> None:
        if self._command is not None:
            self._command.close()


__kamaelia_components__ = (FortuneCookieProtocol,)
