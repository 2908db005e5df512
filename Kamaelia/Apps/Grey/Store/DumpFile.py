"""
The dump as a file
==================
What is kept is in the database; the dump beside it is text (Dump.py), for people to read and to go
back to milter-greylist with. It also is a way out: a store that is empty when it is opened (a new
one, or one whose file was broken and set aside) takes in what the dump has.

The file is never half written: all goes into `NAME-XXXXXXXX` beside it, is brought to the disk, and
then gets the name.

>>> from pathlib import Path
>>> from tempfile import TemporaryDirectory
>>> from Kamaelia.Apps.Grey.Store.Memory import MemoryStore
>>> with TemporaryDirectory() as folder:
...     plan = DumpPlan(Path(folder, "greylist.db"))
...     _ = plan.path.write_text("192.0.2.7 <a@example.net> <b@example.org> 1000 AUTO\\n")
...     opened_with_dump(MemoryStore, plan, now=lambda: 900.0).count()
1
"""

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from Kamaelia.Apps.Grey.Core.Types import Lifetimes, Record, Triplet
from Kamaelia.Apps.Grey.Store.Dump import LONGEST_LINE, BadLine, read_dump, write_dump
from Kamaelia.Apps.Grey.Store.Interface import Store
from Kamaelia.Apps.Grey.Store.Packing import News, news_of

log = logging.getLogger(__name__)

SLICE_LINES = 500  # a few milliseconds: queries may wait for the thread that writes
GROUP = 4000
TOLD = 10  # bad lines that are named in the log


@dataclass(frozen=True, slots=True)
class DumpPlan:
    """Where the dump is, and how it is written. `always`: others write to the store, too, so what
    has not changed here may have changed nevertheless."""

    path: Path
    mode: int = 0o600
    translate: bool = True  # dates behind the times
    version: str = "kamaelia-grey"
    lifetimes: Lifetimes | None = None  # what is over by these, is left out
    prefix4: int = 32
    prefix6: int = 128
    delay_seconds: int = 0
    always: bool = False

    def is_due(self, changed: bool) -> bool:
        """Whether there is something to write."""
        return changed or self.always or not self.path.exists()


def written(plan: DumpPlan, rows: Iterator[tuple[Triplet, Record]], now: int) -> Iterator[None]:
    """Write the dump, a slice a step. Raises OSError, and StoreError of `rows`; then the file is as
    it was."""
    lines = write_dump(rows, now, plan.version, translate=plan.translate, lifetimes=plan.lifetimes)
    plan.path.parent.mkdir(mode=0o755, exist_ok=True)  # one level, as milter-greylist does
    # Eight characters more, none of which another file has, and for nobody else to read.
    number, name = tempfile.mkstemp(prefix=f"{plan.path.name}-", dir=plan.path.parent)
    unfinished = Path(name)
    try:
        with os.fdopen(number, "w", encoding="ascii", errors="backslashreplace") as file:
            while text := "".join(islice(lines, SLICE_LINES)):
                file.write(text)
                yield
            os.fchmod(number, plan.mode)
            file.flush()
            os.fsync(number)
        unfinished.replace(plan.path)
    finally:
        unfinished.unlink(missing_ok=True)
    _sync(plan.path.parent)


def _sync(folder: Path) -> None:
    """Bring the new name to the disk, too."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def opened_with_dump(
    open_store: Callable[[], Store], plan: DumpPlan, now: Callable[[], float]
) -> Store:
    """Open the store; if it is empty, take in the dump. A dump that is not there or cannot be read
    is no reason not to begin. Raises StoreError."""
    store = open_store()
    try:
        if store.count() == 0:
            _take_in(store, plan, int(now()))
    except BaseException:
        store.close()
        raise
    return store


def _take_in(store: Store, plan: DumpPlan, now: int) -> None:
    try:
        with plan.path.open(encoding="utf-8", errors="replace") as file:
            # A line without an end must not fill the memory.
            lines = iter(lambda: file.readline(LONGEST_LINE), "")
            found = read_dump(
                lines,
                prefix4=plan.prefix4,
                prefix6=plan.prefix6,
                delay_seconds=plan.delay_seconds,
                now=now,
            )
            read, bad = _merge_all(store, found, plan.path)
    except FileNotFoundError:
        return
    except OSError as error:
        why = error.strerror
        log.error("%s: cannot be read: %s; starting with an empty greylist", plan.path, why)  # noqa: TRY400 - the file, not the place in the code
        return
    log.info("%s: %d records read, %d lines skipped", plan.path, read, bad)


def _merge_all(
    store: Store, found: Iterator[tuple[Triplet, Record] | BadLine], path: Path
) -> tuple[int, int]:
    read = bad = 0
    while group := list(islice(found, GROUP)):
        news: list[News] = []
        for one in group:
            if isinstance(one, BadLine):
                bad += 1
                if bad <= TOLD:
                    log.warning("%s:%d: %s: %s", path, one.number, one.why, one.text)
            else:
                news.append(news_of(b"", *one))
        with store.batch():
            store.merge_all(news)
        read += len(news)
    return read, bad
