"""
The lines of the statement `stat`
=================================
A line of a format of the administrator's own for each decision, as milter-greylist writes them: to
a file that is begun anew (``>file``), to the end of one (``>>file``), or to a program
(``|command``).

Example Usage
-------------
::

    stat = StatLog(">>/var/log/grey.stat", stat_line("%i %f %r %S\\n", site)).activate()
    tap = StatTap(mail_log, stat)
    decider.link((decider, "log"), (tap, "inbox"))

`stat_line` makes the text of a decision, with the %-codes in it replaced (Core.Access.Substitute).
A line end is there only if the format has one.

>>> Target.parse(">> /var/log/grey.stat")
Target(kind='append', where='/var/log/grey.stat')

Rules
-----
* All is written in a thread; what comes faster than the disk or the program takes it is dropped and
  counted, and mail flows on.
* A program is started by the shell, with nothing of ours but its standard input. If it ends it is
  started again, once a minute at most. One that does not read has its lines dropped.
* Trouble is said once a minute.
"""

from __future__ import annotations

import logging
import os
import select
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from Axon.ThreadedComponent import threadedcomponent
from Kamaelia.Apps.Grey.Core.Access.Site import Site
from Kamaelia.Apps.Grey.Core.Access.Subject import Subject
from Kamaelia.Apps.Grey.Core.Access.Substitute import expand
from Kamaelia.Apps.Grey.Core.Engine import subject_of
from Kamaelia.Apps.Grey.Core.Outcome import Outcome
from Kamaelia.Apps.Grey.Core.Types import Decided, MessageAttempt, Verdict
from Kamaelia.Apps.Grey.Watch.Overflowing import WAITING_LINES, Overflowing

log = logging.getLogger(__name__)

LINE_CHARACTERS = 4096
GATHER_SECONDS = 0.05
PROGRAM_SECONDS = 1.0  # so long a program may take to read what is there
ALARM_SECONDS = 60.0
END_SECONDS = 2.0
_PASSED = ("250", "2.1.5", "Ok")
_WORDS = {Verdict.PASS: "accept", Verdict.DEFER: "tempfail", Verdict.REJECT: "reject"}
_KINDS = ((">>", "append"), (">", "truncate"), ("|", "program"))


@dataclass(frozen=True, slots=True)
class Target:
    """kind: "truncate", "append" or "program"."""

    kind: str
    where: str

    @classmethod
    def parse(cls, text: str) -> Target:
        """Raises ValueError for what is none."""
        for sign, kind in _KINDS:
            if text.startswith(sign):
                if where := text[len(sign) :].strip():
                    return cls(kind, where)
                break
        raise ValueError(f"{text[:60]!r} is no target: it begins with >, >> or |")


def stat_line(text: str, site: Site) -> Callable[[Decided | Outcome], str]:
    """What makes the text for an event out of that format; "" for what is no decision."""

    def line(event: Decided | Outcome) -> str:
        if not isinstance(event, Decided):
            return ""
        return expand(text, _subject(event, site), limit=LINE_CHARACTERS)

    return line


def _subject(event: Decided, site: Site) -> Subject:
    """A copy, for the decider goes on with the other one."""
    attempt, decision = event.attempt, event.decision
    if isinstance(attempt, MessageAttempt):
        subject = Subject(attempt.session, attempt.mail, "", event.now)
    else:
        subject = attempt.subject or subject_of(attempt)
    code, ecode, text = decision.reply or _PASSED
    ruling = decision.ruling
    rule = ruling.rule if ruling is not None else None
    said = {
        "Xc": code,
        "Xe": ecode,
        "Xm": text,
        "S": _WORDS[decision.verdict],
        "t": str(int(ruling.tarpit)) if ruling is not None else "0",
        "E": str(decision.waited_seconds),
        "R": str(decision.wait_seconds),
    }
    return replace(
        subject,
        now=event.now,
        site=site,
        reply={**subject.reply, **said},
        decided_line=rule.line if rule is not None else 0,
        decided_id=rule.name if rule is not None else "",
    )


class StatLog(threadedcomponent):
    """StatLog(target, expand) -> writes expand(event) for each event; "" is not written.

    target: as in greylist.conf. Raises ValueError for one that begins with no sign of a target."""

    Inboxes = {
        "inbox": "Decided or Outcome: what to write down",
        "control": "producerFinished or shutdownMicroprocess: write what arrived, then end",
    }
    Outboxes = {
        "outbox": "object: unused",
        "signal": "the shutdown that came in",
    }

    def __init__(
        self,
        target: str,
        expand: Callable[[Decided | Outcome], str],
        monotonic: Callable[[], float] = time.monotonic,
        gather_seconds: float = GATHER_SECONDS,
    ) -> None:
        super().__init__(queuelengths=WAITING_LINES)
        self._target = Target.parse(target)
        self._expand = expand
        self._monotonic = monotonic
        self._gather_seconds = gather_seconds
        self._fd = -1
        self._program: subprocess.Popen[bytes] | None = None
        self._next_start = 0.0
        self._next_alarm = 0.0
        self._truncate = self._target.kind == "truncate"
        self._overflow: Overflowing[Decided | Outcome] = Overflowing()
        self.inboxes["inbox"].q = self._overflow

    def main(self) -> None:
        stop: object = None
        try:
            self._prepare()
            while stop is None:
                stop = self.told_to_stop()
                self._write_all()
                if stop is None and not self.anyReady():
                    self.pause()
                    if not self.dataReady("control"):
                        time.sleep(self._gather_seconds)
        finally:
            self._close()
        self.send(stop, "signal")

    def _prepare(self) -> None:
        """The file is made and the program started before the first line: so it is said early
        whether that works."""
        try:
            self._open()
        except OSError as error:
            self._alarm(error.strerror or str(error), 0)

    def _write_all(self) -> None:
        texts = [self._text(event) for event in self.Inbox("inbox")]
        lost, self._overflow.lost = self._overflow.lost, 0
        texts = [text for text in texts if text]
        if texts:
            data = "".join(texts).encode("utf-8", "backslashreplace")
            try:
                self._open()
                self._put(data)
            except OSError as error:
                self._close()
                self._alarm(error.strerror or str(error), len(texts) + lost)
                return
        if lost:
            self._alarm("too slow", lost)

    def _text(self, event: Decided | Outcome) -> str:
        try:
            return self._expand(event)[:LINE_CHARACTERS]
        except (ValueError, LookupError, OverflowError) as error:  # of a format for dates, say
            self._alarm(f"{type(error).__name__}: {error}", 1)
            return ""

    # ---- where it goes

    def _open(self) -> None:
        """Raises OSError."""
        if self._target.kind == "program":
            self._start()
            return
        path = self._target.where
        if self._fd >= 0:
            with suppress(FileNotFoundError):
                if os.path.samestat(os.stat(path), os.fstat(self._fd)):  # noqa: PTH116 - a text
                    return
            self._close()  # it was moved away
        # O_NOFOLLOW: a link planted where we write must not lead us to another's file.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(path, flags, 0o640)
        if self._truncate:
            self._truncate = False  # after a rotation there is nothing of ours in it
            os.ftruncate(self._fd, 0)

    def _start(self) -> None:
        program = self._program
        if program is not None and program.poll() is None:
            return
        self._close()
        now = self._monotonic()
        if now < self._next_start:
            raise OSError(0, "it has ended, and is started again in a minute")
        self._next_start = now + ALARM_SECONDS
        # That a command is run is what this statement is for; it is root's, as the file.
        self._program = subprocess.Popen(  # noqa: S603
            ["/bin/sh", "-c", self._target.where],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
        assert self._program.stdin is not None  # noqa: S101 - PIPE above
        self._fd = os.dup(self._program.stdin.fileno())
        self._program.stdin.close()
        os.set_blocking(self._fd, False)

    def _put(self, data: bytes) -> None:
        """Raises OSError."""
        view = memoryview(data)
        until = self._monotonic() + PROGRAM_SECONDS
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                left = until - self._monotonic()
                if left <= 0 or not select.select([], [self._fd], [], left)[1]:
                    # A part of a line may be in it already: what comes next would be garbled.
                    raise OSError(0, "it does not read what it is given") from None

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        program, self._program = self._program, None
        if program is None:
            return
        try:
            program.wait(END_SECONDS)  # its input has ended, so should it
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()

    def _alarm(self, why: str, lost: int) -> None:
        if self._monotonic() >= self._next_alarm:
            self._next_alarm = self._monotonic() + ALARM_SECONDS
            log.error("stat %s: %s; %d lines are lost", self._target.where, why, lost)


__kamaelia_components__ = (StatLog,)
