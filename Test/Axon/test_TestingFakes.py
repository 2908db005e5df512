"""Components that play a part, and a line that loses messages."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import (
    Expect,
    Fail,
    FakeClock,
    Nothing,
    Scripted,
    ScriptError,
    Send,
    Stay,
    Unreliable,
    Wait,
    drive,
    harness,
)


class Sized(component):
    """Takes a message a second."""

    def __init__(self) -> None:
        super().__init__()
        self.setInboxSize("inbox", 1)
        self.taken: list[tuple[float, Any]] = []

    def main(self) -> Iterator[object]:
        while len(self.taken) < 3:
            self.pause(1.0)
            yield 1
            if self.dataReady() and self.now() >= len(self.taken) + 1:
                self.taken.append((self.now(), self.recv()))


def test_the_steps_are_played_in_turn() -> None:
    clock = FakeClock()
    end = producerFinished()
    one = Scripted(Send(1), Wait(10), Expect(2), Send(3), Send(end, "signal"))
    assert drive(one, clock=clock, inbox=[2]) == {"outbox": [1, 3], "signal": [end]}
    assert clock() == 10.0
    assert one.received == [2]
    assert one.step == 5


def test_it_has_the_boxes_that_its_script_names() -> None:
    one = Scripted(Expect("x", "replies"), Nothing(1.0, "errors"), Send("y", "commands"))
    out = drive(one, replies=["x"])
    assert out["commands"] == ["y"]


def test_it_sends_when_there_is_room() -> None:
    one, slow = Scripted(Send("a"), Send("b"), Send("c")), Sized()
    one.link((one, "outbox"), (slow, "inbox"))
    with harness(one, slow) as h:
        h.expect_end(slow)
    assert slow.taken == [(1.0, "a"), (2.0, "b"), (3.0, "c")]


@pytest.mark.parametrize(
    ("step", "sent", "complaint"),
    [
        (Expect(1), [2], "step 0 of Fake expected 1 in 'inbox': came 2"),
        (Expect(1, within=5), [], "step 0 of Fake expected 1 in 'inbox': nothing came within 5 s"),
        (Nothing(5), [2], "step 0 of Fake expected nothing in 'inbox': came 2"),
    ],
)
def test_a_wrong_part_is_an_error(step: Expect | Nothing, sent: list[Any], complaint: str) -> None:
    one = Scripted(step)
    one.name = "Fake"
    with pytest.raises(ScriptError, match=re.escape(complaint)):
        drive(one, inbox=sent)


def test_a_message_in_time_meets_the_expectation() -> None:
    one = Scripted(Expect(int, within=5), Nothing(5), Send("done"))
    with harness(one) as h:
        h.run_for(4)
        h.put(1)
        h.expect("outbox", "done", within=5)


def test_a_message_does_not_cut_a_wait_short() -> None:
    one = Scripted(Wait(5), Send("done"))
    with harness(one) as h:
        h.run_for(1)
        h.put(1)
        h.expect_nothing(during=3.9)
        h.expect("outbox", "done", within=0.1)


def test_it_may_wait_for_ever() -> None:
    one = Scripted(Expect())
    drive(one)
    assert not one._isStopped()
    assert one.step == 0


def test_it_may_fail() -> None:
    with pytest.raises(OSError, match="disk"):
        drive(Scripted(Fail(OSError("disk"))))


@pytest.mark.parametrize("stop", [producerFinished(), shutdownMicroprocess()])
def test_it_may_stay_until_told_to_stop(stop: object) -> None:
    with harness(Scripted(Stay())) as h:
        h.run_for(3600)
        h.not_ended()
        h.finish(stop)
        h.expect("signal", stop)


# ---- a bad line


def through(line: Unreliable, count: int = 1000) -> list[int]:
    return drive(line, inbox=range(count), control=[producerFinished()])["outbox"]


def test_without_faults_everything_passes_in_order() -> None:
    assert through(Unreliable()) == list(range(1000))


def test_the_shutdown_comes_last() -> None:
    stop = producerFinished()
    with harness(Unreliable(delay=5.0)) as h:
        h.put_all(range(3))
        h.put(stop, "control")
        h.expect_all("outbox", range(3), in_any_order=True)
        h.expect("signal", stop)
        h.expect_end()


def test_a_stop_now_does_not_wait_for_what_is_held_up() -> None:
    stop = shutdownMicroprocess()
    with harness(Unreliable(delay=5.0)) as h:
        h.put(1)
        h.settle()
        h.finish(stop, within=0)
        h.expect("signal", stop)
        h.expect_nothing()


@given(seed=st.integers(), lose=st.floats(0, 1), double=st.floats(0, 1), delay=st.floats(0, 9))
def test_each_message_passes_unless_lost_and_twice_if_doubled(
    seed: int, lose: float, double: float, delay: float
) -> None:
    line = Unreliable(seed, lose, double, delay)
    came = through(line, 20)
    assert sorted(came) == sorted([*set(range(20)) - set(line.lost), *line.doubled])


def test_the_same_seed_makes_the_same_faults() -> None:
    first, again, other = (
        through(Unreliable(seed, lose=0.2, double=0.2, delay=3.0)) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_delays_let_messages_overtake_each_other_unless_in_order() -> None:
    assert through(Unreliable(delay=3.0)) != list(range(1000))
    assert through(Unreliable(delay=3.0, in_order=True)) == list(range(1000))


def test_it_waits_for_a_receiver_without_room() -> None:
    line, slow = Unreliable(), Sized()
    line.link((line, "outbox"), (slow, "inbox"))
    with harness(line, slow) as h:
        h.put_all("ab")
        h.run_for(0.5)
        h.put("c")  # comes while it waits for room
        h.put(producerFinished(), "control")
        h.expect_end(slow)
        h.expect_end(line)
    assert slow.taken == [(1.0, "a"), (2.0, "b"), (3.0, "c")]
