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
5. Sweeping is done in slices between requests, at the times that SweepTimes says. Records that have
   not passed are counted by their age meanwhile: if there are more than `grey_records`, the next
   round, at once, forgets the oldest, by the minute.
6. A network that is to be forgotten is forgotten for all that is asked later, also while the store
   cannot be written: what the store has of it is not believed until it is gone.
7. With `shared`, other processes hear of it through the store; what they have forgotten is looked
   for once a second and before each write, so that none of us writes it back.
8. A dump is written in slices like a sweep, when all that was remembered before is in the store.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from operator import itemgetter
from typing import Final

from Kamaelia.Apps.Grey.Core.Merge import merge
from Kamaelia.Apps.Grey.Core.Types import (
    Answer,
    Forget,
    Lifetimes,
    Query,
    Record,
    Remember,
    Triplet,
)
from Kamaelia.Apps.Grey.Store.DumpFile import DumpPlan, written
from Kamaelia.Apps.Grey.Store.ExpiredLog import ExpiredLog
from Kamaelia.Apps.Grey.Store.Interface import Store, StoreError, StoreLostError
from Kamaelia.Apps.Grey.Store.Packing import News, key_of, news_of, tag_of
from Kamaelia.Apps.Grey.Store.Requests import (
    Dumped,
    DumpNow,
    Elsewhere,
    Forgotten,
    Loaded,
    Request,
    Response,
)
from Kamaelia.Apps.Grey.Store.SweepTimes import GRACE_SECONDS, SweepTimes

log = logging.getLogger(__name__)

UNWRITTEN_LIMIT = 100_000
WRITE_LIMIT = 2000  # records a transaction: 20 ms, for queries wait for it; but of many an eighth,
WRITE_MOST = 4000  # up to this, so that more are written than come
SWEEP_SLICE = 500  # rows a turn: a few milliseconds, no request notices
LOAD_SLICE = 1000
GREY_RECORDS = 1_000_000
ALARM_SECONDS = 60.0
LOOK_SECONDS = 1.0  # between looks at what other processes have forgotten
_LONGEST_SLEEP_SECONDS = 60.0
_FOR_EVER = 2**40  # seconds
_FIRST_SEEN: Final = 5  # where `news_of` puts it
_PASSED_AT: Final = 7
_END: Final = object()
_in_order = itemgetter(1, 2, 3)  # as the table has them: network, sender, recipient


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
    between has lost some first tries, no mail. shared: others have the same store open.
    log_expired: what the sweep deletes is logged.
    """

    def __init__(
        self,
        open_store: Callable[[], Store],
        lifetimes: Lifetimes,
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        sweep_interval: float = 600.0,
        gather_seconds: float = 0.25,
        grey_records: int = GREY_RECORDS,
        shared: bool = False,
        log_expired: bool = False,
    ) -> None:
        self._shared = shared
        self._announced: int | None = None  # the newest that we know of
        self._look_at = monotonic() if shared else float("inf")
        self._expired = ExpiredLog(monotonic) if log_expired else None
        self._open_store = open_store
        self._gather_seconds = gather_seconds
        self._gather_until = float("-inf")
        self._lifetimes = lifetimes
        self._clock = clock
        self._monotonic = monotonic
        self._grey_records = grey_records
        self._greys: dict[int, int] = {}  # minute -> records that have not passed, as far as swept
        self._greys_written = 0  # since the last round of the sweep
        self._grey_since: int | None = None  # those first seen before that are too many
        self._store: Store | None = None
        self._unwritten: dict[bytes, News] = {}
        self._dropped = 0
        self._opening, self._writing = Backoff(), Backoff()
        self._in_trouble = False
        self._alarmed_at = float("-inf")
        self._sweeps = SweepTimes(sweep_interval, clock(), monotonic())
        self._swept_to: Triplet | None = None
        self._to_forget: dict[str, int] = {}  # which the store may still have, and since when
        self._changes = 0
        self._dumped: tuple[DumpPlan, int] | None = None  # what was written last, at which change
        self._to_dump: deque[DumpNow] = deque()
        self._dumping: Iterator[None] | None = None  # of the first of them
        self._changes_at_dump = 0
        self._dump_alarmed_at = float("-inf")
        self.reports: deque[Dumped] = deque()  # to be taken by the owner
        self.elsewhere: deque[Elsewhere] = deque()  # the same

    def serve(self, requests: Iterable[Request]) -> tuple[Response, ...]:
        """Do the requests in their order; one answer for each Query, Load, Forget and Elsewhere."""
        requests = tuple(requests)
        # Nothing is written meanwhile, so all of it can be read before.
        known = self._known([each.triplet for each in requests if isinstance(each, Query)])
        if known is not None:
            known = {
                triplet: record
                for triplet, record in known.items()
                if triplet.network not in self._to_forget
            }
        forgotten: set[str] = set()  # after that was read
        answers: list[Response] = []
        for request in requests:
            if isinstance(request, tuple):
                self._remember(request)
            elif isinstance(request, Remember):
                triplet = request.triplet
                self._remember(news_of(key_of(triplet), triplet, request.record))
            elif isinstance(request, Query):
                over = request.triplet.network in forgotten
                answers.append(self._answer(request.triplet, {} if over else known))
            elif isinstance(request, Forget):
                forgotten.add(request.network)
                answers.append(self._forget(request.network))
            elif isinstance(request, Elsewhere):
                self._drop_unwritten(request)
                answers.append(Forgotten(request.network))
            elif isinstance(request, DumpNow):
                self._to_dump.append(request)
            else:
                answers.append(self._load(request.after))
        return tuple(answers)

    def write(self) -> None:
        """Bring what waits in memory into the store, unless that has failed a moment ago."""
        store = self._opened()
        if store is None or self._monotonic() < self._write_due_at():
            return
        if not self._unwritten and not self._to_forget:
            return
        try:
            with store.batch():
                self._look_elsewhere(store)
                count = min(max(WRITE_LIMIT, len(self._unwritten) // 8), WRITE_MOST)
                news = list(islice(self._unwritten.values(), count))
                for network, at in self._to_forget.items():
                    self._forget_in(store, network, at)
                store.merge_all(sorted(news, key=_in_order))  # neighbours share pages
        except StoreError as error:
            self._writing.failed(self._monotonic())
            self._failed(store, error)
            return
        self._to_forget.clear()
        self._changes += 1
        for one in news:
            del self._unwritten[one[0]]
            self._greys_written += one[_PASSED_AT] is None
        self._writing.reset()
        if not self._unwritten:  # else the rest follows when what has come meanwhile is served
            self._gather_until = self._monotonic() + self._gather_seconds
        self._recovered()

    def _write_due_at(self) -> float:
        return max(self._writing.due_at, self._gather_until)

    def housekeep(self) -> float:
        """Do one small piece of what is due; give the seconds until the next (0: there is more)."""
        self.write()
        store = self._opened()
        if store is None:
            while self._to_dump:  # who waits for that may be about to end
                self._dump_over(failed=True)
            return self._until(self._opening.due_at)
        try:
            store.tidy()
            if self._monotonic() >= self._look_at:
                self._look_elsewhere(store)
            more = self._sweep(store)
            more = self._dump(store) or more
        except StoreError as error:
            self._sweeps.done(self._monotonic())
            self._failed(store, error)
            return self._until((self._sweeps if self._store else self._opening).due_at)
        if more:
            return 0.0
        due_at = min(self._sweeps.due_at, self._look_at)
        if self._unwritten or self._to_forget:
            due_at = min(due_at, self._write_due_at())
        return self._until(due_at)

    def close(self) -> None:
        """Write what can be written, and leave the store in order."""
        self._writing.reset()  # this is the last chance, however short ago the latest failure
        self._opening.reset()
        self._gather_until = float("-inf")
        left = -1
        while (self._unwritten or self._to_forget) and len(self._unwritten) != left:
            left = len(self._unwritten)
            self.write()
        if self._unwritten:
            log.error("greylist store: %d records could not be written", len(self._unwritten))
        while self._store is not None and self._dump(self._store, last=True):
            pass
        while self._to_dump:  # there is no store to make it of
            self._dump_over(failed=True)
        if self._store is not None:
            self._close(self._store)
            self._store = None

    def _known(self, triplets: list[Triplet]) -> dict[Triplet, Record] | None:
        """What the store has of them; None: it cannot be read."""
        store = self._opened() if triplets else None
        if store is not None:
            try:
                return store.get_all(triplets)
            except StoreError as error:
                self._give_up(store, error)
        return None

    def _answer(self, triplet: Triplet, all_known: dict[Triplet, Record] | None) -> Answer:
        news = self._unwritten.get(key_of(triplet)) if self._unwritten else None
        unwritten = None if news is None else _record_in(news)
        if all_known is None:
            return Answer(triplet, unwritten, failed=unwritten is None)
        known = all_known.get(triplet)
        if known is None or unwritten is None:
            return Answer(triplet, known or unwritten)
        return Answer(triplet, merge(known, unwritten))

    def _load(self, after: Triplet | None) -> Loaded:
        store = self._opened()
        if store is not None:
            try:
                rows, upto = store.load(after, LOAD_SLICE)
            except StoreError as error:
                self._give_up(store, error)
            else:
                tags = {tag_of(network) for network in self._to_forget}
                if tags:
                    rows = {key: data for key, data in rows.items() if key[-4:] not in tags}
                return Loaded(rows, upto)
        return Loaded({}, failed=True)

    def _forget(self, network: str) -> Forgotten:
        over = [news for news in self._unwritten.values() if news[1] == network]
        for news in over:
            del self._unwritten[news[0]]
        at = self._to_forget[network] = int(self._clock())
        store = self._opened()
        if store is not None and self._monotonic() >= self._writing.due_at:
            try:
                with store.batch():
                    store.merge_all(over)  # those of which the store knows, are to be counted once
                    removed = self._forget_in(store, network, at)
            except StoreError as error:
                self._writing.failed(self._monotonic())
                self._failed(store, error)
            else:
                del self._to_forget[network]
                self._changes += 1
                log.info("greylist store: %d records of %r are forgotten", removed, network)
        return Forgotten(network)

    def _forget_in(self, store: Store, network: str, at: int) -> int:
        if self._shared:
            store.announce(network, at)
        return store.forget(network)

    def _look_elsewhere(self, store: Store) -> None:
        """What have other processes forgotten? In a batch nobody can forget anything between this
        and its end."""
        if not self._shared:
            return
        self._look_at = self._monotonic() + LOOK_SECONDS
        self._announced, networks = store.announced(self._announced)
        for network, at in networks.items():
            forgotten = Elsewhere(network, at)
            self._drop_unwritten(forgotten)
            self.elsewhere.append(forgotten)

    def _drop_unwritten(self, forgotten: Elsewhere) -> None:
        """What was made of records from before. Senders that were strangers then are so still."""
        for news in tuple(self._unwritten.values()):
            if news[1] == forgotten.network and news[_FIRST_SEEN] < forgotten.at:
                del self._unwritten[news[0]]

    def _dump(self, store: Store, *, last: bool = False) -> bool:
        """One slice of a dump, if one is to be written; True if there is more to do."""
        if not self._to_dump:
            return False
        if self._dumping is None:
            in_order = self._monotonic() >= self._writing.due_at
            if (self._unwritten or self._to_forget) and in_order and not last:
                return False  # first those: housekeep comes again for them
            plan = self._to_dump[0].plan
            if not plan.is_due((plan, self._changes) != self._dumped):
                self._dump_over()
                return bool(self._to_dump)
            self._dumping = written(plan, store.scan(), int(self._clock()))
            self._changes_at_dump = self._changes
        try:
            if next(self._dumping, _END) is _END:
                self._dumped = (self._to_dump[0].plan, self._changes_at_dump)
                self._dump_over()
        except (OSError, StoreError) as error:
            self._dump_failed(error)
        return bool(self._to_dump)

    def _dump_failed(self, error: Exception) -> None:
        now = self._monotonic()
        if now - self._dump_alarmed_at >= ALARM_SECONDS:
            self._dump_alarmed_at = now
            log.error("%s: the dump could not be written: %s", self._to_dump[0].plan.path, error)
        self._dump_over(failed=True)

    def _dump_over(self, *, failed: bool = False) -> None:
        """Tell whoever waits for it: all that have asked for the same."""
        self._dumping = None
        plan = self._to_dump[0].plan if self._to_dump else None
        while self._to_dump and self._to_dump[0].plan == plan:
            self.reports.append(Dumped(self._to_dump.popleft().reply_to, failed))

    def _remember(self, news: News) -> None:
        key = news[0]
        waiting = self._unwritten.get(key)
        if waiting is None and len(self._unwritten) >= UNWRITTEN_LIMIT:
            del self._unwritten[next(iter(self._unwritten))]
            self._dropped += 1
        if waiting is not None:
            both = merge(_record_in(waiting), _record_in(news))
            news = news_of(key, Triplet(*news[1:4]), both)
        self._unwritten[key] = news

    def _sweep(self, store: Store) -> bool:
        """One slice, if one is due; True if the table has more."""
        now, wall = self._monotonic(), self._clock()
        due = self._sweeps.is_due(wall, now)
        flooded = self._greys_written > self._grey_records // 4 or self._grey_since is not None
        if not due and not flooded and self._swept_to is None:
            return False
        limit = int(wall) - GRACE_SECONDS
        gone: list[tuple[Triplet, Record]] | None = None if self._expired is None else []
        removed, self._swept_to = store.expire(
            limit,
            self._allowed(limit, swept=due),
            self._swept_to,
            SWEEP_SLICE,
            self._greys,
            passes=due,
            gone=gone,
        )
        if self._expired is not None and gone:  # but not those that were too many
            self._expired.tell(one for one in gone if self._lifetimes.is_over(one[1], limit))
        self._changes += bool(removed)
        log.debug("greylist store: %d old records removed", removed)
        if self._swept_to is None:
            self._round_over()
            if due:
                self._sweeps.done(now)
        return self._swept_to is not None or self._grey_since is not None

    def _allowed(self, limit: int, *, swept: bool) -> Lifetimes:
        """The lifetimes to sweep by: for ever if only the number of records is the reason, as after
        a jump of the clock, and shorter for those that are too many."""
        lifetimes = self._lifetimes if swept else Lifetimes(_FOR_EVER, _FOR_EVER)
        if self._grey_since is None:
            return lifetimes
        return Lifetimes(limit - self._grey_since, lifetimes.pass_seconds)

    def _round_over(self) -> None:
        """Look whether there are more that have not passed than there may be."""
        too_many = sum(self._greys.values()) - self._grey_records
        self._grey_since = None
        for minute in sorted(self._greys)[:-1]:  # never the newest: those are trying now
            if too_many <= 0:
                break
            too_many -= self._greys[minute]
            self._grey_since = (minute + 1) * 60
        if self._grey_since is not None:
            log.warning(
                "greylist store: more than %d senders wait; the oldest are forgotten",
                self._grey_records,
            )
        self._greys.clear()
        self._greys_written = 0
        if self._expired is not None:
            self._expired.round_over()

    def _opened(self) -> Store | None:
        if self._store is None and self._monotonic() >= self._opening.due_at:
            try:
                self._store = self._open_store()
                if self._shared and self._announced is None:  # nothing is in memory yet
                    self._announced, _ = self._store.announced(None)
            except StoreError as error:
                self._opening.failed(self._monotonic())
                self._alarm(error)
            else:
                self._opening.reset()
                self._recovered()
        return self._store

    def _failed(self, store: Store, error: StoreError) -> None:
        """It may still be read, on a full disk for one; unless it is lost."""
        if isinstance(error, StoreLostError):
            self._give_up(store, error)
        else:
            self._alarm(error)

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


def _record_in(news: News) -> Record:
    return Record(*news[4:])
