"""
Postfix's policy delegation as components
=========================================
Postfix asks about clients, senders and recipients over a connection of its own; see
Kamaelia.Support.Protocol.PostfixPolicy for how that looks, and Docs/protocols/policy.md for what
can be asked and answered.

Example Usage
-------------
A policy server: say what the answer is. Nothing from example.net is taken on port 10023::

    # ends: ctrl-c
    from Kamaelia.Chassis.ConnectedServer import ServerCore
    from Kamaelia.Protocol.PostfixPolicy import PolicySession


    class NotFromThere(PolicySession):
        def asked(self, request):
            return "REJECT" if request["sender"].endswith("@example.net") else "DUNNO"


    ServerCore(protocol=NotFromThere, port=10023).run()

To see what Postfix asks, a PolicyDecoder in front of anything that takes messages will do; Postfix
then waits in vain for an answer::

    # ends: ctrl-c
    from Kamaelia.Chassis.ConnectedServer import ServerCore
    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Protocol.PostfixPolicy import PolicyDecoder
    from Kamaelia.Util.Console import ConsoleEchoer


    def protocol(**peer):
        return Pipeline(PolicyDecoder(), ConsoleEchoer())


    ServerCore(protocol=protocol, port=10023).run()

How does a session work?
------------------------
Requests are answered inside the send() that brings them (see Axon.AtOnce), while main sleeps: a
request costs no turn, and all requests of one read are answered in one send. main has the end, the
idle limit, and what is left when somebody sends more than REQUESTS_AT_ONCE in one go. One request
is under way at a time, so the answers come in the order of the requests; while it waits for its
answer, no more is read, and TCP holds the peer back. A request that makes no sense ends the
connection without an answer: Postfix asks again, and if that is in vain, too, defers the mail.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from Axon.AtOnce import act_when_idle
from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Kamaelia.Support.Protocol.PostfixPolicy import (
    LIMIT,
    PolicyParser,
    PolicyRequest,
    PolicySyntaxError,
    action,
)

log = logging.getLogger(__name__)

REQUESTS_AT_ONCE = 64  # of one connection in one turn; then others have theirs
# Seconds in which one request must be complete. Postfix closes a connection that it has not used
# for 300 (smtpd_policy_service_max_idle); one that we close costs its next mail a second.
IDLE_SECONDS = 900.0
DUNNO = action("DUNNO")


class PolicyDecoder(component):
    """PolicyDecoder(limit=65536) -> one connection's bytes in, its requests out."""

    Inboxes = {
        "inbox": "bytes: from the socket, sliced anywhere",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "PolicyRequest: one per request, in order",
        "signal": "the shutdown that came in, or producerFinished after a bad request",
    }

    def __init__(self, limit: int = LIMIT, **attributes: object) -> None:
        super().__init__(**attributes)  # ServerCore passes peer, peerport, localip, localport
        self._parser = PolicyParser(limit)

    def main(self) -> Iterator[object]:
        stop: object = None
        while stop is None:
            if not self.anyReady():
                self.pause()
            yield 1
            stop = self.told_to_stop()
            if isinstance(stop, shutdownMicroprocess):
                break
            try:
                for data in self.Inbox("inbox"):
                    self._parser.receive_data(data)
                    while (request := self._parser.next_request()) is not None:
                        self.send(request, "outbox")
            except PolicySyntaxError as error:
                log.warning("policy connection dropped: %s", error)
                stop = stop or producerFinished(self)
        self.send(stop, "signal")


class PolicySession(component):
    """PolicySession(peer="", peerport=0, localip="", localport=0, limit=65536) -> one connection of
    a policy server. A class of one's own says in `asked` what is answered.

    limit: bytes of one request."""

    Inboxes = {
        "inbox": "bytes: from Postfix, sliced anywhere",
        "control": "producerFinished (Postfix has closed its side) or shutdownMicroprocess (answer"
        " what is under way, then close)",
    }
    Outboxes = {
        "outbox": "bytes: answers, in the order of the requests",
        "signal": "the shutdown that came in, or producerFinished: close the connection",
    }

    # There may be thousands of them.
    __slots__ = (
        *("peer", "_due", "_feed", "_in_asked", "_made_progress", "_more", "_over", "_parser"),
        *("_said",),
    )

    lazy_boxes = True
    woken_by_collection = False  # it never waits for that: an answer is short
    idle_seconds = IDLE_SECONDS

    def __init__(
        self,
        peer: str = "",
        peerport: int = 0,
        localip: str = "",
        localport: int = 0,
        limit: int = LIMIT,
    ) -> None:
        super().__init__()
        self.peer = peer or localip or "nobody"  # a local socket has a path at our end only
        self._parser = PolicyParser(limit)
        self._due = False  # a request waits for its answer
        self._in_asked = False  # and we are in asked()
        self._said: bytes | None = None  # what was answered there
        self._more = False  # main has to go on with what came
        self._made_progress = False
        self._over = False
        self._feed = act_when_idle(self, "inbox", self._fed)

    # ---- for those who put something in the place of these

    def asked(self, request: PolicyRequest) -> bytes | str | None:
        """What is answered: an action of access(5), or the whole answer as bytes, made by `action`.
        None: it comes later, by answer()."""
        return DUNNO

    def left(self) -> None:
        """Postfix has closed its side while it was waiting for an answer, which it may still
        read."""

    def draining(self) -> None:
        """We are to end, and a request waits for its answer: now would be the time."""

    # ---- answers

    def answer(self, text: bytes | str) -> None:
        """Answer the request for which asked() had or has no answer. If there is none, nothing."""
        if not self._due:
            return
        self._due = False
        data = text if isinstance(text, bytes) else action(text)
        if self._in_asked:
            self._said = data
            return
        self.send(data, "outbox")
        if self._feed or len(self._parser) or dict.get(self.inboxes, "control") is not None:
            self._more = True
            self.unpause()
        else:
            self._feed.idle = True

    def hang_up(self) -> None:
        """Close the connection; what is under way is not answered."""
        self._over = True
        self.unpause()

    def _fed(self, data: bytes) -> None:
        """Something came while main slept, and nothing was under way."""
        parser = self._parser
        parser.receive_data(data)
        self._feed.idle = False
        request = parser.only_request()
        if request is not None:  # nearly always: then this is all
            self._made_progress = True
            answer = self._ask(request)
            if answer is not None:
                self.send(answer, "outbox")
                self._feed.idle = True
        elif self._go_on():
            self._feed.idle = True
        elif not self._due:
            self._more = True
            self.unpause()

    def _go_on(self) -> bool:
        """Answer the requests that are complete. False: one waits for its answer, or there are more
        than can be answered in one turn, or it is over."""
        parser = self._parser
        said = b""
        done = False
        try:
            for _ in range(REQUESTS_AT_ONCE):
                request = parser.next_request()
                if request is None:
                    done = True
                    break
                self._made_progress = True
                answer = self._ask(request)
                if answer is None:
                    break
                said = said + answer if said else answer
        except PolicySyntaxError as error:
            log.warning("policy connection from %s closed: %s", self.peer, error)
            self._over = True
        if said:
            self.send(said, "outbox")
        return done

    def _ask(self, request: PolicyRequest) -> bytes | None:
        self._due = self._in_asked = True
        answer = self.asked(request)
        self._in_asked = False
        if answer is None:
            answer, self._said = self._said, None
            return answer
        self._due = False
        return answer if isinstance(answer, bytes) else action(answer)

    # ---- what does not come with every request

    def main(self) -> Iterator[object]:
        told: object = None
        until = self.now() + self.idle_seconds
        while not self._over:
            self._feed.idle = self._more = False
            stop = self.told_to_stop() if dict.get(self.inboxes, "control") is not None else None
            if isinstance(stop, shutdownMicroprocess) and not self._due:
                break  # what we have not looked at, Postfix asks again
            if not self._due:
                self._take_what_came()
            if stop is not None:
                if not (self._due or self._more):
                    break
                if self._due and stop is not told:
                    told = stop
                    self._tell(stop)
                    continue
            if not (self._more or self._over):
                self._feed.idle = not self._due and stop is None
                self.pause(until - self.now())
            yield 1
            if self.now() >= until:
                self._look_at_progress()
                until = self.now() + self.idle_seconds
        self.send(self.told_to_stop() or producerFinished(self), "signal")

    def _take_what_came(self) -> None:
        while not self._over and self._go_on():
            if not self._feed:
                return
            self._parser.receive_data(self._feed.popleft())
        self._more = self._more or not (self._due or self._over)

    def _tell(self, stop: object) -> None:
        if isinstance(stop, shutdownMicroprocess):
            self.draining()
        else:
            self.left()

    def _look_at_progress(self) -> None:
        """Half a request may be there for ever, or nothing."""
        if not self._made_progress and not self._due:
            log.info("policy connection from %s closed: no request for a while", self.peer)
            self._over = True
        self._made_progress = False

    def _axon_forget(self) -> None:
        super()._axon_forget()
        del self._feed  # a reference cycle, otherwise


__kamaelia_components__ = (PolicyDecoder, PolicySession)
