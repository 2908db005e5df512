"""
The one owner of the store
==========================
Everybody who wants to know or to remember something sends it to the one `StoreService` of the
process. It hands all requests that came in a turn to a thread as one group, and the thread writes
each group as one transaction: nobody in the event loop ever waits for a disk. One group is being
worked on and one lies ready; while they do, the next grows, so the busier it is, the larger the
groups and the cheaper each request.

Example Usage
-------------
Ask, and get an `Answer` in one's own box "answers"::

    service = StoreService(MemoryStore, Policy().lifetimes).activate()
    self.link((self, "query"), (service, "inbox"))
    self.send(Query(triplet, reply_to=(self, "answers")), "query")

Shutdown: on either message at "control" everything remembered is written, the store is closed, and
the message goes on. Faults of the store are dealt with in Keeper.py; they never stop the service.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator

from Axon.Component import component
from Axon.Ipc import ipc, newComponent, producerFinished
from Axon.ThreadedComponent import threadedcomponent
from Kamaelia.Apps.Grey.Core.Types import Addressee, Answer, Lifetimes, Query, Remember
from Kamaelia.Apps.Grey.Store.Interface import Store
from Kamaelia.Apps.Grey.Store.Keeper import StoreKeeper

Group = tuple[Query | Remember, ...]

GROUP_LIMIT = 1000  # requests: a group takes the thread some 30 ms, decisions wait at most 2 s
WAITING_LIMIT = 100_000
_GROUPS_OUT = 2  # one in work, one ready


class StoreWorker(threadedcomponent):
    """StoreWorker(open_store, lifetimes, clock, sweep_interval) -> the thread with the store."""

    Inboxes = {
        "inbox": "tuple[Query | Remember, ...]: one group of requests",
        "control": "producerFinished or shutdownMicroprocess: finish what arrived, then close",
    }
    Outboxes = {
        "outbox": "tuple[Answer, ...]: for each group, the answers to its queries in order",
        "signal": "producerFinished or shutdownMicroprocess: all is written, the store closed",
    }

    woken_by_collection = False  # it never waits for that

    def __init__(
        self,
        open_store: Callable[[], Store],
        lifetimes: Lifetimes,
        clock: Callable[[], float] = time.time,
        sweep_interval: float = 600.0,
    ) -> None:
        super().__init__()
        self._open_store = open_store
        self._lifetimes = lifetimes
        self._clock = clock
        self._sweep_interval = sweep_interval

    def main(self) -> None:
        """In the thread of its own, so no generator."""
        keeper = StoreKeeper(
            self._open_store,  # not called before this thread uses it: SQLite asks for that
            self._lifetimes,
            clock=self._clock,
            monotonic=self.scheduler.clock if self.scheduler else time.monotonic,
            sweep_interval=self._sweep_interval,
        )
        try:
            stop = self._serve(keeper)
        finally:  # also when the scheduler was stopped: pause() then raises
            keeper.close()
        self.send(stop, "signal")

    def _serve(self, keeper: StoreKeeper) -> ipc:
        while True:
            # Groups come before control messages, so what was sent before a shutdown is here.
            stop: ipc | None = self.told_to_stop()
            for group in self.Inbox("inbox"):
                self.send(keeper.serve(group), "outbox")
            keeper.write()  # after the answers: nobody waits for the disk
            if stop is not None:
                return stop
            seconds = keeper.housekeep()
            if seconds and not self.anyReady():
                self.pause(seconds)


class StoreService(component):
    """StoreService(open_store, lifetimes, clock=time.time, sweep_interval=600.0) -> Query and
    Remember in, each Answer to the box that its query names."""

    Inboxes = {
        "inbox": "Query or Remember: from anybody, in any number",
        "control": "producerFinished or shutdownMicroprocess: write everything, then end",
        "_answers": "tuple[Answer, ...]: from the worker, one tuple a group",
        "_worker": "producerFinished: the worker has closed the store",
    }
    Outboxes = {
        "outbox": "object: not used, answers go to the boxes that the queries name",
        "signal": "producerFinished or shutdownMicroprocess: the one that came in",
        "_groups": "tuple[Query | Remember, ...]: to the worker",
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
    ) -> None:
        super().__init__()
        self._waiting_limit = waiting_limit
        self._waiting: deque[Query | Remember] = deque()
        self._out: deque[list[tuple[Addressee, str]]] = deque()  # for each group, whom to answer
        self._worker = StoreWorker(open_store, lifetimes, clock, sweep_interval)
        self.link((self, "_groups"), (self._worker, "inbox"))
        self.link((self, "_stop"), (self._worker, "control"))
        self.link((self._worker, "outbox"), (self, "_answers"))
        self.link((self._worker, "signal"), (self, "_worker"))
        self.addChildren(self._worker)

    def main(self) -> Iterator[object]:
        yield newComponent(self._worker)
        stop: ipc | None = None
        while stop is None or self._waiting or self._out:
            if not self.anyReady():
                self.pause()
            yield 1
            stop = self.told_to_stop()
            self._work()
        self.send(producerFinished(self), "_stop")
        while not self.dataReady("_worker"):
            self.pause()
            yield 1
        for request in self.Inbox("inbox"):
            self._refuse(request)
        self.removeChild(self._worker)
        self.send(stop, "signal")

    def _work(self) -> None:
        for answers in self.Inbox("_answers"):
            for (addressee, boxname), answer in zip(self._out.popleft(), answers, strict=True):
                addressee.inboxes[boxname].deliver(answer)
        for request in self.Inbox("inbox"):
            if len(self._waiting) < self._waiting_limit:
                self._waiting.append(request)
            else:
                self._refuse(request)
        while self._waiting and len(self._out) < _GROUPS_OUT:
            self._hand_over()

    def _hand_over(self) -> None:
        size = min(len(self._waiting), GROUP_LIMIT)
        group: Group = tuple(self._waiting.popleft() for _ in range(size))
        self._out.append([request.reply_to for request in group if isinstance(request, Query)])
        self.send(group, "_groups")

    def _refuse(self, request: Query | Remember) -> None:
        # A Remember is dropped: its sender has to wait once more, that is all.
        if isinstance(request, Query):
            addressee, boxname = request.reply_to
            addressee.inboxes[boxname].deliver(Answer(request.triplet, failed=True))


__kamaelia_components__ = (StoreWorker, StoreService)
