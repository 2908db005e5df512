"""Ctrl-C: an orderly stop, whatever the scheduler is doing just then."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest

from Axon.Component import component
from Axon.Scheduler import scheduler
from Axon.Waiter import EpollWaiter

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(
    signal.getsignal(signal.SIGINT) is not signal.default_int_handler,
    reason="something else handles Ctrl-C here",
)


class Sleeper(component):
    stops = 0

    def main(self) -> Iterator[object]:
        while True:
            self.pause()
            yield 1

    def stop(self) -> None:
        self.stops += 1
        super().stop()


class Busy(Sleeper):
    def main(self) -> Iterator[object]:
        while True:
            yield 1


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def interrupted(engine: scheduler, *parts: Sleeper) -> None:
    """Run, and expect an orderly stop of everything, with signals as they were before."""
    for part in parts:
        part.activate(Scheduler=engine)
    with pytest.raises(KeyboardInterrupt):
        engine.runThreads()
    assert [part.stops for part in parts] == [1] * len(parts)
    assert engine.listAllThreads() == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before)
    assert before == -1


@pytest.mark.parametrize("kind", [Sleeper, Busy])
def test_an_interrupt_is_an_orderly_stop(engine: scheduler, kind: type[Sleeper]) -> None:
    engine.call_later(0.01, interrupt)
    interrupted(engine, *(kind() for _ in range(3)))
    engine.runThreads()  # usable again, and the interrupt is forgotten


def test_an_interrupt_between_the_last_look_and_blocking_is_not_slept_over() -> None:
    class JustThen(EpollWaiter):
        def wait(self, timeout: float | None, has_calls: Callable[[], bool]) -> bool:
            def last_look() -> bool:
                found = has_calls()
                interrupt()
                return found

            return super().wait(timeout, last_look)

    waiter = JustThen()
    interrupted(scheduler(waiter=waiter), Sleeper())
    waiter.close()


def test_interrupts_at_any_moment_around_blocking_end_the_run(engine: scheduler) -> None:
    for attempt in range(20):
        about_to_block = threading.Event()

        def from_outside(event: threading.Event = about_to_block, attempt: int = attempt) -> None:
            event.wait(10)
            until = monotonic() + attempt * 0.000_02
            while monotonic() < until:
                pass
            interrupt()

        thread = threading.Thread(target=from_outside)
        thread.start()
        engine.call_from_thread(about_to_block.set)
        interrupted(engine, Sleeper())
        thread.join()


def test_a_second_interrupt_gets_through_to_a_component_that_never_yields(
    engine: scheduler,
) -> None:
    class Stubborn(component):
        def main(self) -> Iterator[object]:
            signal.raise_signal(signal.SIGINT)
            done.append("first")
            signal.raise_signal(signal.SIGINT)
            done.append("second")
            yield 1

    done: list[str] = []
    Stubborn().activate(Scheduler=engine)
    with pytest.raises(KeyboardInterrupt):
        engine.runThreads()
    assert done == ["first"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    engine.runThreads()


def test_an_error_that_comes_with_the_interrupt_does_not_spoil_the_next_run(
    engine: scheduler,
) -> None:
    class Both(component):
        def main(self) -> Iterator[object]:
            yield 1
            signal.raise_signal(signal.SIGINT)
            raise ValueError("at the same time")

    class BadStop(Busy):
        def stop(self) -> None:
            super().stop()
            raise ValueError("at the same time")

    parts = [Both(), BadStop()]
    for part in parts:
        part.activate(Scheduler=engine)
        with pytest.raises(ValueError, match="at the same time"):
            engine.runThreads()
        if part is parts[0]:
            engine.call_later(0.001, interrupt)
    engine.runThreads()
    assert engine.listAllThreads() == []


def test_somebody_elses_handler_is_left_alone(engine: scheduler) -> None:
    seen: list[int] = []

    def other(signum: int, frame: object) -> None:
        seen.append(signum)
        engine.stop()

    before = signal.signal(signal.SIGINT, other)
    try:
        one = Sleeper().activate(Scheduler=engine)
        engine.call_later(0.01, interrupt)
        engine.runThreads()
        assert signal.getsignal(signal.SIGINT) is other
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIGINT]
    assert one.stops == 1


def test_other_signals_are_handled_while_it_is_blocked(engine: scheduler) -> None:
    one = Sleeper().activate(Scheduler=engine)
    before = signal.signal(signal.SIGUSR1, lambda *_: engine.stop())
    try:
        engine.call_later(0.01, lambda: os.kill(os.getpid(), signal.SIGUSR1))
        engine.runThreads()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert one.stops == 1


def test_a_scheduler_in_another_thread_leaves_signals_alone(engine: scheduler) -> None:
    handlers: list[object] = []

    class Looker(component):
        def main(self) -> Iterator[object]:
            handlers.append(signal.getsignal(signal.SIGINT))
            yield 1

    Looker().activate(Scheduler=engine)
    thread = threading.Thread(target=engine.runThreads)
    thread.start()
    thread.join()
    assert handlers == [signal.default_int_handler]


PROGRAM = """
import sys
from Axon.Component import component

class Part(component):
    def main(self):
        print("running", flush=True)
        while True:
            if sys.argv[1] == "idle":
                self.pause()
            yield 1

    def stop(self):
        print("stopped", flush=True)
        super().stop()

try:
    first = Part().activate()
    Part().run()
except KeyboardInterrupt:
    print("interrupted", flush=True)
    raise
"""


@pytest.mark.parametrize("kind", ["idle", "busy"])
def test_a_program_ends_at_the_first_ctrl_c(kind: str) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, kind],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert child.stdout is not None
    assert [child.stdout.readline(), child.stdout.readline()] == ["running\n"] * 2
    child.send_signal(signal.SIGINT)
    output, errors = child.communicate(timeout=20)
    assert output.split() == ["stopped", "stopped", "interrupted"]
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert child.returncode == -signal.SIGINT
