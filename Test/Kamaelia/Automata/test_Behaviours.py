"""The values of each behaviour, their pace, and the commands that all of them understand."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import harness
from Kamaelia.Automata.Behaviours import (
    bouncingFloat,
    cartesianPingPong,
    continuousIdentity,
    continuousOne,
    continuousZero,
    loopingCounter,
)
from Test.Kamaelia.shutdown import Ends

A_VALUE_AN_HOUR = 3600.0

SHUTDOWN = {
    bouncingFloat: Ends(lambda: bouncingFloat(1, interval_seconds=A_VALUE_AN_HOUR)),
    cartesianPingPong: Ends(
        lambda: cartesianPingPong((5, 5), 100, 100, 5, interval_seconds=A_VALUE_AN_HOUR)
    ),
    loopingCounter: Ends(lambda: loopingCounter(1, interval_seconds=A_VALUE_AN_HOUR)),
    continuousIdentity: Ends(lambda: continuousIdentity("x", interval_seconds=A_VALUE_AN_HOUR)),
    continuousZero: Ends(lambda: continuousZero(interval_seconds=A_VALUE_AN_HOUR)),
    continuousOne: Ends(lambda: continuousOne(interval_seconds=A_VALUE_AN_HOUR)),
}


def first_values(thecomponent: component, number: int) -> list[object]:
    with harness(thecomponent) as h:
        return [h.expect() for _ in range(number)]


# ---- values


def test_a_counter_goes_round() -> None:
    assert first_values(loopingCounter(90), 6) == [0, 90, 180, 270, 0, 90]
    assert first_values(loopingCounter(2, modulo=5), 4) == [0, 2, 4, 1]


def test_the_continuous_ones_go_on_with_the_same() -> None:
    thing = object()
    assert first_values(continuousIdentity(thing), 3) == [thing] * 3
    assert first_values(continuousZero(), 3) == [0, 0, 0]
    assert first_values(continuousOne(), 3) == [1, 1, 1]


def test_a_float_goes_down_to_a_tenth_and_up_to_one() -> None:
    values = first_values(bouncingFloat(3), 8)
    assert values == pytest.approx([1.0, 0.7, 0.4, 0.1, 0.4, 0.7, 1.0, 0.7])


def test_a_point_bounces_between_the_borders_in_both_directions() -> None:
    start = (10, 80)
    values = first_values(cartesianPingPong(start, 50, 100, 10), 7)
    assert values == [(10, 80), (20, 90), (30, 80), (40, 70), (30, 60), (20, 50), (10, 40)]
    assert start == (10, 80)


def test_a_point_given_as_a_list_is_sent_as_a_tuple_and_the_list_is_not_changed() -> None:
    start = [10, 10]
    values = first_values(cartesianPingPong(start, 50, 50, 10), 2)  # type: ignore[arg-type]
    assert values == [(10, 10), (20, 20)]
    assert start == [10, 10]


@settings(max_examples=50)
@given(
    point=st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
    width=st.floats(1, 300),
    height=st.floats(1, 300),
)
def test_a_point_never_leaves_its_area(
    point: tuple[float, float], width: float, height: float
) -> None:
    border = min(width, height) / 3
    for value in first_values(cartesianPingPong(point, width, height, border), 40):
        assert isinstance(value, tuple)
        x, y = value
        assert border <= x <= width - border
        assert border <= y <= height - border


@settings(max_examples=50)
@given(speed=st.floats(-30, 30))
def test_a_float_stays_within_its_range_at_any_speed(speed: float) -> None:
    values = first_values(bouncingFloat(speed), 30)
    assert all(isinstance(value, float) and 0.1 <= value <= 1.0 for value in values)


@pytest.mark.parametrize("size", [(20, 100), (100, 20), (0, 0)])
def test_an_area_that_is_all_border_is_an_error(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="no room"):
        cartesianPingPong((0, 0), *size, 10)


def test_a_modulo_of_zero_is_an_error() -> None:
    with pytest.raises(ValueError, match="modulo=0"):
        loopingCounter(1, modulo=0)


# ---- pace


def test_a_value_is_sent_in_each_interval_from_the_start_on() -> None:
    with harness(loopingCounter(1, interval_seconds=2.0)) as h:
        times = []
        for _ in range(4):
            h.expect(within=2)
            times.append(h.clock())
        assert times == [0, 2, 4, 6]


def test_without_a_word_it_is_twenty_five_in_a_second() -> None:
    with harness(continuousOne()) as h:
        h.run_for(0.99)
        assert len(h.take()) == 25


def test_a_full_receiver_holds_it_back_and_misses_nothing() -> None:
    with harness(loopingCounter(1, interval_seconds=0)) as h:
        h.limit(2)
        h.run_for(60)
        assert h.take() == [0, 1]
        h.expect_all("outbox", [2, 3, 4, 5])


def test_what_was_missed_while_the_receiver_was_full_is_not_made_up_for() -> None:
    with harness(loopingCounter(1, interval_seconds=1)) as h:
        h.limit(0)
        h.run_for(60)
        h.limit(None)
        h.run_for(3.5)
        assert len(h.take()) <= 5


# ---- commands


def test_the_text_shutdown_ends_it_with_a_producer_finished() -> None:
    with harness(counter := loopingCounter(1)) as h:
        h.put("shutdown", "control")
        assert h.expect("signal", producerFinished).caller is counter
        h.expect_end()


def test_while_paused_nothing_is_sent_until_the_text_unpause() -> None:
    with harness(loopingCounter(1)) as h:
        h.expect("outbox", 0)
        h.put("pause", "control")
        h.expect_nothing("outbox", during=60)
        h.put("unpause", "control")
        h.expect("outbox", 1, within=0)
        h.expect("outbox", 2, within=0.04)


@pytest.mark.parametrize("box", ["inbox", "control"])
def test_while_paused_any_message_wakes_it(box: str) -> None:
    with harness(loopingCounter(1)) as h:
        h.put("pause", "control")
        h.run_for(60)
        h.take()
        h.put("anything", box)
        h.expect("outbox", within=0.04)


@pytest.mark.parametrize("message", [producerFinished(), shutdownMicroprocess()])
def test_a_shutdown_ends_it_also_while_paused_or_held_back(message: object) -> None:
    for commands, limit in ((["pause"], None), ([], 0)):
        with harness(continuousOne()) as h:
            h.limit(limit)
            h.put_all(commands, "control")
            h.run_for(1)
            h.put(message, "control")
            h.expect("signal", message, within=0)
            h.expect_end(within=0)


def test_other_control_messages_are_handed_on() -> None:
    with harness(continuousOne()) as h:
        h.put("faster", "control")
        h.expect("signal", "faster")
        h.not_ended()


def test_several_side_by_side_count_by_themselves() -> None:
    one, other = loopingCounter(1, interval_seconds=1), loopingCounter(5, interval_seconds=1)
    with harness(one, other) as h:
        for values in pairwise(range(4)):
            h.expect((one, "outbox"), values[0], within=1)
            h.expect((other, "outbox"), 5 * values[0], within=1)
