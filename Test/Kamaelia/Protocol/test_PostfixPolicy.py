"""PolicyDecoder and PolicySession: slices, order, answers that come late, limits, ends."""

import logging
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import collect, drive, harness
from Kamaelia.Protocol.PostfixPolicy import (
    IDLE_SECONDS,
    REQUESTS_AT_ONCE,
    PolicyDecoder,
    PolicySession,
)
from Kamaelia.Support.Protocol.PostfixPolicy import PolicyRequest, action
from Test.Kamaelia.shutdown import Ends, TurnCounter

SHUTDOWN = {PolicyDecoder: Ends(PolicyDecoder), PolicySession: Ends(PolicySession)}


def request(name: str) -> PolicyRequest:
    return PolicyRequest({"request": "smtpd_access_policy", "sender": name})


def wire(*names: object) -> bytes:
    return b"".join(request(str(name)).to_wire() for name in names)


def said(*names: object) -> bytes:
    return b"".join(action(str(name)) for name in names)


class Echo(PolicySession):
    """Says who was asked about. A "late" one is answered when the test says so, an "early" one
    before asked() returns."""

    __slots__ = ("about", "told")

    def __init__(self, limit: int = 65_536) -> None:
        super().__init__("192.0.2.1", limit=limit)
        self.about: list[str] = []
        self.told: list[str] = []

    def asked(self, request: PolicyRequest) -> bytes | str | None:
        sender = request["sender"]
        self.about.append(sender)
        if sender.startswith("late"):
            return None
        if sender.startswith("early"):
            self.answer(sender)
            return None
        if sender.startswith("fault"):
            raise ValueError(sender)
        return sender

    def left(self) -> None:
        self.told.append("left")
        super().left()

    def draining(self) -> None:
        self.told.append("draining")
        super().draining()


class Impatient(Echo):
    """Answers when it is told that nobody wants to wait."""

    __slots__ = ()

    def left(self) -> None:
        self.answer("left")

    draining = left


# ---- the decoder


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_requests_survive_any_slicing_of_the_stream(size: int) -> None:
    data = wire("a", "b")
    slices = [data[at : at + size] for at in range(0, len(data), size)]
    out = drive(PolicyDecoder(), inbox=slices, control=[producerFinished()])
    assert [each["sender"] for each in out["outbox"]] == ["a", "b"]
    assert isinstance(out["signal"][-1], producerFinished)


def test_the_decoder_ends_at_a_bad_request(caplog: pytest.LogCaptureFixture) -> None:
    out = drive(PolicyDecoder(), inbox=[wire("a") + b"junk\n\n" + wire("b")])
    assert [each["sender"] for each in out["outbox"]] == ["a"]
    assert isinstance(out["signal"][-1], producerFinished)
    assert [record.getMessage() for record in caplog.records] == [
        "policy connection dropped: a line without '=': 'junk'"
    ]


def test_the_decoder_stops_at_once_when_told() -> None:
    out = drive(PolicyDecoder(), inbox=[wire("a")], control=[shutdownMicroprocess()])
    assert out["outbox"] == []


def test_the_decoder_has_a_limit() -> None:
    out = drive(PolicyDecoder(limit=50), inbox=[wire("a") + b"x" * 51])
    assert len(out["outbox"]) == 1
    assert isinstance(out["signal"][-1], producerFinished)


# ---- the session


def test_without_an_opinion_the_answer_is_dunno() -> None:
    with harness(PolicySession()) as h:
        h.put(wire("a"))
        h.expect("outbox", b"action=DUNNO\n\n")


def test_a_request_is_answered_inside_the_send_that_brings_it() -> None:
    with harness(Echo()) as h:
        h.settle()
        counter = TurnCounter()
        h.scheduler.add_instrument(counter)
        h.put(wire("a"))
        assert h.take() == [said("a")]
        h.put(wire("early b")[:40])
        h.put(wire("early b")[40:])
        assert h.take() == [said("early b")]
        h.settle()
        assert counter.turns == 0


def test_all_requests_of_one_read_are_answered_in_one_send() -> None:
    with harness(Echo()) as h:
        h.settle()
        h.put(wire("a", "early b", "c"))
        assert h.take() == [said("a", "early b", "c")]


def test_what_lies_there_at_the_beginning_is_answered() -> None:
    with harness(Echo()) as h:
        h.put(wire("a")[:20])
        h.put(wire("a")[20:])
        h.expect("outbox", said("a"))


def test_a_late_answer_holds_up_those_behind_it_and_goes_first() -> None:
    session = Echo()
    with harness(session) as h:
        h.settle()
        h.put(wire("a", "late b", "c"))
        h.put(wire("d"))
        h.settle()
        assert h.take() == [said("a")]
        assert session.about == ["a", "late b"]
        session.answer("late b")
        h.settle()
        assert b"".join(h.take()) == said("late b", "c", "d")
        h.put(wire("e"))
        assert h.take() == [said("e")]


def test_a_late_answer_with_nothing_behind_it_needs_no_turn() -> None:
    session = Echo()
    with harness(session) as h:
        h.settle()
        h.put(wire("late"))
        session.answer(said("late"))
        h.put(wire("b"))
        assert h.take() == [said("late"), said("b")]


def test_an_answer_for_which_nobody_asked_is_none() -> None:
    session = Echo()
    with harness(session) as h:
        h.settle()
        session.answer("a")
        h.put(wire("late"))
        session.answer("b")
        session.answer("c")
        assert h.take() == [said("b")]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.sampled_from(["a", "early", "late", "ü"]), min_size=1, max_size=12),
    st.lists(st.integers(0, 600), max_size=8),
)
def test_answers_come_in_the_order_of_the_requests(kinds: list[str], cuts: list[int]) -> None:
    names = [f"{kind} {place}" for place, kind in enumerate(kinds)]
    data = wire(*names)
    ends = sorted({0, *cuts, len(data)})
    session = Echo()
    with harness(session) as h:
        h.settle()
        for first, last in pairwise(ends):
            h.put(data[first:last])
        for _ in range(len(names)):
            h.settle()
            if session.about:
                session.answer(session.about[-1])
        h.settle()
        assert b"".join(h.take()) == said(*names)


def test_of_many_requests_some_are_answered_in_a_turn_and_all_in_the_end() -> None:
    count = 3 * REQUESTS_AT_ONCE + 1
    session = Echo()
    with harness(session) as h:
        h.settle()
        h.put(wire(*range(count)))
        assert len(session.about) == REQUESTS_AT_ONCE
        h.settle()
        assert b"".join(h.take()) == said(*range(count))
        h.put(wire("after"))
        assert h.take() == [said("after")]


# ---- what makes no sense


def test_a_bad_request_closes_the_connection_without_an_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with harness(Echo()) as h:
        h.settle()
        h.put(wire("a") + b"junk\n\n" + wire("b"))
        h.expect_end()
        assert h.take() == [said("a")]
        h.expect("signal", producerFinished)
    (record,) = caplog.records
    assert (
        record.getMessage() == "policy connection from 192.0.2.1 closed: a line without '=': 'junk'"
    )


def test_a_request_without_end_closes_the_connection() -> None:
    with harness(Echo(limit=1_000)) as h:
        h.settle()
        for _ in range(10):
            h.put(b"x" * 100)
        h.not_ended()
        h.put(b"x")
        h.expect_end()


def test_a_fault_is_not_answered() -> None:
    session = Echo()
    failures = []
    with harness(session) as h:
        h.settle()
        session.isolate(lambda _, error: failures.append(error))
        h.put(wire("fault"))
        h.expect_end()
        assert h.take() == []
    assert [str(error) for error in failures] == ["fault"]


# ---- time


@pytest.mark.parametrize("half", [b"", wire("a")[:20]])
def test_who_asks_nothing_is_let_go(half: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with harness(Echo()) as h:
        h.settle()
        for _ in range(10):
            if half:
                h.put(half[:2])
            h.run_for(IDLE_SECONDS / 10 - 2)
        h.not_ended()
        h.expect_end(within=40)
        h.expect("signal", producerFinished)
    assert "no request for a while" in caplog.text


def test_who_asks_at_times_may_stay() -> None:
    with harness(Echo()) as h:
        h.settle()
        for _ in range(5):
            h.run_for(IDLE_SECONDS * 0.8)
            h.put(wire("a"))
        h.not_ended()
        h.expect_end(within=2 * IDLE_SECONDS)


def test_who_waits_for_an_answer_is_not_idle() -> None:
    session = Echo()
    with harness(session) as h:
        h.settle()
        h.put(wire("late"))
        h.run_for(3 * IDLE_SECONDS)
        session.answer("late")
        assert h.take() == [said("late")]
        h.not_ended()


def test_who_waits_for_an_answer_is_asked_nothing_more_however_long() -> None:
    session = Echo()
    with harness(session) as h:
        h.settle()
        h.put(wire("late"))
        h.run_for(IDLE_SECONDS + 1)
        h.put(wire("b"))
        h.settle()
        assert h.take() == []
        session.answer("late")
        h.settle()
        assert h.take() == [said("late"), said("b")]


# ---- ends


def test_who_closes_its_side_still_gets_its_answers() -> None:
    session = Echo()
    with harness(session) as h:
        h.settle()
        h.put(wire("a", "late", "b"))
        h.put(producerFinished(), "control")
        h.settle()
        h.not_ended()
        assert session.told == ["left"]
        session.answer("late")
        h.expect_end()
        assert b"".join(h.take()) == said("a", "late", "b")


def test_many_requests_of_who_closes_its_side_are_answered() -> None:
    count = 2 * REQUESTS_AT_ONCE + 1
    with harness(Echo()) as h:
        h.settle()
        h.put(wire(*range(count)))
        h.put(producerFinished(), "control")
        h.expect_end()
        assert b"".join(h.take()) == said(*range(count))


def test_a_shutdown_waits_for_what_is_under_way_and_for_no_more() -> None:
    session = Echo()
    with harness(session) as h:
        h.settle()
        h.put(wire("late", "b"))
        stop = shutdownMicroprocess()
        h.put(stop, "control")
        h.settle()
        h.not_ended()
        assert session.told == ["draining"]
        session.answer("late")
        h.expect_end()
        assert h.take() == [said("late")]
        assert h.take("signal") == [stop]
        assert session.about == ["late"]


@pytest.mark.parametrize("stop", [producerFinished, shutdownMicroprocess])
def test_an_impatient_session_answers_when_it_is_told_of_the_end(
    stop: Callable[[], object],
) -> None:
    with harness(Impatient()) as h:
        h.settle()
        h.put(wire("late"))
        h.put(stop(), "control")
        h.expect_end()
        assert h.take() == [said("left")]


def test_a_shutdown_after_the_other_side_has_closed_counts_too() -> None:
    session = Echo()
    with harness(session) as h:
        h.settle()
        h.put(wire("late"))
        h.put(producerFinished(), "control")
        h.settle()
        h.put(shutdownMicroprocess(), "control")
        h.settle()
        assert session.told == ["left", "draining"]
        session.hang_up()
        h.expect_end()
        assert h.take() == []


def test_a_session_that_has_ended_holds_nothing() -> None:
    session = Echo()
    out = collect(session)
    with harness(session) as h:
        h.settle()
        h.put(producerFinished(), "control")
        h.expect_end()
    assert not hasattr(session, "_feed")
    assert out["outbox"] == []
