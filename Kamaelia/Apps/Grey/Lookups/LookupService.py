"""
Questions in, answers out
=========================
One service for the whole process. It acts on an `Ask` in the moment in which it is sent: what it
remembers is answered when the asker's send() returns. For the rest it starts a look-up and the
answer comes later, always as a `Found` in the box that the asker named.

Example Usage
-------------
Between whoever decides and the world::

    lookups = LookupService(config.definitions, LookupSettings(lookup_timeout=3.0)).activate()
    self.link((self, "ask"), (lookups, "inbox"))
    self.send(Ask(HostName("192.0.2.7"), reply_to=(self, "found")), "ask")
    # later, in the box "found": Found(HostName("192.0.2.7"), "mx.example.net")

Rules:

* The same question asked twice while the answer is on its way is one look-up.
* An answer is remembered for as long as its finder says, between a minute and a day; a failure for
  half a minute. What has a time of 0 is not remembered.
* Who has no answer in `lookup_timeout` gets a LookupFailed. The look-up goes on where it can: its
  answer is remembered for the client's next attempt, which is what greylisting waits for.
* A failure is written down once a minute for each kind of question.

A kind of question is plugged in as a `Handler`, by its type. One that blocks is a function in a
`ThreadedHandler`.

Shutdown: on producerFinished every question that was asked is still answered; on
shutdownMicroprocess it ends at once, and those that wait get a LookupFailed.
"""

import heapq
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import count
from typing import Any

from Axon.AtOnce import act_at_once
from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Ipc import shutdownMicroprocess
from Kamaelia.Apps.Grey.Core.Access.Definitions import Definitions
from Kamaelia.Apps.Grey.Core.Access.Questions import LookupFailed, Question
from Kamaelia.Apps.Grey.Core.Types import Addressee, Ask, Found
from Kamaelia.Apps.Grey.Lookups.Asking import (
    Handler,
    LookupSettings,
    Opens,
    TakesItsTime,
)
from Kamaelia.Apps.Grey.Lookups.Cache import Cache
from Kamaelia.Apps.Grey.Lookups.DnsLookups import dns_handlers, resolver_for
from Kamaelia.Apps.Grey.Lookups.DnsWalks import one_line
from Kamaelia.Apps.Grey.Lookups.Threads import ThreadedHandler

log = logging.getLogger(__name__)

LATE_AT_ONCE = 500  # given up in one turn: all together would hold everybody up
SILENT_SECONDS = 60.0  # after a failure was written down, for its kind


class _Open:
    """A look-up on its way: who waits for it."""

    __slots__ = ("askers", "edition", "question", "settled")

    def __init__(self, question: Question, edition: int) -> None:
        self.question = question
        self.edition = edition  # of the definitions
        self.askers: list[tuple[Addressee, str]] = []
        self.settled = False  # its handler has said what it had to say


class LookupService(component):
    """LookupService(definitions, settings=LookupSettings(), handlers={}, resolver=None) -> a Found
    for each Ask.

    handlers: for other kinds of questions than those that the DNS answers, or instead of them.
    resolver: an active Resolver that others use as well; None: it has one of its own. A box that
    gets answers must have no limit; one that acts on them at once may ask again from there."""

    Inboxes = {
        "inbox": "Ask: a question, from anybody; acted on at once",
        "control": "producerFinished (answer what was asked) or shutdownMicroprocess (stop now)",
        "names": "Answer: from the resolver",
        "worked": "callable: takes up what a thread found",
    }
    Outboxes = {
        "outbox": "nothing: answers go to the boxes that the questions name",
        "signal": "producerFinished or shutdownMicroprocess: the one that came in",
        "resolve": "Question: to the resolver",
        "stop": "shutdownMicroprocess: to a resolver of its own",
    }

    woken_by_collection = False  # it never waits for that

    def __init__(
        self,
        definitions: Definitions,
        settings: LookupSettings | None = None,
        handlers: Mapping[type, Handler] | None = None,
        resolver: component | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings or LookupSettings()
        self._resolver = resolver
        self._cache = Cache(self.settings.cache_limit)
        self._open: dict[Question, _Open] = {}
        self._waiting = 0  # askers of all look-ups on their way
        self._deadlines: list[tuple[float, int, _Open]] = []  # a heap
        self._number = count()
        self._quiet: dict[type, float] = {}  # until when a kind's failures are not written down
        self._handlers: dict[type, Handler] = {}
        self._seconds: dict[type, Callable[[Any], float]] = {}  # of those that take their time
        self._edition = 0
        self._running = False
        self._ending = False
        self.reconfigure(definitions, handlers or {})

    def reconfigure(self, definitions: Definitions, handlers: Mapping[type, Handler]) -> None:
        """From now on by these. What is remembered is forgotten, for lists and databases may have
        changed behind their names; look-ups on their way go on."""
        old = self._handlers
        self._handlers = {**dns_handlers(definitions, self.settings.receiver, self), **handlers}
        self._seconds = {
            kind: each.seconds
            for kind, each in self._handlers.items()
            if isinstance(each, TakesItsTime)
        }
        self._cache.clear()
        self._open.clear()  # who asks the same now starts another look-up
        self._edition += 1
        if self._running:
            _close(old.values())
            _open(self._handlers.values(), self)

    # ---- life

    def main(self) -> Iterator[object]:
        if self._resolver is None:
            resolver = resolver_for(self.settings.resolvers, self.settings.lookup_timeout)
            self.link((self, "stop"), (resolver, "control"))
            resolver.activate(Scheduler=self.scheduler)
            self._resolver = resolver
        self.link((self, "resolve"), (self._resolver, "inbox"))
        self._running = True
        _open(self._handlers.values(), self)
        act_at_once(self, "inbox", self._take, blame_sender=True)
        while True:
            stop = self.told_to_stop()
            self._ending = stop is not None
            if isinstance(stop, shutdownMicroprocess) or (stop and not self._waiting):
                return
            for answer in self.Inbox("names"):
                answer.question.tag(answer)
            for take_up in self.Inbox("worked"):
                take_up()
            self._give_up_the_late()
            self._pause_until_deadline()
            yield 1

    def _pause_until_deadline(self) -> None:
        if self.anyReady() or (self._ending and not self._waiting):
            return
        if self._deadlines:
            self.pause(max(0.0, self._deadlines[0][0] - self.now()))
        else:
            self.pause()

    def stop(self) -> None:
        self._running = False
        if self.outboxes["stop"].target is not None:
            self.send(shutdownMicroprocess(), "stop")
        _close(self._handlers.values())
        for _, _, lookup in self._deadlines:
            self._hand_out(lookup, LookupFailed("the look-ups were stopped"))
        super().stop()

    # ---- in the turn of whoever asks

    def _take(self, ask: Ask) -> None:
        question = ask.question
        known = self._cache.get(question, self.now())
        if known is not None:
            _deliver(ask.reply_to, Found(question, known))
            return
        if self._waiting >= self.settings.open_limit:
            failed = LookupFailed("too many look-ups at once")
            self._note(question, failed)
            _deliver(ask.reply_to, Found(question, failed))
            return
        self._waiting += 1
        lookup = self._open.get(question)
        if lookup is not None:
            lookup.askers.append(ask.reply_to)
            return
        lookup = self._open[question] = _Open(question, self._edition)
        lookup.askers.append(ask.reply_to)
        self._begin(lookup)

    def _begin(self, lookup: _Open) -> None:
        question = lookup.question
        handler = self._handlers.get(type(question))
        done = partial(self._done, lookup)
        if handler is None:
            done(LookupFailed(f"nothing here answers {type(question).__name__}"), 0.0)
            return
        try:
            handler.start(question, done)
            slow = self._seconds.get(type(question))
            seconds = slow(question) if slow else self.settings.lookup_timeout
        except Exception as error:
            log.exception("the look-up of %.200r failed", question)
            done(LookupFailed(f"{type(error).__name__} in the look-up"), 0.0)
            return
        if not lookup.settled:
            entry = (self.now() + seconds, next(self._number), lookup)
            heapq.heappush(self._deadlines, entry)
            if self._deadlines[0] is entry:
                self.unpause()  # to set the alarm

    # ---- in the turn of whoever finds

    def _done(self, lookup: _Open, answer: object, ttl: float) -> None:
        """What a handler calls. It may be late: then it is for the next who asks."""
        if lookup.settled:
            log.error("%.200r was answered twice", lookup.question)
            return
        lookup.settled = True
        if isinstance(answer, LookupFailed):
            answer = LookupFailed(one_line(answer.reason))
            self._note(lookup.question, answer)
        self._remember(lookup, answer, ttl)
        self._hand_out(lookup, answer)

    def _remember(self, lookup: _Open, answer: object, ttl: float) -> None:
        question, settings = lookup.question, self.settings
        if lookup.edition != self._edition:
            return
        if isinstance(answer, LookupFailed):
            self._cache.put(question, answer, self.now() + settings.failure_ttl)
        elif ttl > 0:
            seconds = min(max(ttl, settings.shortest_ttl), settings.longest_ttl)
            self._cache.put(question, answer, self.now() + seconds)

    def _hand_out(self, lookup: _Open, answer: object) -> None:
        if self._open.get(lookup.question) is lookup:
            del self._open[lookup.question]
        askers, lookup.askers = lookup.askers, []
        self._waiting -= len(askers)
        found = Found(lookup.question, answer)
        for asker in askers:
            _deliver(asker, found)
        if self._ending and not self._waiting:
            self.unpause()

    def _give_up_the_late(self) -> None:
        now = self.now()
        for _ in range(LATE_AT_ONCE):
            if not self._deadlines or self._deadlines[0][0] > now:
                return
            lookup = heapq.heappop(self._deadlines)[2]
            if lookup.askers:
                failed = LookupFailed("no answer in time")
                self._note(lookup.question, failed)
                self._remember(lookup, failed, 0.0)
                self._hand_out(lookup, failed)

    def _note(self, question: Question, failed: LookupFailed) -> None:
        kind, now = type(question), self.now()
        if now >= self._quiet.get(kind, now):
            self._quiet[kind] = now + SILENT_SECONDS
            log.warning("a look-up failed: %.200r: %s", question, failed.reason)

    # ---- for handlers

    def ask_dns(self, question: object) -> None:
        """Send a question to the resolver, with `tag`, a function that is called with its Answer,
        and with `reply_to` this component's "names".

        That is no box that acts at once: the answer comes in the resolver's turn, and what would
        be asked in there finds it on its way to sleep. The same goes for threads."""
        self.send(question, "resolve")


def _deliver(asker: tuple[Addressee, str], found: Found) -> None:
    addressee, boxname = asker
    box = addressee.inboxes.get(boxname)
    if box is None:  # no exception: all other askers need this service
        log.error("an answer for the box %r of %r, which there is not", boxname, addressee)
        return
    try:
        box.deliver(found)
    except noSpaceInBox:
        log.warning("an answer was dropped: the box of %r is full", asker)


def _open(handlers: Iterable[Handler], service: LookupService) -> None:
    for handler in {id(each): each for each in handlers}.values():
        if isinstance(handler, Opens):
            handler.open(service)


def _close(handlers: Iterable[Handler]) -> None:
    for handler in {id(each): each for each in handlers}.values():
        if isinstance(handler, Opens):
            handler.close()


__all__ = [
    "Handler",
    "LookupService",
    "LookupSettings",
    "ThreadedHandler",
]
__kamaelia_components__ = (LookupService,)
