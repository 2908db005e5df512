"""
The dump, from time to time
===========================
`DumpService` asks the store service for a dump each `seconds`, if something has changed since the
last one. The file is written in the thread of the store, slice by slice between other requests:
no decision waits for it. A dump that fails is logged there, and asked for again the next time.

With 0 seconds each change is written, but at most once a second; with -1 there is only the one at
the end. That one is always made, so whoever ends the store has to end this before, and to wait.

Example Usage
-------------
In a program with a store service::

    dumps = DumpService(service, DumpPlan(Path("/var/lib/grey/greylist.db")), seconds=600)
    dumps.activate()

Shutdown: on either message at "control" the last dump is written, then the message goes on.
"""

from collections.abc import Iterator

from Axon.Component import component
from Axon.Ipc import ipc
from Kamaelia.Apps.Grey.Store.DumpFile import DumpPlan
from Kamaelia.Apps.Grey.Store.Requests import DumpNow
from Kamaelia.Apps.Grey.Store.StoreService import StoreService

ON_CHANGE_SECONDS = 1.0  # how long a change waits at most when each is to be written
LAST_SECONDS = 60.0  # for the dump at the end


class DumpService(component):
    """DumpService(store, plan, seconds=600) -> the dump is there, and not older than that."""

    Inboxes = {
        "inbox": "object: unused",
        "control": "producerFinished or shutdownMicroprocess: write the last dump, then end",
        "_done": "Dumped: what was asked for is written, or could not be",
    }
    Outboxes = {
        "outbox": "object: unused",
        "signal": "producerFinished or shutdownMicroprocess: the one that came in",
        "_dump": "DumpNow: to the store service",
    }

    def __init__(self, store: StoreService, plan: DumpPlan, seconds: int = 600) -> None:
        super().__init__()
        self._store = store
        self._plan = plan
        self._seconds = float(seconds) if seconds > 0 else ON_CHANGE_SECONDS
        self._at_the_end_only = seconds < 0
        self.dumped = self.failed = 0
        self.link((self, "_dump"), (store, "inbox"))

    def main(self) -> Iterator[object]:
        stop: ipc | None = None
        while stop is None:
            yield from self._rest()
            stop = self.told_to_stop()
            if stop is None and not self._at_the_end_only:
                yield from self._one()
                stop = self.told_to_stop()
        yield from self._one()
        self.send(stop, "signal")

    def _rest(self) -> Iterator[object]:
        until = self.now() + self._seconds
        while not self.dataReady("control") and (left := until - self.now()) > 0:
            self.pause(None if self._at_the_end_only else left)
            yield 1

    def _one(self) -> Iterator[object]:
        """Ask, and wait for the answer: a slow disk must not have two of them to write."""
        until = self.now() + LAST_SECONDS
        self.send(DumpNow(self._plan, (self, "_done")), "_dump")
        while not self.dataReady("_done"):
            # Who has ended does not answer; nor are we to hold up the end for ever.
            left = until - self.now() if self.dataReady("control") else LAST_SECONDS
            if self._store._isStopped() or left <= 0:
                return
            self.pause(min(left, ON_CHANGE_SECONDS))
            yield 1
        for done in self.Inbox("_done"):
            self.dumped += not done.failed
            self.failed += done.failed


__kamaelia_components__ = (DumpService,)
