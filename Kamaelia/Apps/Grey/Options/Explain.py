"""
--explain: what would be decided, and why
=========================================
Asks the rules of the file and the records of the database about one client, sender and recipient,
as if they were there now. Every rule that was looked at is shown with how its clauses went, then
what was looked up, the record, and the decision. Nothing is remembered: no record is made, no limit
counts it, and the database is opened for reading alone; the program may run meanwhile.

Example Usage
-------------
::

    $ kamaelia-grey --explain 192.0.2.7 a@example.net b@example.org --helo mx.example.net
    greylist.conf:12 whitelist: domain example.net: no
    no rule matches: greylist
    record of 192.0.2.7, a@example.net, b@example.org: none
    defer, new: 451 4.7.1 Greylisting in action, please come back in 00:30:00

If there is a proxy it asks as that one does; else as a milter or policy service, where the mail
server knows which recipients are its own. What depends on the rest of the real thing is not there:
whether the client has logged in, its certificate, macros of an MTA, the message itself. Look-ups
are really done.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

from Axon.Component import component
from Axon.Ipc import producerFinished
from Axon.Scheduler import scheduler
from Kamaelia.Apps.Grey import Settings
from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.Core.Access.Evaluate import explain as lines_of
from Kamaelia.Apps.Grey.Core.Access.Questions import LookupFailed, Question
from Kamaelia.Apps.Grey.Core.Engine import (
    STORE_FAILED,
    Engine,
    Look,
    StoreFailed,
    Wanted,
    subject_of,
)
from Kamaelia.Apps.Grey.Core.Expectations import Expectations
from Kamaelia.Apps.Grey.Core.Networks import Networks
from Kamaelia.Apps.Grey.Core.Types import Ask, Attempt, Decision, Found, Record, Triplet
from Kamaelia.Apps.Grey.Lookups import BigSendersFile
from Kamaelia.Apps.Grey.Lookups.Contents import Contents
from Kamaelia.Apps.Grey.Lookups.LookupService import LookupService
from Kamaelia.Apps.Grey.Lookups.Others import handlers
from Kamaelia.Apps.Grey.Options.Checking import say
from Kamaelia.Apps.Grey.Settings import definitions_of, lookup_settings_of, rules_of
from Kamaelia.Apps.Grey.Store.SqliteSchema import KEY, SCHEMA_VERSION, VALUES

Reader = Callable[[Triplet], "Record | StoreFailed | None"]
_SHOWN = 200


def explain(
    config: Config,
    client: str,
    sender: str,
    recipient: str,
    helo: str = "",
    clock: Callable[[], float] = time.time,
) -> int:
    """Print it; returns the exit code."""
    try:
        client = str(ip_address(client))
    except ValueError:
        say([f"kamaelia-grey: {client!r} is no IP address"])
        return os.EX_USAGE
    # Without a proxy a mail server asks, which has seen to it that the recipient is one of its own.
    attempt = attempt_of(client, sender, recipient, helo, mta=not config.listens)
    explaining = Explaining(config, attempt, int(clock()), reader_of(config.database))
    explaining.run_alone()
    sys.stdout.writelines(f"{line}\n" for line in explaining.lines)
    return os.EX_OK if explaining.decision is not None else os.EX_SOFTWARE


def attempt_of(
    client: str, sender: str, recipient: str, helo: str, *, mta: bool = False
) -> Attempt:
    """What a door would ask about; mta: one for mail servers. Angle brackets are left out."""
    sender, recipient = sender.strip("<> "), recipient.strip("<> ")
    local, _, domain = recipient.rpartition("@")
    bare = Attempt(client, helo, sender, recipient, "explain", local, domain.lower(), mta=mta)
    return replace(bare, subject=subject_of(bare))


def engine_of(config: Config, now: int) -> Engine:
    """The engine that a server would have, which tells how it comes to its rulings."""
    expected = None
    if config.expect_file is not None and config.expect_file.is_file():
        text = config.expect_file.read_text(encoding="utf-8", errors="replace")
        expected = Expectations.parse(text, now)
    networks = Networks()
    if config.big_senders and config.big_senders_file and config.big_senders_file.is_file():
        lists = BigSendersFile.read(config.big_senders_file)
        networks = Networks(network for each in lists.values() for network in each.networks)
    return Settings.engine_of(
        config, rules_of(config), expectations=expected, big_senders=networks, trace=True
    )


def reader_of(path: Path) -> Reader:
    """Reads records from the database, which is not changed, nor made."""

    def look(triplet: Triplet) -> Record | StoreFailed | None:
        if not path.exists():
            return None
        uri = f"{path.absolute().as_uri()}?mode=ro"
        try:
            with closing(sqlite3.connect(uri, uri=True, timeout=5)) as connection:
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                if version != SCHEMA_VERSION:
                    say([f"{path}: is of schema {version}, not {SCHEMA_VERSION}"])
                    return STORE_FAILED
                row = connection.execute(
                    f"SELECT {', '.join(VALUES)} FROM records"  # noqa: S608 - our own names
                    f" WHERE ({', '.join(KEY)}) = (?, ?, ?)",
                    (triplet.network, triplet.sender, triplet.recipient),
                ).fetchone()
        except sqlite3.Error as error:
            say([f"{path}: {error}"])
            return STORE_FAILED
        return None if row is None else Record(**dict(zip(VALUES, row, strict=True)))

    return look


class Explaining(component):
    """Explaining(config, attempt, now, look) -> takes one decision, and says how: `decision` and
    `lines`, once it has ended. look: gives the record of a triplet."""

    Inboxes = {
        "inbox": "object: unused",
        "control": "producerFinished or shutdownMicroprocess: end without a decision",
        "found": "Found: from the look-up service",
    }
    Outboxes = {
        "outbox": "object: unused",
        "signal": "producerFinished: it is decided; for the look-up service",
        "ask": "Ask: to the look-up service",
    }

    def __init__(self, config: Config, attempt: Attempt, now: int, look: Reader) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.decision: Decision | None = None
        self._config = config
        self._attempt = attempt
        self._now = now
        self._look = look

    def run_alone(self) -> None:
        """With a look-up service of its own, to the end."""
        config = self._config
        settings, definitions = lookup_settings_of(config), definitions_of(config)
        service = LookupService(definitions, settings, handlers(definitions, settings, Contents()))
        self.link((self, "ask"), (service, "inbox"))
        self.link((self, "signal"), (service, "control"))
        service.activate()
        self.activate()
        scheduler.run.runThreads()

    def main(self) -> Iterator[object]:
        steps = engine_of(self._config, self._now).decide(self._attempt, self._now)
        brought: object = None
        try:
            while self.told_to_stop() is None:
                wish = steps.send(brought)
                if isinstance(wish, Look):
                    brought = self._record(wish.triplet)
                else:
                    answers = yield from self._answers(wish)
                    wish.subject.answers.update(answers)
                    brought = answers
        except StopIteration as done:
            self.decision = done.value
            self._conclude(done.value)
        self.send(producerFinished(self), "signal")

    def _record(self, triplet: Triplet) -> Record | StoreFailed | None:
        record = self._look(triplet)
        who = ", ".join((triplet.network, triplet.sender or "<>", triplet.recipient))
        if isinstance(record, Record):
            ages = f"first seen {self._age(record.first_seen)}, last seen"
            state = "waits" if record.passed_at is None else f"passed {record.passed} times"
            self.lines.append(f"record of {who}: {state}, {ages} {self._age(record.last_seen)}")
        else:
            state = "none" if record is None else "the database cannot say"
            self.lines.append(f"record of {who}: {state}")
        return record

    def _age(self, seconds: int) -> str:
        return f"{max(0, self._now - seconds)} s ago"

    def _answers(self, wish: Wanted) -> Generator[object, None, dict[Question, object]]:
        missing = set(wish.questions)
        answers: dict[Question, object] = {}
        for question in wish.questions:
            self.send(Ask(question, (self, "found")), "ask")
        until = self.now() + self._config.decision_timeout
        while missing and (left := until - self.now()) > 0 and self.told_to_stop() is None:
            for found in self.Inbox("found"):
                if isinstance(found, Found) and found.question in missing:
                    missing.discard(found.question)
                    answers[found.question] = found.answer
            if missing:
                self.pause(left)
                yield 1
        for question in wish.questions:
            answer = answers.setdefault(question, LookupFailed("no answer in time"))
            text = f"failed: {answer.reason}" if isinstance(answer, LookupFailed) else repr(answer)
            self.lines.append(f"looked up {question!r:.{_SHOWN}}: {text:.{_SHOWN}}")
        return answers

    def _conclude(self, decision: Decision) -> None:
        if decision.ruling is not None:
            self.lines += lines_of(decision.ruling)
        would = decision.would
        said = " ".join((would or decision).reply or ())
        final = f"{decision.verdict.value}, {decision.reason.value}"
        if would is not None:
            final += f" (dry run: else {would.verdict.value})"
        wait = (would or decision).wait_seconds
        if wait:
            final += f", {wait} s to wait"
        self.lines.append(f"{final}: {said}" if said else final)


__kamaelia_components__ = (Explaining,)
