"""
What the real server said of its recipients
===========================================
A recipient that does not exist is refused at once instead of being greylisted first; for that the
real server is asked about those it has not been asked about lately. This is what it said.

Example Usage
-------------
>>> cache = VerifyCache()
>>> cache.learn("joe@example.org", Reply.of(250, "2.1.5", "Ok"), now=0.0)
>>> cache.learn("jim@example.org", Reply.of(550, "5.1.1", "User unknown"), now=0.0)
>>> cache.get("joe@example.org", now=3_599.0).found
True
>>> cache.get("jim@example.org", now=599.0).reply.code
550
>>> cache.get("jim@example.org", now=600.0) is None
True

The rules. A 2xx is believed for an hour: no more is said with it than that the recipient may be
greylisted; the real server is asked again before its mail is taken. A 5xx is repeated to strangers
for ten minutes, so it must be about the recipient alone: if what it said of one client (listed
somewhere) or one sender (does not exist) were taken for "no such user", a single spammer could keep
everybody's mail from a mailbox. So only these enhanced codes are kept (RFC 3463, section 3.2):
5.1.1 bad mailbox, 5.1.2 bad system, 5.1.3 bad syntax, 5.1.4 ambiguous, 5.1.6 moved, and 5.1.10 null
MX (RFC 7505). Not 5.1.0, 5.1.7 and 5.1.8, which are said of senders, nor 5.2.x (full or switched
off today) and 5.7.x (policy). Without an enhanced code, 550, 551 and 553 are kept if their text
says in one of the usual ways that there is no such recipient and has no word about senders, clients
or lists. All else, 4xx too, says nothing: what was known before stays.

Half of the room is for either answer, so that a harvest of made-up addresses cannot push out those
that are real; in each half the oldest goes first.

`GreylistingSpotter` is beside it because it reads the same replies: two greylists one behind the
other make every stranger wait twice, and hardly anybody who sets up the first knows of the second.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass

from Kamaelia.Support.Protocol.SMTP.Address import Path
from Kamaelia.Support.Protocol.SMTP.Replies import Reply

_REPLY_BYTES = 512  # of a refusal's text are kept: 100,000 of the longest would be 6 GB
_SEARCHED = 1_024  # bytes of a reply's text are looked at

_enhanced = re.compile(rb"([245]\.\d{1,3}\.\d{1,3})(?: |$)").match
_ABOUT_RECIPIENT = frozenset((b"5.1.1", b"5.1.2", b"5.1.3", b"5.1.4", b"5.1.6", b"5.1.10"))
_PLAIN_CODES = frozenset((550, 551, 553))
# The usual words of Exim, qmail, Courier and others. There is a blank in each, and none in an
# address without quotation marks.
_unknown = re.compile(
    r"(?:user|recipient|mailbox|address|account) (?:is )?(?:unknown|not found)"
    r"|unknown (?:local )?(?:user|recipient|mailbox|address|account|part)"
    r"|no such (?:local )?(?:user|recipient|mailbox|address|account|person)"
    r"|no mailbox (?:here )?by that name"
    r"|(?:user|recipient|mailbox|address|account) (?:does not|doesn't) exist"
    r"|unrouteable address"
    r"|invalid (?:recipient|mailbox)"
).search
_about_others = re.compile(
    r"sender|verif|from address|\bhelo\b|\behlo\b|client|\bip\b|\bhost\b|rbl|black|block|spam"
    r"|reputation|policy|denied|relay|dnsbl|listed|banned|\bspf\b|\bdkim\b|dmarc|https?:"
).search
_address = re.compile(r"<[^<>]*>").sub


@dataclass(frozen=True, slots=True)
class Verified:
    """What the real server said: `found`, and what to tell a stranger if not (None if found)."""

    found: bool
    reply: Reply | None = None


FOUND = Verified(True)


def key_of(path: Path) -> str:
    """A recipient's key: its local part as it is meant (RFC 5321, section 2.4: case may matter),
    "@", and its domain in lower case.

    No two recipients share one: a domain has no "@", but for the zone of an address literal, and
    what follows the last "[" is that literal.
    """
    # bytes.lower() leaves all but ASCII alone: the Kelvin sign does not become a "k".
    key = b"%b@%b" % (path.local, path.domain.lower())
    return key.decode("utf-8", "backslashreplace")


def is_about_recipient(reply: Reply) -> bool:
    """Whether a refusal of RCPT says that there is no such recipient, whoever asks."""
    if not reply.is_permanent:
        return False
    found = _enhanced(reply.lines[0])
    if found is not None:
        return found[1] in _ABOUT_RECIPIENT
    if reply.code not in _PLAIN_CODES:
        return False
    words = _words_of(reply)
    # A server may quote what a stranger sent, so `"no such user"@example.net` must not choose what
    # its refusal is taken for: only what stands before any quotation mark counts for "unknown",
    # and everything counts against it.
    unknown = _unknown(words.partition('"')[0]) is not None
    return unknown and "@" not in words and _about_others(words) is None


class VerifyCache:
    """VerifyCache(found_seconds=3600.0, unknown_seconds=600.0, limit=100_000) -> what is known of
    at most so many recipients."""

    __slots__ = ("_found", "_found_seconds", "_limit", "_unknown", "_unknown_seconds")

    def __init__(
        self, found_seconds: float = 3600.0, unknown_seconds: float = 600.0, limit: int = 100_000
    ) -> None:
        self._found_seconds = found_seconds
        self._unknown_seconds = unknown_seconds
        self._limit = max(1, limit // 2)  # of either kind
        # Until when, oldest first. Not dicts: the first key of one from whose front much was taken
        # is found by walking over the holes.
        self._found: OrderedDict[str, float] = OrderedDict()
        self._unknown: OrderedDict[str, tuple[float, Verified]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._found) + len(self._unknown)

    def get(self, recipient_key: str, now: float) -> Verified | None:
        """What is known, or None; `now` is in monotonic seconds."""
        until = self._found.get(recipient_key)
        if until is not None:
            if now < until:
                return FOUND
            del self._found[recipient_key]
            return None
        known = self._unknown.get(recipient_key)
        if known is None:
            return None
        if now < known[0]:
            return known[1]
        del self._unknown[recipient_key]
        return None

    def learn(self, recipient_key: str, reply: Reply, now: float) -> None:
        """Take note of the reply to a RCPT (not to its MAIL, which is about the sender), if it says
        anything of the recipient."""
        if reply.code < 300:
            found = self._found
            if recipient_key in found:  # nearly always: a recipient has many messages
                found.move_to_end(recipient_key)  # the new answer goes to the end of the line
            else:
                self._unknown.pop(recipient_key, None)
                if len(found) >= self._limit:
                    found.popitem(last=False)
            found[recipient_key] = now + self._found_seconds
        elif is_about_recipient(reply):
            self.forget(recipient_key)
            verified = Verified(False, _shortened(reply))
            self._unknown[recipient_key] = (now + self._unknown_seconds, verified)
            if len(self._unknown) > self._limit:
                self._unknown.popitem(last=False)

    def forget(self, recipient_key: str) -> None:
        """Ask anew about this one."""
        self._found.pop(recipient_key, None)
        self._unknown.pop(recipient_key, None)

    def clear(self) -> None:
        """Ask anew about everybody: another server has other recipients."""
        self._found.clear()
        self._unknown.clear()


# "Greylisted" and the like are in the texts of postgrey, milter-greylist, sqlgrey, Stalwart,
# policyd and Exim recipes; the next two are greylistd's and iRedAPD's. rspamd says only "Try again
# later" with 4.7.1, so that has to be all it says.
_greylisting = re.compile(
    r"gr[ea]y[ -]?list"
    r"|not yet authorized to deliver mail from"
    r"|intentional policy rejection, please try again later"
    r"|^4\.7\.1 try again later\W*$"
).search


class GreylistingSpotter:
    """GreylistingSpotter(seconds=3600.0) -> notices that a real server greylists, too, and says so
    of each server at most once in so many seconds."""

    __slots__ = ("_said", "_seconds")

    def __init__(self, seconds: float = 3600.0) -> None:
        self._seconds = seconds
        self._said: dict[str, float] = {}  # the names are those of the configuration: few

    def saw(self, backend_name: str, reply: Reply, now: float) -> str | None:
        """Look at a real server's reply to RCPT; return a line for the log if there is news."""
        if not reply.is_temporary or _greylisting(_words_of(reply)) is None:
            return None
        said = self._said.get(backend_name)
        if said is not None and now - said < self._seconds:
            return None
        self._said[backend_name] = now
        return (
            f"mail server {backend_name} greylists, too, so strangers wait twice: "
            f"switch that off there, or for us ({reply.code} {reply.text})"
        )


def _words_of(reply: Reply) -> str:
    """The text in lower case, without addresses in <>: their words are not the server's."""
    text = b" ".join(reply.lines)[:_SEARCHED]
    return _address("", text.decode("ascii", "replace")).lower()


def _shortened(reply: Reply) -> Reply:
    """As many whole lines of it as there is room for: the first always, no line is longer."""
    room = _REPLY_BYTES
    for count, line in enumerate(reply.lines):
        room -= len(line)
        if room < 0 and count:
            return Reply(reply.code, reply.lines[:count])
    return reply
