"""
A scheduler embedded in an asyncio loop: how it ends, how it fails, and components that wait for
coroutines.

"A few rounds" of the loop are ``await asyncio.sleep(0)``, which waits for no time at all.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Iterator
from pathlib import Path

import pytest

from Axon.AsyncioBridge import AsyncHandle, awaited, embedded
from Axon.Component import component
from Axon.Scheduler import scheduler
from Axon.Testing import virtual_scheduler
from Test.Axon.plain_code import PATIENCE, Doubler, Failing, doubler, rounds, run
from Test.Axon.scripts import Script, sleeper

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def default(engine: scheduler) -> Iterator[scheduler]:
    """Make a scheduler of the test's own the default one."""
    before, scheduler.run = scheduler.run, engine
    yield engine
    scheduler.run = before


# ---- the end


def test_leaving_the_block_stops_all_components(default: scheduler) -> None:
    async def main() -> None:
        async with embedded():
            scripts.extend(Script(sleeper).activate() for _ in range(3))
            await rounds()

    scripts: list[Script] = []
    run(main())
    assert [one.stops for one in scripts] == [1, 1, 1]
    assert default.thread_id is None
    Script(lambda self: iter([1])).run()  # and it may be run in the ordinary way again


def test_a_scheduler_may_be_embedded_again_and_in_another_loop() -> None:
    async def main() -> None:
        for _ in range(2):
            async with doubler() as handle:
                await handle.put(1)
                assert await handle.get() == 2

    run(main())
    run(main())


def test_it_does_not_end_when_nothing_is_left_to_run() -> None:
    async def main() -> None:
        async with embedded():
            for _ in range(2):
                handle = AsyncHandle(Doubler()).activate()
                handle.shutdown()
                await handle.join()

    run(main())


@pytest.mark.parametrize("by_a_component", [True, False])
def test_stop_ends_the_run_and_the_block_goes_on(by_a_component: bool) -> None:
    async def main() -> None:
        async with embedded() as running:
            handle = AsyncHandle(Doubler()).activate()
            await rounds()
            if by_a_component:
                Script(lambda self: iter([running.stop()])).activate()
            else:
                running.stop()
            await handle.join()
            await rounds()
            assert running.thread_id is None

    run(main())


def test_a_scheduler_that_runs_already_is_not_run_twice(default: scheduler) -> None:
    async def main() -> None:
        async with embedded():
            with pytest.raises(RuntimeError, match="runs already"):
                async with embedded():
                    pass
            with pytest.raises(RuntimeError, match="runs already"):
                Doubler().run()

    run(main())


def test_virtual_time_cannot_be_waited_for() -> None:
    async def main() -> None:
        running = virtual_scheduler()
        with pytest.raises(RuntimeError, match="virtual"):
            async with embedded(running):
                pass
        assert running.thread_id is None

    run(main())


# ---- failures


def test_a_failure_interrupts_the_block_and_comes_out_of_it() -> None:
    async def main() -> None:
        witness = Script(sleeper)

        async def block() -> None:
            async with embedded():
                witness.activate()
                handle = AsyncHandle(Failing()).activate()
                await handle.put(1)
                await asyncio.get_running_loop().create_future()  # for ever

        with pytest.raises(ZeroDivisionError) as caught:
            await block()
        assert any("Failing" in note for note in caught.value.__notes__)
        assert caught.value.__suppress_context__  # the cancellation is no news
        assert witness.stops == 1
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0  # nobody else is cancelled by it
        await asyncio.sleep(0)

    run(main())


def test_what_the_block_raises_after_a_failure_does_not_hide_it() -> None:
    async def main() -> None:
        async def block() -> None:
            async with embedded():
                handle = AsyncHandle(Failing()).activate()
                await handle.put(1)
                try:
                    await handle.join()
                    await rounds()
                except asyncio.CancelledError:
                    raise LookupError("no answer") from None

        with pytest.raises(ZeroDivisionError) as caught:
            await block()
        assert isinstance(caught.value.__context__, LookupError)

    run(main())


class FailsToStop(Script):
    def stop(self) -> None:
        super().stop()
        raise ValueError("bad stop")


def test_the_first_failure_is_the_one_that_comes_out() -> None:
    async def block() -> None:
        async with embedded():
            FailsToStop(sleeper).activate()
            await AsyncHandle(Failing()).activate().put(1)
            await asyncio.get_running_loop().create_future()

    with pytest.raises(ZeroDivisionError):
        run(block())


def test_a_failure_at_the_end_comes_out_as_well() -> None:
    async def main() -> None:
        others = [Script(sleeper), Script(sleeper)]

        async def block() -> None:
            async with embedded():
                for one in (others[0], FailsToStop(sleeper), others[1]):
                    one.activate()
                await rounds()

        with pytest.raises(ValueError, match="bad stop"):
            await block()
        assert [one.stops for one in others] == [1, 1]

    run(main())


def test_an_isolated_failure_ends_only_its_component() -> None:
    async def main() -> None:
        lost: list[BaseException] = []
        bad = Failing()
        bad.isolate(lambda culprit, error: lost.append(error))
        async with doubler() as handle:
            failing = AsyncHandle(bad).activate()
            await failing.put(1)
            await failing.join()
            await handle.put(1)
            assert await handle.get() == 2
        assert len(lost) == 1

    run(main())


def test_an_exception_of_the_block_gets_out_after_an_orderly_stop() -> None:
    async def main() -> None:
        one = Script(sleeper)

        async def block() -> None:
            async with embedded():
                one.activate()
                await rounds()
                raise LookupError

        with pytest.raises(LookupError):
            await block()
        assert one.stops == 1

    run(main())


def test_a_cancelled_block_stops_and_stays_cancelled() -> None:
    one = Script(sleeper)

    async def block() -> None:
        async with embedded():
            one.activate()
            await asyncio.get_running_loop().create_future()

    async def main() -> None:
        task = asyncio.create_task(block())
        await rounds()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
    assert one.stops == 1


def test_system_exit_of_a_component_ends_the_program() -> None:
    def leave(self: Script) -> Iterator[object]:
        yield 1
        raise SystemExit(3)

    one = Script(sleeper)

    async def main() -> None:
        async with embedded():
            one.activate()
            Script(leave).activate()
            await asyncio.get_running_loop().create_future()

    with pytest.raises(SystemExit):
        run(main())
    assert one.stops == 1


def test_ctrl_c_stops_the_components_as_it_stops_tasks(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import asyncio\n"
        "from Axon.AsyncioBridge import embedded\n"
        "from Axon.Component import component\n"
        "class Sleeper(component):\n"
        "    def main(self):\n"
        "        print('up', flush=True)\n"
        "        while True:\n"
        "            self.pause()\n"
        "            yield 1\n"
        "    def stop(self):\n"
        "        print('stopped', flush=True)\n"
        "        super().stop()\n"
        "async def main():\n"
        "    async with embedded():\n"
        "        Sleeper().activate()\n"
        "        await asyncio.get_running_loop().create_future()\n"
        "try:\n"
        "    asyncio.run(main())\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    with subprocess.Popen(
        [sys.executable, str(program)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        child.send_signal(signal.SIGINT)
        rest, _ = child.communicate(timeout=PATIENCE)
    assert rest == "stopped\ninterrupted\n"


# ---- a component that waits for a coroutine


class Fetcher(component):
    """Awaits what it is given, and sends what that returned or raised."""

    def __init__(self, what: Awaitable[object]) -> None:
        super().__init__()
        self.what = what

    def main(self) -> Iterator[object]:
        try:
            result = yield from awaited(self, self.what)
        except (LookupError, RuntimeError) as error:
            result = error
        self.send(result, "outbox")


def test_a_component_awaits_a_coroutine() -> None:
    async def slowly() -> int:
        await rounds()
        return 42

    async def main() -> None:
        async with embedded():
            assert await AsyncHandle(Fetcher(slowly())).activate().get() == 42

    run(main())


def test_what_the_coroutine_raises_is_raised_in_the_component() -> None:
    async def badly() -> int:
        raise LookupError("no such page")

    async def main() -> None:
        async with embedded():
            error = await AsyncHandle(Fetcher(badly())).activate().get()
            assert isinstance(error, LookupError)

    run(main())


def test_messages_that_come_meanwhile_end_no_wait_and_stay() -> None:
    async def main() -> None:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        async with embedded():
            fetcher = Fetcher(future)
            handle = AsyncHandle(fetcher).activate()
            for _ in range(3):
                await handle.put("not yet")
                await rounds()
            assert fetcher.dataReady() == 3
            future.set_result(1)
            assert await handle.get() == 1

    run(main())


def test_a_cancelled_task_is_an_error_for_the_component_that_awaits_it() -> None:
    async def main() -> None:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        async with embedded():
            handle = AsyncHandle(Fetcher(future)).activate()
            await rounds()
            future.cancel()
            assert isinstance(await handle.get(), RuntimeError)

    run(main())


def test_a_stopped_component_cancels_what_it_awaits() -> None:
    async def main() -> None:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        async with embedded():
            fetcher = Fetcher(future)
            handle = AsyncHandle(fetcher).activate()
            await rounds()
            fetcher.stop()
            await handle.join()
            await rounds()
            assert future.cancelled()

    run(main())
