"""
What the sessions of a process share
====================================
Settings, and the parts that there is one of: decider, relays, verifier, admission, logs. A session
keeps the office that it began with; after a reload new ones get another. So what was promised to a
client holds until it leaves.

Example Usage
-------------
By the server, which makes one from each configuration::

    office = FrontOffice(settings, pool, verifier, decider, mail_log, admission, clock=time.time)
    door = ServerCore(protocol=lambda **peer: SMTPProxy(office, **peer), port=25)
"""

from __future__ import annotations

import logging
import os
import secrets
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from Axon.Component import component
from Kamaelia.Apps.Grey.Core.Networks import Networks
from Kamaelia.Apps.Grey.FrontDoor.Admission import Admission, Refusal, RefusalLog
from Kamaelia.Apps.Grey.FrontDoor.Backend import offered_by
from Kamaelia.Apps.Grey.FrontDoor.DoorRules import DoorRules
from Kamaelia.Apps.Grey.FrontDoor.RelayPool import RelayPool
from Kamaelia.Apps.Grey.FrontDoor.Verifier import Verifier
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.ServerSession import ServerLimits

log = logging.getLogger(__name__)

XCLIENT_ATTRIBUTES = frozenset(
    (b"NAME", b"ADDR", b"PORT", b"PROTO", b"HELO", b"LOGIN", b"DESTADDR", b"DESTPORT")
)


_ID_DIGITS = 10
_IDS_AT_ONCE = 128


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """What does not change from client to client. Times in seconds, sizes in bytes."""

    hostname: str
    greeting: str = "ESMTP"
    size_limit: int = 52_428_800
    timeout: float = 300.0
    greet_pause: float = 0.0
    chunking: bool = False
    limits: ServerLimits = field(default_factory=ServerLimits)
    proxy_protocol_from: Networks = field(default_factory=Networks)
    xclient_from: Networks = field(default_factory=Networks)


class FrontOffice:
    """FrontOffice(settings, pool, decider, mail_log, clock, verifier=None, admission=None,
    context=None, before_decider=None, rules=None) -> what sessions share.

    decider: takes an Attempt and answers to the box that it names. before_decider: makes, for each
    client that gives a recipient, a component through which its Attempts go first. context: makes
    the ssl.SSLContext for a client that wants to encrypt; None: that is not offered. rules: what
    the access rules want of the door; None: nothing."""

    def __init__(
        self,
        settings: ProxySettings,
        pool: RelayPool,
        decider: component,
        mail_log: component,
        clock: Callable[[], float],
        verifier: Verifier | None = None,
        admission: Admission | None = None,
        context: Callable[[], ssl.SSLContext | None] | None = None,
        before_decider: Callable[[], component] | None = None,
        rules: DoorRules | None = None,
    ) -> None:
        self.settings = settings
        self.pool = pool
        self.decider = decider
        self.mail_log = mail_log
        self.clock = clock
        self.verifier = verifier
        self.admission = admission
        self.before_decider = before_decider
        self.rules = rules
        self._context = context
        self._own = Capabilities(
            size=settings.size_limit,
            size_offered=True,
            eightbitmime=True,
            smtputf8=True,
            dsn=True,
            pipelining=True,
            enhancedstatuscodes=True,
            chunking=settings.chunking,
            deliverby=True,
            mt_priority=True,
            auth=(b"*",),
            starttls=self.context() is not None,
        )
        self._offer: tuple[object, Capabilities] | None = None
        self._refusals = RefusalLog()
        # Bound once, and not for each of ten thousand sessions.
        self.context_now = self.context
        self.offered_to_client = self.offered
        self.offered_to_front = partial(self.offered, True)
        self._local = ("", 0)
        self._ids: list[str] = []
        self._ids_of = 0  # the process that they were made in

    @property
    def needs_subject(self) -> bool:
        """Whether whoever decides is told all that is known of a client."""
        return self.rules is not None and self.rules.needs_subject

    @property
    def data_rules(self) -> bool:
        """Whether messages have to be judged."""
        return self.rules is not None and self.rules.data_rules

    @property
    def may_encrypt(self) -> bool:
        """Whether some client may be offered to encrypt."""
        return self._own.starttls

    def local_address(self, host: str, port: int) -> tuple[str, int]:
        """The pair; the same object for all sessions at one door."""
        if self._local != (host, port):
            self._local = (host, port)
        return self._local

    def new_id(self) -> str:
        """Ten hexadecimal digits that nobody can guess, to find a session by; random ones are asked
        of the system for many sessions at once."""
        if not self._ids or self._ids_of != os.getpid():
            self._ids_of = os.getpid()  # a child must not use those that its parent will use
            random = secrets.token_hex(_IDS_AT_ONCE * _ID_DIGITS // 2)
            self._ids = [random[at : at + _ID_DIGITS] for at in range(0, len(random), _ID_DIGITS)]
        return self._ids.pop()

    def context(self) -> ssl.SSLContext | None:
        """What to encrypt the next connection with."""
        return self._context() if self._context is not None else None

    def refused(self, refusal: Refusal, client: str, now: float) -> None:
        """Note in the log that a client was not let in; not each of a flood."""
        line = self._refusals.refused(refusal, client, now)
        if line is not None:
            log.warning("%s", line)

    def tell_refused(self, now: float, *, all_of_it: bool = False) -> None:
        """Note how many more were not let in, once it is time for that, or at once: of the end of
        a flood no further client tells."""
        for line in self._refusals.due(now, all_of_it=all_of_it):
            log.warning("%s", line)

    def offered(self, to_front: bool = False) -> Capabilities:
        """What a client may be offered now; a front may describe its clients, too."""
        backends = self.pool.backends.all
        seen = [backend.seen for backend in backends]
        if self._offer is None or self._offer[0] != seen:
            self._offer = (seen, self._with_room(offered_by(backends, self._own), seen))
        offer = self._offer[1]
        return replace(offer, xclient=XCLIENT_ATTRIBUTES) if to_front else offer

    def _with_room(self, offer: Capabilities, seen: list[Capabilities | None]) -> Capabilities:
        """A message grows here by what the rules add to it; the servers have limits for all."""
        if self.rules is None or not self.rules.added_bytes:
            return offer
        sizes = [each.size for each in seen if each is not None and each.size]
        theirs = min(sizes, default=0) - self.rules.added_bytes
        if not sizes or (offer.size is not None and offer.size <= theirs):
            return offer
        return replace(offer, size=max(theirs, 1))
