"""
Stepping a threaded component by hand: what the tests of such components share.

No test waits for a length of time. A thread is given turns until what is expected has come about,
or until patience is at an end, which is a failure.
"""

import threading
from collections.abc import Callable
from time import monotonic

import pytest

from Axon.ThreadedComponent import threadedadaptivecommscomponent, threadedcomponent

PATIENCE = 10.0  # seconds; only a failing test waits so long
_TURN = threading.Event()


def let_others_run() -> None:
    _TURN.wait(0.001)


def step_until(condition: Callable[[], object], *processes: threadedcomponent) -> None:
    """Call next() on each, again and again."""
    end = monotonic() + PATIENCE
    while not condition():
        if monotonic() > end:
            pytest.fail("what was expected did not come about")
        for process in processes:
            process.next()
        let_others_run()


def step_to_the_end(*processes: threadedcomponent) -> None:
    """Call next() on each in turn until it raises StopIteration."""
    left = list(processes)
    end = monotonic() + PATIENCE
    while left:
        if monotonic() > end:
            pytest.fail("they did not come to their end")
        for process in list(left):
            try:
                process.next()
            except StopIteration:
                left.remove(process)
        let_others_run()


class ByHand(threadedcomponent):
    """A threaded component whose main is a function of the test."""

    def __init__(self, script: Callable[["ByHand"], object], *lengths: int) -> None:
        super().__init__(*lengths)
        self.script = script
        self.results: list[object] = []

    def main(self) -> None:
        self.script(self)


class AdaptiveByHand(threadedadaptivecommscomponent):
    """The same with adaptive boxes."""

    def __init__(self, script: Callable[["AdaptiveByHand"], object], *lengths: int) -> None:
        super().__init__(*lengths)
        self.script = script
        self.results: list[object] = []

    def main(self) -> None:
        self.script(self)
