"""
No accepted mail is lost when the backend dies (G14)
====================================================
::

    rows(programs, folder, stack)

Patient clients send 20,000 messages through the proxy, each until it is acknowledged, while the
sink is killed (kill -9) and started again every now and then. The sink writes each number to its
journal before it says 250. Then:

    lost        acknowledged to the client, not in the journal: there must be none
    doubled     more than once in the journal. Mail may come twice if a connection broke after the
                end mark and before the reply (RFC 5321 section 4.5.3.2.6): for each such message
                the client counts one, and there must not be more than that
"""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from goal_list import OURS, Row, within
from native import NativeSink, Outcome, Programs
from processes import free_port
from targets import ROOT, STARTERS, Site

MESSAGES = 20_000
CLIENTS = 32
MOST_SECONDS = 60.0
UP_SECONDS, DOWN_SECONDS = 0.7, 0.15
INTRODUCTIONS = 10


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the clients were told, and what the sink has."""

    acknowledged: frozenset[int]
    arrived: Counter[int]

    @property
    def lost(self) -> int:
        return len(self.acknowledged - self.arrived.keys())

    @property
    def doubled(self) -> int:
        return sum(times - 1 for times in self.arrived.values())

    @classmethod
    def read(cls, told: Path, journal: Path) -> Ledger:
        return cls(
            frozenset(int(line) for line in told.read_text().split()),
            Counter(int(line) for line in journal.read_text().split()),
        )


class Killer:
    """Killer(programs, port, journal) -> a sink that is killed and comes back, in `with`."""

    def __init__(self, programs: Programs, port: int, journal: Path) -> None:
        self._programs, self._port, self._journal = programs, port, journal
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._sink = self._start()
        self.pid = self._sink.pid
        self.kills = 0

    def begin(self) -> None:
        """From now on it dies again and again."""
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._sink.kill()

    def _work(self) -> None:
        while not self._over.wait(UP_SECONDS):
            self._sink.kill()
            self.kills += 1
            self._over.wait(DOWN_SECONDS)
            self._sink = self._start()

    def _start(self) -> NativeSink:
        return NativeSink(self._programs, self._port, self._journal)


def rows(
    programs: Programs, folder: Path, stack: ExitStack, tree: Path = ROOT, count: int = MESSAGES
) -> list[Row]:
    journal, told = folder / "journal", folder / "acknowledged"
    sink_port = free_port()
    killer = Killer(programs, sink_port, journal)
    stack.callback(killer.end)
    target = STARTERS[OURS](Site(folder, sink_port, killer.pid, stack, tree))
    port = ("-p", str(target.port), "-F", "1000")
    _introduce(programs, port)
    killer.begin()
    options = ("-R", "-c", str(CLIENTS), "-k", "20", "-n", str(count), "-o", str(told))
    outcome = programs.load(*port, *options, "-t", str(MOST_SECONDS), seconds=MOST_SECONDS)
    return judged(outcome, Ledger.read(told, journal), killer.kills, count)


def judged(outcome: Outcome, ledger: Ledger, kills: int, count: int) -> list[Row]:
    what = f"{count:,} messages, backend killed {kills} times"
    return [
        within("G14", f"{what}: taken", len(ledger.acknowledged), count, "", least=True),
        within("G14", "acknowledged but not in the sink", ledger.lost, 0, ""),
        within("G14", "doubled; allowed: no reply to the dot", ledger.doubled, outcome.unclear, ""),
    ]


def _introduce(programs: Programs, port: tuple[str, ...]) -> None:
    waiting = threading.Event()
    options = ("-d", "introduction", "-c", "10", "-k", "100", "-n", "1000", "-t", "20")
    for _ in range(INTRODUCTIONS):
        if not programs.load(*port, *options, seconds=20).deferred:
            return
        waiting.wait(1.2)
