"""Debug notes, their levels, and the file that sets them (contract 3.5, T12)."""

import io
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Axon.AxonExceptions import AxonException
from Axon.debug import MESSAGE_LIMIT, LevelTable, debug, one_line
from Axon.debugConfigDefaults import defaultConfig
from Axon.debugConfigFile import readConfig

ROOT = Path(__file__).resolve().parents[2]
KNOWN = "component.main"  # a section of the defaults


def fresh(environ: Mapping[str, str] | None = None) -> type[debug]:
    """Return a debug class with a table of its own, as a new process would have."""

    class Fresh(debug):
        shared = LevelTable(environ or {})

    return Fresh


def write(folder: Path, text: str) -> str:
    path = folder / "debug.conf"
    path.write_text(text, encoding="utf-8")
    return str(path)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [f"{record.name}: {record.getMessage()}" for record in caplog.records]


# --- Notes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("level", "shown"), [(0, True), (4, True), (5, True), (6, False)])
def test_a_note_is_shown_up_to_its_sections_level_and_is_always_true(
    level: int, shown: bool, caplog: pytest.LogCaptureFixture
) -> None:
    debugger = fresh()()
    debugger.addDebugSection("Mine", 5)
    assert debugger.note("Mine", level, "met", 7, b"\r\n") is True
    assert debugger.debug("Mine", level, "again") is True
    assert debugger.areDebugging("Mine", level) is shown
    expected = ["Axon.debug.Mine: met 7 b'\\r\\n'", "Axon.debug.Mine: again"]
    assert lines(caplog) == (expected if shown else [])


def test_a_shown_note_is_a_debug_record_and_names_the_line_of_the_caller(
    caplog: pytest.LogCaptureFixture,
) -> None:
    debugger = fresh()()
    debugger.addDebug(Mine=1)
    debugger.note("Mine", 1, "here")
    debugger.debug("Mine", 1, "here")
    debugger.debugmessage("Mine", "here")
    assert {(r.levelno, r.filename) for r in caplog.records} == {(logging.DEBUG, "test_debug.py")}
    assert len({record.lineno for record in caplog.records}) == 3


def test_debugmessage_is_shown_whatever_the_level(caplog: pytest.LogCaptureFixture) -> None:
    fresh()().debugmessage("Unknown", "now", 1)
    assert lines(caplog) == ["Axon.debug.Unknown: now 1"]


def test_nobody_can_write_lines_of_their_own_into_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fresh()().debugmessage("Any\nSection", "HELO x\r\n2024 accepted", "\x1b[2J", "grüße")
    assert lines(caplog) == ["Axon.debug.Any\\nSection: HELO x\\r\\n2024 accepted \\x1b[2J grüße"]


def test_a_message_of_any_length_is_cut() -> None:
    assert one_line("x" * MESSAGE_LIMIT) == "x" * MESSAGE_LIMIT
    assert one_line("x" * 100_000) == "x" * MESSAGE_LIMIT + "... (100000 characters)"


@given(st.text())
def test_one_line_is_one_printable_line(text: str) -> None:
    assert one_line(text).isprintable()


# --- Where the lines go ------------------------------------------------------------------------


@contextmanager
def no_set_up() -> Iterator[logging.Logger]:
    """Take pytest's own handlers away: logging as a program finds it that has set up nothing.

    No fixture, as pytest adds its handlers after those have run."""
    root = logging.getLogger()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(root, "handlers", [])
        yield root


def test_without_any_set_up_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with no_set_up():
        fresh()().debugmessage("Mine", "seen")
    out, err = capsys.readouterr()
    assert out == ""
    date, clock, rest = err.split(" ", 2)
    assert (len(date), len(clock), rest) == (10, 12, "Axon.debug.Mine: seen\n")


@pytest.mark.parametrize("name", ["", "Axon", "Axon.debug", "Axon.debug.Mine"])
def test_once_a_program_listens_itself_lines_go_only_there(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    heard, logger = io.StringIO(), logging.getLogger(name)
    with no_set_up():
        monkeypatch.setattr(logger, "handlers", [*logger.handlers, logging.StreamHandler(heard)])
        fresh()().debugmessage("Mine", "seen")
        monkeypatch.undo()
    assert heard.getvalue() == "seen\n"
    assert capsys.readouterr().err == ""


def test_a_root_that_records_do_not_reach_does_not_count_as_listening(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    heard = io.StringIO()
    monkeypatch.setattr(logging.getLogger("Axon.debug"), "propagate", False)
    with no_set_up() as root:
        root.addHandler(logging.StreamHandler(heard))
        fresh()().debugmessage("Mine", "seen")
    assert heard.getvalue() == ""
    assert "Mine: seen" in capsys.readouterr().err


def test_a_closed_standard_error_does_not_stop_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    closed, failures = io.StringIO(), []
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    monkeypatch.setattr(
        logging.Handler, "handleError", lambda self, record: failures.append(record)
    )
    with no_set_up():
        fresh()().debugmessage("Mine", "unseen")
    assert [record.getMessage() for record in failures] == ["unseen"]


def test_the_environment_variable_alone_makes_a_program_talk(tmp_path: Path) -> None:
    program = "from Axon.debug import debug; debug().note('Mine', 3, 'hello'); print('data')"
    environ = {**os.environ, "AXON_DEBUG": write(tmp_path, "Mine 3 default")}
    done = subprocess.run(  # its own process: pytest has set up logging in this one
        [sys.executable, "-c", program],
        env=environ | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "data\n"
    assert done.stderr.endswith("Axon.debug.Mine: hello\n")


# --- Levels ------------------------------------------------------------------------------------


def test_levels_go_up_and_down_in_steps_of_five_and_not_below_zero() -> None:
    debugger = fresh()()
    debugger.addDebugSection("Mine", 3)
    debugger.increaseDebug("Mine")
    assert (debugger.areDebugging("Mine", 8), debugger.areDebugging("Mine", 9)) == (True, False)
    debugger.decreaseDebug("Mine")
    debugger.decreaseDebug("Mine")
    assert (debugger.areDebugging("Mine", 0), debugger.areDebugging("Mine", 1)) == (True, False)


def test_a_default_section_can_be_raised() -> None:
    debugger = fresh()()
    debugger.increaseDebug(KNOWN)
    assert debugger.areDebugging(KNOWN, 5)


def test_what_one_object_changes_holds_for_it_alone() -> None:
    kind = fresh()
    mine, other = kind(), kind()
    mine.addDebug(Mine=5)
    mine.increaseDebug(KNOWN)
    assert (mine.areDebugging("Mine", 5), other.areDebugging("Mine", 5)) == (True, False)
    assert (mine.areDebugging(KNOWN, 5), other.areDebugging(KNOWN, 5)) == (True, False)


def test_setdebugsections_leaves_no_other_section() -> None:
    debugger = fresh()()
    debugger.addDebug(Old=5)
    debugger.setDebugSections(New=5)
    assert [debugger.areDebugging(name, 0) for name in ("Old", "New", KNOWN)] == [
        False,
        True,
        False,
    ]


def test_an_unknown_section_is_ignored_when_no_file_was_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    debugger = fresh()()
    assert debugger.note("Unknown", 0, "unseen") is True
    debugger.increaseDebug("Unknown")
    debugger.decreaseDebug("Unknown")
    assert debugger.areDebugging("Unknown", 0) is False
    assert lines(caplog) == []


def test_an_unknown_section_is_an_error_once_a_file_was_read(tmp_path: Path) -> None:
    debugger = fresh()()
    debugger.readConfig(write(tmp_path, "Mine 5 default"))
    for use in (debugger.increaseDebug, lambda name: debugger.note(name, 1, "unseen")):
        with pytest.raises(AxonException, match="'Unknown' is unknown: name it in the debug file"):
            use("Unknown")
    debugger.addDebugSection("Unknown", 1)
    assert debugger.areDebugging("Unknown", 1)


def test_assertbaddebug_0_makes_one_warning_of_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    debugger = fresh()(assertBadDebug=0)
    debugger.readConfig(write(tmp_path, "Mine 5 default"))
    assert debugger.note("Unknown", 1, "unseen") is True
    assert debugger.note("Unknown", 1, "unseen") is True
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "'Unknown' is unknown" in record.getMessage()


# --- Which file is read, and when (T12) ----------------------------------------------------------


def test_no_file_of_the_current_folder_is_read_without_being_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "Mine 5 default")
    monkeypatch.chdir(tmp_path)
    assert fresh()().areDebugging("Mine", 5) is False


def test_useconfig_reads_the_file_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "Mine 5 default")
    monkeypatch.chdir(tmp_path)
    kind = fresh()
    kind().useConfig()
    debugger = kind()
    assert debugger.areDebugging("Mine", 5)
    assert debugger.areDebugging(KNOWN, 0)  # the defaults are still there
    with pytest.raises(AxonException):
        debugger.areDebugging("Unknown", 0)


def test_useconfig_does_without_a_file(tmp_path: Path) -> None:
    debugger = fresh()()
    debugger.useConfig(tmp_path / "absent.conf")
    assert debugger.areDebugging(KNOWN, 0)
    assert debugger.areDebugging("Unknown", 0) is False


def test_only_the_first_useconfig_of_a_process_counts(tmp_path: Path) -> None:
    kind = fresh()
    kind().useConfig(tmp_path / "absent.conf")
    kind().useConfig(write(tmp_path, "Mine 5 default"))
    assert kind().areDebugging("Mine", 5) is False


def test_readconfig_counts_each_time_and_for_all(tmp_path: Path) -> None:
    kind = fresh()
    first, second = kind(), kind()
    first.setDebugSections(Mine=1)
    first.readConfig(write(tmp_path, "Mine 5 default\nOld 5 default"))
    assert (first.areDebugging("Mine", 5), second.areDebugging("Mine", 5)) == (True, True)
    first.readConfig(write(tmp_path, "Mine 6 default"))
    assert second.areDebugging("Mine", 6)
    with pytest.raises(AxonException):
        second.areDebugging("Old", 0)


def test_readconfig_of_no_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fresh()().readConfig(tmp_path / "absent.conf")


def test_the_environment_variable_wins_over_useconfig_and_minds_no_unknown_section(
    tmp_path: Path,
) -> None:
    path = tmp_path / "mine.conf"
    path.write_text("Mine 9 default", encoding="utf-8")
    debugger = fresh({"AXON_DEBUG": str(path)})()
    debugger.useConfig(write(tmp_path, "Mine 1 default"))
    assert debugger.areDebugging("Mine", 9)
    assert debugger.areDebugging("Unknown", 0) is False


@pytest.mark.parametrize("text", [None, "Mine five default"], ids=["absent", "bad"])
def test_a_wrong_environment_variable_is_a_warning_not_a_stop(
    text: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "debug.conf" if text is None else write(tmp_path, text)
    debugger = fresh({"AXON_DEBUG": str(path)})()
    assert debugger.areDebugging(KNOWN, 0)
    assert debugger.areDebugging(KNOWN, 0)
    (line,) = lines(caplog)
    assert line.startswith("Axon.debug: AXON_DEBUG is set but of no use: ")
    assert str(path) in line


# --- The file and the defaults ------------------------------------------------------------------


def test_blanks_comments_and_empty_lines_do_not_matter(tmp_path: Path) -> None:
    text = (
        "# all\n\n  \t\n Mine.main \t 5   default  # why\nOther 0 file\r\nShort 12\nMine.main 7 x"
    )
    assert readConfig(write(tmp_path, text)) == {
        "Mine.main": (7, "x"),
        "Other": (0, "file"),
        "Short": (12, "default"),
    }


def test_the_file_is_debug_conf_unless_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "Mine 5 default")
    monkeypatch.chdir(tmp_path)
    assert readConfig() == {"Mine": (5, "default")}


@pytest.mark.parametrize(
    "line",
    ["Mine", "Mine five", "Mine -1 default", "Mine 5 default more", "Mine ٣", "Mine " + "9" * 5000],
)
def test_a_bad_line_is_reported_with_file_line_and_cure(tmp_path: Path, line: str) -> None:
    path = write(tmp_path, f"Fine 5 default\n\n{line}\n")
    with pytest.raises(AxonException) as caught:
        readConfig(path)
    text = str(caught.value)
    assert text.startswith(f"{path}, line 3: {line[:80]!r} is not ")
    assert text.endswith("write for instance 'component.main 5 default'")


def test_bytes_that_are_no_text_are_reported_like_any_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "debug.conf"
    path.write_bytes(b"Mine \xff\x00")
    with pytest.raises(AxonException, match=r"line 1: 'Mine \\\\xff\\x00'"):
        readConfig(path)


@given(
    st.dictionaries(
        st.text("abcXYZ._-0", min_size=1), st.tuples(st.integers(0, 999_999_999), st.just("x"))
    )
)
def test_what_is_written_as_a_file_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, sections: dict[str, tuple[int, str]]
) -> None:
    text = "".join(f"{name}\t{level} {place}\n" for name, (level, place) in sections.items())
    assert readConfig(write(tmp_path_factory.mktemp("conf"), text)) == sections


def test_the_defaults_are_silent_and_nobody_can_change_them() -> None:
    assert set(defaultConfig().values()) == {(0, "default")}
    defaultConfig().clear()
    assert KNOWN in defaultConfig()
