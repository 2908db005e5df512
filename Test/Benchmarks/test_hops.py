"""The benchmark of message hops runs, loses no message, and reports ratios."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
HOPS = ROOT / "Benchmarks" / "engine" / "hops.py"


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(HOPS), *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_tiny_run_measures_every_workload_on_every_system() -> None:
    done = run("--rounds", "1", "--messages", "65")  # one more than a burst
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    workloads = ["lock_step", "burst", "ping_pong", "idle"]
    assert list(report["medians"]) == list(report["ratios"]) == workloads
    for numbers in report["medians"].values():
        assert list(numbers) == ["axon", "asyncio", "bare"]
        assert all(number > 0 for number in numbers.values())
    for workload in workloads:
        axon, bare = (report["medians"][workload][name] for name in ("axon", "bare"))
        assert report["ratios"][workload]["axon/bare"] == pytest.approx(axon / bare, rel=0.01)


@pytest.mark.parametrize("options", [("--rounds", "0"), ("--messages", "0"), ("--cpu", "9999")])
def test_options_that_make_no_sense_are_refused(options: tuple[str, ...]) -> None:
    done = run(*options)
    assert done.returncode == 2
    assert options[0] in done.stderr
