"""When a machine that is told is called: at the start, when it has called us, at the end."""

import logging

import pytest

from Axon.Ipc import producerFinished
from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Sync.Peer import LAST_CALL
from Test.Kamaelia.Apps.Grey.Sync.machines import names_of
from Test.Kamaelia.Apps.Grey.Sync.other_side import DONE, HOST, Other, add
from Test.Kamaelia.network import Script, World


def test_it_is_called_at_the_start_though_there_is_no_news(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def script() -> Script:
        other = Other(world, clock, names=names_of({"mx2": ["127.77.1.9", HOST]}))
        sock = yield from other.established()
        yield from world.until(lambda: other.peer.status.connected)
        assert caplog.messages == ["Connection to mx2 established, protocol version 3"]
        yield from other.passes(3_600)
        other.tell(add(1))
        assert "<s1@" in (yield from other.line(sock))

    world.play(script())


def test_one_that_is_not_there_at_the_start_is_complained_of_and_called_with_the_first_news(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    def script() -> Script:
        other = Other(world, clock, listening=False)
        complaint = "cannot sync with peer mx2: Connection refused (0 entries queued)"
        yield from world.until(lambda: caplog.messages == [complaint])
        other.listen()
        yield from other.passes(3_600)
        assert not other.accepts_now()  # by no timer
        other.tell(add(1))
        yield from other.established()

    world.play(script())


def test_when_it_has_called_it_is_called_back_and_not_at_the_end_of_the_pause(
    world: World, clock: FakeClock
) -> None:
    def script() -> Script:
        other = Other(world, clock)
        other.tell(add(1))
        yield from other.refuses_for_a_while(1, 2, 4, 8)
        yield from other.refuses(16)
        clock.advance(3.0)
        other.peer.is_there()
        yield from other.refuses(1.0)  # and the pauses begin anew
        yield from other.passes(1.0)
        yield from other.established()

    world.play(script())


def test_when_it_has_called_during_an_attempt_the_next_one_is_soon(
    world: World, clock: FakeClock
) -> None:
    def script() -> Script:
        other = Other(world, clock)
        other.tell(add(1))
        yield from other.refuses_for_a_while(1, 2, 4, 8)
        sock = yield from other.accept()
        other.peer.is_there()
        sock.close()
        yield from world.until(lambda: other.peer._not_before > clock())
        assert other.peer._not_before - clock() == 1.0

    world.play(script())


@pytest.mark.parametrize("jitter", [0.75, 1.25])
def test_one_that_calls_all_the_time_is_called_back_once_in_a_second(
    world: World, clock: FakeClock, jitter: float
) -> None:
    def script() -> Script:
        other = Other(world, clock)
        other.peer._jitter = lambda: jitter
        other.tell(add(1))
        calls = 0
        begun = clock()
        while clock() < begun + 4:
            other.peer.is_there()
            yield from world.settle()
            if other.accepts_now():  # and hangs up
                calls += 1
                yield from world.settle()
            clock.advance(0.25)
        assert calls == 4

    world.play(script())


def test_one_that_has_heard_all_is_not_called_back(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        other = Other(world, clock)
        other.tell(add(1))
        sock = yield from other.established()
        yield from other.line(sock)
        sock.sendall(DONE)
        yield from world.until(lambda: other.peer.status.sent == 1)
        other.peer.is_there()
        sock.close()
        yield from world.until(lambda: not other.peer.status.connected)
        other.peer.is_there()
        yield from other.passes(100.0)
        assert not other.accepts_now()

    world.play(script())


# ---- at the end


def test_an_attempt_that_fails_when_all_ends_was_the_last_one(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    def script() -> Script:
        other = Other(world, clock)
        other.tell(add(1))
        sock = yield from other.accept()
        other.peer.inboxes["control"].deliver(producerFinished())
        yield from world.settle()
        sock.close()
        yield from world.until(other.peer._isStopped)
        assert caplog.messages[-1] == "peer mx2 was not told of 1 entries"
        assert not other.accepts_now()

    world.play(script())


def test_at_the_end_it_is_called_once_more_in_the_middle_of_a_pause(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    def script() -> Script:
        other = Other(world, clock)
        other.tell(add(1), add(2))
        yield from other.refuses(1.0)
        other.peer.inboxes["control"].deliver(producerFinished())
        sock = yield from other.established()
        for number in (1, 2):
            assert f"<s{number}@" in (yield from other.line(sock))
            yield from other.passes(LAST_CALL)  # there is a connection: no hurry
            sock.sendall(DONE)
        assert (yield from other.line(sock)) == "quit\n"
        yield from world.until(other.peer._isStopped)
        assert not other.accepts_now()
        assert not any("was not told" in text for text in caplog.messages)

    world.play(script())


@pytest.mark.parametrize("listening", [True, False])
def test_at_the_end_one_that_is_away_costs_no_time(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture, listening: bool
) -> None:
    def script() -> Script:
        other = Other(world, clock)
        other.tell(add(1))
        yield from other.refuses(1.0)
        assert other.listener is not None
        if not listening:
            other.listener.close()
        other.peer.inboxes["control"].deliver(producerFinished())
        if listening:
            (yield from other.accept()).close()
        yield from world.until(other.peer._isStopped)
        assert caplog.messages[-1] == "peer mx2 was not told of 1 entries"
        assert not listening or not other.accepts_now()  # once more is once

    world.play(script())
