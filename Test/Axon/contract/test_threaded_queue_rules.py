"""
How many messages fit between a threaded component and its neighbours.
"""

from collections.abc import Callable
from threading import Event
from typing import Any

import pytest

from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Test.Axon.contract.threads import (
    ByHand,
    step_to_the_end,
)
from Test.Axon.scripts import PATIENCE

Made = Callable[[], Any]


def fill(thread: ByHand, boxname: str = "outbox") -> int:
    """Send until the queue is full; how many that were."""
    sent = 0
    try:
        while sent < 1000:
            thread.send(sent, boxname)
            sent += 1
    except noSpaceInBox:
        pass
    return sent


# ---- how many fit


@pytest.mark.parametrize("length", [1, 2, 10])
def test_the_queue_takes_its_length_and_says_so(make: Made, length: int) -> None:
    def script(self: ByHand) -> None:
        self.results.append(fill(self))
        try:
            self.send("one more", "outbox")
        except noSpaceInBox as error:
            self.results.append(error.args)
        full.set()

    full = Event()
    made = ByHand(script, length).activate(Scheduler=make())
    made.next()
    assert full.wait(PATIENCE)  # not stepped meanwhile: nothing leaves the queue
    assert made.results == [length, (length, length)]
    step_to_the_end(made)


@pytest.mark.parametrize(("length", "size"), [(1, 1), (5, 5), (3, 10), (10, 3), (2, 0)])
def test_outwards_queue_and_box_together_hold_what_was_sent(
    make: Made, length: int, size: int
) -> None:
    """And when the consumer takes n, the thread can send n more."""
    go, filled, done = Event(), Event(), Event()

    def script(self: ByHand) -> None:
        while not done.is_set():
            if go.wait(0.01):
                go.clear()
                self.results.append(fill(self))
                filled.set()

    def fill_up() -> int:
        """How many more fit, when all that could move has moved between two fillings."""
        total = 0
        for _ in range(size + 2):
            go.set()
            assert filled.wait(PATIENCE)
            filled.clear()
            total += made.results.pop()
            for _ in range(5):
                made.next()
        return total

    made = ByHand(script, length)
    tester = component()
    tester.link((made, "outbox"), (tester, "inbox"), pipewidth=size)
    made.activate(Scheduler=make())
    made.next()
    assert fill_up() == length + size
    assert tester.dataReady() == size
    for taken in range(1, size + 1):
        for _ in range(taken):
            tester.recv()
        for _ in range(5):
            made.next()
        assert fill_up() == taken
    done.set()
    tester.setInboxSize("inbox", None)
    step_to_the_end(made)


@pytest.mark.parametrize(("length", "size"), [(1, 1), (5, 5), (3, 10), (10, 3)])
def test_inwards_box_and_queue_together_hold_what_was_sent(
    make: Made, length: int, size: int
) -> None:
    """And when the thread takes n, the producer can send n more."""
    take, taken, done = Event(), Event(), Event()

    def script(self: ByHand) -> None:
        while not done.is_set():
            if take.wait(0.01):
                take.clear()
                self.results.append(self.recv("inbox"))
                taken.set()

    def fill_up() -> int:
        total = 0
        for _ in range(length + size + 5):
            made.next()
            try:
                while True:
                    tester.send(total)
                    total += 1
            except noSpaceInBox:
                continue
        return total

    made = ByHand(script, length)
    tester = component()
    tester.link((tester, "outbox"), (made, "inbox"), pipewidth=size)
    made.activate(Scheduler=make())
    made.next()
    assert fill_up() == length + size
    for _ in range(3):
        take.set()
        assert taken.wait(PATIENCE)
        taken.clear()
        assert fill_up() == 1
    done.set()
    step_to_the_end(made)
