"""
Look-ups that block
===================
Where a library waits by itself, its function is put into a few threads: `ThreadedHandler` makes a
Handler for a LookupService of it. The function gets a question and returns the answer and for how
many seconds it is true::

    def country(question: Country) -> tuple[object, float]:
        return database.get(question.client), 86_400.0

    LookupService(definitions, settings, {Country: ThreadedHandler(country, threads=1)})

Rules:

* Threads are started when they are needed, and end with the service.
* What the function raises is a failed look-up.
* It must have a time-out of its own: nothing ends a thread from outside.
* Only so many questions wait for a thread; more fail at once.
"""

import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from Axon.Ipc import shutdownMicroprocess
from Axon.ThreadedComponent import threadedcomponent
from Kamaelia.Apps.Grey.Core.Access.Questions import LookupFailed
from Kamaelia.Apps.Grey.Lookups.DnsWalks import Done

if TYPE_CHECKING:
    from Kamaelia.Apps.Grey.Lookups.LookupService import LookupService

log = logging.getLogger(__name__)


class ThreadedHandler:
    """ThreadedHandler(function, threads=4, queue=1000) -> a Handler for a function that blocks.

    function(question) -> (answer, ttl_seconds). queue: questions that may wait for a thread."""

    def __init__(
        self,
        function: Callable[[Any], tuple[object, float]],
        threads: int = 4,
        queue: int = 1000,
    ) -> None:
        self._function = function
        self._threads = threads
        self._limit = queue
        self._queue: deque[tuple[object, Done]] = deque()
        self._idle: list[_Worker] = []
        self._workers: list[_Worker] = []
        self._service: LookupService | None = None

    def open(self, service: "LookupService") -> None:
        self._service = service

    def close(self) -> None:
        """No more questions. Those in a thread are still answered, if somebody runs to hear it."""
        self._service = None
        workers, self._workers, self._idle = self._workers, [], []
        for worker in workers:
            worker.inboxes["control"].deliver(shutdownMicroprocess())
        waiting, self._queue = self._queue, deque()
        for _, done in waiting:
            done(LookupFailed("the look-ups were stopped"), 0.0)

    def start(self, question: object, done: Done) -> None:
        worker = self._idle.pop() if self._idle else self._new_worker()
        if worker is not None:
            worker.inboxes["inbox"].deliver((question, done))
        elif len(self._queue) < self._limit:
            self._queue.append((question, done))
        else:
            done(LookupFailed("too many of these at once"), 0.0)

    def _new_worker(self) -> "_Worker | None":
        service = self._service
        if service is None:
            raise RuntimeError("nobody runs it")
        if len(self._workers) >= self._threads:
            return None
        worker = _Worker(self._function, self._took)
        worker.link((worker, "outbox"), (service, "worked"))
        worker.activate(Scheduler=service.scheduler)
        self._workers.append(worker)
        return worker

    def _took(self, worker: "_Worker", done: Done, answer: object, ttl: float) -> None:
        """A worker has an answer, and now nothing to do."""
        if worker in self._workers:
            if self._queue:
                worker.inboxes["inbox"].deliver(self._queue.popleft())
            else:
                self._idle.append(worker)
        done(answer, ttl)


class _Worker(threadedcomponent):
    """One thread of a ThreadedHandler."""

    Inboxes = {
        "inbox": "(object, callable): a question, and what to call with its answer",
        "control": "shutdownMicroprocess or producerFinished: end",
    }
    Outboxes = {
        "outbox": "callable: takes the answer up, in the scheduler's thread",
        "signal": "the shutdown that came in",
    }

    def __init__(
        self,
        function: Callable[[Any], tuple[object, float]],
        took: "Callable[[_Worker, Done, object, float], None]",
    ) -> None:
        super().__init__()
        self._function = function
        self._took = took

    def main(self) -> None:
        while not self.dataReady("control"):
            if self.dataReady("inbox"):
                question, done = self.recv("inbox")
                answer, ttl = self._find(question)
                self.send(partial(self._took, self, done, answer, ttl), "outbox")
            else:
                self.pause()
        self.recv("control")

    def _find(self, question: object) -> tuple[object, float]:
        try:
            return self._function(question)
        except Exception as error:
            log.exception("the look-up of %.200r failed", question)
            return LookupFailed(f"{type(error).__name__} in the look-up"), 0.0
