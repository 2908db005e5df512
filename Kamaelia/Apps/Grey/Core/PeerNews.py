"""
What peers say to each other, and what becomes of it
====================================================
The lines between mail exchangers (Kamaelia.Support.Protocol.MXSync) carry no generation and no
counts, only one or two times: a triplet waits until `due` (`Waits`), or it has passed until `until`
(`Has`). Lines come late, twice and in any order, and every machine must end with the same.

The rule: all that can be said of a triplet lies on one axis of time. `State` is a place on it: the
later one wins, and at the same second a pass wins over a wait. A maximum is commutative,
associative and idempotent, and what a machine decides by itself moves forward only: a retry gets
in at or after `due`, and its pass holds until then or longer; a pass is renewed to a later end; a
fresh start comes after the end of what was. Where that has its limits, is told in
Docs/decisions/0029-merging-peers.md.

Records still merge by generations (Merge.py), so `heard` makes one that wins there, too: a wait
that replaces something begins the next generation, a pass does not.

>>> from Kamaelia.Apps.Grey.Core.Types import Lifetimes
>>> lifetimes = Lifetimes(window_seconds=3600, pass_seconds=86_400)
>>> record = heard(None, Waits(1_060), 1_000, lifetimes, delay_seconds=60)
>>> record.due, record.first_seen, record.passed_at
(1060, 1000, None)
>>> record = heard(record, Has(1_060, 90_000), 1_070, lifetimes, delay_seconds=60)
>>> record.generation, record.until
(0, 90000)
>>> heard(record, Waits(1_060), 1_080, lifetimes, delay_seconds=60)  # it came too late
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

from Kamaelia.Apps.Grey.Core.Types import Lifetimes, Record

DAY = 24 * 3600
FURTHEST_START = 7 * DAY  # seconds ahead; a wait that is longer than a week is no greylisting
FURTHEST_PASS = 3653 * DAY  # ten years


@dataclass(frozen=True, slots=True)
class Waits:
    """A peer has made a sender wait until `due` (seconds since the epoch)."""

    due: int


@dataclass(frozen=True, slots=True)
class Has:
    """A peer has let a sender in until `until`. `date`: when it was due, or the end of the pass
    that this one renews. until None: for as long as passes last here; not above date: it was for
    once, and is used up."""

    date: int
    until: int | None


PeerLine = Waits | Has


class State(NamedTuple):
    """Where something stands on the axis of time. Compared as a tuple: at the same second a pass is
    more than a wait."""

    time: int
    passed: bool


def state_of(record: Record) -> State:
    """What of a record others can hear."""
    if record.passed_at is None:
        return State(record.due, False)
    return State(record.until, True)


def state_told(line: PeerLine, now: int, lifetimes: Lifetimes) -> State:
    """What a line says."""
    if isinstance(line, Waits):
        return State(line.due, False)
    # As milter-greylist takes it: version 1 leaves the end of a pass to who hears of it.
    until = now + lifetimes.pass_seconds if line.until is None else line.until
    # Used up: it passed, and that is over; not before the wait that it ended, else that would win.
    # And it is kept: the line about the wait may come after this one.
    return State(max(line.date, until), True)


def line_of(record: Record, date: int) -> PeerLine:
    """What to tell others of a record that is new here. `date`: as in Has."""
    if record.passed_at is None:
        return Waits(record.due)
    return Has(date, record.until)


def is_believable(state: State, now: int) -> bool:
    """False for times so far ahead that the peer has no clock, or lies: a wait that never ends, or
    a pass for ever."""
    return state.time - now <= (FURTHEST_PASS if state.passed else FURTHEST_START)


def heard(
    record: Record | None, line: PeerLine, now: int, lifetimes: Lifetimes, delay_seconds: int
) -> Record | None:
    """The record to be merged into the store for what a peer says; None: it is nothing new, or not
    to be believed. `record`: what is known now; `delay_seconds`: how long a sender waits here, from
    which the time of its first try is told, which no line has."""
    state = state_told(line, now, lifetimes)
    if not is_believable(state, now) or now - state.time > lifetimes.window_seconds:
        # The latter ended so long ago that all before it has ended, too.
        return None
    if isinstance(line, Has) and line.until is not None and line.until <= now < state.time:
        # Used up, by a clock ahead of ours: until that time comes it would be a pass.
        state = State(now - 1, True)
    if record is not None and state <= state_of(record):
        return None
    # Not in the future: Decide takes that for a clock that was set back.
    begun = max(0, min(now, state.time - delay_seconds))
    if not state.passed:
        generation = 0 if record is None else record.generation + 1
        return replace(Record.started(begun, generation), due=state.time)
    at = min(now, state.time)  # of the latest pass: as near as one can tell
    if record is None or lifetimes.is_over(record, now):
        # Over: a fresh start may be under way in another process, in the next generation.
        generation = 0 if record is None else record.generation + 1
        due = min(_date(line, at), state.time)
        return Record(generation, min(begun, due, at), at, at, 1, 1, due=due, until=state.time)
    return replace(
        record,
        last_seen=max(record.last_seen, at),
        passed_at=at if record.passed_at is None else max(record.passed_at, at),
        passed=record.passed + 1,
        until=state.time,
    )


def _date(line: PeerLine, at: int) -> int:
    return max(0, min(line.date, at)) if isinstance(line, Has) else at
