"""
Components that the tests of background, Handle and AsyncioBridge talk to, and what the tests of
AsyncioBridge share.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

from Axon.AsyncioBridge import AsyncHandle, embedded
from Axon.Component import component

PATIENCE = 20.0  # seconds


class Doubler(component):
    """Sends twice what comes, and sleeps while nobody has room for it."""

    def main(self) -> Iterator[object]:
        while True:
            stop = self.told_to_stop()
            for number in self.Inbox("inbox"):
                yield from self.put(2 * number)
            if stop:
                return
            self.pause()
            yield 1


class Deaf(component):
    """Takes one message for each that comes to "go", and the rest at its end."""

    ExtraInboxes = {"go": "object: take one"}

    def main(self) -> Iterator[object]:
        while not self.told_to_stop():
            if self.dataReady("go"):
                self.recv("go")
                self.send(self.recv("inbox"), "outbox")
            self.pause()
            yield 1
        for message in self.Inbox("inbox"):
            self.send(("left", message), "outbox")


class Failing(component):
    """Raises when something comes."""

    def main(self) -> Iterator[object]:
        while not self.dataReady():
            self.pause()
            yield 1
        raise ZeroDivisionError("on demand")


class Busy(component):
    """Never pauses."""

    turns = 0

    def main(self) -> Iterator[object]:
        while not self.told_to_stop():
            self.turns += 1
            yield 1


def run(main: Awaitable[None]) -> None:
    async def within_time() -> None:
        async with asyncio.timeout(PATIENCE):
            await main

    asyncio.run(within_time())


async def rounds(number: int = 20) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0)


@asynccontextmanager
async def doubler(limit: int | None = None) -> AsyncIterator[AsyncHandle]:
    async with embedded():
        yield AsyncHandle(Doubler(), limit).activate()
