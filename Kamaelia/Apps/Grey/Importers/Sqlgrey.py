"""
What sqlgrey has remembered
===========================
Its SQLite file, /var/lib/sqlgrey/sqlgrey.db. Three tables:

    connect      who waits: sender_name, sender_domain, src, rcpt, first_seen
    from_awl     senders that have passed: sender_name, sender_domain, src, first_seen, last_seen
    domain_awl   domains of which several have: sender_domain, src, first_seen, last_seen

sqlgrey's lists are without recipients. A client is known here by how many of its senders have
passed, so each row of the two lists is one pass of its client (see `client_passes`).

`src` is an address or the first three numbers of one. Times are written in the machine's zone.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

from Kamaelia.Apps.Grey.Core.Clients import client_triplet
from Kamaelia.Apps.Grey.Importers.Found import Found, ImportFailedError, Ours, seconds_in
from Kamaelia.Apps.Grey.Store.Dump import BadLine, shown

KEPT_SECONDS = 60 * 24 * 3600
_NULL = "-undef-"  # as sqlgrey writes the parts of an empty sender
_CONNECT = "SELECT sender_name, sender_domain, src, rcpt, first_seen FROM connect"
_CLIENTS = (
    "SELECT src, count(*), min(first_seen), max(last_seen) FROM ("
    "SELECT src, first_seen, last_seen FROM from_awl"
    " UNION ALL SELECT src, first_seen, last_seen FROM domain_awl) GROUP BY src"
)


def read_file(path: Path, ours: Ours) -> Iterator[Found]:
    """Give what the file has. Raises ImportFailedError."""
    if not path.is_file():  # SQLite would only say that it cannot open it
        raise ImportFailedError(f"{path}: no such file")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as file:
            for statement, entry in ((_CONNECT, _waiting), (_CLIENTS, _client)):
                for number, row in enumerate(file.execute(statement), 1):
                    try:
                        yield entry(row, ours)
                    except ValueError as error:
                        yield BadLine(number, shown(repr(row)), str(error))
    except sqlite3.Error as error:
        raise ImportFailedError(f"{path}: {error}. Is it the SQLite file of sqlgrey?") from error


def _waiting(row: tuple[object, ...], ours: Ours) -> Found:
    name, domain, source, recipient, first = row
    sender = "" if name == _NULL else f"{name}@{domain}"
    triplet = ours.triplet(_address(source), sender, str(recipient))
    return triplet, ours.waiting(_moment(first))


def _client(row: tuple[object, ...], ours: Ours) -> Found:
    source, passes, first, last = row
    record = ours.passed(_moment(first), _moment(last), KEPT_SECONDS, count=int(str(passes)))
    return client_triplet(ours.network(_address(source))), record


def _address(source: object) -> str:
    text = str(source)
    return f"{text}.0" if text.count(".") == 2 else text


def _moment(value: object) -> int:
    """Seconds, or the date and time of the machine's zone. Raises ValueError."""
    text = str(value)
    if text.isdigit():
        return seconds_in(text)
    try:
        return int(datetime.fromisoformat(text).astimezone().timestamp())
    except (ValueError, OverflowError) as error:
        raise ValueError("not a date and time") from error
