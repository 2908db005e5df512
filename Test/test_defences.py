"""The page about defences has every row, and the tests that it names exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TEST = Path(__file__).resolve().parent
PAGE = TEST.parent / "Docs" / "protocols" / "defences.md"
ROWS = range(1, 43)
WITHOUT_TESTS = {30}  # what is not there cannot be tested


def table() -> dict[int, str]:
    rows = re.findall(
        r"^\| (\d+) \| .+? \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(rows) == len(dict(rows))
    return {int(number): defence for number, defence in rows}


def named_tests() -> dict[int, list[tuple[str, str]]]:
    """By row: (file, test), and an empty name for all tests of a file."""
    items = re.findall(
        r"^- \*\*(\d+)\*\* (.+(?:\n  .+)*)", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    found: dict[int, list[tuple[str, str]]] = {}
    for number, text in items:
        tests = found[int(number)] = []
        for part in text.split(";"):
            file, *names = re.findall(r"`(test_\w+)`", part) or [""]
            tests += [(file, name) for name in names or [""] if file]
    return found


@cache
def names_in(file: str) -> frozenset[str]:
    places = list(TEST.rglob(f"{file}.py"))
    assert places, f"there is no {file}.py under Test"
    return frozenset(
        node.name
        for place in places
        for node in ast.parse(place.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def test_each_row_of_the_list_is_on_the_page() -> None:
    assert list(table()) == list(ROWS)
    assert list(named_tests()) == list(ROWS)


@pytest.mark.parametrize("row", ROWS)
def test_the_tests_that_are_named_exist(row: int) -> None:
    tests = named_tests()[row]
    assert bool(tests) is (row not in WITHOUT_TESTS)
    for file, name in tests:
        assert (name in names_in(file)) if name else names_in(file), (file, name)
