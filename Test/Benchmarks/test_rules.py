"""Benchmarks/policy/rules.py: it runs, and prints a row for each rule set. How fast is no test."""

import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[2] / "Benchmarks/policy/rules.py"


def test_the_table_has_a_row_for_each_rule_set() -> None:
    run = subprocess.run(
        [sys.executable, str(PROGRAM), "--seconds", "0"],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    rows = [line.split("|")[1].strip() for line in run.stdout.splitlines()[2:]]
    assert rows[:3] == ["1 rule", "100 rules", "5,000 rules"]
    assert len(rows) == 7
