"""`./go` sets things up as it says, and spoils nothing that it did not make."""

import ast
import importlib.machinery
import importlib.util
import os
import re
import signal
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from types import ModuleType

import pytest

from Test.Peers.world import PEERS, UNPACKED

ROOT = Path(__file__).resolve().parent.parent
GO = ROOT / "go"
POLICY_OF_ANOTHER = "#!/bin/sh\nexit 0\n"


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program as a module, with its environment and the system's policy file under tmp_path."""
    monkeypatch.setenv("GREY_VENV", str(tmp_path / "venv"))
    loader = importlib.machinery.SourceFileLoader("go_program", str(GO))
    spec = importlib.util.spec_from_loader("go_program", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(module)
    monkeypatch.setattr(module, "POLICY", tmp_path / "policy-rc.d")
    return module


class Commands:
    """Stands for `run`: remembers what was asked for, and does what venv and pip would leave."""

    def __init__(self, venv: Path, code: int = 0) -> None:
        self.seen: list[str] = []
        self._venv = venv
        self._code = code

    def __call__(self, *words: object, **_: object) -> int:
        self.seen.append(" ".join(str(word) for word in words[2:4]))
        if "venv" in words:
            (self._venv / "bin").mkdir(parents=True, exist_ok=True)
            (self._venv / "bin" / "python").touch()
            (self._venv / "bin" / "pip").touch()
            version = ".".join(str(part) for part in sys.version_info[:3])
            (self._venv / "pyvenv.cfg").write_text(f"version = {version}\n")
        return self._code


def test_an_old_python_could_read_it_as_far_as_the_message() -> None:
    ast.parse(GO.read_text(encoding="utf-8"), feature_version=(3, 6))


def test_an_old_python_is_told_which_one_is_needed(
    go: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 13))
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer"):
        go.main()


@pytest.mark.parametrize(("word", "code"), [("help", 0), ("--help", 0), ("nonsense", 2)])
def test_it_explains_itself(word: str, code: int) -> None:
    done = subprocess.run([GO, word], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert "./go demo" in done.stdout


def test_the_second_run_installs_nothing(go: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = Commands(go.VENV)
    monkeypatch.setattr(go, "run", commands)
    go.prepare("[test]")
    assert commands.seen == ["venv --clear", "pip install"]
    go.prepare("[test]")
    go.prepare("")
    assert commands.seen == ["venv --clear", "pip install"]


def test_what_serves_the_demo_does_not_serve_the_tests(
    go: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = Commands(go.VENV)
    monkeypatch.setattr(go, "run", commands)
    go.prepare("")
    go.prepare("[test]")
    assert commands.seen == ["venv --clear", "pip install", "pip install"]


def test_an_installation_that_failed_is_tried_again(
    go: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    Commands(go.VENV)("python", "-m", "venv")
    commands = Commands(go.VENV, code=1)
    monkeypatch.setattr(go, "run", commands)
    for _ in range(2):
        with pytest.raises(SystemExit, match="pip could not install"):
            go.prepare("[test]")
    assert commands.seen == ["pip install", "pip install"]


@pytest.mark.parametrize("trouble", ["another Python", "no pip"])
def test_an_environment_that_does_not_serve_is_made_anew(
    trouble: str, go: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = Commands(go.VENV)
    monkeypatch.setattr(go, "run", commands)
    go.prepare("")
    (go.VENV / "go-run.stamp").write_text("of another pyproject.toml")
    if trouble == "no pip":
        (go.VENV / "bin" / "pip").unlink()
    else:
        (go.VENV / "pyvenv.cfg").write_text("version = 3.1.4\n")
    go.prepare("")
    assert commands.seen == ["venv --clear", "pip install"] * 2


@pytest.mark.parametrize("name", ["letters.txt", "pyvenv.cfg"])
def test_a_folder_that_it_did_not_make_is_left_alone(
    name: str, go: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    go.VENV.mkdir()
    (go.VENV / name).write_text("version = 3.1.4\n")
    commands = Commands(go.VENV)
    monkeypatch.setattr(go, "run", commands)
    with pytest.raises(SystemExit, match="not ours"):
        go.prepare("")
    assert commands.seen == []


def test_daemons_are_held_back_only_while_packages_are_installed(go: ModuleType) -> None:
    with go.no_daemons_started():
        assert subprocess.run([go.POLICY], check=False).returncode == 101
    assert list(go.POLICY.parent.iterdir()) == []


def test_a_policy_of_the_machine_is_put_back(go: ModuleType) -> None:
    go.POLICY.write_text(POLICY_OF_ANOTHER)
    with go.no_daemons_started():
        assert go.POLICY.read_text() == go.NO_DAEMONS
    assert go.POLICY.read_text() == POLICY_OF_ANOTHER
    assert list(go.POLICY.parent.iterdir()) == [go.POLICY]


@pytest.mark.parametrize("had_one", [False, True])
def test_what_a_killed_run_left_behind_is_tidied_by_the_next(had_one: bool, go: ModuleType) -> None:
    go.POLICY.write_text(go.NO_DAEMONS)
    if had_one:
        go.POLICY.with_name("policy-rc.d.before-go").write_text(POLICY_OF_ANOTHER)
    with go.no_daemons_started():
        pass
    left = [path.read_text() for path in go.POLICY.parent.iterdir()]
    assert left == ([POLICY_OF_ANOTHER] if had_one else [])


def test_a_polite_kill_still_puts_the_policy_back(go: ModuleType) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit), go.no_daemons_started():
        os.kill(os.getpid(), signal.SIGTERM)
    assert list(go.POLICY.parent.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) is before


def test_results_are_counted_from_the_report(go: ModuleType, tmp_path: Path) -> None:
    reports = [tmp_path / "1.xml", tmp_path / "2.xml"]
    for report in reports:
        assert go.count(reports) == "pytest ended before its report"
        report.write_text(
            '<testsuites><testsuite tests="9" failures="1" errors="2" skipped="3"/></testsuites>'
        )
    assert go.count(reports) == "6 passed, 6 failed, 6 skipped"


def test_two_commands_run_together_and_both_count(
    go: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each waits for the other one's file: alone neither would end."""
    meeting = (
        "import sys, pathlib, time; mine, other = sys.argv[1:3]; pathlib.Path(mine).touch()\n"
        "while not pathlib.Path(other).exists(): time.sleep(0.01)\n"
        "print(mine[-1]); sys.exit(int(sys.argv[3]))"
    )
    one, two = str(tmp_path / "1"), str(tmp_path / "2")
    commands = [
        ("one", (sys.executable, "-c", meeting, one, two, 0)),
        ("two", (sys.executable, "-c", meeting, two, one, 3)),
    ]
    assert go.run_together(commands, tmp_path) == ["two"]
    assert sorted(capfd.readouterr().out.split()) == ["1", "2"]


def test_more_commands_wait_for_a_place_and_each_counts(
    go: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Each ends only if no other one was running."""
    monkeypatch.setattr(go, "AT_A_TIME", 1)
    alone = (
        "import sys, pathlib; place = pathlib.Path(sys.argv[1]); place.touch(exist_ok=False)\n"
        "place.unlink(); print(sys.argv[2]); sys.exit(int(sys.argv[2]))"
    )
    place = str(tmp_path / "place")
    commands = [
        (f"number {number}", (sys.executable, "-c", alone, place, number))
        for number in (0, 2, 0, 3)
    ]
    assert go.run_together(commands, tmp_path) == ["number 2", "number 3"]
    assert capfd.readouterr().out.split() == ["0", "2", "0", "3"]


def test_every_test_is_in_one_part(go: ModuleType) -> None:
    def holds(words: tuple[str, ...], path: Path) -> bool:
        folder, *ignored = words
        ways = [word.partition("=") for word in ignored]
        assert {way for way, _, _ in ways} <= {"--ignore", "--ignore-glob"}
        return path.is_relative_to(folder) and not any(
            path.is_relative_to(what) if way == "--ignore" else fnmatch(str(path), what)
            for way, _, what in ways
        )

    paths = [path.relative_to(ROOT) for path in (ROOT / "Test").rglob("test_*.py")]
    assert len(paths) > 100
    for path in paths:
        assert sum(holds(words, path) for words in go.PARTS) == 1, path
    assert set(go.MEASURED) <= {words[0] for words in go.PARTS}


class Apt:
    """Stands for apt and dpkg: a package is one file, which holds the program if all goes well."""

    def __init__(self, go: ModuleType, fails: str = "") -> None:
        self._go = go
        self._fails = fails

    def apt(self, *words: str, cwd: str = "", **_: object) -> int:
        if "download" in words:
            for package in words[words.index("download") + 1 :]:
                (Path(cwd) / f"{package}.deb").touch()
        return int(self._fails in words)

    def run(self, *words: object, **_: object) -> int:
        program = self._go.UNPACKED.get(Path(str(words[2])).stem, "usr/lib/library")
        made = Path(str(words[3])) / program
        made.parent.mkdir(parents=True, exist_ok=True)
        made.touch()
        return int(self._fails == "dpkg")

    def put_into(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(self._go, "apt", self.apt)
        monkeypatch.setattr(self._go, "run", self.run)
        monkeypatch.setattr(self._go, "apt_works", lambda: True)
        monkeypatch.setattr(self._go, "missing_peers", list)
        monkeypatch.setattr(self._go, "would_install", lambda package: [package, "library"])


def test_other_mail_servers_are_unpacked_with_what_they_need(
    go: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    Apt(go).put_into(monkeypatch)
    assert go.missing_unpacked() == list(go.UNPACKED)
    assert go.prepare_peers() == []
    for package, program in go.UNPACKED.items():
        assert (go.UNPACKED_INTO / package / program).exists()
        assert (go.UNPACKED_INTO / package / "usr/lib/library").exists()
    assert {path.name for path in go.UNPACKED_INTO.iterdir()} == set(go.UNPACKED)


@pytest.mark.parametrize("fails", ["update", "download", "dpkg"])
def test_a_server_that_could_not_be_unpacked_is_missing(
    fails: str, go: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    Apt(go, fails).put_into(monkeypatch)
    assert go.prepare_peers() == list(go.UNPACKED)
    assert list(go.UNPACKED_INTO.iterdir()) == []


def test_the_tests_look_for_the_servers_where_they_were_unpacked(go: ModuleType) -> None:
    assert go.UNPACKED == UNPACKED
    assert go.UNPACKED_INTO.relative_to(go.VENV) == PEERS.relative_to(sys.prefix)


def test_a_program_may_take_several_packages(
    go: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(go, "apt_works", lambda: True)
    monkeypatch.setattr(go, "missing_peers", lambda: ["cc", "ip"])
    monkeypatch.setattr(go, "missing_unpacked", list)
    monkeypatch.setattr(go, "apt_install", seen.append)
    assert go.prepare_peers() == ["cc", "ip"]
    assert seen == [["gcc", "libc6-dev", "libatomic1", "iproute2"]]


def test_whatever_a_test_needs_is_installed_by_the_set_up(go: ModuleType) -> None:
    brought = {"sh", "smtp-sink", "smtp-source"}  # the last two by postfix
    here = Path(__file__)
    for path in here.parent.rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        for marked in re.findall(r"mark\.needs\(([^)]*)\)", text) if path != here else ():
            wanted = set(re.findall(r'"([^"]+)"', marked)) - {"no-such-program"}
            assert wanted <= {*go.PEERS, *go.UNPACKED, *brought}, path


def test_the_programs_are_there_before_they_fetch_anything(
    go: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []

    def peers() -> list[str]:
        steps.append("programs")
        return []

    monkeypatch.setenv("PATH", os.environ["PATH"])  # test() extends it
    monkeypatch.setattr(go, "prepare", lambda _: steps.append("environment"))
    monkeypatch.setattr(go, "prepare_peers", peers)
    monkeypatch.setattr(go, "prepare_corpus", lambda: steps.append("mails"))
    monkeypatch.setattr(go, "run", lambda *_: 0)
    assert go.test(["-q"]) == 0
    assert steps == ["environment", "programs", "mails"]


@pytest.mark.parametrize(("in_ci", "failed"), [(True, ["missing postfix"]), (False, [])])
def test_a_missing_peer_fails_the_run_in_ci_only(
    in_ci: bool, failed: list[str], go: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    def tests(so_far: list[str]) -> str:
        seen.append(list(so_far))
        return "0 passed"

    monkeypatch.setattr(go, "IN_CI", in_ci)
    monkeypatch.setenv("PATH", os.environ["PATH"])  # test() extends it
    monkeypatch.setattr(go, "prepare_peers", lambda: ["postfix"])
    monkeypatch.setattr(go, "prepare_corpus", lambda: None)
    monkeypatch.setattr(go, "prepare", lambda _: None)
    monkeypatch.setattr(go, "run", lambda *_: 0)
    monkeypatch.setattr(go, "all_checks", tests)
    assert go.test([]) == (1 if failed else 0)
    assert seen == [failed]
