"""
A film of a running program
===========================
A recording is a file that https://ui.perfetto.dev and chrome://tracing open: a row for each
component with a block for each of its turns, an arrow for each message from the turn in which it
was sent to the turn that could read it, marks where a component fell asleep, was woken or failed,
and a curve for each inbox in which messages pile up. It shows what no log does: who waits for whom,
and where the time goes.

What is in a message is not recorded, only its type and size: it may be somebody's mail.

The file is complete and valid after each time something is written to it, which is every second and
every few thousand events, so what led to a crash can be looked at. It is limited to a number of
events; then recording stops and the last mark in the file says so. Writing happens between turns
and blocks them for a moment: record to a local disk.

Example Usage
-------------
::

    from Axon.Trace import recording

    with recording("trace.json"):
        Pipeline(Reader(), Writer()).run()

Format: "Trace Event Format", JSON object form. A turn is a complete event (X), a message a flow (s
and f), a mark an instant (i), a curve a counter (C); times are in microseconds.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, BinaryIO

from Axon.Box import Inbox, Outbox
from Axon.Instruments import Instrument, place_of, plain
from Axon.Scheduler import scheduler
from Axon.Storage import holder_of
from Axon.Survey import between_turns

if TYPE_CHECKING:
    from Axon.Microprocess import microprocess

log = logging.getLogger(__name__)

LIMIT = 1_000_000  # events: about 150 megabytes
_WRITE_EVENTS = 4_000
_WRITE_NS = 1_000_000_000
_ARROWS_INTO_ONE_TURN = 100
_END = b"\n]}\n"
_PROCESS = 1  # a viewer wants a number; a real one could be a component's as well
CUT = "the limit is reached: what came later is not here"


class TraceFile:
    """TraceFile(path, limit) -> takes events as text and writes them in lots; at the limit it
    closes itself, with a note in the file."""

    def __init__(self, path: str | os.PathLike[str], limit: int = LIMIT) -> None:
        self._file: BinaryIO | None = Path(path).open("wb", buffering=0)  # noqa: SIM115 - stays open
        self._end = self._file.write(b'{"displayTimeUnit":"ms","traceEvents":[')
        self._separator = "\n"
        self._lines: list[str] = []
        self._left = limit
        self._written_at = 0

    @property
    def open(self) -> bool:
        return self._file is not None

    def add(self, event: str, now: int) -> None:
        """Keep an event; now: nanoseconds, by which it is decided when to write."""
        if self._file is None:
            return
        self._lines.append(event)
        self._left -= 1
        if self._left <= 0:
            self._lines.append(event_text("i", now, 0, CUT, '"s":"g"'))
            self.close()
        elif len(self._lines) >= _WRITE_EVENTS or now - self._written_at > _WRITE_NS:
            self._written_at = now
            self.write()

    def write(self) -> None:
        """Put what was collected into the file, and the end behind it, over which the next lot is
        written: at any time the file is complete."""
        if self._file is None or not self._lines:
            return
        lot = (self._separator + ",\n".join(self._lines)).encode("ascii")
        self._lines.clear()
        try:
            self._write_at_end(lot)
        except OSError as error:  # a full disk ends the recording, not the program
            log.error("recording stopped: %s", error)  # noqa: TRY400 - expected: no traceback
            self._abandon()

    def _write_at_end(self, lot: bytes) -> None:
        assert self._file is not None  # noqa: S101 - for mypy: write() has looked
        self._file.seek(self._end)
        if self._file.write(lot + _END) == len(lot) + len(_END):
            self._end += len(lot)
            self._separator = ",\n"
            return
        self._file.truncate(self._end)
        self._file.seek(self._end)
        self._file.write(_END)
        raise OSError("no room for the rest of it")

    def close(self) -> None:
        self.write()
        self._abandon()

    def _abandon(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()


def event_text(kind: str, ns: int, row: int, name: str, more: str = "") -> str:
    """One event; more: further members of the JSON object. Put together by hand: json.dumps takes
    several times as long, and this is done in the turns that are being measured."""
    return (
        f'{{"ph":"{kind}","ts":{ns // 1000}.{ns % 1000:03d},"pid":{_PROCESS},"tid":{row},'
        f'"name":{json.dumps(name)}{"," if more else ""}{more}}}'
    )


_Arrow = tuple[int, int, int, str]  # number, row it begins in, time, what


class _Row:
    """What is remembered of one component."""

    __slots__ = ("arriving", "id", "title", "waiting")

    def __init__(self, process: microprocess) -> None:
        self.id = process.id
        self.title = plain(type(process).__name__)
        self.arriving: list[_Arrow] = []  # what it can read in its next turn
        self.waiting: dict[str, int] = {}  # by inbox: what was last told


class Recorder(Instrument):
    """Recorder(file, running, clock=monotonic_ns) -> writes what happens in a scheduler to a
    TraceFile. See record()."""

    def __init__(
        self, file: TraceFile, running: scheduler, clock: Callable[[], int] = monotonic_ns
    ) -> None:
        self._file = file
        self._running = running
        self._clock = clock
        self._start = clock()
        self._rows: dict[microprocess, _Row] = {}
        self._flows = count(1)
        self._current: microprocess | None = None  # in its turn, since:
        self._began = 0
        self._arrived: list[_Arrow] = []  # what it can read in this turn
        self._add("M", 0, 0, "process_name", f'"args":{{"name":"Axon, process {os.getpid()}"}}')

    def stop(self) -> None:
        """Finish the file; harmless if it is finished already. From any thread."""
        between_turns(self._running, self._stop)

    def _stop(self) -> None:
        self._finish()
        self._running.remove_instrument(self)
        self._file.close()
        atexit.unregister(self._file.close)

    # ---- what it is told

    def activated(self, process: microprocess) -> None:
        self._mark(process, "activated")

    def before_step(self, process: microprocess) -> None:
        self._finish()
        self._current = process
        self._began = self._now()
        row = self._row(process)
        self._arrived, row.arriving = row.arriving, []
        self._count(process, self._began)

    def after_step(self, process: microprocess) -> None:
        self._finish()
        if not self._file.open:
            self._stop()

    def message(self, message: Any, outbox: Outbox | None, inbox: Inbox | None) -> None:
        what = kind_of(message)
        sender = None if outbox is None else outbox.owner
        if inbox is None:
            if self._current is not None and sender is self._current:
                self._mark(self._current, f"to nowhere: {what}")
            return
        owner: Any = holder_of(inbox)
        if owner is None:
            return  # its component is over
        if self._current is None or sender is not self._current:
            self._mark(owner, f"from outside: {what}")
            return
        arriving = self._row(owner).arriving
        if len(arriving) < _ARROWS_INTO_ONE_TURN:
            sent_by = self._row(self._current).id
            arriving.append((next(self._flows), sent_by, self._now(), what))

    def paused(self, process: microprocess) -> None:
        self._mark(process, "falls asleep")

    def woken(self, process: microprocess) -> None:
        self._mark(process, "woken")

    def failed(self, process: microprocess, error: BaseException) -> None:
        self._finish()
        self._mark(process, f"failed: {plain(type(error).__name__)}", "p")

    def ended(self, process: microprocess) -> None:
        self._finish()
        self._mark(process, "ended")
        self._rows.pop(process, None)

    # ---- what it writes

    def _now(self) -> int:
        return self._clock() - self._start

    def _add(self, kind: str, ns: int, row: int, name: str, more: str = "") -> None:
        self._file.add(event_text(kind, ns, row, name, more), ns)

    def _mark(self, process: microprocess, what: str, scope: str = "t") -> None:
        self._add("i", self._now(), self._row(process).id, what, f'"s":"{scope}"')

    def _row(self, process: microprocess) -> _Row:
        row = self._rows.get(process)
        if row is None:
            row = self._rows[process] = _Row(process)
            name = json.dumps(plain(process.name))
            self._add("M", 0, row.id, "thread_name", f'"args":{{"name":{name}}}')
            self._add("M", 0, row.id, "thread_sort_index", f'"args":{{"sort_index":{row.id}}}')
        return row

    def _finish(self) -> None:
        """The turn is over: its block, and the arrows into it."""
        process, self._current = self._current, None
        if process is None:
            return
        now, began, row = self._now(), self._began, self._row(process)
        took = now - began
        at = json.dumps(plain(place_of(process) or "its end", 200))
        rest = f'"dur":{took // 1000}.{took % 1000:03d},"args":{{"up to":{at}}}'
        self._add("X", began, row.id, row.title, rest)
        # Both ends at once, so that no arrow in the file lacks one.
        for flow, sent_by, sent, what in self._arrived:
            same = f'"cat":"message","id":{flow}'
            self._add("s", sent, sent_by, what, same)
            self._add("f", began, row.id, what, f'{same},"bp":"e"')
        self._count(process, now)

    def _count(self, process: microprocess, now: int) -> None:
        """A point of the curve of each inbox in which more than one message waits, or did."""
        told = self._row(process).waiting
        for name, box in getattr(process, "inboxes", {}).items():
            waiting, before = box.local_len(), told.get(name, 0)
            if waiting != before and (waiting > 1 or before > 1):
                told[name] = waiting
                curve = plain(f"{process.name}.{name}")
                self._add("C", now, 0, curve, f'"args":{{"waiting":{waiting}}}')


def kind_of(message: Any) -> str:
    """The type of a message, and its size if it has one: "bytes[1448]"."""
    name = plain(type(message).__name__)
    if isinstance(message, (str, bytes, bytearray, list, tuple, dict, set)):
        return f"{name}[{len(message)}]"
    return name


def record(
    path: str | os.PathLike[str], running: scheduler | None = None, limit: int = LIMIT
) -> Recorder:
    """Record what happens in a scheduler (the default one) until stop() is called on what this
    returns, the program ends, or limit events are in the file. Raises OSError if the file cannot be
    written."""
    running = running if running is not None else scheduler.run
    file = TraceFile(path, limit)
    recorder = Recorder(file, running)
    atexit.register(file.close)
    between_turns(running, lambda: running.add_instrument(recorder))
    return recorder


@contextmanager
def recording(
    path: str | os.PathLike[str], running: scheduler | None = None, limit: int = LIMIT
) -> Iterator[Recorder]:
    """record() for the time of a block, whatever ends it."""
    recorder = record(path, running, limit)
    try:
        yield recorder
    finally:
        recorder.stop()
