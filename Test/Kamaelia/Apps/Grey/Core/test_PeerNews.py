"""What peers say: any lines in any order, and all machines end with the same."""

import doctest
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Core.Decide import with_triplet
from Kamaelia.Apps.Grey.Core.Merge import merge
from Kamaelia.Apps.Grey.Core.PeerNews import (
    DAY,
    FURTHEST_PASS,
    FURTHEST_START,
    Has,
    PeerLine,
    State,
    Waits,
    heard,
    is_believable,
    line_of,
    state_of,
    state_told,
)
from Kamaelia.Apps.Grey.Core.Rules import Rules
from Kamaelia.Apps.Grey.Core.Types import Lifetimes, Policy, Record, Triplet

NOW = 1_000_000
LIFETIMES = Lifetimes(window_seconds=1_000, pass_seconds=5_000)
DELAY = 60
TRIPLET = Triplet("192.0.2.0/24", "a@example.net", "b@example.org")

# Few different times around now, so that ties and overlaps are common; none so old that it is over.
times = st.integers(min_value=NOW - 20, max_value=NOW + 20)
lines = st.builds(Waits, times) | st.builds(Has, times, times)


@st.composite
def known(draw: Callable[[st.SearchStrategy[int]], int]) -> Record:
    """A record as decisions make them: a pass never ends before the wait that it ended."""
    generation, due = draw(st.integers(0, 3)), draw(times)
    first = due - draw(st.integers(0, DELAY))
    if not draw(st.integers(0, 1)):
        return Record(generation, first, due, None, draw(st.integers(1, 4)), 0, due=due)
    until = due + draw(st.integers(0, 20))
    return Record(generation, first, due, due, 1, draw(st.integers(1, 4)), due=due, until=until)


def hear(record: Record | None, line: PeerLine, now: int = NOW) -> Record | None:
    """As the store does it with what comes of a line."""
    news = heard(record, line, now, LIFETIMES, DELAY)
    if record is None or news is None:
        return news or record
    return merge(record, news)


# ---- one line


def test_what_was_unknown_begins_as_the_peer_says() -> None:
    record = heard(None, Waits(NOW + 30), NOW, LIFETIMES, DELAY)
    assert record == Record(0, NOW - 30, NOW - 30, None, 1, 0, due=NOW + 30)


def test_a_wait_that_is_longer_than_ours_began_not_later_than_now() -> None:
    record = heard(None, Waits(NOW + 3_600), NOW, LIFETIMES, DELAY)
    assert record is not None
    assert (record.first_seen, record.due) == (NOW, NOW + 3_600)


def test_a_pass_keeps_the_generation_and_what_was_known() -> None:
    record = Record(3, NOW - 70, NOW - 70, None, 2, 0, due=NOW - 10)
    assert heard(record, Has(NOW - 10, NOW + 900), NOW, LIFETIMES, DELAY) == Record(
        3, NOW - 70, NOW, NOW, 2, 1, due=NOW - 10, until=NOW + 900
    )


def test_a_pass_that_is_renewed_ends_later_and_nothing_goes_back() -> None:
    record = Record(3, NOW - 70, NOW + 5, NOW + 5, 2, 4, due=NOW - 10, until=NOW + 900)
    assert heard(record, Has(NOW + 900, NOW + 990), NOW, LIFETIMES, DELAY) == Record(
        3, NOW - 70, NOW + 5, NOW + 5, 2, 5, due=NOW - 10, until=NOW + 990
    )


def test_a_later_wait_is_a_fresh_start_of_the_next_generation() -> None:
    record = Record(3, NOW - 90, NOW - 80, NOW - 80, 1, 1, due=NOW - 80, until=NOW - 5)
    news = heard(record, Waits(NOW + 30), NOW, LIFETIMES, DELAY)
    assert news is not None
    assert (news.generation, news.due, news.passed_at) == (4, NOW + 30, None)


def test_a_pass_after_one_that_is_over_begins_the_next_generation_too() -> None:
    over = Record(3, NOW - 9_000, NOW - 9_000, NOW - 9_000, 1, 1, due=NOW - 9_000, until=NOW - 5)
    news = heard(over, Has(NOW - 2, NOW + 100), NOW, LIFETIMES, DELAY)
    assert news == Record(4, NOW - 2, NOW, NOW, 1, 1, due=NOW - 2, until=NOW + 100)


def test_used_up_is_remembered_so_that_the_wait_before_it_can_come_late() -> None:
    record = hear(None, Has(NOW - 10, NOW - 10))
    assert record is not None
    assert (record.due, record.until) == (NOW - 10, NOW - 10)
    assert LIFETIMES.is_over(record, NOW)
    assert hear(record, Waits(NOW - 10)) == record


def test_the_first_version_leaves_the_end_of_a_pass_to_us() -> None:
    record = hear(Record.started(NOW - 70, delay=60), Has(NOW - 10, None))
    assert record is not None
    assert record.until == NOW + LIFETIMES.pass_seconds
    assert state_told(Has(NOW + 9_000, None), NOW, LIFETIMES) == State(NOW + 9_000, True)


def test_a_pass_wins_over_a_wait_of_the_same_second() -> None:
    assert State(5, True) > State(5, False) > State(4, True)


def test_a_line_about_what_is_over_for_longer_than_a_window_says_nothing() -> None:
    late = NOW - LIFETIMES.window_seconds
    assert heard(None, Waits(late), NOW, LIFETIMES, DELAY) is not None
    assert heard(None, Waits(late - 1), NOW, LIFETIMES, DELAY) is None
    assert heard(None, Has(late - 5, late - 1), NOW, LIFETIMES, DELAY) is None


@pytest.mark.parametrize(
    ("line", "believed"),
    [
        (Waits(NOW + FURTHEST_START), True),
        (Waits(NOW + FURTHEST_START + 1), False),
        (Has(NOW, NOW + FURTHEST_PASS), True),
        (Has(NOW, NOW + FURTHEST_PASS + 1), False),
        (Has(NOW + FURTHEST_PASS + 1, 0), False),
        (Has(NOW, None), True),
        (Waits(253_402_300_799), False),
        (Waits(0), True),
    ],
)
def test_a_wait_of_weeks_and_a_pass_of_decades_are_not_believed(
    line: PeerLine, believed: bool
) -> None:
    assert is_believable(state_told(line, NOW, LIFETIMES), NOW) is believed
    if not believed:
        assert heard(None, line, NOW, LIFETIMES, DELAY) is None


def test_a_clock_at_its_beginning_makes_no_times_before_it() -> None:
    for line in (Waits(0), Has(0, 0), Has(5, 9)):
        record = heard(None, line, 3, Lifetimes(10 * DAY, 100), 3_600)
        assert record is not None
        assert min(record.first_seen, record.last_seen, record.due) >= 0


def test_what_is_used_up_by_a_clock_ahead_of_ours_is_no_pass_here() -> None:
    for line in (Has(NOW + 100, NOW - 5), Has(NOW + 100, 0), Has(NOW + 5, NOW)):
        record = heard(None, line, NOW, LIFETIMES, DELAY)
        assert record is not None
        assert LIFETIMES.is_over(record, NOW)
        assert (
            hear(record, Waits(NOW + 100)) != record
        )  # the wait that it ended, if that comes late


def test_a_wait_that_a_clock_ahead_of_ours_has_ended_goes_on_here() -> None:
    waiting = heard(None, Waits(NOW + 100), NOW, LIFETIMES, DELAY)
    assert heard(waiting, Has(NOW + 100, NOW - 5), NOW, LIFETIMES, DELAY) is None


# ---- any lines


@given(st.none() | known(), lines)
@settings(max_examples=40)
def test_what_comes_of_a_line_wins_in_the_store_as_it_is(
    record: Record | None, line: PeerLine
) -> None:
    news = heard(record, line, NOW, LIFETIMES, DELAY)
    told = state_told(line, NOW, LIFETIMES)
    if isinstance(line, Has) and line.until is not None and line.until <= NOW < told.time:
        told = State(NOW - 1, True)  # used up at a time that our clock has not reached
    if news is None:
        assert record is not None
        assert state_of(record) >= told
    else:
        assert state_of(news) == told
        assert news.first_seen <= max(NOW, record.first_seen if record else 0)
        assert record is None or (merge(record, news) == news and state_of(record) < told)


@given(
    st.lists(st.none() | known(), min_size=2, max_size=4),
    st.lists(lines, max_size=8),
    st.randoms(use_true_random=False),
)
@settings(max_examples=40)
def test_machines_that_began_differently_end_with_the_same(
    machines: list[Record | None], news: list[PeerLine], chance: random.Random
) -> None:
    news = news + [line_of(record, record.due) for record in machines if record is not None]
    ends = set()
    for record in machines:
        order = news + chance.choices(news, k=3) if news else []
        chance.shuffle(order)
        for line in order:
            record = hear(record, line)
        ends.add(None if record is None else state_of(record))
    assert len(ends) == 1


@dataclass
class _Machine:
    """Decides by itself, tells the others, and hears from them when the test says so."""

    rules: Rules
    skew: int
    record: Record | None = None
    heard: list[PeerLine] = field(default_factory=list)  # lines on their way to it

    def attempt(self, now: int) -> PeerLine | None:
        before = self.record
        decision = with_triplet(TRIPLET, before, self.rules, now + self.skew)
        news = decision.record
        if news is None:
            return None
        self.record = news if before is None else merge(before, news)
        if before is not None and state_of(before) == state_of(self.record):
            return None  # too early
        known = before is not None and before.passed_at is not None
        return line_of(self.record, before.until if before is not None and known else news.due)

    def hear(self, now: int, line: PeerLine) -> None:
        lifetimes = self.rules.lifetimes
        news = heard(self.record, line, now + self.skew, lifetimes, self.rules.policy.delay_seconds)
        if news is not None:
            self.record = news if self.record is None else merge(self.record, news)

    def sees(self, now: int) -> State | None:
        if self.record is None or self.rules.lifetimes.is_over(self.record, now):
            return None
        return state_of(self.record)


@pytest.mark.parametrize("pass_seconds", [0, 90, 4_000])
@given(chance=st.randoms(use_true_random=False), moves=st.integers(5, 40))
@settings(max_examples=40)
def test_machines_that_decide_in_between_end_with_the_same(
    pass_seconds: int, chance: random.Random, moves: int
) -> None:
    policy = Policy(delay_seconds=60, window_seconds=600, pass_seconds=pass_seconds)
    machines = [_Machine(Rules(policy), skew) for skew in (0, -7, 4)]
    now = NOW
    for _ in range(moves):
        one = chance.choice(machines)
        match chance.randrange(4):
            case 0 | 1:
                line = one.attempt(now)
                if line is not None:
                    for other in machines:
                        if other is not one:
                            other.heard += [line] * chance.choice((1, 1, 2))
            case 2 if one.heard:
                one.hear(now, one.heard.pop(chance.randrange(len(one.heard))))
            case _:
                now += chance.choice((0, 1, 20, 61, 700))
    for one in machines:
        chance.shuffle(one.heard)
        for line in one.heard:
            one.hear(now, line)
    assert len({one.sees(now) for one in machines}) == 1


def test_the_examples_of_the_module_are_true() -> None:
    result = doctest.testmod(sys.modules["Kamaelia.Apps.Grey.Core.PeerNews"])
    assert result.attempted
    assert not result.failed
