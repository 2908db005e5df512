"""
Components and asyncio tasks in one thread: two tasks feed and read a component, which waits for a
coroutine itself.

    python Examples/Pipelines/from_asyncio.py
"""

import asyncio
from collections.abc import Iterator

from Axon.AsyncioBridge import AsyncHandle, awaited, embedded
from Axon.Component import component


async def look_up(name: str) -> str:
    await asyncio.sleep(0.01)  # a network would be asked here
    return f"{name} has {len(name)} letters"


class LookUp(component):
    """LookUp() -> names in, what look_up() says of them out."""

    Inboxes = {"inbox": "str: a name", "control": "producerFinished or shutdownMicroprocess"}
    Outboxes = {"outbox": "str: what is known of it", "signal": "the shutdown that came in"}

    def main(self) -> Iterator[object]:
        while True:
            stop = self.told_to_stop()
            for name in self.Inbox("inbox"):
                answer = yield from awaited(self, look_up(name))
                self.send(answer, "outbox")
            if stop:
                return
            self.pause()
            yield 1


async def feed(handle: AsyncHandle) -> None:
    for name in ("ada", "grace", "edsger"):
        await handle.put(name)
    handle.shutdown()


async def main() -> None:
    async with embedded():
        handle = AsyncHandle(LookUp()).activate()
        feeding = asyncio.create_task(feed(handle))
        async for answer in handle.messages():
            print(answer)
        await feeding


asyncio.run(main())
