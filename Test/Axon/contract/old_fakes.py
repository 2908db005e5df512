"""
What the authors of unit tests handed to Axon in 2004 to 2010 instead of the real thing.

Each class has exactly the methods that were ever promised to be enough: a test that passes with it
shows that the engine asks for no more.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

from Axon.Component import component


class OldScheduler:
    """All that activate(), pause() and unpause() may ask of a scheduler: four methods and run."""

    run: ClassVar[Any] = None

    def __init__(self) -> None:
        self.calls: list[tuple[str, object]] = []
        self.paused: set[object] = set()

    def _addThread(self, mprocess: object) -> None:
        self.calls.append(("add", mprocess))

    def wakeThread(self, mprocess: object, canActivate: bool = False) -> None:
        self.calls.append(("wake", mprocess))
        self.paused.discard(mprocess)

    def pauseThread(self, mprocess: object) -> None:
        self.calls.append(("pause", mprocess))
        self.paused.add(mprocess)

    def isThreadPaused(self, mprocess: object) -> bool:
        return mprocess in self.paused

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


class OldProcess:
    """All that a scheduler may ask of what it runs: next(), stop(), _closeDownMicroprocess()."""

    def __init__(self, steps: int | None = None, ending: object = 0) -> None:
        self.left = steps
        self.ending = ending
        self.log: list[str] = []

    @property
    def runs(self) -> int:
        return self.log.count("next")

    def next(self) -> object:
        if self.left == 0:
            raise StopIteration
        if self.left is not None:
            self.left -= 1
        self.log.append("next")
        return 1

    def stop(self) -> None:
        self.log.append("stop")

    def _closeDownMicroprocess(self) -> object:
        self.log.append("closed")
        return self.ending


class OldBox:
    """All that link and unlink may ask of a box."""

    def __init__(self) -> None:
        self.log: list[tuple[str, object]] = []

    def addsource(self, box: object) -> None:
        self.log.append(("addsource", box))

    def removesource(self, box: object) -> None:
        self.log.append(("removesource", box))


class OldComponent:
    """All that a postoffice may ask of a component: two dicts, not even a name."""

    def __init__(self, inboxes: str = "inbox control", outboxes: str = "outbox signal") -> None:
        self.inboxes: dict[str, Any] = {name: OldBox() for name in inboxes.split()}
        self.outboxes: dict[str, Any] = {name: OldBox() for name in outboxes.split()}


class OldPostoffice:
    """Stands in for component.postoffice and writes down what it is asked."""

    def __init__(self) -> None:
        self.links: list[tuple[Any, ...]] = []
        self.unlinks: list[tuple[object, object]] = []
        self.closed = 0

    def link(self, source: object, sink: object, *optional: object, **named: object) -> str:
        self.links.append((source, sink, optional, named))
        return "the linkage"

    def unlink(self, thecomponent: object = None, thelinkage: object = None) -> None:
        self.unlinks.append((thecomponent, thelinkage))

    def unlinkAll(self) -> None:
        self.closed += 1


class OldTime:
    """Stands in for the module time where slow motion looks it up: it has only time and sleep."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Collector(component):
    """Keeps what it is sent until it is told that nothing more will come."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[Any] = []

    def main(self) -> Iterator[object]:
        while 1:
            while self.dataReady("inbox"):
                self.got.append(self.recv("inbox"))
            if self.dataReady("control"):
                return
            if not self.anyReady():
                self.pause()
            yield 1


def steps(stepper: Any, count: int) -> None:  # noqa: ANN401 - whatever has next()
    """Step it count times, the way it was written before next() was a builtin."""
    for _ in range(count):
        stepper.next()


def counting(log: list[int]) -> Iterator[int]:
    """Go on for ever, and note each step."""
    while True:
        log.append(len(log))
        yield 1
