"""
What has expired, in the log
============================
With `logexpired`, a line for each record that the sweep deletes, in the words of milter-greylist:
one that was never tried again in time, and one whose pass has ended. After a flood the sweep finds
hundreds of thousands at a time: of more than a hundred in a second only the number is told.

Records of a client as a whole are no mail, and those that had to go because there were too many
have not timed out: neither is told here.

Example Usage
-------------
Between two slices of a sweep::

    expired = ExpiredLog(time.monotonic)
    expired.tell(gone)
    expired.round_over()

>>> words_for(Triplet("192.0.2.7/32", "a@example.net", "b@example.org"), passed=False)
'(local): 192.0.2.7 from <a@example.net> to <b@example.org>: greylisted entry timed out'
"""

import logging
from collections.abc import Callable, Iterable

from Kamaelia.Apps.Grey.Core.Types import Record, Triplet

log = logging.getLogger(__name__)

LINES_A_SECOND = 100
_LONGEST_FIELD = 256


class ExpiredLog:
    """ExpiredLog(monotonic) -> `tell`, `round_over`."""

    __slots__ = ("_left", "_monotonic", "_second_ends", "_untold")

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._second_ends = float("-inf")
        self._left = 0
        self._untold = 0

    def tell(self, gone: Iterable[tuple[Triplet, Record]]) -> None:
        """Log these, as far as this second has room for them."""
        now = self._monotonic()
        if now >= self._second_ends:
            self._second_ends, self._left = now + 1.0, LINES_A_SECOND
        for triplet, record in gone:
            if not triplet.recipient:
                continue
            if self._left:
                self._left -= 1
                log.info("%s", words_for(triplet, passed=record.passed_at is not None))
            else:
                self._untold += 1

    def round_over(self) -> None:
        """All records have been looked at: tell how many had no line."""
        if self._untold:
            log.info("(local): %d more entries timed out", self._untold)
            self._untold = 0


def words_for(triplet: Triplet, *, passed: bool) -> str:
    """The line for a record that is over. Nothing of a stranger's stands in it as it is."""
    client = _shown(triplet.network).removesuffix("/32").removesuffix("/128")
    sender, recipient = _shown(triplet.sender), _shown(triplet.recipient)
    what = "autowhitelisted entry expired" if passed else "greylisted entry timed out"
    return f"(local): {client} from <{sender}> to <{recipient}>: {what}"


def _shown(text: str) -> str:
    return text[:_LONGEST_FIELD].encode("unicode_escape").decode("ascii")
