"""The command line of ``python -m Axon``."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import Axon.__main__ as command
from Axon.Viewer import ViewError
from Test.Axon.test_Picture import TAKEN
from Test.Axon.test_Viewer import Program, line

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("words", [["ps", "--interval", "0"], ["tree"], ["top", "-n", "1"]])
def test_a_program_can_be_looked_at(
    words: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("Axon.Viewer._SHORTEST_INTERVAL", 0.0)
    interval = ["--interval", "0"] if words[0] == "top" else []
    program = Program(tmp_path / "m", *[line(TAKEN)] * (2 if words[0] == "top" else 1))
    assert command.main([*words, *interval, os.fspath(tmp_path / "m")]) == 0
    program.close()
    assert "writer" in capsys.readouterr().out


def test_what_cannot_be_done_is_said_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["ps", os.fspath(tmp_path / "no\n\x1b[31m")]) == 1
    told = capsys.readouterr().err
    assert told.startswith("axon: there is no ")
    assert r"no\n\x1b[31m" in told


@pytest.mark.parametrize(
    ("raised", "code"), [(KeyboardInterrupt, 130), (ViewError("x"), 1), (None, 0)]
)
def test_exit_codes(
    raised: BaseException | None, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tree(self: object) -> None:
        if raised is not None:
            raise raised

    monkeypatch.setattr("Axon.Viewer.Viewer.tree", tree)
    assert command.main(["tree", "/some/where"]) == code


@pytest.mark.parametrize(
    "words",
    [["nonsense"], ["top", "-n", "0"], ["ps", "--interval", "-1"], ["ps", "--interval", "nan"]],
)
def test_wrong_words_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(words)
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_without_a_command_it_is_the_prompt_with_the_modules_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[list[str]] = []

    def prompt(modules: list[str]) -> int:
        asked.append(modules)
        return 7

    monkeypatch.setattr(command, "prompt", prompt)
    assert command.main(["-i", "a", "--import", "b.c"]) == 7
    assert asked == [["a", "b.c"]]


def run_as_program(*words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "Axon", *words],
        input=typed,
        env={**os.environ, "PYTHONPATH": os.fspath(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    program = Program(tmp_path / "m", line(TAKEN))
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "Axon", "tree", os.fspath(tmp_path / "m")],
        env={**os.environ, "PYTHONPATH": os.fspath(ROOT)},
        stdout=write,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(write)
    program.close()
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_prompt_as_a_program() -> None:
    done = run_as_program("-i", "Kamaelia.Util.Console", typed="ConsoleEchoer.__name__\nps()\n")
    assert done.returncode == 0
    assert "'ConsoleEchoer'" in done.stdout
    assert "0 components" in done.stdout
