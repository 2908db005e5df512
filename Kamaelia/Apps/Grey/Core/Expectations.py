"""
Mail that somebody waits for
============================
A code to log in with is worth nothing after ten minutes. So a person can say: for the next quarter
of an hour, or for the next one mail, whoever writes to me gets in at once. What was said is a text
of lines:

    recipient until once|timed used|-

One for one mail is used up only by a mail that would have had to wait: whoever is known gets in
without it. `until` is in seconds since the epoch; `once` is over with its first use, `timed` with
its time. A recipient is an address, or a domain with an @ before it. Lines that cannot be read are
skipped and counted, those that are over are dropped, and there are at most 10,000.

>>> lines = "bob@example.org 2000 once -\\n@example.net 1500 timed -\\n"
>>> expected = Expectations.parse(lines, now=1000)
>>> expected.matches("Bob@example.org", 1001), expected.matches("x@example.net", 1501)
(True, False)
>>> expected.use("bob@example.org")
True
>>> expected.matches("bob@example.org", 1002)
False
>>> print(expected.text(1003), end="")
bob@example.org 2000 once used
@example.net 1500 timed -
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from Kamaelia.Apps.Grey.Core.Normalise import fold_address

MOST = 10_000
_LONGEST_NUMBER = 15


@dataclass(frozen=True, slots=True)
class Expectation:
    """One line. recipient: folded."""

    recipient: str
    until: int
    once: bool
    used: bool = False

    def line(self) -> str:
        once = "once" if self.once else "timed"
        return f"{self.recipient} {self.until} {once} {'used' if self.used else '-'}"

    def is_open(self, now: float) -> bool:
        return now <= self.until and not (self.once and self.used)


class Expectations:
    """Expectations(them) -> `matches`, `use`. bad_lines: so many could not be read."""

    __slots__ = ("_by_recipient", "bad_lines")

    def __init__(self, them: Iterable[Expectation] = ()) -> None:
        self.bad_lines = 0
        self._by_recipient: dict[str, Expectation] = {}
        for one in them:
            self.add(one)

    @classmethod
    def parse(cls, text: str, now: float) -> "Expectations":
        made = cls()
        for line in text.split("\n"):
            if not line.strip() or line.startswith("#"):
                continue
            one = _read(line)
            if one is None:
                made.bad_lines += 1
            elif now <= one.until:
                made.add(one)
        return made

    def add(self, one: Expectation) -> bool:
        """One more, in the place of an earlier one for the same recipient; False: there are too
        many."""
        if one.recipient not in self._by_recipient and len(self._by_recipient) >= MOST:
            return False
        self._by_recipient[one.recipient] = one
        return True

    def is_timed(self, recipient: str, now: float) -> bool:
        """Whether one is open that is not used up by a mail."""
        return any(one.is_open(now) and not one.once for one in self._for(recipient))

    def matches(self, recipient: str, now: float) -> bool:
        return any(one.is_open(now) for one in self._for(recipient))

    def use(self, recipient: str, now: float = 0.0) -> bool:
        """The recipient has got mail because of it. True: something has changed that must last
        (`text`): one that was for once is over now."""
        for one in self._for(recipient):
            if one.is_open(now):
                self._by_recipient[one.recipient] = replace(one, used=True)
                return one.once
        return False

    def text(self, now: float) -> str:
        """As `parse` reads it, without those that are over by their time."""
        return "".join(f"{one.line()}\n" for one in self if now <= one.until)

    def __iter__(self) -> Iterator[Expectation]:
        return iter(tuple(self._by_recipient.values()))

    def __len__(self) -> int:
        return len(self._by_recipient)

    def _for(self, recipient: str) -> Iterator[Expectation]:
        """That of the address before that of its domain."""
        if not self._by_recipient:
            return
        folded = fold_address(recipient)
        for key in (folded, f"@{folded.rpartition('@')[2]}"):
            one = self._by_recipient.get(key)
            if one is not None:
                yield one


def _read(line: str) -> Expectation | None:
    words = line.split()
    if len(words) != 4 or words[2] not in ("once", "timed") or words[3] not in ("used", "-"):
        return None
    until = words[1]
    if not (until.isascii() and until.isdigit() and len(until) <= _LONGEST_NUMBER):
        return None
    if "@" not in words[0]:
        return None
    return Expectation(fold_address(words[0]), int(until), words[2] == "once", words[3] == "used")
