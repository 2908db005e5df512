"""
Names
=====
Questions about names in, answers out: addresses, mail servers, texts and so on, from the DNS
servers of this machine or others, without a thread. A `Question` says the name and the kind of
record; its `Answer` has the records and for how long they are true, or a `Failure`
(Kamaelia.Support.Protocol.DNS.Messages has all of them).

Example Usage
-------------
One resolver for a whole program, under a name; the answer comes to the asker's own box::

    from Axon.Component import component
    from Kamaelia.Experimental.Services import RegisterService
    from Kamaelia.Internet.Resolver import Resolver, find_resolver
    from Kamaelia.Support.Protocol.DNS.Messages import Question

    class Asker(component):
        def main(self):
            self.link((self, "outbox"), find_resolver(self.tracker))
            for name in ("localhost", "mail.invalid", "two..dots"):
                self.send(Question(name, reply_to=(self, "inbox")))
                while not self.dataReady():
                    self.pause()
                    yield 1
                answer = self.recv()
                print(name, answer.records or answer.failure.value)
            self.link((self, "signal"), (resolver, "control"))

    resolver = RegisterService(Resolver([("192.0.2.53", 53)]), {"resolver": "inbox"})
    resolver.activate()
    Asker().run()

It prints::

    localhost ('127.0.0.1',)
    mail.invalid there is no such name
    two..dots this cannot be a name

Alone in a Pipeline it is as good: without ``reply_to`` answers come out of "outbox".

How does it work?
-----------------
A look-up has a socket of its own for each attempt, and so a port that the kernel chose at random,
and a random number; connected, so that the kernel drops what comes from elsewhere. Who is asked
when is for Support.Protocol.DNS.Lookup, what is remembered, and the limits, for Questions there.

Nothing is ever appended to a name, /etc/hosts is not read, and nothing is validated (DNSSEC): that
is for the server, which had better be near. A CNAME is followed within one reply, as every server
that looks up for others fills it in. An asker whose box is full holds nobody else up; its answers
wait, and once ``waiting_limit`` of them do, no more questions are taken in.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.CoordinatingAssistantTracker import coordinatingassistanttracker
from Axon.Ipc import shutdownMicroprocess
from Kamaelia.Internet.ResolverSockets import Exchange, StreamExchange
from Kamaelia.Support.Protocol.DNS.Lookup import Attempt, Lookup
from Kamaelia.Support.Protocol.DNS.Messages import Answer, Failure, Outcome, Question
from Kamaelia.Support.Protocol.DNS.Questions import Questions
from Kamaelia.Support.Protocol.DNS.Settings import Server, Settings, checked, servers_of

log = logging.getLogger(__name__)

SERVICE = "resolver"
RESOLV_CONF = Path("/etc/resolv.conf")
LONGEST_FILE = 65_536


class Resolver(component):
    """Resolver(servers=None, settings=Settings()) -> an Answer for each Question.

    servers: (numeric address, port) of each, at most 8; None: those in resolv.conf when it
    starts. settings: times and limits."""

    Inboxes = {
        "inbox": "Question: from anybody, in any number",
        "control": "producerFinished (answer all that was asked) or shutdownMicroprocess (end now)",
    }
    Outboxes = {
        "outbox": "Answer: to each question without a reply_to, as they are found",
        "signal": "the shutdown that came in",
    }

    woken_by_collection = False  # it never waits for that without having asked

    resolv_conf = RESOLV_CONF
    random: Random = SystemRandom()  # of numbers that nobody can guess
    inbox_limit: int | None = None  # questions that may wait to be taken in; then noSpaceInBox

    def __init__(
        self,
        servers: Iterable[Server] | None = None,
        settings: Settings | None = None,
        **attributes: object,
    ) -> None:
        super().__init__(**attributes)
        self.servers = None if servers is None else checked(servers)
        self.settings = settings or Settings()
        self.inboxes["inbox"].size = self.inbox_limit
        self._questions: Questions | None = None
        self._exchanges: dict[Lookup, tuple[Exchange, Any]] = {}  # and its timer
        self._answers: dict[Any, deque[Answer]] = {}  # by the box that they are for
        self._held = 0  # answers in there

    # ---- life

    def main(self) -> Iterator[object]:
        servers = servers_of(self._configuration()) if self.servers is None else self.servers
        questions = self._questions = Questions(servers, self.settings, self.random)
        while True:
            stop = self.told_to_stop()
            if isinstance(stop, shutdownMicroprocess):
                return
            self._take_in(questions)
            self._hand_out(questions.overdue(self.now()))
            while (lookup := questions.start(self.now())) is not None:
                self._go_on(lookup, lookup.begin(self.now()))
            self._send_off()
            if stop and not (questions.unanswered or self._held or self.dataReady("inbox")):
                return
            if not self.dataReady("inbox") or self._held >= self.settings.waiting_limit:
                # Else whoever heard an answer just now has asked again from there.
                overdue_at = questions.overdue_at
                self.pause(None if overdue_at is None else max(0.0, overdue_at - self.now()))
            yield 1

    def stop(self) -> None:
        for lookup in list(self._exchanges):
            self._hang_up(lookup)
        # Whoever waits for an answer in a box of its own must not wait for ever.
        lost = [q for q in self.Inbox("inbox") if isinstance(q, Question)]
        answers = [Answer(question, failure=Failure.STOPPED) for question in lost]
        answers += self._questions.abandon() if self._questions else []
        self._questions = None
        self._hand_out(answer for answer in answers if answer.question.reply_to)
        self._send_off()
        super().stop()

    def _configuration(self) -> str:
        try:
            with self.resolv_conf.open("rb") as file:
                return file.read(LONGEST_FILE).decode("utf-8", "replace")
        except OSError as error:
            log.warning("%s asks the server on this machine: %s", self.name, error)
            return ""

    # ---- questions and answers

    def _take_in(self, questions: Questions) -> None:
        while self.dataReady("inbox") and self._held < self.settings.waiting_limit:
            question = self.recv("inbox")
            if not isinstance(question, Question):
                raise TypeError(f"{self.name}: 'inbox' takes a Question, not {question!r:.60}")
            answer = questions.ask(question, self.now())
            if answer is not None:
                self._hand_out([answer])

    def _hand_out(self, answers: Iterable[Answer]) -> None:
        for answer in answers:
            match answer.question.reply_to:
                case None:
                    box: Any = self.outboxes["outbox"]
                case addressee, boxname:
                    box = addressee.inboxes[boxname]
            self._answers.setdefault(box, deque()).append(answer)
            self._held += 1

    def _send_off(self) -> None:
        for box in list(self._answers):
            waiting = self._answers[box]
            try:
                while waiting:
                    box.append(waiting[0])
                    waiting.popleft()
                    self._held -= 1
                del self._answers[box]
            except noSpaceInBox:
                box.sink.wake_on_collection(self)

    # ---- look-ups

    def _go_on(self, lookup: Lookup, step: Attempt | Outcome | None) -> None:
        """Do what the look-up says. Called by sockets and timers as well, between turns."""
        scheduler = self.scheduler
        while isinstance(step, Attempt) and scheduler:
            self._hang_up(lookup)
            kind = StreamExchange if step.over_tcp else Exchange
            try:
                exchange = kind(scheduler, step, partial(self._heard, lookup))
            except OSError as error:
                log.info("%s cannot ask %s port %d: %s", self.name, *step.server, error)
                step = lookup.failed(self.now())
                continue
            timer = scheduler.call_at(step.until, partial(self._timed_out, lookup))
            self._exchanges[lookup] = (exchange, timer)
            return
        if isinstance(step, Outcome) and self._questions is not None:
            self._hang_up(lookup)
            self._hand_out(self._questions.finish(lookup, step, self.now()))
            self.unpause()

    def _heard(self, lookup: Lookup, found: bytes | OSError) -> None:
        match found:
            case bytes():
                self._go_on(lookup, lookup.received(found, self.now()))
            case OSError():
                self._go_on(lookup, lookup.failed(self.now()))

    def _timed_out(self, lookup: Lookup) -> None:
        self._go_on(lookup, lookup.timed_out(self.now()))

    def _hang_up(self, lookup: Lookup) -> None:
        if lookup in self._exchanges:
            exchange, timer = self._exchanges.pop(lookup)
            exchange.close()
            timer.cancel()


def find_resolver(tracker: coordinatingassistanttracker) -> tuple[component, str] | None:
    """The resolver that a program shares, as (component, inbox); None: it has none."""
    if SERVICE not in tracker.servicesRegistered():
        return None
    found: tuple[component, str] = tracker.retrieveService(SERVICE)
    return found


__kamaelia_components__ = (Resolver,)
