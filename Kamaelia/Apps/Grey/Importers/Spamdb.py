r"""
What OpenBSD's spamd has remembered
===================================
The output of `spamdb`, a line an entry::

    GREY|192.0.2.7|mx.example.net|<a@example.net>|<b@example.org>|first|passes at|expires|tries|0
    WHITE|192.0.2.8|||first|passed|expires|tries|passes

spamd knows clients, not senders: of a WHITE line the client's own record is made, so set
`client_passes` for it to say something. Traps (TRAPPED, SPAMTRAP) are left out.

>>> from Kamaelia.Apps.Grey.Core.Types import Policy
>>> [(triplet, record)] = read(["WHITE|192.0.2.8|||1000|1500|9000|3|1\n"], Ours(Policy(), 2000))
>>> triplet.network, triplet.recipient, record.until >= 9000
('192.0.2.0/24', '', True)
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from Kamaelia.Apps.Grey.Core.Clients import client_triplet
from Kamaelia.Apps.Grey.Importers.Found import Found, Ours, seconds_in
from Kamaelia.Apps.Grey.Store.Dump import BadLine, shown

ENOUGH = 5  # passes of a client that spamd lets in: it asks for one, others for more
_LEFT_OUT = ("TRAPPED", "SPAMTRAP")


def read(lines: Iterable[str], ours: Ours) -> Iterator[Found]:
    """Give what the lines have."""
    for number, line in enumerate(lines, 1):
        fields = line.rstrip("\r\n").split("|")
        if fields[0] in _LEFT_OUT or not line.strip():
            continue
        try:
            yield _entry(fields, ours)
        except ValueError as error:
            yield BadLine(number, shown(line), str(error))


def _entry(fields: list[str], ours: Ours) -> Found:
    if fields[0] == "GREY" and len(fields) >= 8:
        triplet = ours.triplet(fields[1], fields[3], fields[4])
        return triplet, ours.waiting(seconds_in(fields[5]), seconds_in(fields[6]))
    if fields[0] == "WHITE" and len(fields) >= 7:
        # By some versions with five empty fields, by others with two: the numbers are at the end.
        first, passed, until = (seconds_in(field) for field in fields[-5:-2])
        record = ours.passed(first, passed, 0, count=max(ENOUGH, seconds_in(fields[-1])))
        record = replace(record, until=max(record.until, until))
        return client_triplet(ours.network(fields[1])), record
    raise ValueError("neither GREY nor WHITE")
