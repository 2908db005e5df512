"""
Ask a real mail server what it offers
=====================================
Our EHLO may only offer what the servers behind us can do, and it is answered before there is any
connection to them. So each is asked at the start, then every few minutes, and more often while it
cannot be used: then this is also who finds out that it is back.

Example Usage
-------------
::

    BackendProbe(backend, pool, interval=300.0).activate()

A server that cannot be reached is said to the log once, and once more when it is back; what it
offered last is still believed meanwhile. A fault of ours while it is asked is one question without
an answer, and harms nobody else."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Microprocess import microprocess
from Kamaelia.Apps.Grey.FrontDoor.Backend import Backend
from Kamaelia.Apps.Grey.FrontDoor.RelayPool import RelayPool
from Kamaelia.Protocol.SMTPClient import SMTPClientSession
from Kamaelia.Support.Protocol.SMTP.ClientCommands import Greet
from Kamaelia.Support.Protocol.SMTP.Events import FailReason, Ready, SessionFailed

log = logging.getLogger(__name__)

SOON = 15.0  # seconds until it is asked again while it cannot be used


class BackendProbe(component):
    """BackendProbe(backend, pool, interval=300.0, patience=30.0) -> keeps the Backend's abilities
    up to date, and the pool's opinion of it. Times in seconds."""

    Inboxes = {
        "inbox": "ClientEvent: from the real mail server's session",
        "control": "producerFinished or shutdownMicroprocess: end",
        "_closed": "producerFinished or shutdownMicroprocess: the session is over",
    }
    Outboxes = {
        "outbox": "ClientCommand: to the real mail server's session",
        "signal": "the shutdown that came in",
        "_close": "producerFinished or shutdownMicroprocess: end the session",
    }

    def __init__(
        self, backend: Backend, pool: RelayPool, interval: float = 300.0, patience: float = 30.0
    ) -> None:
        super().__init__()
        self._backend = backend
        self._pool = pool
        self._interval = interval
        self._patience = patience
        self._reachable: bool | None = None

    def main(self) -> Iterator[object]:
        while not self.told_to_stop():
            answer = yield from self._ask()
            if not self.told_to_stop():
                self._note(answer)
                yield from self._wait(self._interval if self._reachable else SOON)

    def _ask(self) -> Generator[object, None, object]:
        """Connect, greet, say goodbye: Ready, SessionFailed, or None if there was no answer."""
        session = self._pool.new_session(self._backend)
        self.link((session, "outbox"), (self, "inbox"))
        self.link((session, "signal"), (self, "_closed"))
        self.link((self, "outbox"), (session, "inbox"))
        self.link((self, "_close"), (session, "control"))
        self.addChildren(session)
        session.isolate(lambda culprit, error: self._broken(session, culprit, error))
        session.activate(Scheduler=self.scheduler)
        self.send(Greet(), "outbox")
        until = self.now() + self._patience
        answer: object = None
        while answer is None and self.now() < until and not self.told_to_stop():
            for event in self.Inbox("inbox"):
                answer = event
            if answer is None:
                self.pause(max(0.0, until - self.now()))
                yield 1
        polite = isinstance(answer, Ready)
        self.send(producerFinished(self) if polite else shutdownMicroprocess(self), "_close")
        while not (self.dataReady("_closed") or session._isStopped()):
            self.pause()
            yield 1
        for box in ("inbox", "_closed"):
            for _ in self.Inbox(box):
                pass
        self.removeChild(session)
        return answer

    def _broken(self, session: SMTPClientSession, culprit: microprocess, error: Exception) -> None:
        log.error("asking mail server %s: %s failed", self._backend, culprit.name, exc_info=error)
        session.stop()
        self.inboxes["inbox"].deliver(SessionFailed(FailReason.LOST, None))

    def _note(self, answer: object) -> None:
        if isinstance(answer, Ready):
            self._pool.succeeded(self._backend)
            if self._backend.learn(answer.capabilities) or not self._reachable:
                offer = b", ".join(answer.capabilities.ehlo_keywords()).decode("ascii")
                log.info("mail server %s offers %s", self._backend, offer or "nothing but mail")
            self._reachable = True
            return
        if self._reachable is not False:
            log.warning("mail server %s cannot be used now%s", self._backend, _why(answer))
        self._reachable = False

    def _wait(self, seconds: float) -> Iterator[object]:
        until = self.now() + seconds
        while (left := until - self.now()) > 0 and not self.told_to_stop():
            self.pause(left)
            yield 1


def _why(answer: object) -> str:
    if not isinstance(answer, SessionFailed):
        return ": no answer in time"
    reply = f": {answer.reply.code} {answer.reply.text}" if answer.reply is not None else ""
    return f": {answer.reason.name.lower().replace('_', ' ')}{reply}"


__kamaelia_components__ = (BackendProbe,)
