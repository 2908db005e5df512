"""
A Python prompt as a component
==============================
An InterpreterTransformer takes lines of Python and sends what each of them prints; a
StandaloneInterpreter is the same at the console. With either one looks into a program that runs.

WHOEVER CAN SEND TO ONE CAN DO ALL THAT THIS PROGRAM MAY DO: read and delete files, start programs,
end it. That is what it is for. There is no sandbox, no password, and none could be added here.
So never put it on a socket that others can reach: loopback only (``host="127.0.0.1"``), and only on
a machine whose other users you would give your shell to.

Example Usage
-------------
::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Experimental.PythonInterpreter import InterpreterTransformer
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource

    lines = ["x = 6\\n", "x * 7\\n", "for i in range(2):\\n", "    print(i)\\n", "\\n", "1 / 0\\n"]
    Pipeline(DataSource(lines), InterpreterTransformer(), ConsoleEchoer()).run()

It prints::

    42
    0
    1
    Traceback (most recent call last):
      File "<prompt>", line 1, in <module>
    ZeroDivisionError: division by zero

For each line there is one result, so that a prompt can be put behind each; it is empty where there
is nothing to show. Bytes are taken for UTF-8. A message is whole lines: on a socket, cut its bytes
into lines first. ``exit()`` and ``quit()`` end the component, not the program.

A line is carried out in a thread of its own, beside the scheduler, which goes on meanwhile; so it
should touch components only by what is made for other threads (activate(), unpause(), stop(), a
Handle). A shutdown takes effect when the present line is done. What other threads print at the same
time goes where it always does.
"""

from __future__ import annotations

import code
import sys
import threading
from collections.abc import Callable
from typing import Any, ClassVar, NoReturn, TextIO

from Axon.AxonExceptions import noSpaceInBox
from Axon.Ipc import stops_at_once
from Axon.ThreadedComponent import threadedcomponent

FILENAME = "<prompt>"


def _leave(status: object = None) -> NoReturn:
    """What exit() and quit() are in here: the usual ones also close the program's input."""
    raise SystemExit(status)


def _names() -> dict[str, Any]:
    return {"__name__": "__console__", "__doc__": None, "exit": _leave, "quit": _leave}


class InterpreterTransformer(threadedcomponent):
    """InterpreterTransformer() -> carries out lines of Python, sends what they print."""

    Inboxes = {
        "inbox": "str | bytes: a line of Python, with or without its end",
        "control": "producerFinished (after what came before it) or shutdownMicroprocess; either"
        " after the line that is carried out now",
    }
    Outboxes = {
        "outbox": "str: what the line printed, and an error if there was one; perhaps empty",
        "signal": "the shutdown that came in, or producerFinished after exit()",
    }

    longest_result = 65_536  # characters
    longest_source = 65_536  # characters of a block that is not complete yet

    def main(self) -> None:
        self._capture = Capture(self.longest_result)
        self._interpreter = Interpreter(self._capture.write)
        self._block = ""
        with self._capture:
            while True:
                stop = self.told_to_stop()
                if stop is not None and stops_at_once(stop):
                    return
                if self.dataReady("inbox"):
                    if not self._carry_out_all(self.recv("inbox")):
                        return
                elif stop is not None:
                    return
                else:
                    self.pause()

    def _carry_out_all(self, message: object) -> bool:
        """Send a result for each line of a message; False after exit()."""
        for line in self._lines(message):
            try:
                self._carry_out(line)
            except SystemExit:
                return False
            finally:
                self._send_when_there_is_room(self._capture.taken())
        return True

    def _lines(self, message: object) -> list[str]:
        if isinstance(message, bytes | bytearray):
            message = bytes(message).decode("utf-8", "backslashreplace")
        if not isinstance(message, str):
            raise TypeError(
                f"{self.name}: an interpreter takes lines, str or bytes, at 'inbox', not "
                f"{type(message).__name__}: {message!r:.80}"
            )
        # Where Python ends its lines; splitlines() would also cut strings at what is in them.
        text = message.replace("\r\n", "\n").replace("\r", "\n")
        return text.removesuffix("\n").split("\n")

    def _carry_out(self, line: str) -> None:
        block = f"{self._block}\n{line}" if self._block else line
        if len(block) > self.longest_source:
            self._capture.write(f"SyntaxError: more than {self.longest_source} characters\n")
            self._block = ""
        elif self._interpreter.is_incomplete(block):
            self._block = block
        else:
            self._block = ""

    def _send_when_there_is_room(self, result: str) -> None:
        while True:
            try:
                self.send(result, "outbox")
            except noSpaceInBox:
                self.pause()
            else:
                return


class Interpreter(code.InteractiveInterpreter):
    """Interpreter(write) -> the standard library's, with names of its own; errors go to write."""

    def __init__(self, write: Callable[[str], object]) -> None:
        super().__init__(_names())
        self._write = write

    def write(self, data: str) -> None:
        self._write(data)

    def is_incomplete(self, block: str) -> bool:
        """Carry a block out, unless more of it is to come."""
        try:
            return self.runsource(block, FILENAME)
        except (RecursionError, MemoryError):  # a thousand brackets: the compiler gives up
            self.showtraceback()
            return False


class Capture:
    """Capture(longest) -> while it is entered, keeps what this thread prints, up to so many
    characters, and what is written to it; taken() gives it."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._parts: list[str] = []
        self._length = 0

    def write(self, text: str) -> int:
        room = max(0, self._longest - self._length)
        if room:
            self._parts.append(text[:room])
        self._length += len(text)
        return len(text)

    def taken(self) -> str:
        text = "".join(self._parts)
        if self._length > self._longest:
            text += f"\n[{self._length - self._longest} characters more are left out]\n"
        self._parts.clear()
        self._length = 0
        return text

    def __enter__(self) -> None:
        ThreadsOutput.divert(self)

    def __exit__(self, *failure: object) -> None:
        ThreadsOutput.restore()


class ThreadsOutput:
    """Stands for sys.stdout while there is an interpreter: some threads' output goes elsewhere.

    There is one sys.stdout in a process, so there is one table of threads here."""

    _lock: ClassVar[threading.Lock] = threading.Lock()
    _diverted: ClassVar[dict[int, Capture]] = {}

    def __init__(self, usual: TextIO) -> None:
        self._usual = usual

    @classmethod
    def divert(cls, capture: Capture) -> None:
        with cls._lock:
            cls._diverted[threading.get_ident()] = capture
            if not isinstance(sys.stdout, cls):
                sys.stdout = cls(sys.stdout)

    @classmethod
    def restore(cls) -> None:
        with cls._lock:
            del cls._diverted[threading.get_ident()]
            if not cls._diverted and isinstance(sys.stdout, cls):
                sys.stdout = sys.stdout._usual

    def write(self, text: str) -> int:
        capture = self._diverted.get(threading.get_ident())
        return self._usual.write(text) if capture is None else capture.write(text)

    def isatty(self) -> bool:
        """False in a thread of ours: help() must not wait for somebody to turn its pages."""
        return threading.get_ident() not in self._diverted and self._usual.isatty()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - what a file has
        return getattr(self._usual, name)


class StandaloneInterpreter(threadedcomponent):
    """StandaloneInterpreter() -> a Python prompt at the console; ends with ctrl-D or exit()."""

    Inboxes = {
        "inbox": "object: not read",
        "control": "the shutdown: looked at after each line",
    }
    Outboxes = {
        "outbox": "object: unused; what is printed goes to the console",
        "signal": "the shutdown that came in, or producerFinished at the end of input",
    }

    def main(self) -> None:
        console = Console(self)
        self.sync()  # what it was told before it began counts
        try:
            console.interact(banner="", exitmsg="")
        except SystemExit:
            return


class Console(code.InteractiveConsole):
    """Console(owner) -> the standard library's prompt; told to stop, it finds no more input."""

    def __init__(self, owner: StandaloneInterpreter) -> None:
        super().__init__(_names(), FILENAME)
        self._owner = owner

    def raw_input(self, prompt: str = "") -> str:
        if self._owner.told_to_stop():
            raise EOFError
        return super().raw_input(prompt)


__kamaelia_components__ = (StandaloneInterpreter, InterpreterTransformer)
