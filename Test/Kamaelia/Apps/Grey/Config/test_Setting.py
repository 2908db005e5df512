"""Setting: a row of the table says what it takes, and its default obeys its own limits."""

from dataclasses import dataclass, fields
from enum import Enum
from pathlib import Path

import pytest

from Kamaelia.Apps.Grey.Config.Addresses import host_name
from Kamaelia.Apps.Grey.Config.Setting import (
    One,
    Rows,
    choice,
    file_or_none,
    firsts,
    number,
    seconds,
    setting,
    switch,
    text_or_none,
)
from Kamaelia.Apps.Grey.Config.Values import BadValueError, integer


class Colour(Enum):
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True, slots=True)
class Table:
    ports: tuple[int, ...] = setting(
        Rows({"port": integer(1, 9)}, lambda rows: tuple(firsts(rows))), "1\n2\n1", "ports"
    )
    size: int = number(1, 9, "3", "size")
    wait: int = seconds("2m", "wait", 300, minimum=0)
    colour: Colour = choice(Colour, "green", "colour")  # noqa: RUF009
    loud: bool = switch("yes", "loud")
    log: Path | None = file_or_none("", "log")  # noqa: RUF009
    name: str = text_or_none("a host name", host_name, "", "name")


def test_a_default_is_read_as_a_file_would_be() -> None:
    assert Table() == Table((1, 2), 3, 120, Colour.GREEN, True, None, "")


def test_each_field_carries_its_row() -> None:
    shown = [(f.name, str(f.metadata["shape"]), f.metadata["default"]) for f in fields(Table)]
    assert shown == [
        ("ports", "list of: port", "1\n2\n1"),
        ("size", "a number from 1 to 9", "3"),
        ("wait", "a time from 0 to 5m", "2m"),
        ("colour", "red or green", "green"),
        ("loud", "yes or no", "yes"),
        ("log", "a file, or empty", ""),
        ("name", "a host name, or empty", ""),
    ]
    assert [f.metadata["reason"] for f in fields(Table)] == [
        "ports",
        "size",
        "wait",
        "colour",
        "loud",
        "log",
        "name",
    ]


@pytest.mark.parametrize("default", ["0", "10", ""])
def test_a_default_beyond_its_own_limits_is_a_mistake_at_import(default: str) -> None:
    with pytest.raises(BadValueError):
        number(1, 9, default, "too much")


def test_a_row_of_the_default_has_a_word_for_each_column() -> None:
    shape = Rows({"one": str, "other": str}, lambda rows: [tuple(row) for row in rows])
    assert shape.default("a b\nc d") == [("a", "b"), ("c", "d")]
    assert str(shape) == "lines of: one other"
    with pytest.raises(ValueError, match="zip"):
        shape.default("a")


def test_what_may_be_empty_is_read_when_it_is_not() -> None:
    (shape,) = [f.metadata["shape"] for f in fields(Table) if f.name == "name"]
    assert isinstance(shape, One)
    assert shape.kind("Mail.Example.org") == "mail.example.org"
    with pytest.raises(BadValueError, match="not a host name"):
        shape.kind("a b")
