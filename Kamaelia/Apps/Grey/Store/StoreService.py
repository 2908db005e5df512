"""
The one owner of the store
==========================
Everybody who wants to know or to remember something sends it to the one `StoreService` of the
process. It answers from memory, in the moment in which it is asked: the `Answer` is in the asker's
box when his send() returns. Behind the memory is a thread with the store, into which everything
remembered is written in batches; nobody in the event loop ever waits for a disk.

* At the start the store is read into memory, slice by slice, while mail flows: until the slice of
  a triplet has come, and for ever if there are more records than `memory_records`, what memory
  does not know is asked of the thread and answered later.
* With `shared` the file belongs to several processes. Then only a pass that is in memory is
  answered from there, for a pass is the end of the story; for all else the file is asked first.
* `Forget` holds from the next question on; memory and file are gone through later (Forgetting.py).
  Of several processes the others hear of it through the file, within a second.
* What the thread is to do, it gets in groups: queries at once, the rest after `GATHER_SECONDS`. One
  group is being worked on and one lies ready; the busier it is, the larger the groups and the
  cheaper each request.

Example Usage
-------------
Ask, and get an `Answer` in one's own box "answers"::

    service = StoreService(MemoryStore, Policy().lifetimes).activate()
    self.link((self, "query"), (service, "inbox"))
    self.send(Query(triplet, reply_to=(self, "answers")), "query")

Shutdown: on either message at "control" everything remembered is written, the store is closed, and
the message goes on. Faults of the store are dealt with in Keeper.py; they never stop the service.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator

from Axon.AtOnce import act_at_once
from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Ipc import ipc, newComponent, producerFinished
from Axon.ThreadedComponent import threadedcomponent
from Kamaelia.Apps.Grey.Core.Types import (
    Addressee,
    Answer,
    Forget,
    Lifetimes,
    Query,
    Record,
    Remember,
    Triplet,
)
from Kamaelia.Apps.Grey.Store.Forgetting import Forgetting
from Kamaelia.Apps.Grey.Store.Interface import Store
from Kamaelia.Apps.Grey.Store.Keeper import GREY_RECORDS, StoreKeeper
from Kamaelia.Apps.Grey.Store.Packing import has_passed, key_of, news_of
from Kamaelia.Apps.Grey.Store.Requests import (
    Dumped,
    DumpNow,
    Elsewhere,
    Forgotten,
    Load,
    Loaded,
    Request,
)
from Kamaelia.Apps.Grey.Store.ServingMap import ServingMap
from Kamaelia.Apps.Grey.Store.SweepTimes import GRACE_SECONDS, SweepTimes

log = logging.getLogger(__name__)

MEMORY_RECORDS = 1_000_000  # some 180 bytes each
GROUP_LIMIT = 1000  # requests: a group takes the thread some 30 ms, decisions wait at most 2 s
WAITING_LIMIT = 100_000
GATHER_SECONDS = 0.05
LOAD_PAUSE_SECONDS = 0.001  # between slices, for the thread shares the interpreter with the mail
LOAD_AGAIN_SECONDS = 60.0  # after the store could not be read
SWEEP_SLICE = 500
SWEEP_PAUSE_SECONDS = 0.02
FORGET_PAUSE_SECONDS = 0.002
_GROUPS_OUT = 2  # one in work, one ready
_NEVER = float("inf")


class StoreWorker(threadedcomponent):
    """StoreWorker(open_store, lifetimes, clock, sweep_interval, grey_records, shared=False,
    log_expired=False) -> the thread with the store."""

    Inboxes = {
        "inbox": "tuple[Query | News | Forget | Elsewhere | Load | DumpNow, ...]: one group",
        "control": "producerFinished or shutdownMicroprocess: finish what arrived, then close",
    }
    Outboxes = {
        "outbox": "tuple[Answer | Loaded | Forgotten, ...]: for each group, the answers in order",
        "reports": "Dumped | Elsewhere: of each DumpNow, when it is done; what others forget",
        "signal": "producerFinished or shutdownMicroprocess: all is written, the store closed",
    }

    woken_by_collection = False  # it never waits for that

    def __init__(
        self,
        open_store: Callable[[], Store],
        lifetimes: Lifetimes,
        clock: Callable[[], float] = time.time,
        sweep_interval: float = 600.0,
        grey_records: int = GREY_RECORDS,
        *,
        shared: bool = False,
        log_expired: bool = False,
    ) -> None:
        super().__init__()
        self._shared = shared
        self._log_expired = log_expired
        self._open_store = open_store
        self._lifetimes = lifetimes
        self._clock = clock
        self._sweep_interval = sweep_interval
        self._grey_records = grey_records

    def main(self) -> None:
        """In the thread of its own, so no generator."""
        keeper = StoreKeeper(
            self._open_store,  # not called before this thread uses it: SQLite asks for that
            self._lifetimes,
            clock=self._clock,
            monotonic=self.scheduler.clock if self.scheduler else time.monotonic,
            sweep_interval=self._sweep_interval,
            grey_records=self._grey_records,
            shared=self._shared,
            log_expired=self._log_expired,
        )
        try:
            stop = self._serve(keeper)
        finally:  # also when the scheduler was stopped: pause() then raises
            keeper.close()
        self._report(keeper)
        self.send(stop, "signal")

    def _serve(self, keeper: StoreKeeper) -> ipc:
        while True:
            # Groups come before control messages, so what was sent before a shutdown is here.
            stop: ipc | None = self.told_to_stop()
            for group in self.Inbox("inbox"):
                self.send(keeper.serve(group), "outbox")
            if stop is not None:
                return stop
            seconds = keeper.housekeep()  # writes, too, after the answers: no one waits for a disk
            self._report(keeper)
            if seconds and not self.anyReady():
                self.pause(seconds)

    def _report(self, keeper: StoreKeeper) -> None:
        for reports in (keeper.reports, keeper.elsewhere):
            while reports:
                self.send(reports.popleft(), "reports")


class StoreService(component):
    """StoreService(open_store, lifetimes, clock=time.time, sweep_interval=600.0, ...) -> Query,
    Remember and Forget in, each Answer to the box that its query names, which must have no limit.

    memory_records: how many records are kept in memory. grey_records: how many that have not passed
    are kept in the store. shared: other processes write to the same store. log_expired: what is
    swept is logged."""

    Inboxes = {
        "inbox": "Query, Remember, Forget or DumpNow: from anybody; acted on at once",
        "control": "producerFinished or shutdownMicroprocess: write everything, then end",
        "_answers": "tuple[Answer | Loaded | Forgotten, ...]: from the worker, one tuple a group",
        "_reports": "Dumped | Elsewhere: from the worker",
        "_worker": "producerFinished: the worker has closed the store",
    }
    Outboxes = {
        "outbox": "object: not used, answers go to the boxes that the queries name",
        "signal": "producerFinished or shutdownMicroprocess: the one that came in",
        "_groups": "tuple[Query | News | Forget | Elsewhere | Load | DumpNow, ...]: to the worker",
        "_stop": "producerFinished: to the worker, after the last group",
    }

    woken_by_collection = False  # it never waits for that

    def __init__(
        self,
        open_store: Callable[[], Store],
        lifetimes: Lifetimes,
        clock: Callable[[], float] = time.time,
        sweep_interval: float = 600.0,
        waiting_limit: int = WAITING_LIMIT,
        *,
        memory_records: int = MEMORY_RECORDS,
        grey_records: int = GREY_RECORDS,
        shared: bool = False,
        log_expired: bool = False,
    ) -> None:
        super().__init__()
        self._lifetimes = lifetimes
        self._clock = clock
        self._sweep_interval = sweep_interval
        self._waiting_limit = waiting_limit
        self._memory_records = memory_records
        self._shared = shared
        self._records = ServingMap(memory_records)
        self._forgetting = Forgetting(self._records)
        self._forgotten = self._forgetting.networks  # nearly always empty
        self._forget_at = _NEVER
        self._last: tuple[Triplet | None, bytes] = (None, b"")  # the key of the latest triplet
        # What is in memory of the store: all of it, or all up to that triplet, or some.
        self._complete = False
        self._loaded_to: Triplet | None = None
        self._overfull = False  # there was no room for all
        self._load_at = 0.0  # when to ask for the next slice
        self._loading = False  # it has been asked for
        self._sweeping = SweepTimes(sweep_interval, 0.0, 0.0)  # begins with main
        self._sweep_at = _NEVER
        self._waiting: deque[Request] = deque()
        self._hand_over_at = _NEVER
        self._out: deque[list[tuple[Addressee, str] | None]] = deque()  # for each group, to whom
        self._closing = False
        self._worker = StoreWorker(
            open_store,
            lifetimes,
            clock,
            sweep_interval,
            grey_records,
            shared=shared,
            log_expired=log_expired,
        )
        self.link((self, "_groups"), (self._worker, "inbox"))
        self.link((self, "_stop"), (self._worker, "control"))
        self.link((self._worker, "outbox"), (self, "_answers"))
        self.link((self._worker, "reports"), (self, "_reports"))
        self.link((self._worker, "signal"), (self, "_worker"))
        self.addChildren(self._worker)

    @property
    def in_memory(self) -> int:
        """How many records are in memory."""
        return len(self._records)

    @property
    def complete(self) -> bool:
        """Whether memory has all that the store has."""
        return self._complete

    def main(self) -> Iterator[object]:
        yield newComponent(self._worker)
        now = self.now()
        self._sweeping = SweepTimes(self._sweep_interval, self._clock(), now)
        self._sweep_at = self._sweeping.due_at
        # Not before: it has no clock to go by until now.
        act_at_once(self, "inbox", self._take, blame_sender=True)
        stop: ipc | None = None
        while stop is None or self._waiting or self._out:
            self._work(now, stopping=stop is not None)
            # Told to stop, and the last answer has come: nothing would wake us any more.
            if not self.anyReady() and (stop is None or self._waiting or self._out):
                self._sleep(now, stopping=stop is not None)
            yield 1
            now = self.now()
            stop = self.told_to_stop()
        self._closing = True
        self.send(producerFinished(self), "_stop")
        while not self.dataReady("_worker"):
            self.pause()
            yield 1
        self._pass_on_reports()
        self.removeChild(self._worker)
        self.send(stop, "signal")

    # --- in the turn of whoever asks ---

    def _take(self, request: Query | Remember | Forget | DumpNow) -> None:
        if isinstance(request, Query):
            self._answer(request)
        elif isinstance(request, Remember):
            self._remember(request)
        elif isinstance(request, Forget):
            self._forget(request)
        elif not self._closing:
            self._waiting.append(request)
            self._hand_over_soon()

    def _answer(self, query: Query) -> None:
        triplet = query.triplet
        key = key_of(triplet)
        self._last = (triplet, key)  # the Remember that comes of it has the same
        record = self._records.get(key)
        if self._forgotten and self._forgetting.hides(triplet.network, key):
            record = None
        if self._shared:
            sure = (
                record is not None
                and record.passed_at is not None
                and not self._lifetimes.is_over(record, int(self._clock()))
            )
        elif record is not None or self._complete:
            sure = True
        else:
            sure = self._loaded_to is not None and triplet <= self._loaded_to
        if not sure:
            self._ask_the_store(query)
            return
        addressee, boxname = query.reply_to
        box = addressee.inboxes.get(boxname)
        if box is not None:
            box.deliver(Answer(triplet, record))

    def _ask_the_store(self, query: Query) -> None:
        if self._closing or len(self._waiting) >= self._waiting_limit:
            self._deliver_late(Answer(query.triplet, failed=True), query.reply_to)
            return
        self._waiting.append(query)
        self._hand_over_soon()

    def _hand_over_soon(self) -> None:
        if self._hand_over_at:
            self._hand_over_at = 0.0
            self.unpause()

    def _forget(self, request: Forget | Elsewhere) -> None:
        # No limit to these but that of different networks: each of them is one text.
        if not self._closing and self._forgetting.begin(request.network):
            self._waiting.append(request)
            self._hand_over_soon()

    def _remember(self, request: Remember) -> None:
        triplet, record = request.triplet, request.record
        known, key = self._last
        if triplet is not known:
            key = key_of(triplet)
        if self._forgotten:
            self._forgetting.remember(triplet.network, key)
        if not self._shared or record.passed_at is not None:
            self._keep(key, record)
        # Dropped when it is too much: memory has it, and a restart makes its sender wait once more.
        if not self._closing and len(self._waiting) < self._waiting_limit:
            self._waiting.append(news_of(key, triplet, record))
            if self._hand_over_at == _NEVER:
                self._hand_over_at = self.now() + GATHER_SECONDS
                self.unpause()

    def _keep(self, key: bytes, record: Record) -> None:
        self._records.merge(key, record)
        if self._records.evicted and not self._overfull:
            self._give_up_completeness()

    def _give_up_completeness(self) -> None:
        """From now on what memory does not know may yet be in the store."""
        self._overfull = True
        self._complete, self._loaded_to, self._load_at = False, None, _NEVER
        log.info(
            "the greylist has more records than memory_records allows in memory (%d): the store is"
            " asked for the others",
            self._memory_records,
        )

    # --- in its own turns ---

    def _work(self, now: float, *, stopping: bool) -> None:
        for answers in self.Inbox("_answers"):
            for reply_to, answer in zip(self._out.popleft(), answers, strict=True):
                if isinstance(answer, Loaded):
                    self._loaded(answer, now)
                elif isinstance(answer, Forgotten):
                    self._forgetting.gone(answer.network)
                    self._forget_at = now
                elif reply_to is not None:
                    self._pass_on(answer, reply_to)
        self._pass_on_reports()
        if not stopping:
            if now >= self._forget_at:
                self._go_on_forgetting(now)
            if now >= self._load_at:
                self._load_at, self._loading = _NEVER, True
                # Before all others: each slice that has come spares the thread their like.
                self._waiting.appendleft(Load(self._loaded_to))
                self._hand_over_at = 0.0
            if now >= self._sweep_at:
                self._sweep(now)
        if stopping or now >= self._hand_over_at:
            while self._waiting and len(self._out) < _GROUPS_OUT:
                self._hand_over()
            if not self._waiting:
                self._hand_over_at = _NEVER

    def _hand_over(self) -> None:
        size = min(len(self._waiting), GROUP_LIMIT)
        group = tuple(self._waiting.popleft() for _ in range(size))
        self._out.append(
            [
                request.reply_to if isinstance(request, Query) else None
                for request in group
                if not isinstance(request, (tuple, DumpNow))
            ]
        )
        self.send(group, "_groups")

    def _pass_on(self, answer: Answer, reply_to: tuple[Addressee, str]) -> None:
        """The store's answer; together with what has been remembered since the question."""
        key = key_of(answer.triplet)
        record = answer.record
        if self._forgotten and self._forgetting.hides(answer.triplet.network, key):
            self._deliver_late(answer, reply_to)  # asked after it, or answered before it
            return
        if record is not None and (not self._shared or record.passed_at is not None):
            self._keep(key, record)
        known = self._records.get(key)
        if known is not None:
            answer = Answer(answer.triplet, known)
        self._deliver_late(answer, reply_to)

    def _pass_on_reports(self) -> None:
        for report in self.Inbox("_reports"):
            if isinstance(report, Elsewhere):
                self._forget(report)
            else:
                self._deliver_late(report, report.reply_to)

    def _go_on_forgetting(self, now: float) -> None:
        self._forgetting.step()
        self._forget_at = now + FORGET_PAUSE_SECONDS if self._forgetting.has_work else _NEVER

    def _deliver_late(self, answer: Answer | Dumped, reply_to: tuple[Addressee, str]) -> None:
        """A box that is full or none is the fault of one, and this service is for all."""
        addressee, boxname = reply_to
        box = addressee.inboxes.get(boxname)
        try:
            if box is not None:
                box.deliver(answer)
        except noSpaceInBox:
            log.warning("an answer of the greylist store was dropped: %s is full", boxname)

    def _loaded(self, loaded: Loaded, now: float) -> None:
        self._loading = False
        if self._overfull:
            return
        if loaded.failed:
            self._load_at = now + LOAD_AGAIN_SECONDS
            return
        rows = loaded.rows
        if self._shared:  # of others the store is asked in any case
            rows = {key: data for key, data in rows.items() if has_passed(data)}
        if len(self._records) + len(rows) > self._memory_records:
            self._give_up_completeness()
            return
        self._records.load(rows)
        self._loaded_to = loaded.upto
        if loaded.upto is not None:
            self._load_at = now + LOAD_PAUSE_SECONDS
        else:
            self._complete = not self._shared
            log.debug("greylist store: %d records in memory", len(self._records))

    def _sweep(self, now: float) -> None:
        if not self._sweeping.is_due(self._clock(), now):
            self._sweep_at = self._sweeping.due_at
            return
        self._records.sweep(int(self._clock()) - GRACE_SECONDS, self._lifetimes, SWEEP_SLICE)
        self._sweep_at = now + SWEEP_PAUSE_SECONDS
        if self._records.at_start:
            self._sweeping.done(now)
            self._sweep_at = self._sweeping.due_at
            if self._overfull and len(self._records) < self._memory_records * 3 // 4:
                self._load_afresh(now)

    def _load_afresh(self, now: float) -> None:
        if not self._loading:  # else that slice would be taken for the first one
            self._overfull, self._load_at = False, now
            self._records.evicted = 0

    def _sleep(self, now: float, *, stopping: bool) -> None:
        busy = len(self._out) >= _GROUPS_OUT  # nothing can be handed over before an answer comes
        due_at = _NEVER if busy else self._hand_over_at
        if not stopping:  # else what is overdue, and no longer done, would keep us awake
            due_at = min(due_at, self._load_at, self._sweep_at, self._forget_at)
        self.pause(None if due_at == _NEVER else max(0.0, due_at - now))


__kamaelia_components__ = (StoreWorker, StoreService)
