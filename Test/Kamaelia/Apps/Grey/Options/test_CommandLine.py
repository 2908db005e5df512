"""The command line: milter-greylist's letters, exact values, and one exit code for all mistakes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Config.Sockets import Place
from Kamaelia.Apps.Grey.Options.CommandLine import (
    EXPECT_SECONDS,
    ONCE_SECONDS,
    OPTIONS,
    Command,
    Task,
    parse,
)

LETTERS = "A a c D d f h L l M P p q r S T u v w"


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == os.EX_USAGE
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


def test_without_anything_it_is_to_take_mail_as_a_daemon() -> None:
    assert parse([]) == Command()
    assert parse(["-D"]).foreground


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [
        (["-A"], "noauth", True),
        (["--noauth"], "noauth", True),
        (["-a", "3d"], "pass_lifetime", 3 * 86_400),
        (["-a0"], "pass_lifetime", 0),
        (["--autowhite=90"], "pass_lifetime", 90),
        (["-d", "/var/grey.db"], "dumpfile", Path("/var/grey.db")),
        (["-L", "24"], "network_prefix4", 24),
        (["-L0"], "network_prefix4", 0),
        (["--subnetmatch6", "64"], "network_prefix6", 64),
        (["-P", "/run/grey.pid"], "pid_file", Path("/run/grey.pid")),
        (["-p", "inet:2525@127.0.0.1"], "socket", Place(host="127.0.0.1", port=2525)),
        (["-p", "/run/grey.sock"], "socket", Place("/run/grey.sock")),
        (["--socket", "local:/run/grey.sock"], "socket", Place("/run/grey.sock")),
        (["-q"], "quiet", True),
        (["-S"], "nospf", True),
        (["-T"], "testmode", True),
        (["-u", "smmsp"], "user", "smmsp"),
        (["-u", "smmsp:mail"], "user", "smmsp:mail"),
        (["-v"], "verbose", True),
        (["-w", "5m"], "greylist_delay", 300),
        (["--greylist", "1h30m"], "greylist_delay", 5400),
    ],
)
def test_an_option_beats_its_twin_in_the_file(
    arguments: list[str], field: str, value: object
) -> None:
    assert parse(arguments).overrides.values == ((field, value),)


def test_a_file_of_the_command_line_is_where_the_program_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = parse(["-d", "grey.db", "-P", "pid", "-f", "grey.conf"])
    assert dict(command.overrides.values) == {
        "dumpfile": tmp_path / "grey.db",
        "pid_file": tmp_path / "pid",
    }
    assert command.file == Path("grey.conf")  # as it is to be shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-L", "abc"], '"abc" is not a number'),
        (["-L", "33"], "more than 32"),
        (["-L", "-1"], "-L"),
        (["-L", "2 4"], "not a number"),
        (["-L", "٢٤"], "not a number"),
        (["-M", "129"], "more than 128"),
        (["-w", "0"], "less than"),
        (["-w", "soon"], "not a time"),
        (["-a", "-5"], "-a"),
        (["-a", ""], "not a time"),
        (["-d", "/var/"], "not the name of a file"),
        (["-P", ""], "not the name of a file"),
        (["-p", "25"], "no socket"),
        (["-p", "inet:port@host"], "no socket"),
        (["-u", "a b"], "no name of a user"),
        (["-u", "mail:"], "no name of a user"),
        (["-x"], "-x"),
        (["word"], "word"),
        (["-f"], "-f"),
        (["-c", "-r"], "not allowed with"),
        (["--explain", "192.0.2.7", "a@b"], "--explain"),
        (["--import", "spam", "/x"], "KIND is one of"),
        (["--expect", "nobody"], "no mail address"),
        (["--expect", "a@b\nc@d 9 once -"], "cannot be printed"),
        (["--for", "5m"], "--for goes with --expect only"),
        (["--once"], "--once goes with --expect only"),
        (["--strict"], "--strict goes with -c only"),
        (["--strict", "--reload"], "--strict goes with -c only"),
        (["--helo", "mx", "-c"], "--helo goes with --explain only"),
        (["--expect", "a@b.c", "--for", "never"], "not a time"),
    ],
)
def test_a_mistake_is_usage_and_says_what_it_is(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    error = refused(arguments, capsys)
    assert error.startswith("usage: kamaelia-grey")
    assert words in error


def test_the_old_usage_is_an_error_and_names_all_letters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = refused(["-h"], capsys)
    for letter in LETTERS.split():
        assert f"-{letter}" in text
    for option in OPTIONS:
        assert f"-{option.letter}" in text
        assert f"--{option.name}" in text


def test_the_new_usage_is_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: kamaelia-grey")


@pytest.mark.parametrize(
    ("arguments", "task", "words"),
    [
        (["-c"], Task.CHECK, ()),
        (["--check", "--strict"], Task.CHECK, ()),
        (["-R"], Task.RELOAD, ()),
        (["-r"], Task.VERSION, ()),
        (["--big-senders"], Task.BIG_SENDERS, ()),
        (["--expect", "<a@example.org>"], Task.EXPECT, ("a@example.org",)),
        (["--expect", "@example.org"], Task.EXPECT, ("@example.org",)),
        (["--import", "postgrey", "/x.db"], Task.IMPORT, ("postgrey", "/x.db")),
        (["--explain", "192.0.2.7", "", "b@c"], Task.EXPLAIN, ("192.0.2.7", "", "b@c")),
    ],
)
def test_a_task_has_its_words(arguments: list[str], task: Task, words: tuple[str, ...]) -> None:
    command = parse(arguments)
    assert (command.task, command.words) == (task, words)


def test_how_long_a_mail_is_expected() -> None:
    assert parse(["--expect", "a@b.c"]).seconds == EXPECT_SECONDS
    assert parse(["--expect", "a@b.c", "--once"]).seconds == ONCE_SECONDS
    both = parse(["--expect", "a@b.c", "--once", "--for", "2h"])
    assert (both.seconds, both.once) == (7200, True)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=12) | st.sampled_from(["-L", "-w", "-u", "-p", "-c"]), max_size=4))
def test_whatever_is_said_is_a_command_or_usage(arguments: list[str]) -> None:
    code: object = None
    try:
        parse(arguments)
    except SystemExit as ended:
        code = ended.code
    assert code in (None, 0, os.EX_USAGE)
