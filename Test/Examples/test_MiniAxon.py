"""
The tests that a learner runs against files of their own pass on ours and fail on wrong ones.

Nobody would notice a test of Examples/MiniAxon/tests that cannot fail: the learner is told that all
is well. So each of them must fail on some file with a mistake in it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

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
    quiet = ["-q", "-p", "no:cacheprovider"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *quiet, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
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


def test_a_file_that_never_ends_is_told_so(tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text("while True: pass", encoding="utf-8")
    done = run_tests(f"--mine={mine}", str(STEPS / "tests" / "test_step1.py"), MINE_SECONDS="0.5")
    assert "is there a loop without a yield" in done.stdout


@pytest.mark.parametrize("step", sorted(STEPS.glob("step*.py")), ids=lambda path: path.name)
def test_a_step_is_short_enough_to_be_read(step: Path) -> None:
    assert len(step.read_text(encoding="utf-8").splitlines()) < 150
