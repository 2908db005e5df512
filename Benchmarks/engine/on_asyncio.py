"""
The workloads as tasks and queues of asyncio
============================================
A queue is as deep as a burst is long, so that both switch at the same rhythm; where our inboxes are
bounded the bound is the same.

    python on_asyncio.py WORKLOAD SIZE PROCESSOR       see measuring.py
"""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Coroutine
from itertools import cycle, islice, pairwise
from time import monotonic
from typing import Any

from measuring import (
    BURST,
    PROBES,
    STAGES,
    TIMER_SECONDS,
    WAKES,
    WAVE,
    Stopwatch,
    allocated,
    burn,
    finish,
    finish_line,
    percentiles,
    resident,
    run_child,
)

Queue = asyncio.Queue[int | None]


async def source(messages: int, *outs: Queue) -> None:
    for number, out in zip(range(messages), cycle(outs), strict=False):
        await out.put(number)
    for out in outs:
        await out.put(None)


async def relay(inbox: Queue, out: Queue) -> None:
    while True:
        message = await inbox.get()
        await out.put(message)
        if message is None:
            return


async def sink(inbox: Queue, ends: int = 1) -> int:
    count = 0
    while ends:
        if await inbox.get() is None:
            ends -= 1
        else:
            count += 1
    return count


async def line(messages: int, depth: int) -> None:
    queues = [Queue(depth) for _ in range(STAGES - 1)]
    watch = Stopwatch()
    async with asyncio.TaskGroup() as tasks:
        for inbox, out in pairwise(queues):
            tasks.create_task(relay(inbox, out))
        counting = tasks.create_task(sink(queues[-1]))
        tasks.create_task(source(messages, queues[0]))
    finish_line(watch, counting.result(), messages, STAGES - 1)


async def fan_100(messages: int) -> None:
    ways, back = [Queue(1) for _ in range(100)], Queue(1)
    watch = Stopwatch()
    async with asyncio.TaskGroup() as tasks:
        for way in ways:
            tasks.create_task(relay(way, back))
        counting = tasks.create_task(sink(back, len(ways)))
        tasks.create_task(source(messages, *ways))
    finish_line(watch, counting.result(), messages, 2)


async def ping_pong(messages: int) -> None:
    there, back = Queue(1), Queue(1)
    watch, count = Stopwatch(), 0
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(relay(there, back))
        for number in range(messages):
            await there.put(number)
            await back.get()
            count += 1
        await there.put(None)
    finish_line(watch, count, messages, 1)


def sleepers(number: int, out: Queue) -> tuple[list[Queue], list[asyncio.Task[None]]]:
    inboxes = [Queue() for _ in range(number)]
    return inboxes, [asyncio.create_task(relay(inbox, out)) for inbox in inboxes]


async def idle_bytes(number: int) -> None:
    before = allocated()
    crowd = sleepers(number, Queue())[1]  # an inbox is its task's to keep
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    finish(bytes=(allocated() - before) / len(crowd))


async def create(number: int) -> None:
    watch = Stopwatch()
    crowd = sleepers(number, Queue())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    finish(**watch.rate(len(crowd[1])))


async def wake(number: int) -> None:
    back = Queue()
    crowd = sleepers(number + PROBES, back)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    probe, watch = crowd[0][-1], Stopwatch()
    for each in range(WAKES):
        await probe.put(each)
        await back.get()
    finish(**watch.each(WAKES))


async def wave(number: int) -> None:
    async def send(out: Queue) -> None:
        await out.put(1)

    async def take(inbox: Queue) -> None:
        await inbox.get()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(number // 2):
            queue = Queue()
            tasks.create_task(send(queue))
            tasks.create_task(take(queue))


async def left_behind(number: int) -> None:
    await wave(WAVE)
    gc.collect()
    gc.disable()
    before, done = allocated(), 0
    while done < number:
        await wave(WAVE)
        done += WAVE
    finish(bytes=(allocated() - before) / done)


async def million(number: int) -> None:
    for _ in range(20):
        await wave(WAVE)
    before, done, watch = resident(), 0, Stopwatch()
    while done < number:
        await wave(WAVE)
        done += WAVE
    finish(bytes=float(resident() - before), **watch.rate(done))


async def from_thread(messages: int) -> None:
    inbox, loop = Queue(), asyncio.get_running_loop()

    def send_all() -> None:
        for message in [*range(messages), None]:
            loop.call_soon_threadsafe(inbox.put_nowait, message)

    watch = Stopwatch()
    threading.Thread(target=send_all, daemon=True).start()
    finish_line(watch, await sink(inbox), messages, 1)


async def late(timers: int, burners: int) -> None:
    async def burner() -> None:
        while True:
            burn()
            await asyncio.sleep(0)

    burning = [asyncio.create_task(burner()) for _ in range(burners)]
    late_by: list[float] = []
    for _ in islice(cycle(burning), timers):
        due = monotonic() + TIMER_SECONDS
        await asyncio.sleep(TIMER_SECONDS)
        late_by.append(monotonic() - due)
    finish(**percentiles(late_by))


def running(workload: Callable[[int], Coroutine[Any, Any, None]]) -> Callable[[int], None]:
    return lambda size: asyncio.run(workload(size))


if __name__ == "__main__":
    run_child(
        {
            "lock_step": running(lambda messages: line(messages, 1)),
            "burst": running(lambda messages: line(messages, BURST)),
            "burst_inbox": running(lambda messages: line(messages, BURST)),
            "bounded_1": running(lambda messages: line(messages, 1)),
            "bounded_16": running(lambda messages: line(messages, 16)),
            "fan_100": running(fan_100),
            "ping_pong": running(ping_pong),
            "idle_bytes": running(idle_bytes),
            "create": running(create),
            "wake": running(wake),
            "left_behind": running(left_behind),
            "million": running(million),
            "from_thread": running(from_thread),
            "late_10": running(lambda timers: late(timers, 10)),
            "late_100": running(lambda timers: late(timers, 100)),
        }
    )
