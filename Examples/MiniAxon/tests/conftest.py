"""
Which file is tested, and for how long
======================================
Each test file tests one step. Without more words it tests the file that stands in the folder above;
with `--mine`, or with the environment variable MINE, it tests yours:

    python -m pytest Examples/MiniAxon/tests/test_step3.py
    python -m pytest Examples/MiniAxon/tests/test_step3.py --mine=my_step3.py

A file that begins with `import step8_full_box` gets yours if it stands beside it, else ours.

If yours cannot be loaded at all there is nothing to test: that is said once, with the line.
"""

import importlib.util
import os
import re
import signal
import sys
import traceback
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
        if spec is None:
            raise ImportError("the name of a Python file ends in .py")
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


def load_yours(path):
    """load(), and if that fails the end of all tests."""
    path = Path(path).resolve()
    if not path.is_file():
        pytest.exit(f"there is no file {path}: what is your file called?", returncode=4)
    try:
        with time_limit():  # one that runs for ever when it is imported
            return load(path)
    except (Exception, SystemExit, pytest.fail.Exception) as error:  # noqa: BLE001 - told at once
        pytest.exit(what_is_wrong(error, path), returncode=4)


def what_is_wrong(error, path):
    """The file, the line and the error."""
    if isinstance(error, SyntaxError) and error.filename:
        shown = f"\n    {error.text.strip()}" if error.text else ""
        return f"{error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}{shown}"
    frames = traceback.extract_tb(error.__traceback__)
    line = next((f":{each.lineno}" for each in reversed(frames) if each.filename == str(path)), "")
    return f"{path}{line}: {type(error).__name__}: {error}"


def step_of(name):
    """The number of the step in which a name is first given, or None."""
    given = re.compile(rf"^ *(?:class|def) {name}\b|\bself\.{name} =", re.MULTILINE)
    numbers = range(1, 11)
    return next((n for n in numbers if given.search(shipped(n).read_text("utf-8"))), None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """What is missing: say where it comes from."""
    try:
        return (yield)
    except AttributeError as error:
        number = int(re.search(r"\d+", item.path.stem)[0])
        step = step_of(re.escape(error.name)) if error.name else None
        if step is not None and step < number:
            error.add_note(
                f"{error.name} is from step {step}: has your file everything of the step before?"
                f" Begin it with a copy of that, or of {shipped(number - 1).name}"
            )
        elif step == number:
            error.add_note(f"{error.name} is to be written in this step: see the exercise")
        raise


@pytest.fixture(autouse=True)
def _ends_in_time():
    with time_limit():
        yield


@pytest.fixture(scope="module")
def mine(request):
    """The module that is tested."""
    wrong = getattr(request, "param", None)  # the project's own tests try many files
    if wrong is not None:
        with time_limit():
            return load(wrong)
    asked = request.config.getoption("--mine") or os.environ.get("MINE")
    return load_yours(asked or shipped(re.search(r"\d+", request.path.stem)[0]))
