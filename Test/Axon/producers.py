"""
Components that send a message and sleep until it has been taken, and some that take it: what the
tests of waking on collection share.
"""

from collections.abc import Iterator
from typing import Any

from Axon.Component import component
from Axon.Scheduler import scheduler


class Producer(component):
    """Sends a number, sleeps, and when it is woken sends the next."""

    def __init__(self, count: int = 3, boxname: str = "outbox") -> None:
        super().__init__()
        self.count = count
        self.boxname = boxname
        self.turns = 0

    def main(self) -> Iterator[object]:
        for number in range(self.count):
            self.send(number, self.boxname)
            self.pause()
            yield 1
            self.turns += 1


class Receiver(component):
    """Takes all that is there and sleeps."""

    boxname = "inbox"

    def __init__(self, **argd: Any) -> None:  # noqa: ANN401 - as in the base class
        self.taken: list[object] = []
        super().__init__(**argd)

    def main(self) -> Iterator[object]:
        while True:
            self.taken += self.Inbox(self.boxname)
            self.pause()
            yield 1


class Slow(Receiver):
    """Takes one message a second, whatever comes."""

    def main(self) -> Iterator[object]:
        while True:
            until = self.now() + 1.0
            while self.now() < until:
                self.pause(until - self.now())
                yield 1
            if self.dataReady():
                self.taken.append(self.recv())
            elif self.taken:
                return


keeper = component()  # makes the links, and has no part in what passes over them


def link(source: component, sink: component, *boxes: str, passthrough: int = 0) -> Any:  # noqa: ANN401
    out, into = boxes or ("outbox", "inbox")
    return keeper.link((source, out), (sink, into), passthrough=passthrough)


def run(engine: scheduler, *parts: component) -> None:
    for part in parts:
        part.activate(Scheduler=engine)
    engine.runThreads()
