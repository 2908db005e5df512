"""
Several processors at work: primes counted in processes of their own, added up in this one.

    python Examples/Pipelines/processes.py

Components in one process share one processor. Each counter here is an ordinary component, wrapped;
it is wired, sleeps and ends as if it were not.
"""

from collections.abc import Iterator

from Axon.Component import component
from Axon.experimental.Process import ProcessWrapComponent
from Axon.OnMessage import AsyncComponent
from Kamaelia.Chassis.Graphline import Graphline
from Kamaelia.Util.DataSource import DataSource

STEP, LIMIT = 10_000, 80_000


class PrimeCounter(AsyncComponent):
    """PrimeCounter() -> ranges in, the number of primes in each out."""

    async def main(self) -> None:
        async for numbers in self.messages():
            self.send(sum(map(is_prime, numbers)))
            await self.sleep(0)  # the result is on its way while we count on


class Sum(component):
    """Sum(producers) -> prints what their numbers come to, when all of them have ended."""

    def __init__(self, producers: int) -> None:
        super().__init__()
        self.producers = producers

    def main(self) -> Iterator[object]:
        while self.dataReady("control") < self.producers:  # a producerFinished of each
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
