"""
What the original Kamaelia Grey has remembered
==============================================
Two dbm files in the folder that it ran in, of whatever kind its Python made:

    attempters.dbm    "('192.0.2.7', '<a@example.net>', '<b@example.org>')" -> when it came
    greylisted.dbm    the same key -> when it was last let in

The key is Python's repr() of address, sender and recipient, the value the time in seconds as text.
A pass lasted 3,000,000 seconds there (nearly 35 days) and was renewed with each use.

Give the folder, or one of the files (with or without what dbm has put behind the name).
"""

import ast
import dbm
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from Kamaelia.Apps.Grey.Importers.Found import Found, ImportFailedError, Ours, seconds_in
from Kamaelia.Apps.Grey.Store.Dump import BadLine, shown

KEPT_SECONDS = 3_000_000
WAITING, PASSED = "attempters.dbm", "greylisted.dbm"
_ADDED = (".dat", ".dir", ".bak", ".db", ".pag", "-wal", "-shm")  # by the kinds of dbm
_LONGEST_KEY = 8192


def read_file(path: Path, ours: Ours) -> Iterator[Found]:
    """Give what the files have. Raises ImportFailedError."""
    paths = [path / WAITING, path / PASSED] if path.is_dir() else [_without_added(path)]
    there = [each for each in paths if _kind(each) is not None]
    if not there:
        raise ImportFailedError(f"{path}: neither {WAITING} nor {PASSED} is there")
    for each in there:
        if each.name not in (WAITING, PASSED):
            raise ImportFailedError(f"{each}: the files are called {WAITING} and {PASSED}")
        yield from _read(each, ours)


def _read(path: Path, ours: Ours) -> Iterator[Found]:
    if not _kind(path):
        raise ImportFailedError(f"{path}: no file that Python's dbm knows")
    try:
        with closing(dbm.open(str(path), "r")) as file:
            for number, key in enumerate(file.keys(), 1):
                assert isinstance(key, bytes)  # noqa: S101 - for typeshed, which is not sure
                try:
                    yield _entry(key, file[key], ours, passed=path.name == PASSED)
                except ValueError as error:
                    yield BadLine(number, shown(key[:200].decode("latin-1")), str(error))
    except (*dbm.error, OSError) as error:
        raise ImportFailedError(f"{path}: {error}") from error


def _entry(key: bytes, value: bytes, ours: Ours, *, passed: bool) -> Found:
    if len(key) > _LONGEST_KEY:
        raise ValueError("too long")
    try:
        fields = ast.literal_eval(key.decode("latin-1"))
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError("not what repr() gives") from error
    if not isinstance(fields, tuple) or [type(field) for field in fields] != [str, str, str]:
        raise ValueError("not client, sender and recipient")
    moment = seconds_in(value.decode("latin-1"))
    triplet = ours.triplet(*fields)
    if passed:
        return triplet, ours.passed(moment, moment, KEPT_SECONDS)
    return triplet, ours.waiting(moment)


def _without_added(path: Path) -> Path:
    for added in _ADDED:
        if path.name.endswith(added):
            return path.with_name(path.name.removesuffix(added))
    return path


def _kind(path: Path) -> str | None:
    """None: there is nothing; "": nothing that dbm knows."""
    return dbm.whichdb(str(path))
