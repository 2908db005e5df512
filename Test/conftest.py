"""
What all tests share: real programs, a count of what was skipped, and hypothesis settings.

A test that talks to a real program says so, and asks where it is::

    @pytest.mark.needs("postfix", "swaks")
    def test_postfix_takes_the_retry(find_program: Callable[[str], Path]) -> None:
        swaks = find_program("swaks")

On a machine without the program the test is skipped and the last lines of the run say why and how
often. With CI=true in the environment the same test fails: there everything must be installed.
"""

import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

IN_CI = os.environ.get("CI") == "true"

if not IN_CI:  # in CI hypothesis loads a profile of its own: no deadline, the same cases each time
    # A deadline measures the machine, which other work shares, and not the code.
    hypothesis.settings.register_profile("project", deadline=None, print_blob=True)
    hypothesis.settings.load_profile("project")


def _find_program(name: str) -> Path | None:
    unpacked = Path(sys.prefix) / "peers" / name  # by `go`, if it cannot be installed
    if unpacked.is_dir():
        return unpacked
    # Mail servers stand in sbin, which is not on the path of an ordinary user.
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    found = shutil.which(name, path=path)
    return Path(found) if found else None


@pytest.fixture(scope="session")
def find_program() -> Callable[[str], Path]:
    """Give the function that tells where a real program is; mark the test with `needs` as well."""

    def find(name: str) -> Path:
        found = _find_program(name)
        if found is None:
            raise LookupError(f"{name} is not installed: mark the test with needs({name!r})")
        return found

    return find


def pytest_runtest_setup(item: pytest.Item) -> None:
    wanted = [name for mark in item.iter_markers("needs") for name in mark.args]
    missing = [name for name in wanted if _find_program(name) is None]
    if missing and IN_CI:
        pytest.fail(f"CI must have {', '.join(missing)}", pytrace=False)
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else "?"
        for report in skipped
    )
    terminalreporter.section("tests that did not run")
    terminalreporter.line(f"{len(skipped)} skipped")
    for reason, times in reasons.most_common():
        terminalreporter.line(f"  {times} x {reason}")
