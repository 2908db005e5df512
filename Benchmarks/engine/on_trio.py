"""
The workloads as tasks and memory channels of trio
==================================================
Runs in an environment of its own (throwaway.py). trio passes through its scheduler at every send
and receive, on purpose: that is fairness, and its price.

    python on_trio.py WORKLOAD SIZE PROCESSOR       see measuring.py
"""

from __future__ import annotations

import math
import threading
from collections.abc import Awaitable, Callable
from itertools import cycle, pairwise
from time import monotonic

import trio
from measuring import (
    BURST,
    PROBES,
    STAGES,
    TIMER_SECONDS,
    WAKES,
    Stopwatch,
    allocated,
    burn,
    finish,
    finish_line,
    percentiles,
    run_child,
)

Message = int | None
Out = trio.MemorySendChannel[Message]
In = trio.MemoryReceiveChannel[Message]


async def source(messages: int, *outs: Out) -> None:
    for number, out in zip(range(messages), cycle(outs), strict=False):
        await out.send(number)
    for out in outs:
        await out.send(None)


async def relay(inbox: In, out: Out) -> None:
    while True:
        message = await inbox.receive()
        await out.send(message)
        if message is None:
            return


async def sink(inbox: In, ends: int = 1) -> int:
    count = 0
    while ends:
        if await inbox.receive() is None:
            ends -= 1
        else:
            count += 1
    return count


async def line(messages: int, depth: int) -> None:
    channels = [trio.open_memory_channel[Message](depth) for _ in range(STAGES - 1)]
    watch = Stopwatch()
    async with trio.open_nursery() as nursery:
        for first, second in pairwise(channels):
            nursery.start_soon(relay, first[1], second[0])
        nursery.start_soon(source, messages, channels[0][0])
        finish_line(watch, await sink(channels[-1][1]), messages, STAGES - 1)


async def fan_100(messages: int) -> None:
    ways = [trio.open_memory_channel[Message](1) for _ in range(100)]
    back, gather = trio.open_memory_channel[Message](1)
    watch = Stopwatch()
    async with trio.open_nursery() as nursery:
        for way in ways:
            nursery.start_soon(relay, way[1], back)
        nursery.start_soon(source, messages, *(way[0] for way in ways))
        finish_line(watch, await sink(gather, len(ways)), messages, 2)


async def ping_pong(messages: int) -> None:
    there, pong_in = trio.open_memory_channel[Message](1)
    pong_out, back = trio.open_memory_channel[Message](1)
    watch, count = Stopwatch(), 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(relay, pong_in, pong_out)
        for number in range(messages):
            await there.send(number)
            await back.receive()
            count += 1
        finish_line(watch, count, messages, 1)


async def crowd(number: int, out: Out, nursery: trio.Nursery) -> list[Out]:
    """So many relays, asleep; where to send to them."""
    ways = []
    for _ in range(number):
        way, inbox = trio.open_memory_channel[Message](math.inf)
        nursery.start_soon(relay, inbox, out)
        ways.append(way)
    await trio.testing.wait_all_tasks_blocked()
    return ways


async def idle_bytes(number: int) -> None:
    async with trio.open_nursery() as nursery:
        before = allocated()
        ways = await crowd(number, trio.open_memory_channel[Message](1)[0], nursery)
        finish(bytes=(allocated() - before) / len(ways))


async def create(number: int) -> None:
    async with trio.open_nursery() as nursery:
        watch = Stopwatch()
        ways = await crowd(number, trio.open_memory_channel[Message](1)[0], nursery)
        finish(**watch.rate(len(ways)))


async def wake(number: int) -> None:
    out, back = trio.open_memory_channel[Message](1)
    async with trio.open_nursery() as nursery:
        probe = (await crowd(number + PROBES, out, nursery))[-1]
        watch = Stopwatch()
        for each in range(WAKES):
            await probe.send(each)
            await back.receive()
        finish(**watch.each(WAKES))


async def from_thread(messages: int) -> None:
    out, inbox = trio.open_memory_channel[Message](math.inf)
    token = trio.lowlevel.current_trio_token()

    def send_all() -> None:
        for message in [*range(messages), None]:
            token.run_sync_soon(out.send_nowait, message)

    watch = Stopwatch()
    threading.Thread(target=send_all, daemon=True).start()
    finish_line(watch, await sink(inbox), messages, 1)


async def late(timers: int, burners: int) -> None:
    async def burner() -> None:
        while True:
            burn()
            await trio.lowlevel.checkpoint()

    late_by: list[float] = []
    async with trio.open_nursery() as nursery:
        for _ in range(burners):
            nursery.start_soon(burner)
        for _ in range(timers):
            due = monotonic() + TIMER_SECONDS
            await trio.sleep(TIMER_SECONDS)
            late_by.append(monotonic() - due)
        finish(**percentiles(late_by))


def running(workload: Callable[[int], Awaitable[None]]) -> Callable[[int], None]:
    return lambda size: trio.run(workload, size)


if __name__ == "__main__":
    import trio.testing

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
            "from_thread": running(from_thread),
            "late_10": running(lambda timers: late(timers, 10)),
            "late_100": running(lambda timers: late(timers, 100)),
        }
    )
