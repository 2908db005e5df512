"""
The tests that a learner runs against files of their own pass on ours and fail on wrong ones.

Nobody would notice a test of Examples/MiniAxon/tests that cannot fail: the learner is told that all
is well. So each of them must fail on some file with a mistake in it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from Test.children import unmeasured
from Test.Examples.mini_axon_mistakes import (
    BEFORE,
    FOLDER,
    RESULT,
    SHIPPED,
    STEPS,
    Outcomes,
    mistakes,
    write_files,
)

ROOT = STEPS.parents[1]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]  # some of the mistakes never end

NUMBERS = [step.removeprefix("step") for step in mistakes()]


def run_tests(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    # Of the plugins only what pyproject.toml asks for: to load all of them takes longer than the
    # tests.
    plain = ["-q", "-p", "no:cacheprovider", "-p", "pytest_timeout"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *plain, *arguments],
        cwd=ROOT,
        env=unmeasured(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", **environment),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_all_tests_pass_on_the_shipped_steps() -> None:
    done = run_tests(str(STEPS / "tests"))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """What passed on which file; all of them in one run, to be quick."""
    folder = tmp_path_factory.mktemp("mistakes")
    write_files(folder)
    plugins = ["-p", "Test.Examples.mini_axon_mistakes"]
    # A file with a mistake may leave anything behind: threads, open sockets.
    silent = ["-p", "no:unraisableexception", "-p", "no:threadexception", "--tb=no", "-r", ""]
    arguments = [*plugins, *silent, str(STEPS / "tests")]
    done = run_tests(*arguments, **{FOLDER: str(folder), "MINE_SECONDS": "1.5"})
    assert (folder / RESULT).exists(), done.stdout + done.stderr
    outcomes: Outcomes = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    return outcomes


@pytest.mark.parametrize("number", NUMBERS)
def test_every_mistake_is_caught_by_the_tests_that_are_named(passed: Outcomes, number: str) -> None:
    not_caught = {
        each["mistake"]: missed
        for each in mistakes()[f"step{number}"]
        if (missed := missed_by(passed[f"step{number}: {each['mistake']}"], each["caught_by"]))
    }
    assert not_caught == {}


def missed_by(tests: dict[str, bool], wanted: list[str]) -> list[str]:
    return [test for test in wanted if tests[test]]


@pytest.mark.parametrize("number", NUMBERS)
def test_every_test_catches_a_mistake(passed: Outcomes, number: str) -> None:
    tests = passed[f"step{number}: {SHIPPED}"]
    assert all(tests.values()), "a file without a mistake must pass in the same run"
    named = {test for each in mistakes()[f"step{number}"] for test in each["caught_by"]}
    assert named == set(tests)


@pytest.mark.parametrize("number", NUMBERS[1:])
def test_the_step_before_is_not_enough(passed: Outcomes, number: str) -> None:
    assert not all(passed[f"step{number}: {BEFORE}"].values())


@pytest.mark.parametrize("way", ["option", "environment"])
def test_a_learner_s_file_is_tested_in_place_of_ours(tmp_path: Path, way: str) -> None:
    write_files(tmp_path)
    wrong = str(tmp_path / "step2" / "hides errors.py")
    tests = str(STEPS / "tests" / "test_step2.py")
    option, variable = ([f"--mine={wrong}"], {}) if way == "option" else ([], {"MINE": wrong})
    done = run_tests(*option, tests, **variable)
    assert done.returncode == 1
    assert "1 failed" in done.stdout
    assert "test_an_error_of_a_microprocess_is_not_hidden" in done.stdout


def report_on(mine: Path, number: int) -> str:
    """What a learner reads."""
    tests = str(STEPS / "tests" / f"test_step{number}.py")
    done = run_tests(f"--mine={mine}", tests, MINE_SECONDS="0.5")
    assert done.returncode != 0
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("while True: pass", ":1: Failed: still at it after 0.5 seconds: is there a loop without"),
        ("import nothing_of_that_name", ":1: ModuleNotFoundError: No module named"),
        ("class microprocess:\n    def main(self)\n        yield 1\n", ":2: SyntaxError: expected"),
        ("number = 0\n1 / number\n", ":2: ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", ":1: SystemExit: 3"),
    ],
    ids=["never ends", "import", "no Python", "fails", "exits"],
)
def test_a_file_that_cannot_be_loaded_is_told_once(tmp_path: Path, text: str, told: str) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(text, encoding="utf-8")
    report = report_on(mine, 1)
    assert report.count(f"{mine}{told}") == 1
    assert "Traceback" not in report


@pytest.mark.parametrize(
    ("name", "told"), [("mein.py", "there is no file"), ("mine.txt", "ends in .py")]
)
def test_a_wrong_name_of_a_file_is_told_once(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "mine.txt").touch()
    report = report_on(tmp_path / name, 2)
    assert report.count(str(tmp_path / name)) == report.count(told) == 1


def test_who_counts_from_0_is_not_asked_for_a_yield(tmp_path: Path) -> None:
    write_files(tmp_path)
    report = report_on(tmp_path / "step1" / "counts from 0.py", 1)
    assert (
        "AssertionError: in its first turn it said 'Ann says 0\\n' and not 'Ann says 1\\n'"
        in report
    )
    assert "1 failed" in report


@pytest.mark.parametrize(
    ("old", "told"),
    [
        ("class scheduler", "scheduler is from step 2: has your file everything of the step"),
        ("def activate", "activate is from step 2: has your file everything of the step"),
        ("def dataReady", "dataReady is to be written in this step"),
    ],
)
def test_what_is_missing_is_told_with_its_step(tmp_path: Path, old: str, told: str) -> None:
    mine = tmp_path / "mine.py"
    text = (STEPS / "step3_boxes.py").read_text(encoding="utf-8")
    assert text.count(old) == 1
    mine.write_text(text.replace(old, f"{old}_not"), encoding="utf-8")
    assert f"E       {told}" in report_on(mine, 3)


@pytest.mark.parametrize("step", sorted(STEPS.glob("step*.py")), ids=lambda path: path.name)
def test_a_step_is_short_enough_to_be_read(step: Path) -> None:
    assert len(step.read_text(encoding="utf-8").splitlines()) < 150
