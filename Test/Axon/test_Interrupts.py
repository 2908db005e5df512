"""Catching Ctrl-C by itself; what a scheduler makes of it: test_Scheduler_interrupts."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from Axon.Interrupts import catch_interrupts


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Give a pipe for the interpreter's wake-ups, and see to it that all is as before."""
    handler = signal.getsignal(signal.SIGINT)
    ends = os.pipe2(os.O_NONBLOCK)
    yield ends
    assert signal.getsignal(signal.SIGINT) is handler
    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before)
    assert before not in ends
    for end in ends:
        os.close(end)


def test_the_first_is_told_and_the_second_interrupts(pipe: tuple[int, int]) -> None:
    told: list[str] = []
    restore = catch_interrupts(pipe[1], lambda: told.append("told"))
    signal.raise_signal(signal.SIGINT)
    assert told == ["told"]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    restore()
    assert told == ["told"]
    assert os.read(pipe[0], 10) == bytes([signal.SIGINT] * 2)


def test_afterwards_an_interrupt_is_what_it_was(pipe: tuple[int, int]) -> None:
    catch_interrupts(pipe[1], lambda: None)()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_programs_own_handler_is_left_in_place_and_still_wakes(pipe: tuple[int, int]) -> None:
    own: list[int] = []
    before: Any = signal.signal(signal.SIGINT, lambda number, frame: own.append(number))
    try:
        restore = catch_interrupts(pipe[1], lambda: own.append(-1))
        signal.raise_signal(signal.SIGINT)
        restore()
        assert own == [signal.SIGINT]
        assert os.read(pipe[0], 10) == bytes([signal.SIGINT])
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_catches_nothing(pipe: tuple[int, int]) -> None:
    def elsewhere() -> None:
        undo.append(catch_interrupts(pipe[1], lambda: None))
        handlers.append(signal.getsignal(signal.SIGINT))

    undo: list[Callable[[], object]] = []
    handlers: list[Any] = []
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert handlers == [signal.default_int_handler]
    undo[0]()
