"""Waiting with epoll: file descriptors, wake-ups from threads, and nothing done while idle."""

import os
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import process_time

import pytest

from Axon.Component import component
from Axon.Scheduler import scheduler
from Axon.Waiter import EPOLLIN, EPOLLOUT, EVENTS_PER_POLL, EpollWaiter

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def waiter() -> Iterator[EpollWaiter]:
    made = EpollWaiter()
    yield made
    made.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    left, right = socket.socketpair()
    with left, right:
        left.setblocking(False)
        right.setblocking(False)
        yield left, right


def open_files() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


def no_calls() -> bool:
    return False


def nothing(events: int) -> None:
    """A callback that does nothing."""


def test_no_file_descriptor_is_opened_before_its_first_use() -> None:
    before = open_files()
    waiter = EpollWaiter()
    waiter.wake()
    waiter.unregister(0)
    waiter.close()
    assert open_files() == before


def test_close_gives_the_file_descriptors_back_and_the_next_use_opens_new_ones(pair: Pair) -> None:
    before = len(open_files())
    waiter = EpollWaiter()
    waiter.register(pair[0].fileno(), EPOLLIN, nothing)
    assert waiter.busy
    waiter.close()
    assert not waiter.busy
    assert len(open_files()) == before
    assert waiter.wait(0, no_calls)
    waiter.close()


def test_a_callback_is_called_for_as_long_as_its_file_is_ready(
    waiter: EpollWaiter, pair: Pair
) -> None:
    left, right = pair
    seen: list[int] = []
    waiter.register(left.fileno(), EPOLLIN, seen.append)
    waiter.wait(0, no_calls)
    assert seen == []
    right.send(b"x")
    waiter.wait(None, no_calls)
    waiter.wait(0, no_calls)
    assert seen == [EPOLLIN, EPOLLIN]
    left.recv(1)
    waiter.wait(0, no_calls)
    assert len(seen) == 2


def test_modify_changes_what_is_waited_for(waiter: EpollWaiter, pair: Pair) -> None:
    seen: list[int] = []
    waiter.register(pair[0].fileno(), EPOLLIN, seen.append)
    waiter.modify(pair[0].fileno(), EPOLLOUT)
    waiter.wait(0, no_calls)
    assert seen == [EPOLLOUT]


def test_a_hang_up_is_always_reported(waiter: EpollWaiter, pair: Pair) -> None:
    seen: list[int] = []
    waiter.register(pair[0].fileno(), 0, seen.append)
    pair[1].close()
    waiter.wait(None, no_calls)
    assert seen[0] & select.EPOLLHUP


def test_a_forgotten_file_is_not_reported(waiter: EpollWaiter, pair: Pair) -> None:
    seen: list[int] = []
    waiter.register(pair[0].fileno(), EPOLLOUT, seen.append)
    waiter.unregister(pair[0].fileno())
    waiter.unregister(pair[0].fileno())
    waiter.wait(0, no_calls)
    assert seen == []
    assert not waiter.busy


def test_a_file_that_its_owner_closed_first_can_still_be_forgotten(waiter: EpollWaiter) -> None:
    left, right = socket.socketpair()
    with right:
        number = left.fileno()
        waiter.register(number, EPOLLIN, nothing)
        left.close()
        waiter.unregister(number)
    assert not waiter.busy


def test_a_callback_may_close_another_file_of_the_same_poll(waiter: EpollWaiter) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    called: list[int] = []

    def callback(number: int, other: int) -> None:
        called.append(number)
        waiter.unregister(pairs[other][0].fileno())
        pairs[other][0].close()

    waiter.register(pairs[0][0].fileno(), EPOLLOUT, lambda _: callback(0, 1))
    waiter.register(pairs[1][0].fileno(), EPOLLOUT, lambda _: callback(1, 0))
    waiter.wait(0, no_calls)
    assert len(called) == 1
    for ends in pairs:
        for end in ends:
            end.close()


def test_one_poll_reports_a_bounded_number_of_files(waiter: EpollWaiter) -> None:
    pairs = [socket.socketpair() for _ in range(EVENTS_PER_POLL)]
    called: set[int] = set()

    def watch(number: int) -> None:
        waiter.register(number, EPOLLOUT, lambda _: called.add(number))

    for one in [end for ends in pairs for end in ends]:
        watch(one.fileno())
    waiter.wait(0, no_calls)
    assert len(called) <= EVENTS_PER_POLL
    for _ in range(3):
        waiter.wait(0, no_calls)
    assert len(called) == 2 * EVENTS_PER_POLL  # the others had theirs in the next polls
    for ends in pairs:
        for end in ends:
            end.close()


def test_what_arrived_before_blocking_keeps_it_from_blocking(waiter: EpollWaiter) -> None:
    assert waiter.wait(None, lambda: True)


def test_wake_ends_a_wait_from_another_thread(waiter: EpollWaiter) -> None:
    for _ in range(200):
        called = threading.Event()

        def from_outside(called: threading.Event = called) -> None:
            called.set()
            waiter.wake()

        thread = threading.Thread(target=from_outside)
        thread.start()
        assert waiter.wait(None, called.is_set)
        thread.join()


def test_wake_while_nobody_waits_costs_nothing_later(waiter: EpollWaiter) -> None:
    waiter.wait(0, no_calls)
    for _ in range(100_000):  # more than a pipe holds
        waiter.wake()
    with pytest.raises(BlockingIOError):
        os.read(waiter._pipe[0], 1)


def test_a_full_pipe_is_as_good_as_a_wake_up(waiter: EpollWaiter) -> None:
    number = waiter.wakeup_fd()
    with suppress(BlockingIOError):
        while True:
            os.write(number, b"x" * 4096)
    waiter._blocked = True
    waiter.wake()
    waiter.wait(None, no_calls)  # there is something to be read: returns at once


def test_a_wake_up_that_comes_late_goes_to_no_other_file(waiter: EpollWaiter) -> None:
    number = waiter.wakeup_fd()
    waiter._blocked = True  # so a thread saw it, and was held up before it wrote
    waiter.close()
    reader, writer = os.pipe2(os.O_NONBLOCK)
    os.dup2(writer, number)  # the number that was given back is another file's now
    waiter.wake()
    with pytest.raises(BlockingIOError):
        os.read(reader, 1)
    for opened in {reader, writer, number}:
        os.close(opened)


def test_a_time_out_of_many_days_is_not_too_long_for_the_system(
    waiter: EpollWaiter, pair: Pair
) -> None:
    waiter.register(pair[0].fileno(), EPOLLOUT, nothing)
    assert waiter.wait(1e12, no_calls)
    assert waiter.wait(float("inf"), no_calls)


def test_holding_needs_no_bookkeeping_in_real_time(waiter: EpollWaiter) -> None:
    waiter.hold()
    waiter.release()
    assert waiter.wait(0, no_calls)


class CountingWaiter(EpollWaiter):
    """Counts how often the scheduler goes round."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = 0

    def wait(self, timeout: float | None, has_calls: Callable[[], bool]) -> bool:
        self.waits += 1
        return super().wait(timeout, has_calls)


def test_an_idle_program_uses_no_processor_time(pair: Pair) -> None:
    class Sleeper(component):
        def main(self) -> Iterator[object]:
            while not self.dataReady():
                self.pause()
                yield 1

    waiter = CountingWaiter()
    engine = scheduler(waiter=waiter)
    engine.register(pair[0].fileno(), EPOLLIN, nothing)
    sleepers = [Sleeper().activate(Scheduler=engine) for _ in range(100)]

    def end() -> None:
        for one in sleepers:
            one._deliver("enough")

    engine.call_later(0.3, end)
    wake_up = threading.Timer(0.05, lambda: engine.call_from_thread(waiter.wake))
    wake_up.start()  # must not leave it turning
    before = process_time()
    engine.runThreads()
    wake_up.join()
    used = process_time() - before
    waiter.close()
    assert used < 0.1
    assert waiter.waits < 10
