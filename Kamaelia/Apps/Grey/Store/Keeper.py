"""
What keeps a store going
========================
`StoreKeeper` stands between the requests and a store that may fail: plain Python without a thread
or a box of its own, so that every fault can be tried on it in a test. `StoreService` gives it both.

Rules:

1. What is to be remembered goes into memory first and into the store with the next `write`, all of
   it as one batch. A query sees both. So a full disk costs nothing while the process lives:
   strangers are deferred and their retries get in, from memory.
2. A write that fails is tried again, after 1 second, then 2, 4 ... 60. What waits is limited
   (`UNWRITTEN_LIMIT`, oldest go first): each lost record costs one sender one more wait.
3. A store that cannot be read is closed, and opened again at the same pace. Until then a query that
   memory cannot answer has failed; what that means for the mail is a setting.
4. Trouble is logged once a minute, not once a mail; its end is logged too.
5. Sweeping is done in slices between requests. After the wall clock has jumped, sweeping waits a
   day: a clock that is wrong by a year must not delete every pass before somebody sets it right.
"""

import logging
from collections.abc import Callable, Iterable

from Kamaelia.Apps.Grey.Core.Merge import merge
from Kamaelia.Apps.Grey.Core.Types import Answer, Lifetimes, Query, Record, Remember, Triplet
from Kamaelia.Apps.Grey.Store.Interface import Store, StoreError

log = logging.getLogger(__name__)

UNWRITTEN_LIMIT = 100_000
SWEEP_SLICE = 500  # rows a turn: a few milliseconds, no request notices
# Rows stay for an hour after their end, so that a late retry is logged as late and not as new.
SWEEP_GRACE_SECONDS = 3600
ALARM_SECONDS = 60.0
JUMP_SECONDS = 3600.0
SWEEP_PAUSE_AFTER_JUMP_SECONDS = 24 * 3600.0
_LONGEST_SLEEP_SECONDS = 60.0


class Backoff:
    """Backoff() -> when to try again: at once, then after 1, 2, 4 ... 60 seconds."""

    def __init__(self) -> None:
        self.due_at = float("-inf")
        self._seconds = 0.0

    def failed(self, now: float) -> None:
        self._seconds = min(60.0, self._seconds * 2 or 1.0)
        self.due_at = now + self._seconds

    def reset(self) -> None:
        """It went well, or has to be tried now in any case."""
        self._seconds = 0.0
        self.due_at = float("-inf")


class StoreKeeper:
    """StoreKeeper(open_store, lifetimes, ...) -> serve(), write() and housekeep() for one store.

    `clock` is wall-clock time, `monotonic` what waiting is measured with. `open_store` may raise
    StoreError; it is called in the thread that calls the methods. Records are written at most every
    `gather_seconds`: many in one transaction cost little more than one, and who is killed in
    between has lost some first tries, no mail.
    """

    def __init__(
        self,
        open_store: Callable[[], Store],
        lifetimes: Lifetimes,
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        sweep_interval: float = 600.0,
        gather_seconds: float = 0.05,
    ) -> None:
        self._open_store = open_store
        self._gather_seconds = gather_seconds
        self._gather_until = float("-inf")
        self._lifetimes = lifetimes
        self._clock = clock
        self._monotonic = monotonic
        self._sweep_interval = sweep_interval
        self._store: Store | None = None
        self._unwritten: dict[Triplet, Record] = {}
        self._dropped = 0
        self._opening, self._writing = Backoff(), Backoff()
        self._in_trouble = False
        self._alarmed_at = float("-inf")
        self._sweep_at = monotonic() + sweep_interval
        self._swept_to: Triplet | None = None
        self._offset = clock() - monotonic()

    def serve(self, requests: Iterable[Query | Remember]) -> tuple[Answer, ...]:
        """Do the requests in their order; one answer for each query."""
        answers = []
        for request in requests:
            if isinstance(request, Query):
                answers.append(self._answer(request.triplet))
            else:
                self._remember(request.triplet, request.record)
        return tuple(answers)

    def write(self) -> None:
        """Bring what waits in memory into the store, unless that has failed a moment ago."""
        store = self._opened()
        if not self._unwritten or store is None or self._monotonic() < self._write_due_at():
            return
        try:
            with store.batch():
                for triplet, record in self._unwritten.items():
                    store.merge(triplet, record)
        except StoreError as error:
            self._writing.failed(self._monotonic())
            self._alarm(error)
            return
        self._unwritten.clear()
        self._writing.reset()
        self._gather_until = self._monotonic() + self._gather_seconds
        self._recovered()

    def _write_due_at(self) -> float:
        return max(self._writing.due_at, self._gather_until)

    def housekeep(self) -> float:
        """Do one small piece of what is due; give the seconds until the next (0: there is more)."""
        self.write()
        store = self._opened()
        if store is None:
            return self._until(self._opening.due_at)
        try:
            store.tidy()
            more = self._sweep(store)
        except StoreError as error:
            self._sweep_at = self._monotonic() + self._sweep_interval
            self._alarm(error)
            return self._until(self._sweep_at)
        if more:
            return 0.0
        due_at = self._sweep_at
        if self._unwritten:
            due_at = min(due_at, self._write_due_at())
        return self._until(due_at)

    def close(self) -> None:
        """Write what can be written, and leave the store in order."""
        self._writing.reset()  # this is the last chance, however short ago the latest failure
        self._opening.reset()
        self._gather_until = float("-inf")
        if self._unwritten:
            self.write()
        if self._unwritten:
            log.error("greylist store: %d records could not be written", len(self._unwritten))
        if self._store is not None:
            self._close(self._store)
            self._store = None

    def _answer(self, triplet: Triplet) -> Answer:
        unwritten = self._unwritten.get(triplet)
        store = self._opened()
        if store is not None:
            try:
                known = store.get(triplet)
            except StoreError as error:
                self._give_up(store, error)
            else:
                if known is None or unwritten is None:
                    return Answer(triplet, known or unwritten)
                return Answer(triplet, merge(known, unwritten))
        return Answer(triplet, unwritten, failed=unwritten is None)

    def _remember(self, triplet: Triplet, record: Record) -> None:
        waiting = self._unwritten.get(triplet)
        if waiting is None and len(self._unwritten) >= UNWRITTEN_LIMIT:
            del self._unwritten[next(iter(self._unwritten))]
            self._dropped += 1
        self._unwritten[triplet] = record if waiting is None else merge(waiting, record)

    def _sweep(self, store: Store) -> bool:
        """One slice, if one is due; True if the table has more."""
        now, wall = self._monotonic(), self._clock()
        before, self._offset = self._offset, wall - now
        if abs(self._offset - before) > JUMP_SECONDS:
            log.warning(
                "the clock has jumped by %.0f s: old greylist records are kept for another day",
                self._offset - before,
            )
            self._sweep_at = now + SWEEP_PAUSE_AFTER_JUMP_SECONDS
        if now < self._sweep_at:
            return False
        limit = int(wall) - SWEEP_GRACE_SECONDS
        removed, self._swept_to = store.expire(limit, self._lifetimes, self._swept_to, SWEEP_SLICE)
        log.debug("greylist store: %d old records removed", removed)
        if self._swept_to is None:
            self._sweep_at = now + self._sweep_interval
        return self._swept_to is not None

    def _opened(self) -> Store | None:
        if self._store is None and self._monotonic() >= self._opening.due_at:
            try:
                self._store = self._open_store()
            except StoreError as error:
                self._opening.failed(self._monotonic())
                self._alarm(error)
            else:
                self._opening.reset()
                self._recovered()
        return self._store

    def _give_up(self, store: Store, error: StoreError) -> None:
        self._alarm(error)
        self._opening.failed(self._monotonic())
        self._close(store)
        self._store = None

    def _close(self, store: Store) -> None:
        try:
            store.close()
        except StoreError as error:
            self._alarm(error)

    def _alarm(self, error: StoreError) -> None:
        self._in_trouble = True
        now = self._monotonic()
        if now - self._alarmed_at < ALARM_SECONDS:
            return
        self._alarmed_at = now
        log.error(
            "greylist store: %s (%d records wait in memory, %d were dropped)",
            error,
            len(self._unwritten),
            self._dropped,
        )

    def _recovered(self) -> None:
        if self._in_trouble:
            self._in_trouble = False
            log.warning("greylist store: works again")

    def _until(self, due_at: float) -> float:
        return min(max(due_at - self._monotonic(), 0.001), _LONGEST_SLEEP_SECONDS)
