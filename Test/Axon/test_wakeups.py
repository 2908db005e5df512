"""
Many components that send to each other at random: no message is lost and no wake-up.

Tokens hop from component to component and are used up after a number of hops. Who has nothing to do
sleeps; who found a box full sleeps until there is room. If one wake-up is lost, a token comes to
rest, the run does not end by itself, and a watchdog ends it with tokens missing.
"""

import random
from collections.abc import Iterator

import pytest

from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Scheduler import scheduler

HOW_MANY, TOKENS, MOST_HOPS = 30, 60, 100
WATCHDOG_SECONDS = 20.0


class Arena:
    """What the hoppers share."""

    def __init__(self, seed: int, disturbed: bool) -> None:
        self.chance = random.Random(seed)
        self.disturbed = disturbed
        self.parts: list[Hopper] = []
        self.arrived = 0
        self.refused = 0

    def arrive(self) -> None:
        self.arrived += 1
        if self.arrived == TOKENS:
            for part in self.parts:
                part.unpause()


class Hopper(component):
    def __init__(self, arena: Arena) -> None:
        super().__init__()
        self.arena = arena

    def main(self) -> Iterator[object]:
        kept: list[int] = []
        while self.arena.arrived < TOKENS:
            kept += self.Inbox()
            kept = [left for left in kept if not self.passed_on(left)]
            if not self.anyReady():
                # With something kept: a box was full, and we are woken when one has room.
                self.pause()
            if self.arena.disturbed:
                self.disturb()
            yield 1

    def passed_on(self, left: int) -> bool:
        if not left:
            self.arena.arrive()
            return True
        try:
            self.send(left - 1, self.arena.chance.choice(["outbox", "signal"]))
        except noSpaceInBox:
            self.arena.refused += 1
            return False
        return True

    def disturb(self) -> None:
        """Do at random what must do no harm: wake others for nothing, sleep with a time-out."""
        if self.arena.chance.random() < 0.05:
            self.arena.chance.choice(self.arena.parts).unpause()
        if self.arena.chance.random() < 0.05 and not self.anyReady():
            self.pause(0.000_1)


@pytest.mark.parametrize("disturbed", [False, True])
@pytest.mark.parametrize("size", [None, 3, 2])
@pytest.mark.parametrize("seed", range(5))
def test_no_message_and_no_wake_up_is_lost(
    engine: scheduler, seed: int, size: int | None, disturbed: bool
) -> None:
    arena = Arena(seed, disturbed)
    arena.parts += [Hopper(arena) for _ in range(HOW_MANY)]
    keeper = component()
    for number, part in enumerate(arena.parts):
        # One ring, so that all are reached, and one way at random, perhaps to oneself.
        keeper.link((part, "outbox"), (arena.parts[(number + 1) % HOW_MANY], "inbox"))
        keeper.link((part, "signal"), (arena.chance.choice(arena.parts), "inbox"))
    for part in arena.parts:
        for _ in range(TOKENS // HOW_MANY):
            part._deliver(arena.chance.randint(0, MOST_HOPS))
        part.setInboxSize("inbox", size)
        part.activate(Scheduler=engine)
    engine.call_later(WATCHDOG_SECONDS, engine.stop)
    engine.runThreads()
    assert arena.arrived == TOKENS
    assert sum(part.dataReady() for part in arena.parts) == 0
    assert (arena.refused > 0) == (size is not None)
