"""
Taking over what another greylister has remembered
==================================================
`run(kind, path, store, now, policy)` merges what is at `path` into the store. To do so twice is
harmless, and so is a store that knows some of it already. What is over by now is left out.

    milter-greylist   its greylist.db
    postgrey          postgrey.db or postgrey_clients.db, or what db_dump writes of them
    spamdb            the output of OpenBSD's spamdb
    sqlgrey           its SQLite file
    original          the dbm files of the original Kamaelia Grey, or their folder

The path `-` is the standard input, for those that are text. The daemon has to be stopped: what it
has in memory it takes for all that there is.

>>> from tempfile import TemporaryDirectory
>>> from Kamaelia.Apps.Grey.Store.Memory import MemoryStore
>>> with TemporaryDirectory() as folder:
...     path = Path(folder, "greylist.db")
...     _ = path.write_text("192.0.2.7 <a@example.net> <b@example.org> 1000 AUTO\\nbad\\n")
...     run("milter-greylist", path, MemoryStore(), now=900, policy=Policy())
Summary(read=1, merged=1, skipped=1, problems=('2: not address, sender, recipient and time: bad',))
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from Kamaelia.Apps.Grey.Core.Clients import client_triplet
from Kamaelia.Apps.Grey.Core.Types import Policy, Record, Triplet
from Kamaelia.Apps.Grey.Importers import Original, Postgrey, Spamdb, Sqlgrey
from Kamaelia.Apps.Grey.Importers.Found import Found, ImportFailedError, Ours
from Kamaelia.Apps.Grey.Store.Dump import LONGEST_LINE, BadLine, read_dump
from Kamaelia.Apps.Grey.Store.Interface import Store
from Kamaelia.Apps.Grey.Store.Packing import News, news_of

GROUP = 4000
TOLD = 20  # bad lines that are named
_NETWORKS_OF_24 = ("postgrey", "sqlgrey")  # they keep no more of an address than that


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of it. `read`: entries that could be read; `merged`: those that are in the store
    now; `skipped`: lines that could not be read, and entries that were over. `problems`: for a
    person, the first few bad lines among them."""

    read: int
    merged: int
    skipped: int
    problems: tuple[str, ...] = ()


def _text_of(
    read: Callable[[Iterable[str], Ours], Iterator[Found]], path: Path, ours: Ours
) -> Iterator[Found]:
    if str(path) == "-":
        yield from read(iter(lambda: sys.stdin.readline(LONGEST_LINE), ""), ours)
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        yield from read(iter(lambda: file.readline(LONGEST_LINE), ""), ours)


def _dump(lines: Iterable[str], ours: Ours) -> Iterator[Found]:
    policy = ours.policy
    lazy = policy.client_passes == 1  # lazyaw: the address alone is known
    for found in read_dump(
        lines,
        prefix4=policy.prefix4,
        prefix6=policy.prefix6,
        delay_seconds=policy.delay_seconds,
        now=ours.now,
    ):
        yield found
        if lazy and not isinstance(found, BadLine) and found[1].passed_at is not None:
            yield client_triplet(found[0].network), found[1]


def _postgrey(path: Path, ours: Ours) -> Iterator[Found]:
    if str(path) == "-":
        yield from _text_of(Postgrey.read, path, ours)
    else:
        yield from Postgrey.read_file(path, ours)


_IMPORTERS: dict[str, Callable[[Path, Ours], Iterator[Found]]] = {
    "milter-greylist": partial(_text_of, _dump),
    "postgrey": _postgrey,
    "spamdb": partial(_text_of, Spamdb.read),
    "sqlgrey": Sqlgrey.read_file,
    "original": Original.read_file,
}
KINDS = tuple(_IMPORTERS)


def run(kind: str, path: Path, store: Store, now: int, policy: Policy) -> Summary:
    """Merge what is there. `now`: seconds since 1970. Raises ImportFailedError if nothing of it can
    be read (what was merged before a fault in the middle stays), StoreError, and KeyError for a
    kind that is none of `KINDS`."""
    read = merged = skipped = bad = 0
    problems = _hints(kind, policy)
    found = _IMPORTERS[kind](path, Ours(policy, now))
    try:
        while group := list(islice(found, GROUP)):
            good: list[tuple[Triplet, Record]] = []
            for one in group:
                if isinstance(one, BadLine):
                    bad += 1
                    if bad <= TOLD:
                        problems.append(f"{one.number}: {one.why}: {one.text}")
                else:
                    good.append(one)
            news: list[News] = [
                news_of(b"", *one) for one in good if not policy.lifetimes.is_over(one[1], now)
            ]
            with store.batch():
                store.merge_all(news)
            read += len(good)
            merged += len(news)
            skipped += len(group) - len(news)
    except (OSError, UnicodeError) as error:
        raise ImportFailedError(f"{path}: {error}") from error
    if bad > TOLD:
        problems.append(f"and {bad - TOLD} more lines that cannot be read")
    return Summary(read, merged, skipped, tuple(problems))


def _hints(kind: str, policy: Policy) -> list[str]:
    if kind in _NETWORKS_OF_24 and policy.prefix4 > 24:
        return [
            f"{kind} keeps the first three numbers of an address only: set network_prefix4 to 24,"
            f" or what it knew is not found again with {policy.prefix4}"
        ]
    return []
