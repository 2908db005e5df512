"""
What the rules want of the front door
=====================================
There is one for each configuration, shared by all of its sessions: what a desk has to find out for
the rules, what it tells of them in a message's header, and how many clients may be kept waiting.

Example Usage
-------------
The server makes it, beside the decider that asks the rules::

    rules = DoorRules(
        DoorSettings("mx.example.org", needs_subject=True, report=Report.ALL), time.time,
        tarpit_left=lambda attempt, seconds: log.info(...),
    )
    office = FrontOffice(settings, pool, decider, mail_log, clock=time.time, rules=rules)

Rules. The header says of the message what is known of all its recipients: if one had to wait, the
longest wait; else why the last one did not. It is `X-Greylist`, as milter-greylist writes it.
"""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import Protocol

from Kamaelia.Apps.Grey.Core.Access.Reasons import reasons
from Kamaelia.Apps.Grey.Core.Access.Rule import Ruling
from Kamaelia.Apps.Grey.Core.Modes import Report
from Kamaelia.Apps.Grey.Core.Replies import hours
from Kamaelia.Apps.Grey.Core.Types import Attempt, Decision, Reason
from Kamaelia.Apps.Grey.FrontDoor.HeaderLines import given_line, header_line
from Kamaelia.Apps.Grey.FrontDoor.KeptMessage import KeptMessage, MessageRoom
from Kamaelia.Support.Data.Seldom import Seldom

log = logging.getLogger(__name__)

HEADER = "X-Greylist"
MOST_TARPITTED = 1_000  # of those beyond nobody waits
LONGEST_TARPIT = 3_600.0  # seconds
SHARES = 4  # of the room for kept messages: one client has one of them at most
LONGEST_HOST = 255  # characters of a host's name (RFC 1035, section 2.3.4)
MOST_HEADERS = 20  # that rules may add to one message
PEEK_BYTES = 131_072  # of a message that rules may see, unless they say otherwise
# What is added to a message; for that much less the servers' limits are told to clients.
ROOM_OF_REPORT = 1_024
ROOM_OF_RULES = 16_384

WHY = {
    Reason.AUTHENTICATED: "Sender succeeded SMTP AUTH",
    Reason.CERTIFICATE: "Sender succeeded STARTTLS authentication",
    Reason.SPF_PASS: "Sender passed SPF test",
    Reason.ACCESS_MAP: "Message whitelisted by Sendmail access database",
    Reason.KNOWN: "IP, sender and recipient auto-whitelisted",
    Reason.RETRIED: "IP, sender and recipient auto-whitelisted",
    Reason.CLIENT_KNOWN: "Sender IP auto-whitelisted",
    Reason.ALLOWED_SENDER: "Sender IP whitelisted",
    Reason.ALLOWED_NETWORK: "Sender IP whitelisted",
    Reason.WHITELISTED_TRIPLE: "IP, sender and recipient whitelisted",
    Reason.WHITELISTED_HELO: "Sender DNS name whitelisted",
    Reason.OFF: "Greylisting is off",
    Reason.OPTED_OUT: "Recipient e-mail whitelisted",
    Reason.EXPECTED: "Message expected by its recipient",
    Reason.BIG_SENDER: "Sender IP of a large mail provider",
    Reason.TRUSTED_LIST: "Sender IP whitelisted by DNSRBL",
    Reason.NOT_SUSPICIOUS: "Sender looks like a mail server",
    Reason.STORE_FAILED: "Internal error",
}
DEFAULT_WHY = "Default is to whitelist mail"
_TARPIT = "tarpit "  # see Ruling.kinds

Local = tuple[int, int, int, int, int]


class Register(Protocol):
    """Where look-ups find the message that they are to judge, by the id in its Content."""

    def add(self, message_id: int, message: KeptMessage) -> object: ...
    def remove(self, message_id: int) -> object: ...


@dataclass(frozen=True, slots=True)
class DoorSettings:
    """hostname, product, local_address: who X-Greylist says that we are; local_address empty: the
    address that the client came to. needs_subject: the rules, or whoever decides, look at more than
    an Attempt has. looks_up: look-ups are made. data_rules: there are rules of the DATA stage.
    delayedreject: the null sender hears of its deferral after the message. size_limit: bytes of one
    message."""

    hostname: str
    needs_subject: bool = False
    looks_up: bool = False
    data_rules: bool = False
    delayedreject: bool = False
    report: Report = Report.NONE
    product: str = "kamaelia-grey"
    local_address: str = ""
    size_limit: int = 52_428_800


class DoorRules:
    """DoorRules(settings, clock, peek_bytes=None, tarpit_left=None, register=None, room=None) ->
    what the rules want of the front door.

    clock: seconds since the epoch. peek_bytes: how much of a message's body the rules may see, by
    the ruling that let it in; None: as much as PEEK_BYTES. tarpit_left: told of an attempt whose
    client hung up after so many seconds of its tarpit. register: told of the messages that are
    being judged. room: for messages that are kept."""

    def __init__(
        self,
        settings: DoorSettings,
        clock: Callable[[], float],
        peek_bytes: Callable[[Ruling | None], int | None] | None = None,
        tarpit_left: Callable[[Attempt, float], object] | None = None,
        register: Register | None = None,
        room: MessageRoom | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.data_rules = settings.data_rules
        self.needs_subject = settings.needs_subject or settings.data_rules
        # A mail server has looked up already what is looked up without rules, the client's name.
        self.tells_names = self.needs_subject or settings.looks_up
        self.delayedreject = settings.delayedreject
        self.reports = settings.report is not Report.NONE
        self.tarpit_left = tarpit_left or _tell_nobody
        self.register = register
        total = max(1 << 30, SHARES * settings.size_limit)
        self.room = room or MessageRoom(total=total, share=total // SHARES)
        self.tarpitted = 0
        self._peek_bytes = peek_bytes
        self._ids = 0
        # Lines of the present second: under load many messages come through for one reason.
        self._lines: dict[tuple[int, str, str, str], bytes] = {}
        self._lines_until = 0.0
        self._local: tuple[int, Local] = (-1, (0, 0, 1, 1, 0))
        self._complaints = Seldom(60.0)
        # Which of the two kinds of headers are wanted: asked with each message.
        self._tells_delays = settings.report in (Report.ALL, Report.DELAYS)
        self._tells_others = settings.report in (Report.ALL, Report.NODELAYS)

    @property
    def added_bytes(self) -> int:
        """How much a message may grow here."""
        if self.needs_subject:
            return ROOM_OF_RULES
        return ROOM_OF_REPORT if self.reports else 0

    def peek(self, ruling: Ruling | None) -> int:
        """Bytes of a message's body that the rules may see."""
        wanted = self._peek_bytes(ruling) if self._peek_bytes is not None else None
        return PEEK_BYTES if wanted is None else max(0, wanted)

    def new_message_id(self) -> int:
        self._ids += 1
        return self._ids

    def local(self, now: float) -> Local:
        """The fields of a crontab at that time, here."""
        minute = int(now // 60)
        if self._local[0] != minute:
            here = time.localtime(now)
            day = (here.tm_wday + 1) % 7  # Sunday is 0
            self._local = (
                minute,
                (here.tm_min, here.tm_hour, here.tm_mday, here.tm_mon, day),
            )
        return self._local[1]

    # ---- clients that are kept waiting

    def enter_tarpit(self) -> bool:
        """Whether one more may be kept waiting; it is counted then, and has to leave."""
        if self.tarpitted >= MOST_TARPITTED:
            return False
        self.tarpitted += 1
        return True

    def leave_tarpit(self) -> None:
        self.tarpitted -= 1

    # ---- headers

    def report_line(
        self, waited: int, last: Decision | None, address: str, host: str = ""
    ) -> bytes:
        """X-Greylist of a message whose recipients waited so many seconds at the most; empty if it
        is to have none. last: the decision on the last of them. address: that the client came
        to. host: whose that is, if it is not the one of the settings."""
        key: tuple[int, str, str, str] | None
        if last is None or last.ruling is None:
            # Not the reason itself: an Enum's hash takes longer than all the rest of this.
            key = (waited, last.reason._value_ if last is not None else "", address, host)
        elif last.ruling.report:
            return header_line(HEADER, last.ruling.report)
        else:
            key = None
        now = self.clock()
        if not self._lines_until - 1 <= now < self._lines_until:
            self._lines.clear()
            self._lines_until = now // 1 + 1
        elif key is not None:
            line = self._lines.get(key)
            if line is not None:
                return line
        line = self._make_report(waited, last, address, host, now)
        if key is not None:
            self._lines[key] = line
        return line

    def _make_report(
        self, waited: int, last: Decision | None, address: str, host: str, now: float
    ) -> bytes:
        if waited > 0 and self._tells_delays:
            text = f"Delayed for {hours(waited)} by"
        elif waited <= 0 and self._tells_others:
            text = f"{self.why(last)}, not delayed by"
        else:
            return b""
        settings = self.settings
        date = f"{formatdate(now, localtime=True)} ({time.localtime(now).tm_zone})"
        address = settings.local_address or address or "0.0.0.0"  # noqa: S104 - nobody's address
        me = f"{settings.product} ({host[:LONGEST_HOST] or settings.hostname} [{address}])"
        return header_line(HEADER, f"{text} {me}; {date}")

    def why(self, decision: Decision | None) -> str:
        """Why a recipient did not have to wait, in the words of milter-greylist."""
        if decision is None:
            return DEFAULT_WHY
        ruling = decision.ruling
        if ruling is not None and ruling.rule is not None and decision.reason is Reason.RULE:
            return reasons(ruling.kinds, ruling.rule.name)
        return WHY.get(decision.reason, DEFAULT_WHY)

    def given_lines(self, texts: list[str]) -> list[bytes]:
        """The headers that rules gave; what is none is left out."""
        lines = []
        for text in dict.fromkeys(texts):
            line = given_line(text)
            if line is not None:
                lines.append(line)
            elif self._complaints.is_due("addheader", self.clock()):
                log.warning("addheader: no header, left out: %.100r", text)
        return lines[:MOST_HEADERS]


def is_for_waiting(ruling: Ruling) -> bool:
    """Whether it lets in for nothing but that the client waits: if it cannot, it is not let in.
    Else whoever has filled the tarpit could walk past it."""
    return any(kind.startswith(_TARPIT) for kind in ruling.kinds)


def endured(decision: Decision, seconds: float) -> Decision:
    """The decision on one that has been kept waiting so long, perhaps shorter than it should have
    been: its header then says how long it was."""
    ruling = decision.ruling
    if ruling is None or ruling.tarpit <= seconds:
        return decision
    missing = math.ceil(ruling.tarpit - seconds)
    kinds = tuple(_shorter(kind, missing) for kind in ruling.kinds)
    return replace(decision, ruling=replace(ruling, kinds=kinds))


def _shorter(kind: str, missing: int) -> str:
    named = kind.removeprefix(_TARPIT)
    return kind if named == kind else f"{_TARPIT}{max(0, int(named) - missing)}"


def _tell_nobody(_attempt: Attempt, _seconds: float) -> None:
    """Nobody wants to know."""
