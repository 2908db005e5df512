"""
The mail log: one line a decision, one a message
================================================
Lines of ``key=value``, made to be searched: a value with blanks or quotes is quoted, what is not
printable is escaped, so that one event is one line whatever a stranger puts into his addresses.
Example, cut to fit::

    2026-11-21T09:30:05.120Z event=decision session=k3f9 client=192.0.2.7 helo=mx.example.net
        from=a@example.net to=b@example.org verdict=defer reason=new wait=60 waited=0
    2026-11-21T09:31:07.004Z event=message session=k3g1 client=192.0.2.7 from=a@example.net
        to=b@example.org recipients=1 size=1204 outcome=delivered reply="250 2.0.0 Ok: queued"

Where there is something to say of it, the line of a decision ends with ``rule=`` (the id or line of
the access rule that decided), ``key=`` (what stood for the client: its network, or the domain of
its name or of SPF) and ``would=`` (in a dry run: what would have been done, and why).

Example Usage
-------------
A decider whose decisions are written to a file::

    self.link((decider, "log"), (MailLog(Path("grey.log")).activate(), "inbox"))

How does it work?
-----------------
The file is written in a thread, with one write for all that came within ``gather_seconds``: a
thread that woke for each line would cost more than the line. The line of an ordinary decision is
made when it comes, in the turn of who decides: as much work as to hand it to the thread, and there
it would be done with the interpreter that the mail needs. If the disk is full or the file gone
wrong, that is said once a minute in the program's own log, and mail flows on. The file is opened
again when it was moved away (log rotation). With ``as_json`` its lines are JSON objects. Without a
file the lines go to a logger, whose records have the event itself as their ``event``.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from Axon.AtOnce import act_at_once
from Axon.ThreadedComponent import threadedcomponent
from Kamaelia.Apps.Grey.Core.Outcome import Outcome
from Kamaelia.Apps.Grey.Core.Types import (
    Attempt,
    Decided,
    Decision,
    MessageAttempt,
    MessageDecision,
)
from Kamaelia.Apps.Grey.Watch.Overflowing import Overflowing

log = logging.getLogger(__name__)
mail_log = logging.getLogger("kamaelia-grey.mail")
RULES = "kamaelia-grey.rules"  # how the access rules match, for who wants to know (-l)
rules_log = logging.getLogger(RULES)

VALUE_CHARACTERS = 256
REMEMBERED_CHARACTERS = 64
RECIPIENTS_SHOWN = 5
LINES_OF_RULES = 20
ALARM_SECONDS = 60.0
_plain = re.compile(r"[!#-<>-\[\]-~]+").fullmatch  # printable ASCII without blank, quote, = and \


def escaped(text: str) -> str:
    """One value: as it is if harmless, else quoted, with everything but printable ASCII as an
    escape; cut at 256."""
    if len(text) <= REMEMBERED_CHARACTERS:
        return _remembered(text)
    cut = _escaped(text[:VALUE_CHARACTERS])
    return cut + "..." if len(text) > VALUE_CHARACTERS else cut


def _escaped(text: str) -> str:
    if _plain(text):
        return text
    safe = text.replace("\\", "\\\\").replace('"', '\\"').encode("unicode_escape").decode("ascii")
    # unicode_escape doubles the backslashes that stand before quotes and backslashes again.
    safe = safe.replace("\\\\\\\\", "\\\\").replace('\\\\"', '\\"')
    return f'"{safe}"'


# Most values come again: a client, a name, a session. If somebody sees to it that none does and
# that all are escaped, this is 4 MB.
_remembered = lru_cache(maxsize=4096)(_escaped)


def line_of(event: Decided | Outcome) -> str:
    """The line for an event, without its end.

    Each message has two, and the thread that makes them takes the interpreter from the mail: hence
    one expression each, and nothing that is worked out twice."""
    if not isinstance(event, Decided):
        return _message(event)
    attempt, decision = event.attempt, event.decision
    if isinstance(attempt, Attempt) and isinstance(decision, Decision):
        return _decision(attempt, decision, event.now)
    return _either(event.now, fields_of(event), as_json=False)


def _decision(attempt: Attempt, decision: Decision, now: float) -> str:
    more = ""
    if decision.ruling is not None or decision.key_kind or decision.would is not None:
        more = "".join(f" {name}={escaped(value)}" for name, value in _more(decision))
    session, client, helo = attempt.session, attempt.client, attempt.helo
    sender, recipient = attempt.sender or "<>", attempt.recipient
    together = f"{session}{client}{helo}{sender}{recipient}"
    # Nearly always all of them are harmless: one look at all costs less than five.
    if not (
        len(together) <= VALUE_CHARACTERS
        and _plain(together)
        and (session and client and helo and recipient)
    ):
        session, client, helo = escaped(session), escaped(client), escaped(helo)
        sender, recipient = escaped(sender), escaped(recipient)
    return (
        f"{_stamp(now)} event=decision session={session} client={client} helo={helo}"
        f" from={sender} to={recipient}"
        f" verdict={decision.verdict._value_} reason={decision.reason._value_}"
        f" wait={decision.wait_seconds} waited={decision.waited_seconds}{more}"
    )


def _more(decision: Decision | MessageDecision) -> Iterator[tuple[str, str]]:
    """What only some decisions have."""
    ruling = (decision.would or decision).ruling
    if ruling is not None and ruling.rule is not None:
        yield "rule", ruling.rule.name
    if isinstance(decision, Decision) and decision.key_kind:
        yield "key", decision.key_kind
    if decision.would is not None:
        yield "would", f"{decision.would.verdict._value_}/{decision.would.reason._value_}"


def fields_of(event: object) -> dict[str, str]:
    """The same as a line has, by name and not escaped; for logs that have fields. Nothing for what
    is no event of the mail log."""
    if isinstance(event, Decided):
        decision = event.decision
        return {
            **_who(event.attempt),
            "verdict": decision.verdict._value_,
            "reason": decision.reason._value_,
            "wait": str(decision.wait_seconds),
            "waited": str(decision.waited_seconds),
            **dict(_more(decision)),
        }
    if isinstance(event, Outcome):
        return {
            "event": "message",
            "session": event.session,
            "client": event.client,
            "from": event.sender[:VALUE_CHARACTERS] or "<>",
            "to": ",".join(event.recipients[:RECIPIENTS_SHOWN])[:VALUE_CHARACTERS],
            "recipients": str(len(event.recipients)),
            "size": str(event.size),
            "outcome": event.fate._value_,
            "reply": event.reply[:VALUE_CHARACTERS],
        }
    return {}


def _who(attempt: Attempt | MessageAttempt) -> dict[str, str]:
    """Whose mail it is: for one recipient, or, when it is complete, for all."""
    if isinstance(attempt, MessageAttempt):
        session, mail = attempt.session, attempt.mail
        return {
            "event": "content",
            "session": attempt.session_id,
            "client": session.client,
            "helo": session.helo[:VALUE_CHARACTERS],
            "from": mail.sender.strip("<>")[:VALUE_CHARACTERS] or "<>",
            "recipients": str(len(mail.recipients)),
        }
    return {
        "event": "decision",
        "session": attempt.session,
        "client": attempt.client,
        "helo": attempt.helo[:VALUE_CHARACTERS],
        "from": attempt.sender[:VALUE_CHARACTERS] or "<>",
        "to": attempt.recipient[:VALUE_CHARACTERS],
    }


def json_of(event: Decided | Outcome) -> str:
    """The same as one JSON object."""
    return json.dumps({"time": _stamp(event.now), **fields_of(event)})


def words_of(event: Decided | Outcome, *, as_json: bool = False) -> Iterator[str]:
    """What the `log` clauses of rules have written for this decision, a line each."""
    if not isinstance(event, Decided) or event.decision.ruling is None:
        return
    for text in event.decision.ruling.log[:LINES_OF_RULES]:
        fields = {"event": "log", "session": _session(event.attempt), "text": text}
        yield _either(event.now, fields, as_json)


def _is_silent(event: Decided | Outcome) -> bool:
    """Whether the rule that decided says `nolog`."""
    if not isinstance(event, Decided):
        return False
    ruling = event.decision.ruling
    return ruling is not None and ruling.nolog


def _tell_rules(events: list[Decided | Outcome | str]) -> None:
    for event in events:
        if isinstance(event, Decided) and event.decision.ruling is not None:
            session = escaped(_session(event.attempt))
            for line in event.decision.ruling.trace:
                rules_log.debug("%s: %s", session, line)


def _session(attempt: Attempt | MessageAttempt) -> str:
    return attempt.session_id if isinstance(attempt, MessageAttempt) else attempt.session


def _either(now: float, fields: dict[str, str], as_json: bool) -> str:
    """A line that is seldom written."""
    if as_json:
        return json.dumps({"time": _stamp(now), **fields})
    return " ".join([_stamp(now), *(f"{name}={escaped(text)}" for name, text in fields.items())])


def _message(event: Outcome) -> str:
    recipients = event.recipients
    shown = recipients[0] if len(recipients) == 1 else ",".join(recipients[:RECIPIENTS_SHOWN])
    return (
        f"{_stamp(event.now)} event=message session={escaped(event.session)}"
        f" client={escaped(event.client)} from={escaped(event.sender or '<>')} to={escaped(shown)}"
        f" recipients={len(recipients)} size={event.size} outcome={event.fate._value_}"
        f" reply={escaped(event.reply)}"
    )


def _stamp(seconds: float) -> str:
    whole, micros = divmod(round(seconds * 1_000_000), 1_000_000)
    return f"{_second(whole)}.{micros // 1000:03d}Z"


@lru_cache(maxsize=8)
def _second(whole: int) -> str:
    return datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class MailLog(threadedcomponent):
    """MailLog(path=None, as_json=False) -> writes the lines; without a path to the logger
    "kamaelia-grey.mail"."""

    Inboxes = {
        "inbox": "Decided or Outcome: what to write down; acted on at once",
        "control": "producerFinished or shutdownMicroprocess: write what arrived, then end",
    }
    Outboxes = {
        "outbox": "object: unused",
        "signal": "the shutdown that came in",
    }

    def __init__(
        self,
        path: Path | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        gather_seconds: float = 0.05,
        *,
        as_json: bool = False,
    ) -> None:
        super().__init__()
        self._as_json = as_json
        self._gather_seconds = gather_seconds
        self._path = path
        self._monotonic = monotonic
        self._fd = -1
        self._next_alarm = 0.0
        self._makes_lines = path is not None and not as_json
        # Lines, and the events that are none yet: between the threads, without the agent's help.
        self._overflow: Overflowing[Decided | Outcome | str] = Overflowing()
        self._rests = False  # the thread sleeps until something comes
        act_at_once(self, "inbox", self._take)

    # ---- in the turn of who tells

    def _take(self, event: Decided | Outcome) -> None:
        if (
            self._makes_lines
            and isinstance(event, Decided)
            and isinstance(event.attempt, Attempt)
            and isinstance(event.decision, Decision)
            and event.decision.ruling is None
        ):
            self._overflow.append(_decision(event.attempt, event.decision, event.now))
        else:
            self._overflow.append(event)
        if self._rests:
            self._rests = False
            self.axon_wake_thread()

    # ---- in the thread

    def main(self) -> None:
        stop: object = None
        try:
            while stop is None:
                stop = self.told_to_stop()  # what came before it is there already
                came = self._overflow
                events = [came.popleft() for _ in range(len(came))]
                if events or came.lost:
                    self._note(events)
                if stop is None:
                    self._rest()
        finally:
            self._close()
        self.send(stop, "signal")

    def _rest(self) -> None:
        self._rests = True  # said first, then looked: nothing comes unnoticed
        if not (self._overflow or self.dataReady("control")):
            self.pause()
        self._rests = False
        # Also when more has come meanwhile: else a busy log would write each line by itself.
        if not self.dataReady("control"):
            self.pause(self._gather_seconds)

    def _note(self, events: list[Decided | Outcome | str]) -> None:
        if rules_log.isEnabledFor(logging.DEBUG):
            _tell_rules(events)
        if self._path is None:
            self._tell(events)
        else:
            self._write(self._lines_of(events))

    def _lines_of(self, events: list[Decided | Outcome | str]) -> list[str]:
        as_json = self._as_json
        one = json_of if as_json else line_of
        lines: list[str] = []
        for event in events:
            if isinstance(event, str):
                lines.append(event)
                continue
            if not _is_silent(event):
                lines.append(one(event))
            lines += words_of(event, as_json=as_json)
        if self._overflow.lost:
            lines.append(self._loss())
        return lines

    def _tell(self, events: list[Decided | Outcome | str]) -> None:
        """To the logger, whose lines have a time of their own."""
        for event in events:
            assert not isinstance(event, str)  # noqa: S101 - lines are made for a file only
            if not _is_silent(event):
                line = line_of(event).partition(" ")[2]
                mail_log.info("%s", line, extra={"event": event})
            for words in words_of(event):
                mail_log.info("%s", words.partition(" ")[2])
        if self._overflow.lost:
            mail_log.info("%s", self._loss().partition(" ")[2])

    def _write(self, lines: list[str]) -> None:
        assert self._path is not None  # noqa: S101 - else there is nothing to be written to
        if not lines:  # of rules that say nolog
            return
        try:
            self._open(self._path)
            data = ("\n".join(lines) + "\n").encode("ascii")
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            self._alarm(error, len(lines))

    def _loss(self) -> str:
        lost, self._overflow.lost = self._overflow.lost, 0
        fields = {"event": "lost", "lines": str(lost)}
        return _either(time.time(), fields, self._as_json and self._path is not None)

    def _open(self, path: Path) -> None:
        """Open the file, again if it is no longer the one of that name."""
        if self._fd >= 0:
            try:
                named, opened = path.stat(), os.fstat(self._fd)
                if (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino):
                    return
            except FileNotFoundError:
                pass  # moved away
            self._close()
        # O_NOFOLLOW: a link planted where we write as root must not lead us to another's file.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(path, flags, 0o640)

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _alarm(self, error: OSError, lost: int) -> None:
        self._close()
        if self._monotonic() >= self._next_alarm:
            self._next_alarm = self._monotonic() + ALARM_SECONDS
            log.critical("mail log %s: %s; %d lines are lost", self._path, error.strerror, lost)


__kamaelia_components__ = (MailLog,)
