"""Rates of messages and of bytes, in virtual time."""

from collections.abc import Callable

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.Util.RateFilter import (
    ByteRate_RequestControl,
    MessageRateLimit,
    VariableByteRate_RequestControl,
)
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {
    MessageRateLimit: Ends(lambda: MessageRateLimit(10)),
    ByteRate_RequestControl: Ends(lambda: ByteRate_RequestControl(chunkrate=0.001)),
    VariableByteRate_RequestControl: Ends(lambda: VariableByteRate_RequestControl(chunkrate=0.001)),
}

Control = type[ByteRate_RequestControl]
both = pytest.mark.parametrize(
    "control", [ByteRate_RequestControl, VariableByteRate_RequestControl]
)

# ---- MessageRateLimit


def test_messages_go_at_the_rate_with_ten_percent_of_head_room() -> None:
    with harness(MessageRateLimit(10, buffer=1)) as h:
        h.put_all(range(100))
        h.run_for(1.0)
        assert h.take("outbox") == list(range(12))  # one at the start, then 11 a second
        h.run_for(1.0)
        assert h.take("outbox") == list(range(12, 23))


def test_the_first_one_goes_when_the_buffer_is_full() -> None:
    with harness(MessageRateLimit(1, buffer=3)) as h:
        h.put_all("ab")
        h.expect_nothing("outbox", during=60)
        h.put("c")
        h.expect("outbox", "a", within=0)
        h.expect("outbox", "b", within=1)


def test_a_pause_of_the_producer_is_not_made_up_for() -> None:
    with harness(MessageRateLimit(1 / 1.1, buffer=1)) as h:
        h.put("a")
        h.run_for(60)
        h.put_all("bcd")
        h.run_for(1.5)
        assert h.take("outbox") == ["a", "b", "c"]


@pytest.mark.parametrize("already", [0, 2])
def test_a_producer_finished_during_the_fill_loses_nothing(already: int) -> None:
    with harness(MessageRateLimit(1, buffer=60)) as h:
        h.put_all(range(already))
        h.settle()
        h.put("last")
        stop = producerFinished()
        h.finish(stop)
        assert h.take("outbox") == [*range(already), "last"]
        assert h.take("signal") == [stop]


def test_after_a_producer_finished_the_rest_goes_at_the_rate() -> None:
    with harness(MessageRateLimit(1 / 1.1, buffer=1)) as h:
        h.put_all(range(5))
        h.put(producerFinished(), "control")
        h.run_for(2.5)
        assert h.take("outbox") == [0, 1, 2]
        h.not_ended()
        h.expect_end(within=2)


def test_a_shutdown_microprocess_ends_it_at_once() -> None:
    stop = shutdownMicroprocess()
    out = drive(MessageRateLimit(1, buffer=1), inbox=[1, 2], control=[stop])
    assert (out["outbox"], out["signal"]) == ([], [stop])


def test_hardlimit_bounds_its_inbox_and_is_enough_to_begin() -> None:
    limit = MessageRateLimit(1, buffer=60, hardlimit=2)
    assert limit.inboxes["inbox"].getSize() == 2
    with harness(limit) as h:
        h.put_all("ab")
        h.expect_all("outbox", ["a", "b"])


def test_so_is_a_limit_that_somebody_else_has_set() -> None:
    limit = MessageRateLimit(1)
    limit.setInboxSize("inbox", 1)
    with harness(limit) as h:
        h.put("a")
        h.expect("outbox", "a")


def test_while_the_receiver_is_full_it_waits_and_a_shutdown_ends_the_wait() -> None:
    with harness(MessageRateLimit(10, buffer=1)) as h:
        h.limit(1)
        h.put_all("abc")
        h.run_for(60)
        assert h.take("outbox") == ["a"]
        h.run_for(60)
        assert h.take("outbox") == ["b"]
        h.finish(shutdownMicroprocess())


def test_two_limits_have_their_own_rates() -> None:
    slow, fast = MessageRateLimit(1, buffer=1), MessageRateLimit(10, buffer=1)
    with harness(slow, fast) as h:
        for one in (slow, fast):
            h.put_all(range(100), (one, "inbox"))
        h.run_for(1)
        assert (len(h.take((slow, "outbox"))), len(h.take((fast, "outbox")))) == (2, 12)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="more than 0"):
        MessageRateLimit(rate)


# ---- request controls


@both
def test_sizes_are_ints_at_the_pace_of_the_rate(control: Control) -> None:
    with harness(control(rate=100, chunkrate=4)) as h:
        h.run_for(1.0)
        sizes = h.take("outbox")
        assert sizes == [25] * 5  # the first one at once
        assert all(type(size) is int for size in sizes)
        h.run_for(10.0)
        assert sum(h.take("outbox")) == 1000


@both
def test_parts_of_a_byte_are_carried_on(control: Control) -> None:
    with harness(control(rate=100, chunkrate=3)) as h:
        h.run_for(10)
        sizes = h.take("outbox")
        assert set(sizes) == {33, 34}
        assert sum(sizes[:30]) == 1000


@pytest.mark.parametrize(
    ("arguments", "size", "step"),
    [
        ({"rate": 50, "chunksize": 5}, 5, 0.1),
        ({"rate": 50, "chunkrate": 5}, 10, 0.2),
    ],
)
@both
def test_of_size_and_pace_the_one_follows_from_the_other(
    control: Control, arguments: dict[str, float], size: float, step: float
) -> None:
    made = control(**arguments)  # type: ignore[arg-type]
    assert made.chunksize == pytest.approx(size)
    assert made.timestep == pytest.approx(step)


@pytest.mark.parametrize("kind", [ByteRate_RequestControl, VariableByteRate_RequestControl])
def test_without_a_chunksize_or_chunkrate_there_are_ten_chunks_a_second(
    kind: type[ByteRate_RequestControl],
) -> None:
    made = kind()
    assert (made.chunksize, made.timestep) == (10_000, 0.1)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"chunksize": 10, "chunkrate": 10}, "not both"),
        ({"rate": 5, "chunkrate": 10}, "chunk would have 0.5 bytes"),
        ({"rate": 5, "chunksize": 0.5}, "chunk would have 0.5 bytes"),
        ({"rate": 0, "chunkrate": 10}, "rate must be more than 0"),
        ({"chunkrate": 0}, "chunkrate must be more than 0"),
        ({"chunksize": -1}, "chunksize must be more than 0"),
        ({"rate": 1e9, "chunksize": 1}, "chunks a second"),
    ],
)
@both
def test_impossible_rates_are_refused(
    control: Control, arguments: dict[str, float], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        control(**arguments)  # type: ignore[arg-type]


@both
def test_a_rate_that_is_no_number_is_refused(control: Control) -> None:
    with pytest.raises(TypeError, match="a number, not '100'"):
        control(rate="100", chunkrate=10)  # type: ignore[arg-type]


@both
def test_what_was_not_sent_in_time_is_sent_at_the_next_look(control: Control) -> None:
    one_by_one = control(rate=10, chunksize=10)
    one_by_one.resetTiming(100.0)
    assert list(one_by_one.getChunksToSend(99.9)) == []
    assert list(one_by_one.getChunksToSend(102.5)) == [10, 10, 10]
    assert list(one_by_one.getChunksToSend(102.5)) == []
    together = control(rate=10, chunksize=10, allowchunkaggregation=True)
    together.resetTiming(100.0)
    assert list(together.getChunksToSend(102.5)) == [30]
    assert list(together.getChunksToSend(102.9)) == []


@both
def test_a_full_receiver_is_waited_for_and_made_up_for(control: Control) -> None:
    with harness(control(rate=10, chunksize=10)) as h:
        h.limit(1)
        h.run_for(10.5)
        assert h.take("outbox") == [10]
        h.limit(None)
        h.settle()
        assert sum(h.take("outbox")) == 100


@pytest.mark.parametrize("stop", [producerFinished, shutdownMicroprocess])
@pytest.mark.parametrize("room", [None, 0])
@both
def test_either_shutdown_ends_it_also_while_the_receiver_is_full(
    control: Control, room: int | None, stop: Callable[[], object]
) -> None:
    with harness(control(rate=10, chunksize=10)) as h:
        h.limit(room)
        h.run_for(1.5)
        message = stop()
        h.finish(message)
        assert h.take("signal") == [message]


def test_messages_to_one_of_fixed_rate_are_taken_and_change_nothing() -> None:
    control = ByteRate_RequestControl(rate=10, chunksize=10)
    with harness(control) as h:
        h.put_all([1, "x"])
        h.run_for(2.5)
        assert h.take("outbox") == [10] * 3
        assert not control.dataReady("inbox")


def test_a_message_changes_the_rate_of_chunks_of_a_given_size() -> None:
    with harness(VariableByteRate_RequestControl(rate=10, chunksize=10)) as h:
        h.run_for(0.5)
        h.put(20)  # half a chunk is due, the other half takes half as long
        h.run_for(0.2)
        assert h.take("outbox") == [10]
        h.run_for(0.1)
        assert h.take("outbox") == [10]
        h.run_for(1.0)
        assert h.take("outbox") == [10, 10]


def test_a_message_changes_the_size_of_chunks_of_a_given_pace() -> None:
    with harness(VariableByteRate_RequestControl(rate=100, chunkrate=1)) as h:
        h.run_for(0.5)
        h.put(200)
        h.run_for(2.0)
        assert h.take("outbox") == [100, 150, 200]  # half of the second one at each rate


def test_slowing_down_takes_back_nothing() -> None:
    control = VariableByteRate_RequestControl(rate=1000, chunkrate=1, allowchunkaggregation=True)
    control.resetTiming(0.0)
    assert list(control.getChunksToSend(0.0)) == [1000]
    control.changeRate(10, 3.5)  # three chunks late
    assert sum(control.getChunksToSend(3.5)) == pytest.approx(3500, abs=10)


@pytest.mark.parametrize("rate", [0, -5, "fast", None, True])
def test_an_impossible_new_rate_is_an_error_and_not_a_silence(rate: object) -> None:
    with pytest.raises((ValueError, TypeError), match="rate must be"):
        drive(VariableByteRate_RequestControl(rate=10, chunksize=10), inbox=[rate])
