"""
Components whose main is a function of the test: what the tests of the scheduler and of threaded
components share.
"""

from collections.abc import Callable, Iterator
from typing import Any

from Axon.Component import component
from Axon.Scheduler import scheduler
from Axon.ThreadedComponent import threadedadaptivecommscomponent, threadedcomponent

PATIENCE = 20.0  # seconds


class Script(component):
    """Runs a function that is given the component and makes the generator."""

    def __init__(self, script: Callable[["Script"], Iterator[object]], name: str = "") -> None:
        super().__init__()
        self.script = script
        self.stops = 0
        if name:
            self.name = name

    def main(self) -> Iterator[object]:
        return self.script(self)

    def stop(self) -> None:
        self.stops += 1
        super().stop()


def sleeper(self: Script) -> Iterator[object]:
    while True:
        self.pause()
        yield 1


def counter(turns: list[str], times: int) -> Callable[[Script], Iterator[object]]:
    def script(self: Script) -> Iterator[object]:
        for _ in range(times):
            turns.append(self.name)
            yield 1

    return script


class Threaded(threadedcomponent):
    """Runs a function, given the component, in its thread."""

    def __init__(
        self, script: Callable[["Threaded"], object], queuelengths: int | None = None
    ) -> None:
        super().__init__(queuelengths)
        self.script = script
        self.stops = 0

    def main(self) -> Any:  # noqa: ANN401 - as in the base class
        return self.script(self)

    def stop(self) -> None:
        self.stops += 1
        super().stop()


class Adaptive(threadedadaptivecommscomponent):
    """The same with adaptive boxes."""

    def __init__(self, script: Callable[["Adaptive"], object], queuelengths: int = 1000) -> None:
        super().__init__(queuelengths)
        self.script = script

    def main(self) -> Any:  # noqa: ANN401 - as in the base class
        return self.script(self)


class Taker(component):
    """Takes messages, so many at a time, whenever it is told to."""

    def __init__(self, total: int, size: int | None = None) -> None:
        super().__init__()
        self.total = total
        self.taken: list[Any] = []
        self.setInboxSize("inbox", size)

    def main(self) -> Iterator[object]:
        while len(self.taken) < self.total:
            if not self.anyReady():
                self.pause()
            yield 1
            if self.dataReady():
                self.taken.append(self.recv())


def wait_for(self: threadedcomponent, boxname: str = "inbox") -> object:
    while not self.dataReady(boxname):
        self.pause()
    return self.recv(boxname)


def run(engine: scheduler, *parts: component) -> None:
    for part in parts:
        part.activate(Scheduler=engine)
    engine.runThreads()
