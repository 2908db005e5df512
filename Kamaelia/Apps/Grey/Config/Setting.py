"""
One row of the table of settings
================================
What a setting looks like in a file (`One` value, or `Rows` of words), its default as it is written
there, and its reason. Schema has the table itself: a dataclass whose fields are made here.

Example Usage
-------------
>>> from dataclasses import dataclass, fields
>>> @dataclass(frozen=True)
... class Small:
...     delay: int = seconds("1m", "how long to wait", maximum=300)
...     verbose: bool = switch("no", "say more")
>>> Small()
Small(delay=60, verbose=False)
>>> row = fields(Small)[0].metadata
>>> str(row["shape"]), row["default"], row["reason"]
('a time from 1s to 5m', '1m', 'how long to wait')

A default is a text that goes through the same reader as a file, so no default can break the limits
of its own setting.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Generic, TypeVar

from Kamaelia.Apps.Grey.Config import Values

T = TypeVar("T")
E = TypeVar("E", bound=Enum)
Kind = Callable[[str], T]  # its str() says what it takes

_WEEK = 604_800


@dataclass(frozen=True, slots=True)
class One(Generic[T]):
    """The shape of `key = value`."""

    kind: Kind[T]
    may_be_empty: bool = False

    def default(self, text: str) -> T:
        """Read the default of the table."""
        return self.kind(text)

    def __str__(self) -> str:
        return f"{self.kind}, or empty" if self.may_be_empty else str(self.kind)


@dataclass(frozen=True, slots=True)
class Rows(Generic[T]):
    """The shape of `key:` and rows of words, a word for each column."""

    columns: Mapping[str, Kind[Any]]
    collect: Callable[[list[list[Any]]], T]
    may_be_empty: bool = True

    def default(self, text: str) -> T:
        """Read the default of the table, a row a line."""
        rows = [line.split() for line in text.splitlines()]
        kinds = self.columns.values()
        return self.collect(
            [[kind(word) for kind, word in zip(kinds, row, strict=True)] for row in rows]
        )

    def __str__(self) -> str:
        what = " ".join(self.columns)
        return f"lines of: {what}" if len(self.columns) > 1 else f"list of: {what}"


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table; `default` is written as in a file, a line for each row of a list."""

    name: str
    shape: One[Any] | Rows[Any]
    default: str
    reason: str


# ---- makers of fields; like dataclasses.field they pretend to be the default itself


def setting(shape: One[T] | Rows[T], default: str, reason: str) -> T:
    """A setting of any shape."""
    row = {"shape": shape, "default": default, "reason": reason}
    return field(default=shape.default(default), metadata=row)


def seconds(default: str, reason: str, maximum: int = _WEEK, minimum: int = 1) -> int:
    """A time, with or without units."""
    return setting(One(Values.duration(minimum, maximum)), default, reason)


def number(minimum: int, maximum: int, default: str, reason: str) -> int:
    """A whole number."""
    return setting(One(Values.integer(minimum, maximum)), default, reason)


def switch(default: str, reason: str) -> bool:
    """Yes or no."""
    return setting(One(Values.Plain("yes or no", Values.yes_or_no)), default, reason)


def choice(enum: type[E], default: str, reason: str) -> E:
    """One of the values of an Enum."""
    return setting(One(Values.Choice(enum)), default, reason)


def file_or_none(default: str, reason: str) -> Path | None:
    """A file, or nothing."""
    kind = Values.Plain("a file", lambda text: Values.path(text) if text else None)
    return setting(One(kind, may_be_empty=True), default, reason)


def text_or_none(words: str, read: Callable[[str], str], default: str, reason: str) -> str:
    """A text that `read` takes, or an empty one."""
    kind = Values.Plain(words, lambda text: read(text) if text else "")
    return setting(One(kind, may_be_empty=True), default, reason)


def firsts(rows: list[list[T]]) -> list[T]:
    """The first word of each row, without repetition."""
    return list(dict.fromkeys(row[0] for row in rows))
