"""
From a session to the decider, and through what stands before it
================================================================
Attempts of one session go straight to the decider, or first through a component of the
administrator's own (setting `before_decider`), of which each session has one. It is the same at
every door::

    SESSION "attempts" ------------------------> DECIDER
    SESSION "attempts" --> own inbox, outbox --> DECIDER

Example Usage
-------------
In a door, with the first recipient, since most of those who connect never name one; and at its
end, however that comes::

    self._way = WayToDecider(self.outboxes["attempts"], office, self)
    ...
    self._way.end()

Rules. The own component is a child of the session: what it raises is the session's fault, and
nobody else's. So is it if it ends first: attempts would go nowhere from then on, and a client
would wait for ever. The session ends with a line in the log; a client of the proxy hears 421, a
mail server at the milter "try again later", a Postfix at the policy service nothing: it asks once
more, over another connection. Told to end (producerFinished at "control") it may take its time:
what it still sends is decided, and the answer is nobody's.

Most have no such component; for them this is a link, and costs no more calls than one.
"""

from __future__ import annotations

from functools import partial

from Axon.Box import Inbox, Outbox, join, part
from Axon.Component import component
from Axon.Ipc import producerFinished
from Kamaelia.Apps.Grey.FrontDoor.DecisionOffice import DecisionOffice


class WayToDecider:
    """WayToDecider(attempts, office, session) -> leads that outbox to the decider of the office.

    session: whose fault it is if a component of before_decider fails or ends too early; it is
    active."""

    __slots__ = ("_attempts", "_own", "office")

    def __init__(self, attempts: Outbox, office: DecisionOffice, session: component) -> None:
        self.office = office
        self._attempts = attempts
        self._own: component | None = None  # of before_decider
        if office.before_decider is None:
            join(attempts, office.decider.inboxes["inbox"])
        else:
            self._lead_through(office.before_decider(), session)

    def _lead_through(self, own: component, session: component) -> None:
        self._own = own
        join(self._attempts, own.inboxes["inbox"])
        # Its own link: it lasts for as long as there is something to come out.
        own.link((own, "outbox"), (self.office.decider, "inbox"))
        session.addChildren(own)
        own.call_on_close(partial(self._own_has_ended, own, session))
        own.activate(Scheduler=session.scheduler)

    def end(self) -> None:
        """The session asks no more, or of another office. Once more: nothing."""
        attempts, own = self._attempts, self._own
        if isinstance(attempts.target, Inbox):
            part(attempts, attempts.target)
        if own is not None:
            self._own = None
            own.inboxes["control"].deliver(producerFinished(self))

    def _own_has_ended(self, own: component, session: component) -> None:
        # Who is stopped together with its session may have its last turn before that one.
        if self._own is own and not session._isStopped():
            self._own = None
            # While it is a child: else this would be nobody's fault, and so the end of all.
            raise RuntimeError("a component of before_decider has ended before its session")
        session.removeChild(own)
