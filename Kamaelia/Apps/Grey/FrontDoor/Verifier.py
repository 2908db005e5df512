"""
Is there such a recipient? Ask the real mail server, before anybody is told to come back
========================================================================================
A stranger whose mail is for nobody should hear that at once, and not after a wait that was for
nothing. So before a recipient is deferred the real server is asked: MAIL, RCPT, RSET, in a session
of its own. What it says is remembered for a while, and so is what it says in passing when a
recipient goes through.

Example Usage
-------------
In a desk, which hears a Verified at its box "decisions"::

    verifier.ask(self, sender, recipient, facts)

Rules. Only a final refusal counts; a server that is away, slow, busy or greylists itself changes
nothing for the stranger. At most ``CALLOUTS`` questions are under way at a time, further ones are
not asked. A refusal of the sender is handed on, too, but says nothing about the recipient and is
not remembered. The same question from many is asked once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from Axon.AtOnce import act_at_once
from Axon.Component import component
from Axon.Ipc import producerFinished
from Kamaelia.Apps.Grey.Core.Modes import Verify
from Kamaelia.Apps.Grey.FrontDoor.Backend import Backend
from Kamaelia.Apps.Grey.FrontDoor.RelayPool import ClientFacts, RelayPool
from Kamaelia.Apps.Grey.FrontDoor.VerifyCache import (
    FOUND,
    GreylistingSpotter,
    Verified,
    VerifyCache,
    is_about_recipient,
    key_of,
)
from Kamaelia.Support.Protocol.SMTP.Address import Path
from Kamaelia.Support.Protocol.SMTP.ClientCommands import (
    GiveRecipient,
    GiveSender,
    ResetTransaction,
)
from Kamaelia.Support.Protocol.SMTP.Events import FailReason, Ready, ReplyReceived, SessionFailed
from Kamaelia.Support.Protocol.SMTP.Replies import Reply

log = logging.getLogger(__name__)

CALLOUTS = 20  # at a time: each holds a connection to the server
CALLOUT_SECONDS = 10.0


class Callout(component):
    """Callout(pool, sender, recipient, facts, answer) -> asks once; answer(reply, backend) is
    called with what the server said to RCPT or MAIL, or with (None, None)."""

    Inboxes = {
        "inbox": "object: unused",
        "control": "producerFinished or shutdownMicroprocess: give up",
        "backend": "ClientEvent: from the server's session",
    }
    Outboxes = {
        "outbox": "object: unused",
        "signal": "the shutdown that came in, or producerFinished",
        "to_backend": "list of ClientCommand: to the server's session",
        "abandon": "producerFinished: drop the server's session",
    }

    woken_by_collection = False  # it never waits for that

    def __init__(
        self,
        pool: RelayPool,
        sender: Path,
        recipient: Path,
        facts: ClientFacts | None,
        answer: Callable[[Reply | None, Backend | None], object],
    ) -> None:
        super().__init__()
        self._pool = pool
        self._sender = sender
        self._recipient = recipient
        self._facts = facts
        self._answer: Callable[[Reply | None, Backend | None], object] | None = answer
        self._refused: Reply | None = None  # the sender
        self._backend: Backend | None = None
        self._heard = False
        self._was_kept = False  # the connection, and nothing came over it since
        self._over = False
        act_at_once(self, "backend", self._hear)

    def main(self) -> Iterator[object]:
        domain = self._recipient.domain.decode("utf-8", "backslashreplace")
        lent = self._pool.take(self, domain, self._facts, set())
        if lent is not None:
            self._backend = lent.backend
            self._was_kept = lent.ready
            self._ask()
            until = self.now() + CALLOUT_SECONDS
            while not self._over and (left := until - self.now()) > 0 and not self.told_to_stop():
                self.pause(left)
                yield 1
            if not self._over:
                if not (self._heard or lent.ready or self.told_to_stop()):
                    # It takes connections, and says nothing. Of one that has greeted before that is
                    # not known: a stranger may have it wait for the name servers of his domain.
                    self._pool.failed(lent.backend)
                self.send(producerFinished(self), "abandon")
            self._pool.give_back(self)
        self._tell(None)

    def stop(self) -> None:
        self._over = True
        self._pool.give_back(self, keep=False)
        self._tell(None)
        super().stop()

    def _ask(self) -> None:
        # Without it a server must refuse such an address, for good (RFC 6531, section 3.4); it was
        # offered, or the client could not have given one.
        plain = self._sender.raw.isascii() and self._recipient.raw.isascii()
        parameters: dict[str, bytes | None] = {} if plain else {"SMTPUTF8": None}
        asked = [GiveSender(self._sender, parameters), GiveRecipient(self._recipient, {})]
        self.send(asked, "to_backend")

    def _hear(self, event: object) -> None:
        self._heard = True
        was_kept, self._was_kept = self._was_kept, False
        match event:
            case Ready(capabilities=capabilities) if self._backend is not None:
                self._backend.learn(capabilities)
                self._pool.succeeded(self._backend)
            case ReplyReceived(command="MAIL", reply=reply) if not reply.is_positive:
                self._refused = reply
            case ReplyReceived(command="RCPT", reply=reply):
                self._tell(self._refused or reply)
                self.send([ResetTransaction()], "to_backend")
            case ReplyReceived(command="RSET"):
                self._end()
            case SessionFailed(reason=FailReason.LOST | FailReason.SHUTTING_DOWN) if was_kept:
                self._ask()  # closed while it was idle, which is no fault of the server's
            case SessionFailed():
                if self._answer is not None and self._backend is not None:
                    self._pool.failed(self._backend)
                self._end()

    def _end(self) -> None:
        self._over = True
        self.unpause()

    def _tell(self, reply: Reply | None) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            answer(reply, self._backend if self._refused is None else None)


class Verifier(component):
    """Verifier(pool, mode, cache, spotter) -> answers to desks that ask about a recipient."""

    Inboxes = {
        "inbox": "object: unused",
        "control": "producerFinished or shutdownMicroprocess: end, without another answer",
    }
    Outboxes = {
        "outbox": "object: unused, answers go to the desks that ask",
        "signal": "the shutdown that came in",
    }

    woken_by_collection = False  # it never waits for that

    def __init__(
        self,
        pool: RelayPool,
        mode: Verify = Verify.NEW,
        cache: VerifyCache | None = None,
        spotter: GreylistingSpotter | None = None,
    ) -> None:
        super().__init__()
        self.pool = pool
        self.mode = mode
        self.cache = cache if cache is not None else VerifyCache()
        self._spotter = spotter or GreylistingSpotter()
        self._asked: dict[str, list[component]] = {}  # who waits for what a callout finds

    def main(self) -> Iterator[object]:
        while not self.told_to_stop():
            self.pause()
            yield 1
        for callout in self.children:
            callout.stop()

    def learn(self, recipient: Path, reply: Reply, backend: Backend) -> None:
        """The server's reply to a RCPT that went through, or was asked for."""
        if self.mode is not Verify.NEVER:
            self.cache.learn(key_of(recipient), reply, self.now())
        if 400 <= reply.code < 500 and (news := self._spotter.saw(str(backend), reply, self.now())):
            log.warning("%s", news)

    def ask(
        self, desk: component, sender: Path, recipient: Path, facts: ClientFacts | None
    ) -> None:
        """The desk gets a Verified: found, too, if nobody can say. facts: who the server is told
        the client is."""
        key = key_of(recipient)
        known = None
        if self.mode in (Verify.NEW, Verify.CACHED):
            known = self.cache.get(key, self.now())
        if known is None and (self.mode in (Verify.NEVER, Verify.CACHED) or not self.scheduler):
            known = FOUND
        if known is not None:
            _deliver(desk, known)
        elif key in self._asked:
            self._asked[key].append(desk)
        elif len(self._asked) >= CALLOUTS:
            _deliver(desk, FOUND)
        else:
            self._asked[key] = [desk]
            self._call_out(key, sender, recipient, facts)

    def _call_out(self, key: str, sender: Path, recipient: Path, facts: ClientFacts | None) -> None:
        def answer(reply: Reply | None, backend: Backend | None) -> None:
            if reply is not None and backend is not None:
                self.learn(recipient, reply, backend)
            refused = reply is not None and reply.is_permanent
            verified = Verified(False, reply) if refused else FOUND
            first, *others = self._asked.pop(key)
            _deliver(first, verified)
            # What was said of the first one's sender or address is not about the others.
            shared = reply is not None and backend is not None and is_about_recipient(reply)
            for desk in others:
                _deliver(desk, verified if shared else FOUND)

        callout = Callout(self.pool, sender, recipient, facts, answer)
        self.addChildren(callout)
        callout.isolate(lambda culprit, error: log.error("%s failed", culprit.name, exc_info=error))
        callout.call_on_close(lambda: self.removeChild(callout))
        callout.activate(Scheduler=self.scheduler)


def _deliver(desk: component, verified: Verified) -> None:
    desk.inboxes["decisions"].deliver(verified)


__kamaelia_components__ = (Callout, Verifier)
