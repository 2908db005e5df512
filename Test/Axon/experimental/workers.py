"""Components for other processes, in a module that such a process imports quickly."""

import atexit
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.ThreadedComponent import threadedcomponent


class Doubler(component):
    """Doubler(factor=2) -> numbers in, products out; text goes to "odd"."""

    Inboxes = {"inbox": "int: numbers", "control": "the shutdown", "factor": "int: from now on"}
    Outboxes = {"outbox": "int: products", "signal": "the shutdown", "odd": "str: what is text"}

    def __init__(self, factor: int = 2, **attributes: object) -> None:
        super().__init__(**attributes)
        self.factor = factor

    def main(self) -> Iterator[object]:
        while True:
            for factor in self.Inbox("factor"):
                self.factor = factor
            for number in self.Inbox("inbox"):
                if isinstance(number, str):
                    self.send(number + "!", "odd")
                else:
                    self.send(number * self.factor, "outbox")
            for message in self.Inbox("control"):
                self.send(message, "signal")
                if isinstance(message, producerFinished | shutdownMicroprocess):
                    return
            self.pause()
            yield 1


class Quiet(component):
    """Ends by itself, without a word."""

    announces_end = False

    def main(self) -> Iterator[object]:
        yield 1


class Numbers(component):
    """Numbers(count) -> so many numbers, as fast as the receiver allows, then producerFinished."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def main(self) -> Iterator[object]:
        for number in range(self.count):
            yield from self.put(number)
        self.send(producerFinished(self), "signal")


class Full(component):
    """Sends until it meets noSpaceInBox, then says how many it had sent; ends when told to."""

    Outboxes = {"outbox": "int: numbers", "signal": "the shutdown", "report": "int: how many"}

    def main(self) -> Iterator[object]:
        number = 0
        while not self.outboxes["outbox"].isFull():
            self.send(number, "outbox")
            number += 1
            yield 1
        self.send(number, "report")
        while not self.dataReady("control"):
            self.pause()
            yield 1


class Failing(component):
    """Sends one number, then fails with the message that it is given."""

    def main(self) -> Iterator[object]:
        while not self.dataReady("inbox"):
            self.pause()
            yield 1
        self.send(1, "outbox")
        raise self.recv("inbox")


class Picky(Exception):  # noqa: N818 - what it is called does not matter
    """Cannot be made again from its arguments."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one} and {other}")


class FailsPickily(component):
    """Fails with an exception that cannot be rebuilt."""

    def main(self) -> Iterator[object]:
        yield 1
        raise Picky("this", "that")


class FailsTwice(component):
    """Sends what cannot be pickled, and fails."""

    def main(self) -> Iterator[object]:
        yield 1
        self.send(threading.Lock(), "outbox")
        raise LookupError


class Unpicklable(component):
    """Sends what cannot be pickled."""

    def main(self) -> Iterator[object]:
        self.send("before", "outbox")
        self.send(threading.Lock(), "outbox")
        yield 1


class Dies(component):
    """Dies(how) -> its process ends with that signal, or for 0 by SystemExit(3)."""

    def __init__(self, how: int) -> None:
        super().__init__()
        self.how = how

    def main(self) -> Iterator[object]:
        self.send("last words", "outbox")
        for _ in range(3):
            yield 1
        if not self.how:
            raise SystemExit(3)
        os.kill(os.getpid(), self.how)
        signal.pause()


class Stubborn(component):
    """Says its process id and then never gives up its turn."""

    def main(self) -> Iterator[object]:
        self.send(os.getpid(), "outbox")
        for _ in range(5):
            yield 1
        while True:
            signal.pause()


class Lingers(component):
    """Ends, and leaves a thread that keeps its process from ending."""

    def main(self) -> Iterator[object]:
        self.send("done", "outbox")
        threading.Thread(target=threading.Event().wait).start()
        yield 1


class Freezes(component):
    """Ends, and then its process can do nothing any more, not even watch its parent."""

    def main(self) -> Iterator[object]:
        yield 1
        atexit.register(os.kill, os.getpid(), signal.SIGSTOP)


class LeavesOthers(component):
    """Activates one that never ends, and ends."""

    def main(self) -> Iterator[object]:
        Sleeper().activate()
        yield 1
        self.send("done", "outbox")


class Sleeper(component):
    """Sleeps for ever; marks a file when it is stopped."""

    def __init__(self, path: Path | None = None) -> None:
        super().__init__()
        self.path = path

    def main(self) -> Iterator[object]:
        self.send(os.getpid(), "outbox")
        while True:
            self.pause()
            yield 1

    def stop(self) -> None:
        if self.path is not None:
            self.path.write_text("stopped")
        super().stop()


class Square(threadedcomponent):
    """Squares in a thread."""

    def main(self) -> None:
        stop = None
        while stop is None:
            if self.dataReady("control"):
                stop = self.recv("control")
            for number in self.Inbox("inbox"):
                self.send(number * number, "outbox")
            if stop is None:
                self.pause()
        self.send(stop, "signal")


class Line(component):
    """Line(*members) -> a small Pipeline: links and keeps its members from the start."""

    def __init__(self, *members: component) -> None:
        super().__init__()
        self.members = members
        here: component = self
        for index, member in enumerate(members):
            for source, sink in (
                (("inbox", "inbox"), ("control", "control"))
                if index == 0
                else (("outbox", "inbox"), ("signal", "control"))
            ):
                self.link((here, source), (member, sink), 1 if index == 0 else 0)
            here = member
        for box in ("outbox", "signal"):
            self.link((here, box), (self, box), 2)
        self.addChildren(*members)

    def main(self) -> Iterator[object]:
        for member in self.members:
            member.activate(Scheduler=self.scheduler)
        while not all(member._isStopped() for member in self.members):
            self.pause()
            yield 1


class Writer(component):
    """Writer(path) -> writes what it gets, a line each, when told to end."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def main(self) -> Iterator[object]:
        while not self.dataReady("control"):
            self.pause()
            yield 1
        self.path.write_text("\n".join(map(str, self.Inbox("inbox"))))
        self.send(self.recv("control"), "signal")


class Touchy:
    """Can be pickled and not be put together again."""

    def __reduce__(self) -> tuple[object, ...]:
        return _refuse, ()


def _refuse() -> None:
    raise ValueError("not here")


class SendsTouchy(component):
    """Sends a Touchy."""

    def main(self) -> Iterator[object]:
        self.send(Touchy(), "outbox")
        yield 1


class Slotted(Doubler):
    """Keeps something in a slot."""

    __slots__ = ("hidden",)
    hidden: str


class SignalOfGrandchild(component):
    """Sends "default" if a program started from here can be interrupted by Ctrl-C."""

    def main(self) -> Iterator[object]:
        yield 1
        source = (
            "import signal as s; print(s.getsignal(s.SIGINT) is s.default_int_handler,"
            " s.SIGINT in s.pthread_sigmask(s.SIG_BLOCK, ()))"
        )
        answer = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
        self.send(answer.stdout.strip(), "outbox")


def make_doubler(factor: int) -> Doubler:
    return Doubler(factor)


def make_nothing() -> Any:  # noqa: ANN401 - what a factory should not make
    return None


def make_narrow() -> component:
    return component(Inboxes=["inbox"], Outboxes=["outbox"])


class HeedsControl(component):
    """Takes nothing but its shutdown."""

    def main(self) -> Iterator[object]:
        while not self.dataReady("control"):
            self.pause()
            yield 1
        self.send(self.recv("control"), "signal")
