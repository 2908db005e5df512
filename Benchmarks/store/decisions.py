"""
The store in a running system: a million rows, and decisions on top (G12)
=========================================================================
::

    python Benchmarks/store/decisions.py                        half a minute and 200 MB of disk
    python Benchmarks/store/decisions.py --records 100000 --seconds 2

prints one JSON object:

    ready_seconds           a store with so many rows gives its first answer after this, counted
                            from before it is made; without the start of Python
    decisions_per_second    a query and what is to be remembered of it; half of the triplets are
                            known, half are new
    cpu_us                  processor time of all threads for each, which other work on the machine
                            changes less
    complete                1: all rows were in memory before the end, else 0
    stall_ms                the longest that the event loop was held up meanwhile: a component asks
                            to be woken each 2 ms and notes how late it was, less what the thread
                            waited for a processor that others had (/proc/thread-self/schedstat)
    idle_stall_ms           the same with nothing to do, before: what the measuring cannot tell
    late_ms                 stall_ms with those waits
    p99_ms                  how long an answer took, 256 being under way all the time
    fill_per_second         how fast the rows got in, in the process that ended before
    rss_mib                 resident memory at the end

It speaks to the boxes of the store service as `GreyServer` makes it from a configuration (the
daemon has the same), so it says what a decision costs there, threads and all, whatever store it is.
The sweep runs all the time, as it would with a million rows that are old.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT))  # behind PYTHONPATH, by which another tree can be measured

from Axon.Component import component  # noqa: E402
from Axon.Ipc import producerFinished  # noqa: E402
from Kamaelia.Apps.Grey.Config.Loader import loads  # noqa: E402
from Kamaelia.Apps.Grey.Core.Types import Answer, Query, Record, Remember, Triplet  # noqa: E402
from Kamaelia.Apps.Grey.Process import SWITCH_SECONDS  # noqa: E402
from Kamaelia.Apps.Grey.Server import GreyServer  # noqa: E402
from Kamaelia.Apps.Grey.Store.Packing import news_of  # noqa: E402
from Kamaelia.Apps.Grey.Store.Sqlite import SqliteStore  # noqa: E402
from Kamaelia.Apps.Grey.Store.StoreService import StoreService  # noqa: E402

UNDER_WAY = 256
# Sessions decide in turns of their own. All in one turn would be four milliseconds, and of such
# turns the scheduler takes several before it looks at its timers: that is what would be measured.
A_TURN = 8
FILL_GROUP = 5000
TICK_SECONDS = 0.002
IDLE_SECONDS = 1.0
FILL_SECONDS = 300
MIB = 1 << 20


def triplet(number: int) -> Triplet:
    """The same for the same number; as long as real ones are."""
    mixed = number * 2654435761 & 0xFFFFFFFF  # so that neighbours are not neighbours in the store
    network = f"{mixed >> 24}.{mixed >> 16 & 255}.{mixed >> 8 & 255}.0/24"
    return Triplet(network, f"sender{mixed}@example.net", f"user{number % 5000}@example.org")


class Pulse(component):
    """Pulse() -> how late it gets its turn, in seconds: `latest` at most since the last reset, and
    `worst` of that not for want of a processor."""

    def __init__(self) -> None:
        super().__init__()
        self.worst = self.latest = 0.0
        self.over = False

    def reset(self) -> None:
        self.worst = self.latest = 0.0

    def main(self) -> Iterator[object]:
        with Path("/proc/thread-self/schedstat").open("rb", buffering=0) as file:
            waited = _waited(file)
            while not self.over:
                due = time.monotonic() + TICK_SECONDS
                self.pause(TICK_SECONDS)
                yield 1
                late = time.monotonic() - due
                before, waited = waited, _waited(file)
                self.latest = max(self.latest, late)
                self.worst = max(self.worst, late - (waited - before))


def _waited(file: FileIO) -> float:
    """Seconds that this thread has been ready to run and did not."""
    file.seek(0)
    return int(file.read().split()[1]) / 1e9


class Deciding(component):
    """Deciding(store, records, seconds, pulse, began) -> decides as fast as it can; see `found`.

    began: the monotonic time at which the store began to be made."""

    Inboxes = {
        "inbox": "object: unused",
        "control": "object: unused",
        "answers": "Answer: what the store knows of a triplet",
    }
    Outboxes = {
        "outbox": "object: unused",
        "signal": "object: unused",
        "query": "Query or Remember: to the store service",
    }

    def __init__(
        self, store: StoreService, records: int, seconds: float, pulse: Pulse, began: float
    ) -> None:
        super().__init__()
        self.found: dict[str, float] = {}
        self._store = store
        self._records = records
        self._seconds = seconds
        self._pulse = pulse
        self._began = began
        self._asked: deque[float] = deque()
        self._known = self._new = 0
        self.link((self, "query"), (store, "inbox"))

    def main(self) -> Iterator[object]:
        self._ask()
        yield from self._answers()
        self.found["ready_seconds"] = time.monotonic() - self._began
        yield from self._rest()
        yield from self._decide()
        self._pulse.over = True
        self._store.inboxes["control"].deliver(producerFinished(self))

    def _answers(self) -> Iterator[object]:
        """Until there is one."""
        while not self.dataReady("answers"):
            self.pause()
            yield 1
        for answer in self.Inbox("answers"):
            self._asked.popleft()
            assert answer.record is not None, "the store has forgotten what it was told"

    def _rest(self) -> Iterator[object]:
        gc.collect()
        gc.freeze()  # as the daemon does with what it has loaded
        self._pulse.reset()
        until = time.monotonic() + IDLE_SECONDS
        while (left := until - time.monotonic()) > 0:
            self.pause(left)
            yield 1
        self.found["idle_stall_ms"] = self._pulse.worst * 1000
        self._pulse.reset()

    def _decide(self) -> Iterator[object]:
        began, took, failed = time.monotonic(), [], 0
        cpu = time.process_time()
        wall = int(time.time())
        until = began + self._seconds
        for _ in range(UNDER_WAY):
            self._ask()
        while self._asked:
            if not self.anyReady():
                self.pause()
            yield 1
            for _ in range(min(self.dataReady("answers"), A_TURN)):
                answer, now = self.recv("answers"), time.monotonic()
                took.append(now - self._asked.popleft())
                failed += answer.failed
                self._remember(answer, wall)
                if now < until:
                    self._ask()
        seconds = time.monotonic() - began
        cpu = time.process_time() - cpu
        worst, latest = self._pulse.worst, self._pulse.latest
        took.sort()  # no longer part of what is measured
        self.found |= {
            "decisions_per_second": len(took) / seconds,
            "cpu_us": cpu / len(took) * 1e6,
            "complete": self._store.complete,
            "stall_ms": worst * 1000,
            "late_ms": latest * 1000,
            "p99_ms": took[len(took) * 99 // 100] * 1000,
            "failed": failed,
        }

    def _ask(self) -> None:
        if self._known == self._new:
            number = self._known * 7919 % self._records
            self._known += 1
        else:
            number = self._records + self._new
            self._new += 1
        self._asked.append(time.monotonic())
        self.send(Query(triplet(number), reply_to=(self, "answers")), "query")

    def _remember(self, answer: Answer, now: int) -> None:
        known = answer.record
        if known is None:
            record = Record.started(now)
        else:
            record = Record(
                *(known.generation, known.first_seen, now, now, known.deferred, known.passed + 1),
                *(known.due, now + 36 * 24 * 3600),
            )
        self.send(Remember(answer.triplet, record), "query")


def store_of(folder: Path) -> StoreService:
    """The store service of a greylister with its default settings, room in memory for all that is
    asked about, and a sweep that never rests."""
    text = f"database = {folder}/greylist.sqlite3\nsweep_interval = 1s\nmemory_records = 2000000\n"
    return GreyServer(loads(text)).store


def fill(folder: Path, records: int) -> None:
    """In a process of its own, so that its memory is not in the way."""
    began, now = time.monotonic(), int(time.time())
    store = SqliteStore(folder / "greylist.sqlite3")
    record = Record(0, now - 100, now, passed_at=now, deferred=1, passed=1)
    for start in range(0, records, FILL_GROUP):
        numbers = range(start, min(start + FILL_GROUP, records))
        store.merge_all([news_of(b"", triplet(number), record) for number in numbers])
    store.close()
    print(json.dumps({"fill_per_second": records / (time.monotonic() - began)}))


def decide(folder: Path, records: int, seconds: float) -> dict[str, float]:
    sys.setswitchinterval(SWITCH_SECONDS)  # as the daemon does
    began = time.monotonic()
    store, pulse = store_of(folder), Pulse()
    deciding = Deciding(store, records, seconds, pulse, began)
    store.activate()
    pulse.activate()
    deciding.run()
    return {**deciding.found, "rss_mib": _rss()}


def _rss() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / MIB
    return 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description="Decisions on a store with many rows.")
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--fill", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if not 1000 <= chosen.records <= 100_000_000 or not 0.1 <= chosen.seconds <= 600:
        parser.error("--records is 1,000 to 100,000,000, --seconds 0.1 to 600")
    if chosen.fill:
        fill(chosen.fill, chosen.records)
        return 0
    with tempfile.TemporaryDirectory(prefix="decisions-") as folder:
        filled = subprocess.run(
            [sys.executable, __file__, "--fill", folder, "--records", str(chosen.records)],
            stdout=subprocess.PIPE,
            check=True,
            timeout=FILL_SECONDS,
        )
        found = json.loads(filled.stdout) | decide(Path(folder), chosen.records, chosen.seconds)
    print(json.dumps({name: round(value, 3) for name, value in found.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
