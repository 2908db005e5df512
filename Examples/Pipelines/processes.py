"""
Several processors at work: primes counted in processes of their own, added up in this one.

    python Examples/Pipelines/processes.py

Components in one process share one processor. Each counter here is an ordinary component, wrapped;
it is wired, sleeps and ends as if it were not.
"""

from collections.abc import Iterator

from Axon.Component import component
from Axon.experimental.Process import ProcessWrapComponent
from Kamaelia.Chassis.Graphline import Graphline
from Kamaelia.Util.DataSource import DataSource

STEP, LIMIT = 10_000, 80_000


class PrimeCounter(component):
    """PrimeCounter() -> ranges in, the number of primes in each out."""

    Inboxes = {"inbox": "range: of numbers from 2 on", "control": "producerFinished: ends it"}
    Outboxes = {"outbox": "int: how many are prime", "signal": "the shutdown that came in"}

    def main(self) -> Iterator[object]:
        stop = None
        while stop is None:
            stop = self.told_to_stop()  # asked first: what was sent before it is there by now
            for numbers in self.Inbox("inbox"):
                self.send(sum(map(is_prime, numbers)), "outbox")
                yield 1  # the result is on its way while we count on
            if stop is None:
                self.pause()
                yield 1


class Sum(component):
    """Sum(producers) -> prints what their numbers come to, when all of them have ended."""

    Inboxes = {"inbox": "int: to be added", "control": "producerFinished: one for each producer"}
    Outboxes = {"outbox": "nothing", "signal": "nothing"}

    def __init__(self, producers: int) -> None:
        super().__init__()
        self.producers = producers

    def main(self) -> Iterator[object]:
        while self.dataReady("control") < self.producers:
            self.pause()
            yield 1
        print(f"{sum(self.Inbox('inbox'))} primes below {LIMIT}")


def is_prime(number: int) -> bool:
    return all(number % divisor for divisor in range(2, int(number**0.5) + 1))


if __name__ == "__main__":  # the other processes import this file too, and must not start more
    ranges = [range(max(2, start), start + STEP) for start in range(0, LIMIT, STEP)]
    Graphline(
        ODD=DataSource(ranges[1::2]),
        EVEN=DataSource(ranges[0::2]),
        ONE=ProcessWrapComponent(PrimeCounter()),
        OTHER=ProcessWrapComponent(PrimeCounter()),
        SUM=Sum(producers=2),
        linkages={
            ("ODD", "outbox"): ("ONE", "inbox"),
            ("ODD", "signal"): ("ONE", "control"),
            ("EVEN", "outbox"): ("OTHER", "inbox"),
            ("EVEN", "signal"): ("OTHER", "control"),
            ("ONE", "outbox"): ("SUM", "inbox"),
            ("ONE", "signal"): ("SUM", "control"),
            ("OTHER", "outbox"): ("SUM", "inbox"),
            ("OTHER", "signal"): ("SUM", "control"),
        },
    ).run()
