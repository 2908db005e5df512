"""The mark `needs`: a skip that is counted, and a failure where everything must be installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")
TESTS = """
import pytest

@pytest.mark.needs("sh")
def test_with_sh(find_program):
    assert find_program("sh").name == "sh"

@pytest.mark.needs("sh", "no-such-program")
def test_with_a_missing_one():
    pass

def test_that_forgot_the_mark(find_program):
    with pytest.raises(LookupError, match="no-such-program"):
        find_program("no-such-program")
"""


@pytest.mark.parametrize(
    ("in_ci", "code", "line"),
    [
        ("false", 0, "1 x not installed: no-such-program"),
        ("true", 1, "CI must have no-such-program"),
    ],
)
def test_a_missing_program_skips_a_test_and_in_ci_fails_it(
    in_ci: str, code: int, line: str, tmp_path: Path
) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text(encoding="utf-8"))
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = needs\n")
    (tmp_path / "test_it.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "CI": in_ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # to be quick
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert line in done.stdout
    assert "2 passed" in done.stdout
