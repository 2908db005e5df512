"""
What clients cost that do nothing (G9)
======================================
::

    held = of(target, programs)
    held.rows()

1,000 and then 9,900 clients connect, say EHLO and sit idle; what is resident is read meanwhile.
9,900 stands for 10,000: where a process may have 20,000 descriptors, haproxy needs two a client. It
is the memory of the processes alone; the kernel's for the sockets comes on top, twice for a proxy
that holds a connection to the backend for each client.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from goal_list import MIB, Row, within
from native import Crowd, Programs
from processes import rss
from targets import Target

FEW, MANY = 1_000, 9_900
SETTLE_SECONDS = 0.5
LEAVE_SECONDS = 1.0  # so that those who left are forgotten before the next come
EMPTY_MIB, MANY_MIB, KIB_EACH, GREETED_SECONDS = 40.0, 80.0, 4.0, 3.0  # what is wanted


@dataclass(frozen=True, slots=True)
class Held:
    """Resident bytes with no clients, 1,000 and 9,900, and how long the greeting of all took."""

    name: str
    empty: int
    few: int
    many: int
    greeted: int
    seconds: float

    @property
    def kib_each(self) -> float:
        return (self.many - self.empty) / 1024 / MANY

    def rows(self) -> list[Row]:
        return [
            within("G9", "memory, no clients", self.empty / MIB, EMPTY_MIB, "MiB"),
            within("G9", "memory a client", self.kib_each, KIB_EACH, "KiB"),
            within("G9", f"memory, {MANY:,} idle", self.many / MIB, MANY_MIB, "MiB"),
            within("G9", f"{MANY:,} greeted", self.greeted, MANY, "", least=True),
            within("G9", f"{MANY:,} greeted after", self.seconds, GREETED_SECONDS, "s"),
            self._told(),
        ]

    def rows_of_peer(self) -> list[Row]:
        """For comparison only."""
        return [self._told()]

    def _told(self) -> Row:
        sizes = " / ".join(f"{size / MIB:.0f}" for size in (self.empty, self.few, self.many))
        what = f"{self.name}: 0 / 1,000 / {MANY:,} idle"
        seen = (
            f"{sizes} MiB, {self.kib_each:.2f} KiB each, {self.greeted:,} in {self.seconds:.2f} s"
        )
        return Row("G9", what, "", seen, "", "", None)


def of(target: Target, programs: Programs) -> Held:
    """Hold the crowds and measure. The target is to be fresh: memory once used is hardly given
    back."""
    time.sleep(SETTLE_SECONDS)
    empty = _resident(target)
    idle = ("-p", str(target.port), "-d", "idle")
    with Crowd(programs.generator, *idle, count=FEW):
        time.sleep(SETTLE_SECONDS)
        few = _resident(target)
    time.sleep(LEAVE_SECONDS)
    with Crowd(programs.generator, *idle, count=MANY) as crowd:
        time.sleep(SETTLE_SECONDS)
        many = _resident(target)
    return Held(target.name, empty, few, many, crowd.held, crowd.seconds)


def _resident(target: Target) -> int:
    return sum(rss(pid) for pid in target.pids)
