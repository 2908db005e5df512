"""
The text of milter-greylist's database
======================================
Written as milter-greylist 4.6 writes its greylist.db, read as 3.0 and 4.6 write it, a line at a
time: a dump may be larger than the memory.

A line is an address, a sender, a recipient and a time: when a retry gets in or, before AUTO, when
the pass ends. Our keys say more than that. Of a network its first address is written; the reader
gives it back its length. A key that is no network at all (a sender domain, say), or text that
milter-greylist would stumble over, goes into a comment that only we read::

    #+ <spf:example.net><TAB>...

What cannot be read is a `BadLine`, and the rest is read. When somebody came first, a dump does not
say: as early as the delay allows.

>>> lines = ["192.0.2.10\\t<s@example.org>\\t<r@example.net>\\t1795289655 AUTO # 19:34:15", "x y"]
>>> (triplet, record), bad = read_dump(lines, prefix4=24, now=1795289600)
>>> triplet.network, record.until, bad.number
('192.0.2.0/24', 1795289655, 2)
>>> dump = write_dump([(triplet, record)], now=1795289600, version="grey-1", translate=False)
>>> list(dump)[10].split()
['192.0.2.0', '<s@example.org>', '<r@example.net>', '1795289655', 'AUTO']
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from ipaddress import ip_address
from urllib.parse import quote, unquote

from Kamaelia.Apps.Grey.Core.Networks import parsed
from Kamaelia.Apps.Grey.Core.Normalise import fold_address, network_of
from Kamaelia.Apps.Grey.Core.Types import Lifetimes, Record, Triplet

LONGEST_LINE = (
    8192  # three fields of 1,024 characters, escaped, are less; others are cut in between
)
_OURS = "#+ "
_LATEST = 2**40  # a time further away than that is a mistake
# What both generations of milter-greylist take for an address, without its brackets.
_PLAIN = re.compile(r"(?:[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+(?:@[A-Za-z0-9._-]+)?)?", re.ASCII)
_LONGEST_PLAIN = 322
_SAFE = "@:!$&'*+/=?^`{|}~"  # as it is in our own lines: no blank, no %, no line end
_SHOWN = 200  # characters of a bad line


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that says nothing, its number from 1. `text` is printable, and cut."""

    number: int
    text: str
    why: str


@dataclass(frozen=True, slots=True)
class ReadAs:
    """What a dump does not say. The network of a record is the one of these lengths round its
    address; who waits, has waited since `delay_seconds` before it is due, but came before `now`."""

    prefix4: int = 32
    prefix6: int = 128
    delay_seconds: int = 0
    now: int = _LATEST


def read_dump(
    lines: Iterable[str],
    *,
    prefix4: int = 32,
    prefix6: int = 128,
    delay_seconds: int = 0,
    now: int = _LATEST,
) -> Iterator[tuple[Triplet, Record] | BadLine]:
    """Give what the lines hold, expired or not, twice if it is there twice."""
    how = ReadAs(prefix4, prefix6, delay_seconds, now)
    for number, line in enumerate(lines, 1):
        try:
            found = _read_line(line, how)
        except ValueError as error:
            yield BadLine(number, shown(line), str(error))
        else:
            if found is not None:
                yield found


def shown(text: str) -> str:
    """A stranger's text for a log: printable ASCII, and not too much of it."""
    return ascii(text.strip()[:_SHOWN])[1:-1]


def _read_line(line: str, how: ReadAs) -> tuple[Triplet, Record] | None:
    line = line.strip()
    if len(line) >= LONGEST_LINE:
        raise ValueError("too long")
    ours = line.startswith(_OURS)
    if not line or (line.startswith("#") and not ours):
        return None
    fields = line.removeprefix(_OURS).split()
    if len(fields) < 4:
        raise ValueError("not address, sender, recipient and time")
    if ours:
        network, sender, recipient = map(unquote, map(_bare, fields[:3]))
    else:
        # 3.0 leaves a `=` in front of what it has cut off a sender.
        network, sender, recipient = (_bare(field).lstrip("=") for field in fields[:3])
        if parsed(network) is None:
            raise ValueError("not an IP address")
        if not all(map(str.isascii, fields[:3])):
            raise ValueError("8-bit characters in an address")
    when = _time(fields[3])
    words = [word.upper() for word in fields[4:6]]
    # What stands behind AUTO is ignored, as milter-greylist does.
    auto = words[:1] == ["AUTO"]
    if not auto and words and not words[0].startswith("#"):
        if words[1:] != ["TARPIT"]:
            raise ValueError("neither AUTO nor TARPIT behind the time")
        _time(words[0])
    if not ours or parsed(network) is not None:
        network = network_of(network, how.prefix4, how.prefix6)
    triplet = Triplet(network, fold_address(sender), fold_address(recipient))
    if not triplet.recipient:  # it would be taken for what is known of a client as a whole
        raise ValueError("no recipient")
    return triplet, _known(when, how) if auto else _waiting(when, how)


def _known(until: int, how: ReadAs) -> Record:
    seen = min(until, how.now)
    return Record(0, seen, seen, passed_at=seen, deferred=1, passed=1, due=seen, until=until)


def _waiting(due: int, how: ReadAs) -> Record:
    # Not in the future: that would look like a clock that was set back.
    seen = max(min(due - how.delay_seconds, how.now), 0)
    return Record(0, seen, seen, passed_at=None, deferred=1, passed=0, due=due)


def _time(text: str) -> int:
    if len(text) > 13 or not (text.isascii() and text.isdigit()):
        raise ValueError("not a time in seconds")
    return min(int(text), _LATEST)


def _bare(text: str) -> str:
    return text.removeprefix("<").removesuffix(">")


def write_dump(
    rows: Iterable[tuple[Triplet, Record]],
    now: int,
    version: str,
    *,
    translate: bool = True,
    lifetimes: Lifetimes | None = None,
    zone: tzinfo | None = None,
) -> Iterator[str]:
    """Give the lines of the dump, each with its end. `translate`: behind each time a comment with
    the date, in that zone (None: of the machine). With `lifetimes`, what is over is left out; so is
    what is known of clients as a whole (Core/Clients.py): there is no line for that."""
    yield "#\n"
    date = _date(now, zone)
    yield f"# milter-greylist databases, dumped by {shown(version)} on {date}.\n"
    yield "# DO NOT EDIT while milter-greylist is running, changes will be overwritten.\n"
    yield "#\n"
    yield "\n"
    yield "\n"
    yield "#\n"
    yield "# stored tuples\n"
    yield "#\n"
    yield (
        "# Sender IP\tSender e-mail\tRecipient e-mail\tTime accepted"
        "\tUnsuccessful shortest tarpit\n"
    )
    waiting = known = 0
    for triplet, record in rows:
        if not triplet.recipient or (lifetimes is not None and lifetimes.is_over(record, now)):
            continue
        auto = record.passed_at is not None
        known += auto
        waiting += not auto
        when = record.until if auto else record.due
        note = f" # {_date(when, zone)}" if translate else ""
        # milter-greylist, too, leaves a blank behind the time when nothing follows.
        yield f"{_fields(triplet)}\t{when} {'AUTO' if auto else ''}{note if auto else note[1:]}\n"
    yield "#\n"
    yield (
        f"# Summary: {waiting + known} records, {waiting} greylisted, {known} whitelisted,"
        " 0 tarpitted\n"
    )
    yield "#\n"


def _fields(triplet: Triplet) -> str:
    sender, recipient = triplet.sender, triplet.recipient
    address = triplet.network.partition("/")[0]
    if parsed(address) is None or not (_is_plain(sender) and _is_plain(recipient)):
        # An empty field would be none; brackets keep it in its place.
        fields = (
            quote(field, safe=_SAFE, errors="replace")
            for field in (triplet.network, sender, recipient)
        )
        return _OURS + "\t".join(f"<{field}>" for field in fields)
    return f"{ip_address(address)}\t<{sender}>\t<{recipient}>"


def _is_plain(text: str) -> bool:
    return (
        len(text) <= _LONGEST_PLAIN
        and not text.startswith("=")  # see _read_line
        and _PLAIN.fullmatch(text) is not None
    )


def _date(seconds: int, zone: tzinfo | None) -> str:
    try:
        date = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):  # behind the year 9999
        return "never"
    return f"{date.astimezone(zone):%Y-%m-%d %H:%M:%S}"
