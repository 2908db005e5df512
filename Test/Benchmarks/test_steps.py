"""The prices of the single steps of the engine can be measured."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "Benchmarks" / "engine" / "steps.py"), *options],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_step_has_a_price() -> None:
    done = run("--number", "70")  # one more than are sent at a time
    assert done.returncode == 0, done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines()[2:]]
    assert len(rows) == 11
    assert all(int(nanoseconds) > 0 for _name, nanoseconds in rows)


@pytest.mark.parametrize("options", [("--number", "0"), ("--cpu", "9999")])
def test_options_that_make_no_sense_are_refused(options: tuple[str, ...]) -> None:
    done = run(*options)
    assert done.returncode == 2
    assert options[0] in done.stderr
