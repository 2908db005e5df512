"""
The console as components
=========================
A ConsoleReader sends the lines that are typed, a ConsoleEchoer shows the messages that it gets.
Together with any component between them they make it something to talk to.

Example Usage
-------------
Type lines, see them again; the end of input (ctrl-D) ends it. Here somebody types for us::

    import io, sys

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Console import ConsoleEchoer, ConsoleReader

    sys.stdin = io.StringIO("hello\\nyou\\n")
    Pipeline(ConsoleReader(prompt=""), ConsoleEchoer()).run()

It prints::

    hello
    you

Standard input may be a terminal, a pipe or a file: nothing blocks, and a shutdown ends the reader
at once. What was typed and not sent stays there for the next who reads. If standard input is
something that cannot be waited for (that of IDLE, or a StringIO), a thread reads from it, and stays
behind in the middle of its line when the reader ends.

Bytes are shown as Python writes them, b'...': which text they are is not the console's to guess,
and a peer's escape sequences never reach the terminal. With text that a stranger wrote use
``use_repr=True`` for the same reason.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Generator, Iterator
from typing import Any, TextIO

from Axon.Component import component
from Axon.Ipc import newComponent
from Axon.ThreadedComponent import threadedcomponent
from Kamaelia.Util.Stopping import EndsOnAnyControl, offer


class ConsoleReader(component):
    r"""ConsoleReader(prompt=">>> ", eol="\n", longest=1_048_576) -> sends each line typed, with eol
    after it; longest: the most bytes of a line.

    Raises ValueError for a longer line, UnicodeDecodeError for what is no text."""

    Inboxes = {
        "inbox": "object: not read",
        "control": "the shutdown: ends it, whether or not a line is being typed",
        "_line": "str: what the thread has read, if there is one",
    }
    Outboxes = {
        "outbox": "str: a line and eol",
        "signal": "the shutdown that came in, or producerFinished at the end of input",
    }

    def __init__(
        self,
        prompt: str = ">>> ",
        eol: str = "\n",
        longest: int = 1_048_576,
        **attributes: object,
    ) -> None:
        super().__init__(**attributes)
        self.prompt = prompt
        self.eol = eol
        self.longest = longest

    def main(self) -> Iterator[object]:
        stdin = sys.stdin
        if stdin is None:  # a program without a console
            return
        typed = _Typed(stdin, self.longest) if _can_be_waited_for(stdin) else _Thread(stdin)
        if isinstance(typed, _Thread):
            self.link((typed, "outbox"), (self, "_line"))
            yield newComponent(typed)
        self.call_on_close(typed.stop)
        while True:
            sys.stdout.write(self.prompt)
            sys.stdout.flush()
            wait = self._ask(typed) if isinstance(typed, _Thread) else self._wait_for(typed)
            line = yield from wait
            if not line or not (yield from offer(self, line.removesuffix("\n") + self.eol)):
                return
            yield 1  # a file has lines without end, and others want their turn

    def _wait_for(self, typed: _Typed) -> Generator[object, None, str]:
        """The next line; empty at the end of input, or when told to stop."""
        while not self.told_to_stop():
            if typed.is_ready():
                line = typed.read()
                if line is not None:
                    return line
            else:
                # Only while we wait: a line that nobody fetches would be reported again and again.
                scheduler = self.scheduler
                scheduler.register(typed.fd, select.EPOLLIN, lambda _: self.unpause())
                try:
                    self.pause()
                    yield 1
                finally:
                    scheduler.unregister(typed.fd)
        return ""

    def _ask(self, thread: _Thread) -> Generator[object, None, str]:
        """The same, from a thread."""
        thread.inboxes["inbox"].deliver("a line, please")
        while not self.told_to_stop():
            if self.dataReady("_line"):
                line: str = self.recv("_line")
                return line
            self.pause()
            yield 1
        return ""


def _can_be_waited_for(stdin: Any) -> bool:  # noqa: ANN401 - programs put there what they like
    try:
        return stdin.fileno() >= 0 and hasattr(stdin.buffer, "peek")
    except (OSError, ValueError, AttributeError):
        return False


class _Typed:
    """Lines of a file, pipe or terminal, read when there is something and not before."""

    def __init__(self, stdin: TextIO, longest: int) -> None:
        self.fd = os.dup(stdin.fileno())  # our own, since another reader may wait there too
        self._stdin = stdin
        self._longest = longest
        self._poll = select.poll()
        self._poll.register(self.fd, select.POLLIN)
        self._begun = bytearray()  # a line without its end
        self._ahead = False  # there is more in the buffer, of which poll() knows nothing

    def stop(self) -> None:
        os.close(self.fd)

    def is_ready(self) -> bool:
        return self._ahead or bool(self._poll.poll(0))

    def read(self) -> str | None:
        """A line with its newline, the last one perhaps without; None: it is not whole yet; empty:
        the end of input."""
        buffer: Any = self._stdin.buffer
        waiting: bytes = buffer.peek()  # reads once, and what we do not take stays in there
        line, newline, rest = waiting.partition(b"\n")
        self._begun += buffer.read(len(line) + len(newline))
        self._ahead = bool(rest)
        if len(self._begun) > self._longest:
            raise ValueError(f"ConsoleReader: a line of more than {self._longest} bytes was typed")
        if waiting and not newline:
            return None
        text = self._begun.decode(self._stdin.encoding, self._stdin.errors or "strict")
        self._begun.clear()
        return text.replace("\r\n", "\n")


class _Thread(threadedcomponent):
    """Reads a line for each request, from what blocks."""

    def __init__(self, stdin: TextIO) -> None:
        super().__init__()
        self._stdin = stdin

    def main(self) -> None:
        while not self.told_to_stop():
            for _ in self.Inbox("inbox"):
                self.send(self._stdin.readline(), "outbox")
            self.pause()


class ConsoleEchoer(EndsOnAnyControl, component):
    """ConsoleEchoer(forwarder=False, use_repr=False, tag="") -> writes messages to standard output.

    Each is written as str() or repr() makes it, with tag before it and nothing after it; a
    forwarder also sends it on."""

    Inboxes = {
        "inbox": "object: to be shown",
        "control": "the shutdown: any message here ends it, after what came before it was shown",
    }
    Outboxes = {
        "outbox": "object: what was shown, if it is a forwarder",
        "signal": "the shutdown that came in, and whatever else came to control",
    }

    woken_by_collection = False  # a forwarder offers, the others send nothing

    def __init__(
        self,
        forwarder: bool = False,
        use_repr: bool = False,
        tag: str = "",
        **attributes: object,
    ) -> None:
        super().__init__(**attributes)
        self.forwarder = forwarder
        self.tag = tag
        self.serialise = repr if use_repr else str

    def main(self) -> Iterator[object]:
        while True:
            stop = self.told_to_stop()
            for message in self.Inbox("inbox"):
                sys.stdout.write(f"{self.tag}{self.serialise(message)}")
                if self.forwarder:
                    sys.stdout.flush()  # the next line may take as long as the receiver likes
                    yield from offer(self, message)
            sys.stdout.flush()  # once for all that was there: a prompt is seen, a flood is quick
            if stop:
                return
            if not (self.told_to_stop() or self.anyReady()):  # it may have waited for room
                self.pause()
            yield 1


__kamaelia_components__ = (ConsoleReader, ConsoleEchoer)
