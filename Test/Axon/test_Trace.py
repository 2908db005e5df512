"""Recordings: valid at any time, bounded, and true to what happened."""

import errno
import json
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from Axon import Trace
from Axon.Scheduler import scheduler
from Axon.Trace import CUT, Recorder, TraceFile, event_text, kind_of, record, recording
from Test.Axon.scripts import Script, Threaded, run, sleeper

Event = dict[str, Any]


def events_in(path: Path) -> list[Event]:
    read: list[Event] = json.loads(path.read_bytes())["traceEvents"]
    return read


def of_kind(events: list[Event], kind: str) -> list[Event]:
    return [event for event in events if event["ph"] == kind]


def talker(self: Script) -> Iterator[object]:
    for number in range(5):
        self.send(b"x" * number, "outbox")
        self.send(number, "outbox")
        yield 1


def listener(self: Script) -> Iterator[object]:
    heard = 0
    while heard < 10:
        if not self.dataReady("inbox"):
            self.pause()
        yield 1
        heard += len(list(self.Inbox("inbox")))


def failing(self: Script) -> Iterator[object]:
    self.send("to itself", "outbox")
    yield 1
    raise ValueError("not to be told")


def a_program(engine: scheduler) -> list[Script]:
    mouth, ear = Script(talker, "mouth"), Script(listener, "ear")
    mouth.link((mouth, "outbox"), (ear, "inbox"))
    bad = Script(failing, 'bad"\n')
    bad.isolate(lambda culprit, error: None)
    bad.link((bad, "outbox"), (bad, "inbox"))
    return [ear, mouth, bad]


@pytest.fixture
def film(engine: scheduler, tmp_path: Path) -> list[Event]:
    path = tmp_path / "trace.json"
    with recording(path, engine):
        run(engine, *a_program(engine))
    return events_in(path)


def rows(events: list[Event]) -> dict[str, int]:
    return {
        event["args"]["name"]: event["tid"]
        for event in of_kind(events, "M")
        if event["name"] == "thread_name"
    }


# ---- what it shows


def test_every_event_has_what_the_format_asks_for(film: list[Event]) -> None:
    needed = {"M": {"args"}, "X": {"dur"}, "i": {"s"}, "s": {"id", "cat"}, "f": {"id", "cat", "bp"}}
    for event in film:
        assert {"ph", "ts", "pid", "tid", "name"} <= event.keys()
        assert needed.get(event["ph"], {"args"}) <= event.keys()
        assert event["ts"] >= 0
        assert event["ph"] in "MXisfC"


def test_each_component_has_a_row_with_its_name(film: list[Event]) -> None:
    assert set(rows(film)) == {"ear", "mouth", r'bad"\n'}


def test_turns_in_a_row_follow_each_other_and_none_is_within_another(film: list[Event]) -> None:
    """All in one row too: there is one scheduler, and one thing happens at a time."""
    end = 0.0
    turns = of_kind(film, "X")
    for turn in turns:
        assert turn["ts"] >= end
        assert turn["dur"] >= 0
        end = turn["ts"] + turn["dur"] - 0.0015  # three decimals are written
    assert len(turns) > 8


def enclosing(film: list[Event], event: Event) -> list[Event]:
    return [
        turn
        for turn in of_kind(film, "X")
        if turn["tid"] == event["tid"]
        and turn["ts"] - 0.0015 <= event["ts"] <= turn["ts"] + turn["dur"] + 0.0015
    ]


def test_arrows_go_in_pairs_from_a_turn_of_the_sender_to_one_of_the_receiver(
    film: list[Event],
) -> None:
    starts = {event["id"]: event for event in of_kind(film, "s")}
    ends = {event["id"]: event for event in of_kind(film, "f")}
    assert starts.keys() == ends.keys()
    assert len(starts) == len(of_kind(film, "s")) == len(of_kind(film, "f")) == 11
    names = {number: name for name, number in rows(film).items()}
    for number, start in starts.items():
        end = ends[number]
        assert enclosing(film, start)
        assert enclosing(film, end)
        assert start["ts"] <= end["ts"]
        assert start["name"] == end["name"]
        assert (names[start["tid"]], names[end["tid"]]) in [
            ("mouth", "ear"),
            (r'bad"\n', r'bad"\n'),
        ]


def test_sleeping_waking_failing_and_ending_are_marked(film: list[Event]) -> None:
    marks: dict[int, list[str]] = {}
    for event in of_kind(film, "i"):
        marks.setdefault(event["tid"], []).append(event["name"])
    at = rows(film)
    assert marks[at["ear"]][0] == "activated"
    assert marks[at["ear"]][-1] == "ended"
    assert marks[at[r'bad"\n']] == ["activated", "failed: ValueError", "ended"]


def test_no_contents_of_messages_or_errors_are_recorded(film: list[Event]) -> None:
    text = json.dumps(film)
    assert "bytes[4]" in text
    assert "str[9]" in text
    assert "to itself" not in text
    assert "not to be told" not in text


def test_sleep_and_waking_by_a_message_are_marked(engine: scheduler, tmp_path: Path) -> None:
    def late(self: Script) -> Iterator[object]:
        yield 1
        yield 1
        for _ in range(10):
            self.send("x", "outbox")

    ear, mouth = Script(listener, "ear"), Script(late, "mouth")
    mouth.link((mouth, "outbox"), (ear, "inbox"))
    with recording(tmp_path / "t", engine):
        run(engine, ear, mouth)
    film = events_in(tmp_path / "t")
    at = rows(film)["ear"]
    marks = [event["name"] for event in of_kind(film, "i") if event["tid"] == at]
    assert marks == ["activated", "falls asleep", "woken", "ended"]


def test_messages_that_pile_up_make_a_curve(film: list[Event]) -> None:
    points = [event["args"]["waiting"] for event in of_kind(film, "C")]
    assert max(points) >= 2
    assert points[-1] == 0
    assert {event["name"] for event in of_kind(film, "C")} == {"ear.inbox"}


def test_messages_from_outside_and_to_nowhere_are_marks(engine: scheduler, tmp_path: Path) -> None:
    mouth, ear = Script(talker, "mouth"), Script(sleeper, "ear")
    with recording(tmp_path / "t", engine):
        engine.call_later(0, lambda: ear.inboxes["inbox"].deliver(["a"]))
        engine.call_later(0, engine.stop)
        run(engine, mouth, ear)
    names = [event["name"] for event in of_kind(events_in(tmp_path / "t"), "i")]
    assert "to nowhere: bytes[0]" in names
    assert "from outside: list[1]" in names


def test_a_turn_that_takes_more_messages_than_can_be_drawn_draws_the_first(
    engine: scheduler, tmp_path: Path
) -> None:
    def flood(self: Script) -> Iterator[object]:
        for number in range(1000):
            self.send(number, "outbox")
        yield 1

    mouth, ear = Script(flood), Script(listener)
    mouth.link((mouth, "outbox"), (ear, "inbox"))
    with recording(tmp_path / "t", engine):
        run(engine, mouth, ear)
    film = events_in(tmp_path / "t")
    assert len(of_kind(film, "s")) == len(of_kind(film, "f")) == Trace._ARROWS_INTO_ONE_TURN


def test_a_message_to_one_that_is_over_is_not_drawn(engine: scheduler, tmp_path: Path) -> None:
    ear = Script(sleeper, "ear")
    run(engine, Script(lambda self: iter(())))
    with recording(tmp_path / "t", engine) as recorder:
        box = ear.inboxes["inbox"]
        box.close()
        recorder.message("x", None, box)
    assert len(events_in(tmp_path / "t")) == 1


# ---- when it begins and ends


def test_recording_can_begin_and_end_in_the_middle_of_a_turn(
    engine: scheduler, tmp_path: Path
) -> None:
    def takes(self: Script) -> Iterator[object]:
        with recording(tmp_path / "t", engine):
            for _ in range(300):  # it is heard from the next slice of turns on
                yield 1
        yield 1

    def lasting(self: Script) -> Iterator[object]:
        for _ in range(300):
            yield 1

    run(engine, Script(takes, "takes"), Script(lasting, "mouth"))
    film = events_in(tmp_path / "t")
    assert set(rows(film)) == {"takes", "mouth"}
    assert engine._instruments == ()
    assert film[-1]["ph"] == "X"  # the turn in which it was ended


def test_a_program_that_fails_leaves_a_valid_file(engine: scheduler, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not to be told"), recording(tmp_path / "t", engine):
        run(engine, Script(failing, "bad"))
    assert "failed: ValueError" in [event["name"] for event in events_in(tmp_path / "t")]
    assert engine._instruments == ()


def test_it_can_be_begun_and_ended_in_another_thread(engine: scheduler, tmp_path: Path) -> None:
    def thread(self: Threaded) -> None:
        with recording(tmp_path / "t", engine):
            for _ in range(10):
                self.send("x", "outbox")
                self.sync()

    run(engine, Threaded(thread))
    assert len(events_in(tmp_path / "t")) > 1


def test_the_default_scheduler_is_recorded_if_none_is_given(
    engine: scheduler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "run", engine)
    recorder = record(tmp_path / "t")
    Script(talker, "mouth").run()
    recorder.stop()
    recorder.stop()  # once more does no harm
    assert set(rows(events_in(tmp_path / "t"))) == {"mouth"}


def test_a_folder_that_cannot_be_written_is_told_at_once(engine: scheduler, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        record(tmp_path / "no" / "t", engine)
    assert engine._instruments == ()


# ---- the file


def test_it_is_limited_and_says_so(engine: scheduler, tmp_path: Path) -> None:
    recorder = record(tmp_path / "t", engine, limit=20)
    run(engine, *a_program(engine))
    film = events_in(tmp_path / "t")
    assert len(film) == 21
    assert (film[-1]["name"], film[-1]["s"]) == (CUT, "g")
    assert engine._instruments == ()
    recorder.stop()
    assert len(events_in(tmp_path / "t")) == 21


def test_it_is_valid_after_every_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trace, "_WRITE_EVENTS", 3)
    file = TraceFile(tmp_path / "t")
    for number in range(10):
        file.add(event_text("i", number, 1, "x"), number)
        if number >= 2:
            assert len(events_in(tmp_path / "t")) == (number + 1) // 3 * 3
    file.close()
    assert len(events_in(tmp_path / "t")) == 10


def test_it_is_written_every_second(tmp_path: Path) -> None:
    file = TraceFile(tmp_path / "t")
    file.add(event_text("i", 0, 1, "x"), 0)
    file.add(event_text("i", 0, 1, "x"), 1_000_000_001)
    assert len(events_in(tmp_path / "t")) == 2
    file.close()
    file.add("ignored", 0)
    file.write()
    assert len(events_in(tmp_path / "t")) == 2


class FullDisk:
    """A file on a disk that has room for so many bytes more."""

    def __init__(self, file: BinaryIO, room: int) -> None:
        self._file = file
        self.room = room

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._file, name)

    def write(self, data: bytes) -> int:
        end = max(0, self._file.tell() + len(data) - os.fstat(self._file.fileno()).st_size)
        if self.room <= 0 < end:
            raise OSError(errno.ENOSPC, "No space left on device")
        fits = len(data) - max(0, end - self.room)
        self.room -= min(end, self.room)
        return self._file.write(data[:fits])

    def truncate(self, size: int) -> int:
        self.room += os.fstat(self._file.fileno()).st_size - size
        return self._file.truncate(size)


@pytest.mark.parametrize("room", [0, 50])
def test_a_full_disk_ends_the_recording_and_not_the_program(
    engine: scheduler, tmp_path: Path, caplog: pytest.LogCaptureFixture, room: int
) -> None:
    file = TraceFile(tmp_path / "t")
    file.add(event_text("i", 0, 1, "first"), 0)
    file.write()
    file._file = cast(BinaryIO, FullDisk(cast(BinaryIO, file._file), room))
    recorder = Recorder(file, engine, count(0, 2_000_000_000).__next__)
    engine.add_instrument(recorder)
    run(engine, Script(talker))
    assert "recording stopped" in caplog.text
    assert not file.open
    assert engine._instruments == ()
    assert [event["name"] for event in events_in(tmp_path / "t")] == ["first"]


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (b"abc", "bytes[3]"),
        ({}, "dict[0]"),
        (3.0, "float"),
        (None, "NoneType"),
        (type('Od"d\n', (), {})(), r'Od"d\n'),
    ],
)
def test_a_message_is_told_by_type_and_size(message: object, shown: str) -> None:
    assert kind_of(message) == shown


def test_a_name_is_escaped() -> None:
    event = json.loads(event_text("i", 1_234_567, 3, 'a"\n\ud800', '"s":"t"'))
    assert event == {"ph": "i", "ts": 1234.567, "pid": 1, "tid": 3, "name": 'a"\n\ud800', "s": "t"}
