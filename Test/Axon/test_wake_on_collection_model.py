"""
Any system of producers that sleep until their message has been taken, and of receivers that take
when they like: it ends, with all messages in order. The rule: test_wake_on_collection.
"""

import random
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from Axon.Component import component
from Axon.Testing import virtual_scheduler
from Test.Axon.producers import run


class Careful(component):
    """Sends one message at a time and sleeps until it has been taken, which it sees elsewhere."""

    def __init__(self, number: int, count: int, taken: dict[int, list[int]]) -> None:
        super().__init__()
        self.number = number
        self.count = count
        self.taken = taken[number] = []

    def main(self) -> Iterator[object]:
        for message in range(self.count):
            self.send((self.number, message))
            while len(self.taken) <= message:
                self.pause()
                yield 1


class Moody(component):
    """Takes a message in some of its turns; may sleep for a while although some are waiting."""

    def __init__(
        self, chance: random.Random, taken: dict[int, list[int]], total: int, naps: bool
    ) -> None:
        super().__init__()
        self.chance = chance
        self.taken = taken
        self.total = total
        # Not both in one system: virtual time stands still while somebody is awake.
        self.naps = naps
        self.never_sleeps = not naps and chance.random() < 0.3

    def main(self) -> Iterator[object]:
        for _ in range(500_000):
            if sum(map(len, self.taken.values())) == self.total:
                return
            if self.dataReady() and self.chance.random() < 0.5:
                number, message = self.recv()
                self.taken[number].append(message)
            elif self.naps and self.chance.random() < 0.3:
                self.pause(self.chance.random())
            elif not self.dataReady() and not self.never_sleeps:
                self.pause()
            yield 1
        raise AssertionError("a producer was forgotten")


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32),
    counts=st.lists(st.integers(1, 5), min_size=1, max_size=6),
    receivers=st.integers(1, 3),
    limit=st.sampled_from([None, None, 10]),
    naps=st.booleans(),
)
def test_any_system_of_careful_producers_ends_with_all_messages_in_order(
    seed: int, counts: list[int], receivers: int, limit: int | None, naps: bool
) -> None:
    chance = random.Random(seed)
    engine = virtual_scheduler()
    taken: dict[int, list[int]] = {}
    producers = [Careful(number, count, taken) for number, count in enumerate(counts)]
    moody = [Moody(chance, taken, sum(counts), naps) for _ in range(receivers)]
    links = component()
    for one in moody:
        one.setInboxSize("inbox", limit)
    for producer in producers:
        links.link((producer, "outbox"), (chance.choice(moody), "inbox"))
    parts: list[component] = [*producers, *moody]
    chance.shuffle(parts)
    run(engine, *parts)
    assert [taken[number] for number in range(len(counts))] == [
        list(range(count)) for count in counts
    ]
    assert all(producer._isStopped() for producer in producers)
