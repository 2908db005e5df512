"""Problem, ConfigError, Report: places, carets, and limits."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Config.Problem import (
    DATA_ERROR,
    MAX_PROBLEMS,
    OS_ERROR,
    ConfigError,
    Problem,
    Report,
    printable,
    shown,
)


def problem(line: str, column: int, cure: str = "") -> Problem:
    return Problem("grey.conf", 3, column, line, "no good", cure)


def test_a_problem_shows_place_line_caret_and_cure() -> None:
    assert str(problem("port = x", 8, "write a number")) == (
        "grey.conf:3:8: no good\n    port = x\n           ^\n    write a number"
    )


def test_a_problem_without_a_cure_ends_with_the_caret() -> None:
    assert str(problem("port = x", 1)).endswith("\n    port = x\n    ^")


def test_a_problem_of_the_whole_file_shows_no_line() -> None:
    whole = Problem("grey.conf", 0, 0, "", "cannot be read", "check its mode")
    assert str(whole) == "grey.conf: cannot be read\n    check its mode"


@pytest.mark.parametrize(
    ("line", "column", "pad"),
    [
        ("\tx\ty", 4, "\t \t"),
        ("日本 = x", 6, "       "),
        ("e\N{COMBINING ACUTE ACCENT} x", 4, "  "),
        ("größe x", 7, "      "),
    ],
    ids=["tabs are repeated", "wide count twice", "combining count nothing", "others count once"],
)
def test_the_caret_stands_under_its_place(line: str, column: int, pad: str) -> None:
    assert str(problem(line, column)).split("\n")[2] == f"    {pad}^"


def test_of_a_long_line_only_the_neighbourhood_is_shown() -> None:
    text = str(problem("a" * 5000 + "X" + "b" * 5000, 5001))
    _, line, caret = text.split("\n")
    assert len(line) < 200
    assert line[len(caret) - 1] == "X"
    assert line.strip().startswith("...a")
    assert line.endswith("b...")


def test_what_upsets_a_terminal_is_not_shown() -> None:
    assert "\x1b" not in str(problem("port = \x1b[31m", 8))
    assert printable("a\x1b\tb\0") == "a\N{REPLACEMENT CHARACTER}\tb\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("a b", '"a b"'),
        ("größe", '"größe"'),
        ('a"b', r'"a\"b"'),
        ("\x1b\n\N{NO-BREAK SPACE}\0", r'"\x1b\n\xa0\x00"'),
        ("x" * 61, '"' + "x" * 60 + '..."'),
        ("\ud800", r'"\ud800"'),
    ],
)
def test_shown_quotes_escapes_and_cuts(text: str, quoted: str) -> None:
    assert shown(text) == quoted


def test_an_error_tells_its_problems_in_the_order_of_the_file() -> None:
    late, early = Problem("f", 9, 1, "b", "late"), Problem("f", 2, 5, "a    ", "early")
    error = ConfigError([late, early])
    assert error.problems == (early, late)
    assert str(error) == f"{early}\n{late}"


def test_an_error_survives_pickling() -> None:
    error = ConfigError([problem("port = x", 8)])
    assert pickle.loads(pickle.dumps(error)).problems == error.problems  # noqa: S301 - our own


@given(st.text(alphabet="ab\n\t\rä日", max_size=60))
def test_every_offset_has_the_place_that_counting_gives(text: str) -> None:
    report = Report("f", text)
    for offset in range(len(text) + 1):
        before = text[:offset]
        line, column = before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1
        assert report.place(offset) == (line, column)


def test_a_report_takes_line_and_column_or_an_offset() -> None:
    report = Report("f", "port = 1\r\nlisten = x\r\n")
    report.add(1, 8, "one", "cure")
    report.add_at(19, "two")
    assert report.problems == [
        Problem("f", 1, 8, "port = 1", "one", "cure"),
        Problem("f", 2, 10, "listen = x", "two"),
    ]


def test_a_report_about_the_whole_file_has_no_line() -> None:
    report = Report("f", "port = 1\n")
    report.add(0, 0, "bad")
    assert report.problems[0].source_line == ""


def test_a_report_stops_when_there_are_too_many() -> None:
    report = Report("f", "x\n")
    for _ in range(MAX_PROBLEMS - 1):
        report.add(1, 1, "bad")
    with pytest.raises(ConfigError) as raised:
        report.add(1, 1, "bad")
    problems = raised.value.problems
    assert len(problems) == MAX_PROBLEMS + 1
    assert "stopped after 100 problems" in problems[0].message


def test_a_warning_leaves_the_file_good() -> None:
    report = Report("f", "a\nb\n")
    report.warn_at(2, "odd", "do it otherwise")
    report.warn(1, 1, "odd, too")
    assert report.problems == []
    assert [str(warning) for warning in report.warnings] == [
        "f:2:1: odd\n    b\n    ^\n    do it otherwise",
        "f:1:1: odd, too\n    a\n    ^",
    ]


def test_nobody_reads_thousands_of_warnings() -> None:
    report = Report("f", "a")
    for _ in range(10 * MAX_PROBLEMS):
        report.warn(1, 1, "odd")
    assert len(report.warnings) == MAX_PROBLEMS


def test_the_exit_code_is_the_highest_of_all_problems() -> None:
    report = Report("f", "a")
    report.add(1, 1, "bad")
    assert ConfigError(report.problems).exit_code == DATA_ERROR
    report.add_at(0, "worse", exit_code=OS_ERROR)
    assert ConfigError(report.problems).exit_code == OS_ERROR
    assert ConfigError([]).exit_code == DATA_ERROR
    again = pickle.loads(pickle.dumps(ConfigError(report.problems)))  # noqa: S301 - our own
    assert again.exit_code == OS_ERROR
