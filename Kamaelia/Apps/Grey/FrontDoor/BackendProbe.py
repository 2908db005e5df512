"""
Ask the real mail server what it offers
=======================================
Our EHLO may only offer what the server behind us can do, and it is answered before there is any
connection to it. So the server is asked at the start, and then every few minutes.

Example Usage
-------------
::

    backend = Backend("127.0.0.1", 8025)
    BackendProbe(backend, helo_name="mx.example.org", interval=300.0).activate()

A server that cannot be reached is said to the log once, and once more when it is back; what it
offered last is still believed meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator

from Axon.Component import component
from Axon.Ipc import producerFinished
from Kamaelia.Apps.Grey.FrontDoor.Backend import Backend
from Kamaelia.Internet.TCPClient import TCPClient
from Kamaelia.Support.Protocol.SMTP.ClientSession import ClientSession
from Kamaelia.Support.Protocol.SMTP.Events import Ready, SessionFailed

log = logging.getLogger(__name__)


class BackendProbe(component):
    """BackendProbe(backend, helo_name, interval=300.0, patience=30.0) -> keeps the Backend's
    abilities up to date."""

    Inboxes = {
        "inbox": "bytes: from the real mail server",
        "control": "producerFinished or shutdownMicroprocess: end",
        "_closed": "producerFinished: the connection is over",
    }
    Outboxes = {
        "outbox": "bytes: to the real mail server",
        "signal": "the shutdown that came in",
        "_close": "producerFinished: close the connection",
    }

    def __init__(
        self, backend: Backend, helo_name: str, interval: float = 300.0, patience: float = 30.0
    ) -> None:
        super().__init__()
        self._backend = backend
        self._helo_name = helo_name
        self._interval = interval
        self._patience = patience
        self._reachable: bool | None = None

    def main(self) -> Iterator[object]:
        while not self.told_to_stop():
            answer = yield from self._ask()
            if not self.told_to_stop():
                self._note(answer)
                yield from self._wait(self._interval)

    def _ask(self) -> Generator[object, None, object]:
        """Connect, greet, say goodbye: Ready, SessionFailed, or None if there was no connection."""
        client = TCPClient(self._backend.host, self._backend.port, connect_timeout=self._patience)
        session = ClientSession(self._helo_name)
        self.link((client, "outbox"), (self, "inbox"))
        self.link((client, "signal"), (self, "_closed"))
        self.link((self, "outbox"), (client, "inbox"))
        self.link((self, "_close"), (client, "control"))
        self.addChildren(client)
        client.activate(Scheduler=self.scheduler)
        until = self.now() + self._patience
        answer: object = None
        closed = False
        while answer is None and not closed and self.now() < until and not self.told_to_stop():
            for data in self.Inbox("inbox"):
                session.receive_data(data)
            for _ in self.Inbox("_closed"):
                closed = True
            answer = session.next_event()
            if isinstance(answer, Ready):
                session.quit()
            data = session.data_to_send()
            if data:
                self.send(data, "outbox")
            if answer is None and not closed:
                self.pause(max(0.0, until - self.now()))
                yield 1
        self.send(producerFinished(self), "_close")
        while not closed and not self.dataReady("_closed"):
            self.pause()
            yield 1
        for box in ("inbox", "_closed"):
            for _ in self.Inbox(box):
                pass
        self.removeChild(client)
        return answer

    def _note(self, answer: object) -> None:
        where = (self._backend.host, self._backend.port)
        if isinstance(answer, Ready):
            if self._backend.learn(answer.capabilities) or not self._reachable:
                offer = b", ".join(answer.capabilities.ehlo_keywords()).decode("ascii")
                log.info("mail server %s port %d offers %s", *where, offer or "nothing but mail")
            self._reachable = True
            return
        if self._reachable is not False:
            why = f": {answer.reply.code} {answer.reply.text}" if _has_reply(answer) else ""  # type: ignore[attr-defined]
            log.warning("mail server %s port %d cannot be used now%s", *where, why)
        self._reachable = False

    def _wait(self, seconds: float) -> Iterator[object]:
        until = self.now() + seconds
        while (left := until - self.now()) > 0 and not self.told_to_stop():
            self.pause(left)
            yield 1


def _has_reply(answer: object) -> bool:
    return isinstance(answer, SessionFailed) and answer.reply is not None


__kamaelia_components__ = (BackendProbe,)
