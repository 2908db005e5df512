"""The drawing of a program, that runs or was only put together, in every format."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from Axon.Picture import mermaid, tree
from Test.Axon.test_Picture import TAKEN
from Test.Axon.test_Viewer import Program, line
from Test.children import unmeasured

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "Tools"))
DrawGraph = importlib.import_module("DrawGraph")
ONE = "Kamaelia.Util.OneShot:OneShot('hello')"
HELLO = """
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Util.Console import ConsoleEchoer
from Kamaelia.Util.OneShot import OneShot

Pipeline(OneShot("hello"), ConsoleEchoer()).run()
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "hello.py"
    path.write_text(HELLO, encoding="utf-8")
    return str(path)


def drawn(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert DrawGraph.main(list(arguments)) == 0
    return capsys.readouterr().out


def test_a_program_that_runs_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    running = Program(tmp_path / "m", line(TAKEN))
    assert drawn(capsys, os.fspath(tmp_path / "m")) == mermaid(TAKEN)
    running.close()


def test_the_path_of_its_socket_may_have_a_colon(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    running = Program(tmp_path / "m:1", line(TAKEN))
    assert drawn(capsys, os.fspath(tmp_path / "m:1"), "--text") == tree(TAKEN) + "\n"
    running.close()


def test_one_that_cannot_be_asked_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert DrawGraph.main([os.fspath(tmp_path / "m")]) == 1
    assert "is the program over?" in capsys.readouterr().err


def test_a_program_file_is_drawn_and_not_run(
    program: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = drawn(capsys, program)
    assert 'subgraph s1["Pipeline"]' in text
    assert 'c2["OneShot"]' in text
    assert "hello" not in text


def test_an_expression_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    assert 'c1["OneShot"]' in drawn(capsys, ONE)


def test_down_is_from_top_to_bottom(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert drawn(capsys, program, "--down").startswith("flowchart TB")
    assert "rankdir=TB" in drawn(capsys, program, "--down", "--format", "dot")


@pytest.mark.parametrize(
    ("name", "begin"),
    [
        ("a.mmd", "flowchart LR\n"),
        ("a.md", "```mermaid\nflowchart LR\n"),
        ("a.dot", "digraph picture {\n"),
        ("a.txt", "Pipeline (1, inactive)\n"),
    ],
)
def test_the_end_of_the_files_name_says_what_is_written(
    program: str, tmp_path: Path, name: str, begin: str
) -> None:
    assert DrawGraph.main([program, "-o", str(tmp_path / name)]) == 0
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(begin)


def test_a_name_with_another_end_is_refused(
    program: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        DrawGraph.main([program, "-o", str(tmp_path / "a.png")])
    assert "known are .svg" in capsys.readouterr().err


@pytest.mark.needs("dot")
def test_a_picture_is_written_with_its_title_and_all_boxes(tmp_path: Path) -> None:
    path = tmp_path / "a.svg"
    assert DrawGraph.main([ONE, "-o", str(path), "--title", "A & B", "--all-boxes"]) == 0
    svg = path.read_text(encoding="utf-8")
    assert ">A &amp; B</title>" in svg
    assert ">control</text>" in svg


def test_without_graphviz_the_cure_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert DrawGraph.main([ONE, "--format", "svg"]) == 1
    assert "apt-get install graphviz" in capsys.readouterr().err


def test_what_is_no_component_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert DrawGraph.main(["Kamaelia.Util.OneShot:__name__"]) == 1
    assert "no component" in capsys.readouterr().err


@pytest.mark.parametrize("wish", ["", ":nothing", ":1 / 0"])
def test_what_is_wrong_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wish: str
) -> None:
    path = tmp_path / "wrong.py"
    path.write_text("import sys\nport = int(sys.argv[1])\n", encoding="utf-8")
    assert DrawGraph.main([f"{path}{wish}", "--text"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("DrawGraph: ")
    assert str(path) in line


def test_what_a_program_prints_is_no_part_of_its_picture(
    program: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(program).write_text(f"print('said')\n{HELLO}", encoding="utf-8")
    assert DrawGraph.main([program]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("flowchart LR\n")
    assert said.err == "said\n"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As somebody does who has not installed it."""
    return subprocess.run(
        [sys.executable, str(ROOT / "Tools" / "DrawGraph.py"), *arguments],
        cwd=folder,
        env={name: value for name, value in unmeasured().items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


EXAMPLES = [
    path
    for folder in ("Pipelines", "Servers", "Grey")
    for path in sorted((ROOT / "Examples" / folder).glob("*.py"))
]
NO_PROGRAM = {"untag.py": "runs and activates nothing: say what"}
TAKES_A_PORT = {"udp_peer.py"}  # which may be taken: then that is said


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_example_has_a_picture(example: Path, tmp_path: Path) -> None:
    done = run(tmp_path, str(example), "--text")
    assert "Traceback" not in done.stderr
    if (why := NO_PROGRAM.get(example.name)) is not None or (
        example.name in TAKES_A_PORT and done.returncode
    ):
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"DrawGraph: {example}")
        assert (why or "Address already in use") in line
        assert done.returncode == 1
    else:
        assert done.returncode == 0, done.stderr
        assert "(1, inactive)\n" in done.stdout.splitlines(keepends=True)[0]


def test_half_a_picture_is_told_to_be_one(tmp_path: Path) -> None:
    done = run(tmp_path, str(ROOT / "Examples" / "Servers" / "client_and_server.py"))
    (line,) = done.stderr.splitlines()
    assert line.startswith("DrawGraph: ")
    assert "client_and_server.py:" in line
    assert "the server is not active yet; what it has put together until there" in line


def test_the_words_of_the_command_line_are_not_the_program_s(tmp_path: Path) -> None:
    done = run(tmp_path, str(ROOT / "Examples" / "Pipelines" / "log_watcher.py"), "--text")
    assert "watching watched.log for 'error'" in done.stderr


def test_it_works_from_any_folder_without_being_installed(tmp_path: Path, program: str) -> None:
    done = run(tmp_path, program, "--text")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Pipeline (1, inactive)\n")
