"""
Components and asyncio tasks in one thread: back-pressure, cancellation, fairness, idleness.

"A few rounds" of the loop are ``await asyncio.sleep(0)``, which waits for no time at all.
"""

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from Axon.AsyncioBridge import AsyncHandle, embedded
from Axon.background import background
from Axon.Handle import ComponentEndedError
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Scheduler import scheduler
from Axon.ThreadedComponent import threadedcomponent
from Axon.Waiter import EPOLLIN, EpollWaiter
from Test.Axon.plain_code import PATIENCE, Busy, Deaf, Doubler, doubler, rounds, run, until
from Test.Axon.scripts import Script, sleeper

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def default(engine: scheduler) -> Iterator[scheduler]:
    """Make a scheduler of the test's own the default one."""
    before, scheduler.run = scheduler.run, engine
    yield engine
    scheduler.run = before


# ---- messages


def test_a_coroutine_puts_and_gets() -> None:
    async def main() -> None:
        async with doubler() as handle:
            await handle.put(21)
            assert await handle.get() == 42

    run(main())


def test_a_get_waits_for_the_message() -> None:
    async def main() -> None:
        async with doubler() as handle:
            getting = asyncio.create_task(handle.get())
            await rounds()
            assert not getting.done()
            await handle.put(1)
            assert await getting == 2

    run(main())


def test_all_output_until_the_end() -> None:
    async def main() -> None:
        async with doubler() as handle:
            for number in range(3):
                await handle.put(number)
            handle.shutdown()
            assert [message async for message in handle.messages()] == [0, 2, 4]
            (end,) = [message async for message in handle.messages("signal")]
            assert isinstance(end, producerFinished)
            with pytest.raises(ComponentEndedError):
                await handle.get()
            await handle.put("to nobody")

    run(main())


def test_join_waits_for_the_end() -> None:
    async def main() -> None:
        async with doubler() as handle:
            joining = asyncio.create_task(handle.join())
            await rounds()
            assert not joining.done()
            handle.shutdown(at_once=True)
            await joining
            assert isinstance(await handle.get("signal"), shutdownMicroprocess)

    run(main())


def test_unknown_boxes_are_refused() -> None:
    async def main() -> None:
        async with doubler() as handle:
            with pytest.raises(KeyError):
                await handle.put(1, "imbox")
            with pytest.raises(KeyError):
                await handle.get("out")

    run(main())


def test_many_handles_and_many_tasks_at_once() -> None:
    async def use(handle: AsyncHandle, start: int) -> list[int]:
        for number in range(start, start + 50):
            await handle.put(number)
        return [await handle.get() for _ in range(50)]

    async def main() -> None:
        async with embedded(), asyncio.TaskGroup() as tasks:
            handles = [AsyncHandle(Doubler()).activate() for _ in range(20)]
            using = [tasks.create_task(use(one, 100 * at)) for at, one in enumerate(handles)]
        for at, task in enumerate(using):
            assert task.result() == [2 * number for number in range(100 * at, 100 * at + 50)]

    run(main())


def test_tasks_that_share_a_box_each_take_what_the_others_do_not() -> None:
    async def main() -> None:
        async with doubler() as handle:
            getting = [asyncio.create_task(handle.get()) for _ in range(5)]
            await rounds()
            for number in range(5):
                await handle.put(number)
            assert await asyncio.gather(*getting) == [0, 2, 4, 6, 8]  # first come, first served
            assert handle._waiting == {}

    run(main())


def test_the_scheduler_may_run_in_another_thread() -> None:
    async def main() -> None:
        handle = AsyncHandle(Doubler(), limit=1).activate()

        async def feed() -> None:
            for number in range(500):
                await handle.put(number)
            handle.shutdown()

        feeding = asyncio.create_task(feed())
        assert [message async for message in handle.messages()] == list(range(0, 1000, 2))
        await feeding

    with background():
        run(main())


def test_a_closed_loop_is_no_failure_of_the_component_that_sends_to_it() -> None:
    async def give_up(handle: AsyncHandle) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await handle.get()

    with background():
        handle = AsyncHandle(Doubler()).activate()
        loop = asyncio.new_event_loop()
        loop.run_until_complete(give_up(handle))
        waiting = loop.create_task(handle.get())
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        handle._port.push(1, "inbox")
        told = threading.Event()
        handle._port.component.scheduler.call_from_thread(told.set)
        assert told.wait(PATIENCE)

        async def main() -> None:
            assert await handle.get() == 2

        run(main())
        waiting.get_coro().close()
        waiting._log_destroy_pending = False  # type: ignore[attr-defined]


# ---- back-pressure


def test_put_waits_while_the_inbox_and_the_handle_are_full() -> None:
    async def main() -> None:
        deaf = Deaf()
        deaf.setInboxSize("inbox", 1)
        async with embedded():
            handle = AsyncHandle(deaf, limit=2).activate()
            for number in range(3):
                await handle.put(number)
                await rounds()
            putting = asyncio.create_task(handle.put(3))
            await rounds()
            assert not putting.done()
            await handle.put("take one", "go")
            await putting
            assert await handle.get() == 0

    run(main())


def test_without_a_limit_what_is_put_is_bounded_still() -> None:
    async def main() -> None:
        deaf = Deaf()
        deaf.setInboxSize("inbox", 1)
        async with embedded():
            handle = AsyncHandle(deaf).activate()

            async def feed() -> None:
                for number in range(10_000):
                    await handle.put(number)

            feeding = asyncio.create_task(feed())
            await rounds(200)
            assert not feeding.done()
            assert len(handle._port.pending["inbox"]) <= 64
            feeding.cancel()

    run(main())


def test_a_component_sleeps_while_what_it_sent_is_not_taken() -> None:
    made: list[int] = []

    def source(self: Script) -> Iterator[object]:
        for number in range(100):
            yield from self.put(number)
            made.append(number)

    async def main() -> None:
        async with embedded():
            handle = AsyncHandle(Script(source), limit=3).activate()
            await rounds(100)
            assert len(made) == 3
            assert [message async for message in handle.messages()] == list(range(100))

    run(main())


# ---- cancellation


def test_a_cancelled_get_takes_nothing() -> None:
    async def main() -> None:
        async with doubler() as handle:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await handle.get()
            await handle.put(1)
            assert await handle.get() == 2

    run(main())


def test_a_get_cancelled_after_its_message_has_come_leaves_it_for_the_next() -> None:
    async def main() -> None:
        async with doubler() as handle:
            getting = asyncio.create_task(handle.get())
            await rounds()
            await handle.put(1)
            await until(handle._port.boxes["outbox"].local_len)
            assert not getting.done()  # told, but not yet on its way
            getting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await getting
            assert await handle.get() == 2

    run(main())


def test_a_cancelled_put_puts_nothing() -> None:
    async def main() -> None:
        deaf = Deaf()
        deaf.setInboxSize("inbox", 1)
        async with embedded():
            handle = AsyncHandle(deaf, limit=1).activate()
            await handle.put("first")
            await rounds()
            await handle.put("second")
            putting = asyncio.create_task(handle.put("third"))
            await rounds()
            putting.cancel()
            await rounds()
            assert putting.cancelled()
            for expected in ("first", "second"):
                await handle.put("take one", "go")
                assert await handle.get() == expected
            handle.shutdown()
            assert [message async for message in handle.messages()] == []

    run(main())


# ---- fairness and idleness


def test_a_component_that_never_pauses_starves_no_task() -> None:
    async def main() -> None:
        async with embedded():
            busy = [Busy().activate() for _ in range(10)]
            await rounds(5)
            before = [one.turns for one in busy]
            await rounds(5)
            assert all(one.turns > then for one, then in zip(busy, before, strict=True))

    run(main())


def test_a_task_that_never_rests_starves_no_component() -> None:
    async def main() -> None:
        over = False

        async def restless() -> None:
            while not over:
                await asyncio.sleep(0)

        async with doubler() as handle:
            busy = [asyncio.create_task(restless()) for _ in range(10)]
            for number in range(100):
                await handle.put(number)
                assert await handle.get() == 2 * number
            over = True
            await asyncio.gather(*busy)

    run(main())


def test_slow_components_keep_the_loop_waiting_for_a_few_turns_only(engine: scheduler) -> None:
    turns = 0

    def slow(self: Script) -> Iterator[object]:
        nonlocal turns
        while True:
            until = monotonic() + 0.001
            while monotonic() < until:
                pass
            turns += 1
            yield 1

    async def main() -> None:
        nonlocal turns
        async with embedded():
            for _ in range(64):
                Script(slow).activate()
            await until(lambda: turns > 128)  # slices adapt to those who have them
            turns = 0
            await rounds(4)
            assert turns <= 4 * 8

    run(main())


class Counted(scheduler):
    """Counts how often it is given turns."""

    times = 0
    embeddings = 0

    def embed(self, on: bool) -> int:
        self.embeddings += 1 if on else -1
        return super().embed(on)

    def take_turns(self) -> bool:
        self.times += 1
        return super().take_turns()


def test_nothing_is_called_while_all_components_sleep() -> None:
    async def main() -> None:
        running = Counted()
        async with embedded(running):
            handle = AsyncHandle(Doubler()).activate(running)
            await handle.put(1)
            await handle.get()
            await rounds()
            before = running.times
            await rounds(1000)
            assert running.times == before
            await handle.put(2)
            assert await handle.get() == 4
            await rounds()
            assert running.times <= before + 4
        running._waiter.close()

    run(main())


class CountingWaiter(EpollWaiter):
    wakes = 0

    def wake(self) -> None:
        self.wakes += 1
        super().wake()


def test_many_calls_at_once_cost_one_round_and_no_system_call() -> None:
    async def main() -> None:
        waiter = CountingWaiter()
        running = Counted(waiter=waiter)
        async with embedded(running):
            await rounds()
            before = running.times
            for _ in range(100):
                running.call_from_thread(int)
            await rounds()
            assert running.times <= before + 3
            assert waiter.wakes == 0
        waiter.close()

    run(main())


def test_nothing_is_left_behind(default: scheduler) -> None:
    async def main() -> None:
        async with embedded():
            await rounds()
        before = sorted(Path("/proc/self/fd").iterdir())
        running = Counted(waiter=default._waiter)
        async with embedded(running):
            await rounds()
        assert sorted(Path("/proc/self/fd").iterdir()) == before
        assert not default._waiter.busy
        assert running.embeddings == 0
        assert not running.linger

    run(main())


def test_a_timer_of_a_component_costs_one_call_when_it_is_due() -> None:
    async def main() -> None:
        running = Counted()

        def script(self: Script) -> Iterator[object]:
            deadline = self.now() + 0.01
            while self.now() < deadline:
                self.pause(deadline - self.now())
                yield 1

        async with embedded(running):
            handle = AsyncHandle(Script(script)).activate(running)
            await handle.join()
            assert running.times < 10
        running._waiter.close()

    run(main())


def test_sockets_of_components_wake_the_loop(default: scheduler) -> None:
    async def main() -> None:
        reading, writing = os.pipe()
        got: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def readable(events: int) -> None:
            default.unregister(reading)
            got.set_result(os.read(reading, 10))

        async with embedded() as running:
            running.register(reading, EPOLLIN, readable)
            await rounds()
            os.write(writing, b"x")
            assert await got == b"x"
        os.close(reading)
        os.close(writing)

    run(main())


def test_threads_wake_the_loop() -> None:
    class Hasher(threadedcomponent):
        def main(self) -> None:
            while not self.dataReady("control"):
                for message in self.Inbox("inbox"):
                    self.send((message, threading.get_ident()), "outbox")
                self.pause()

    async def main() -> None:
        async with embedded():
            handle = AsyncHandle(Hasher()).activate()
            await handle.put(1)
            message, thread = await handle.get()
            assert message == 1
            assert thread != threading.get_ident()
            handle.shutdown()
            await handle.join()

    run(main())


def test_what_a_coroutine_activates_wakes_or_stops_is_noticed() -> None:
    async def main() -> None:
        async with embedded() as running:
            await rounds()
            one = Script(sleeper).activate()
            await until(lambda: one in running.threads and one._asleep is not None)
            await rounds()
            one.stop()
            await until(lambda: one not in running.threads)

    run(main())


def test_a_timer_that_a_coroutine_sets_comes_when_it_is_due(default: scheduler) -> None:
    async def main() -> None:
        async with embedded() as running:
            await rounds()
            due = asyncio.Event()
            running.call_later(60, due.set)
            running.call_later(0.001, due.set)  # sooner than the one before
            await due.wait()

    run(main())
    assert "call_later" not in vars(default)  # an embedded scheduler is wrapped, others are not


def test_calls_of_other_threads_wake_the_loop() -> None:
    async def main() -> None:
        async with embedded() as running:
            await rounds()
            called = asyncio.Event()
            calling = threading.Thread(target=running.call_from_thread, args=(called.set,))
            calling.start()
            await called.wait()
            calling.join()

    run(main())
