"""Instruments: what a scheduler tells, and the ready-made listeners."""

import logging
import threading
from collections.abc import Iterator

import pytest

from Axon import Instruments
from Axon.AdaptiveCommsComponent import AdaptiveCommsComponent
from Axon.Box import Inbox, Outbox
from Axon.Instruments import (
    Counts,
    Instrument,
    SlowTurns,
    StuckTurns,
    place_of,
    plain,
)
from Axon.Microprocess import microprocess
from Axon.Scheduler import scheduler
from Axon.Testing import FakeClock
from Test.Axon.scripts import Script, counter, run, sleeper


class Diary(Instrument):
    """Writes everything down."""

    def __init__(self) -> None:
        self.pages: list[tuple[str, str]] = []
        self.messages: list[tuple[object, str | None, str | None]] = []

    def activated(self, process: microprocess) -> None:
        self.pages.append(("activated", process.name))

    def before_step(self, process: microprocess) -> None:
        self.pages.append(("before", process.name))

    def after_step(self, process: microprocess) -> None:
        self.pages.append(("after", process.name))

    def paused(self, process: microprocess) -> None:
        self.pages.append(("paused", process.name))

    def woken(self, process: microprocess) -> None:
        self.pages.append(("woken", process.name))

    def failed(self, process: microprocess, error: BaseException) -> None:
        self.pages.append((type(error).__name__, process.name))

    def ended(self, process: microprocess) -> None:
        self.pages.append(("ended", process.name))

    def message(self, message: object, outbox: Outbox | None, inbox: Inbox | None) -> None:
        self.messages.append(
            (message, outbox and name_of(outbox), inbox and f"{name_of(inbox)}.{inbox.name}")
        )


def name_of(box: Inbox | Outbox) -> str:
    assert isinstance(box.owner, microprocess)
    return box.owner.name


def talker(self: Script) -> Iterator[object]:
    for word in ("one", "two"):
        self.send(word, "outbox")
        yield 1


def listener(self: Script) -> Iterator[object]:
    heard = 0
    while heard < 2:
        if not self.dataReady("inbox"):
            self.pause()
        yield 1
        heard += len(list(self.Inbox("inbox")))


def failing(self: Script) -> Iterator[object]:
    yield 1
    raise ValueError("bad")


def linked(engine: scheduler) -> tuple[Script, Script]:
    ear, mouth = Script(listener, "ear"), Script(talker, "mouth")
    mouth.link((mouth, "outbox"), (ear, "inbox"))
    return ear, mouth


# ---- what a scheduler tells


def test_an_instrument_that_overrides_nothing_changes_nothing(engine: scheduler) -> None:
    engine.add_instrument(Instrument())
    turns: list[str] = []
    run(engine, Script(counter(turns, 2), "a"), Script(counter(turns, 2), "b"), *linked(engine))
    assert turns == ["a", "b", "a", "b"]


def test_every_event_of_a_life_is_told(engine: scheduler) -> None:
    diary = Diary()
    engine.add_instrument(diary)
    ear, mouth = linked(engine)
    run(engine, ear, mouth)
    of_ear = [what for what, who in diary.pages if who == "ear"]
    assert of_ear[:5] == ["activated", "before", "after", "paused", "woken"]
    assert of_ear.count("ended") == 1
    assert of_ear.count("before") == of_ear.count("after")


def test_a_failure_is_told_before_the_end(engine: scheduler) -> None:
    diary = Diary()
    engine.add_instrument(diary)
    bad = Script(failing, "bad")
    bad.isolate(lambda culprit, error: None)
    run(engine, bad)
    told = [what for what, _ in diary.pages]
    assert told.index("ValueError") < told.index("ended")


def test_a_message_is_told_with_both_its_ends(engine: scheduler) -> None:
    diary = Diary()
    engine.add_instrument(diary)
    ear, mouth = linked(engine)
    ear.activate(Scheduler=engine)
    ear.inboxes["control"].deliver("from outside")
    run(engine, mouth)
    assert diary.messages[:2] == [
        ("from outside", None, "ear.control"),
        ("one", "mouth", "ear.inbox"),
    ]


def test_a_message_to_nowhere_has_no_inbox(engine: scheduler) -> None:
    diary = Diary()
    engine.add_instrument(diary)
    run(engine, Script(talker, "mouth"))
    assert diary.messages[0] == ("one", "mouth", None)


def test_a_removed_instrument_hears_no_more(engine: scheduler) -> None:
    diary = Diary()
    engine.add_instrument(diary)
    engine.remove_instrument(diary)
    run(engine, *linked(engine))
    assert diary.pages == []
    assert diary.messages == []


# ---- Counts


def test_counts_steps_and_messages_by_link(engine: scheduler) -> None:
    counts = Counts()
    engine.add_instrument(counts)
    ear, mouth = linked(engine)
    seen: list[tuple[str, str, int]] = []

    def last(self: Script) -> Iterator[object]:
        yield 1
        for outbox, inbox, number in counts.links():
            assert outbox is not None
            assert inbox is not None
            seen.append((outbox.name, inbox.name, number))
        assert counts.steps[self] == 1

    run(engine, mouth, Script(last, "last"), ear)
    assert seen == [("outbox", "inbox", 2)]
    assert counts.total_messages >= 2
    assert counts.total_steps > 6


def test_counts_forget_what_has_ended_and_keep_the_totals(engine: scheduler) -> None:
    counts = Counts()
    engine.add_instrument(counts)
    run(engine, *linked(engine))
    assert counts.steps == {}
    assert list(counts.links()) == []
    assert counts.total_messages >= 2


def test_counts_of_what_is_sent_to_nowhere() -> None:
    counts = Counts()
    here = Script(sleeper)
    counts.message("x", here.outboxes["outbox"], None)
    assert counts.discarded == 1
    assert list(counts.links()) == [(here.outboxes["outbox"], None, 1)]


def test_counts_of_deleted_boxes_do_not_pile_up() -> None:
    """An adaptive component may live for ever and make a box for each of its customers."""
    counts = Counts()
    adaptive = AdaptiveCommsComponent()
    for _ in range(3 * Instruments._FIRST_PRUNE):
        name = adaptive.addInbox("customer")
        counts.message("x", None, adaptive.inboxes[name])
        adaptive.deleteInbox(name)
    kept = adaptive.inboxes["inbox"]
    counts.message("x", None, kept)
    assert list(counts.links()) == [(None, kept, 1)]
    assert len(counts._messages) <= Instruments._FIRST_PRUNE + 1
    assert counts.total_messages == 3 * Instruments._FIRST_PRUNE + 1


# ---- SlowTurns


def lazy(clock: FakeClock, *lengths: float) -> Script:
    def script(self: Script) -> Iterator[object]:
        for seconds in lengths:
            clock.advance(seconds)
            yield 1

    return Script(script, "lazy")


def test_slow_turns_reports_who_and_between_which_lines(engine: scheduler) -> None:
    clock = FakeClock()
    reports: list[tuple[str, float, str | None, str | None]] = []
    slow = SlowTurns(0.05, lambda who, *rest: reports.append((who.name, *rest)), clock)
    engine.add_instrument(slow)
    run(engine, lazy(clock, 0.01, 0.2))
    ((name, seconds, began, stopped),) = reports
    assert (name, round(seconds, 3)) == ("lazy", 0.2)
    assert began is not None
    assert "test_Instruments.py:" in began
    assert stopped is not None
    assert stopped.endswith("in lazy.<locals>.script")


def test_slow_turns_reports_one_again_only_when_twice_as_slow(engine: scheduler) -> None:
    clock = FakeClock()
    seconds: list[float] = []
    engine.add_instrument(SlowTurns(0.05, lambda who, took, *_: seconds.append(took), clock))
    run(engine, lazy(clock, 0.125, 0.125, 0.1875, 0.25, 0.25))
    assert seconds == [0.125, 0.25]


def test_slow_turns_reports_the_turn_in_which_a_component_ends_or_fails(engine: scheduler) -> None:
    clock = FakeClock()
    names: list[str] = []
    slow = SlowTurns(0.05, lambda who, *_: names.append(who.name), clock)
    engine.add_instrument(slow)

    def ends(self: Script) -> Iterator[object]:
        yield 1
        clock.advance(1)

    def fails(self: Script) -> Iterator[object]:
        yield 1
        clock.advance(1)
        raise ValueError

    bad = Script(fails, "fails")
    bad.isolate(lambda culprit, error: None)
    run(engine, Script(ends, "ends"), bad)
    assert names == ["ends", "fails"]
    assert slow._worst == {}


def test_slow_turns_says_nothing_of_an_end_outside_of_a_turn(engine: scheduler) -> None:
    clock = FakeClock()
    reports: list[object] = []
    engine.add_instrument(SlowTurns(0.05, lambda *it: reports.append(it), clock))
    asleep = Script(sleeper).activate(Scheduler=engine)
    engine.call_later(0, lambda: (clock.advance(1), engine.stop()))
    engine.runThreads()
    assert asleep._isStopped()
    assert reports == []


def test_slow_turns_logs_a_warning_that_names_the_cure(
    engine: scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock()
    engine.add_instrument(SlowTurns(clock=clock))
    slow = lazy(clock, 0.5)
    slow.name = "slow\n\x1b[31m"
    with caplog.at_level(logging.WARNING):
        run(engine, slow)
    assert r"slow\n\x1b[31m kept everybody waiting for 500 ms: from" in caplog.text
    assert "yield more often" in caplog.text


# ---- StuckTurns


def test_stuck_turns_reports_a_turn_that_does_not_end_once_with_its_stack() -> None:
    reports: list[tuple[str, str]] = []
    stuck = StuckTurns(3600, lambda who, stack: reports.append((who.name, stack)))
    stuck.before_step(Script(sleeper, "endless"))
    for _ in range(3):
        stuck.look()
    ((name, stack),) = reports
    assert name == "endless"
    assert "test_stuck_turns_reports_a_turn_that_does_not_end" in stack
    stuck.close()


def test_stuck_turns_says_nothing_of_turns_that_end() -> None:
    reports: list[object] = []
    stuck = StuckTurns(3600, lambda *it: reports.append(it))
    process = Script(sleeper)
    for _ in range(3):
        stuck.before_step(process)
        stuck.look()
        stuck.after_step(process)
        stuck.look()
    assert reports == []
    stuck.close()


def test_stuck_turns_watches_from_a_thread_of_its_own_until_closed(engine: scheduler) -> None:
    told = threading.Event()

    def endless(self: Script) -> Iterator[object]:
        assert told.wait(20)
        yield 1

    stuck = StuckTurns(0.01, lambda who, stack: told.set())
    engine.add_instrument(stuck)
    run(engine, Script(endless, "endless"))
    stuck.close()
    assert stuck._watcher is not None
    stuck._watcher.join(20)
    assert not stuck._watcher.is_alive()


def test_stuck_turns_logs_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    Instruments.log_stuck_turn(Script(sleeper, "end\nless"), "  File ...")
    assert "end\\nless does not yield; nobody else runs. It is at" in caplog.text


# ---- names and places


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("Stra\u00dfe \U0001f600", "Stra\u00dfe \U0001f600"),
        ("a\nb\x1b[2J\u202e\ud800", r"a\nb\x1b[2J\u202e\ud800"),
        ("x" * 100, "x" * 77 + "..."),
        ("\n" * 100, r"\n" * 38 + "\\..."),
        (17, "17"),
    ],
)
def test_plain_makes_a_short_line_of_printable_characters(text: object, shown: str) -> None:
    assert plain(text) == shown
    assert len(plain(text)) <= 80


def test_the_place_is_that_of_the_innermost_generator(engine: scheduler) -> None:
    places: list[str | None] = []

    def inner() -> Iterator[object]:
        yield 1

    def outer(self: Script) -> Iterator[object]:
        yield from inner()

    def looking(self: Script) -> Iterator[object]:
        places.append(place_of(outside))
        yield 1

    outside = Script(outer)
    assert place_of(outside) is None
    run(engine, outside, Script(looking))
    assert places[0] is not None
    assert places[0].startswith("test_Instruments.py:")
    assert places[0].endswith(".<locals>.inner")
    assert place_of(outside) is None


def test_the_place_of_a_coroutine_is_found_as_well(engine: scheduler) -> None:
    class Turn:
        def __await__(self) -> Iterator[object]:
            yield 1

    async def below() -> None:
        await Turn()

    async def main() -> None:
        await below()

    process = microprocess(thread=main().__await__())
    process.next()
    place = place_of(process)
    assert place is not None
    assert place.endswith("Turn.__await__")
