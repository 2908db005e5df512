"""
Which file is tested, and for how long
======================================
Each test file tests one step. Without more words it tests the file that stands in the folder above;
with `--mine`, or with the environment variable MINE, it tests yours:

    python -m pytest Examples/MiniAxon/tests/test_step3.py
    python -m pytest Examples/MiniAxon/tests/test_step3.py --mine=my_step3.py

A file that begins with `import step8_full_box` gets yours if it stands beside it, else ours.
"""

import importlib.util
import os
import re
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

STEPS = Path(__file__).resolve().parent.parent
SECONDS = float(os.environ.get("MINE_SECONDS", "5"))  # for each test


def pytest_addoption(parser):
    parser.addoption("--mine", metavar="FILE", help="test this file, in place of the shipped one")


def shipped(number):
    """The file of this project for one step."""
    (path,) = STEPS.glob(f"step{number}_*.py")
    return path


def load(path):
    """Run a file, as `import` does, in a Python that has loaded neither Axon nor another step."""

    def is_fresh(name):
        return not re.match(r"(Axon|Kamaelia|step\d+_\w+)(\.|$)", name)

    path = Path(path).resolve()
    kept = {name: module for name, module in sys.modules.items() if not is_fresh(name)}
    search = sys.path[:]
    for name in kept:
        del sys.modules[name]
    sys.path[:0] = [str(path.parent), str(STEPS)]
    try:
        spec = importlib.util.spec_from_file_location(f"mine_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = search
        for name in [name for name in sys.modules if not is_fresh(name)]:
            del sys.modules[name]
        sys.modules.update(kept)
    return module


@contextmanager
def time_limit(seconds=SECONDS):
    """End what goes on for longer, wherever it is, and say so."""

    def too_long(*_):
        pytest.fail(
            f"still at it after {seconds} seconds: is there a loop without a yield, a process that"
            " is never dropped, or one that waits for something that nobody sends?"
        )

    before = signal.signal(signal.SIGALRM, too_long)
    rest, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, rest)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def _ends_in_time():
    with time_limit():
        yield


@pytest.fixture(scope="module")
def mine(request):
    """The module that is tested."""
    asked = getattr(request, "param", None)  # the project's own tests try many files
    asked = asked or request.config.getoption("--mine") or os.environ.get("MINE")
    number = re.search(r"\d+", request.path.stem)[0]
    with time_limit():  # one that runs for ever when it is imported
        return load(asked or shipped(number))
