"""
Files with one mistake each, for the tests of MiniAxon
======================================================
mini_axon_mistakes.toml says what is wrong in each. As a plugin of pytest
(``-p Test.Examples.mini_axon_mistakes``) this has every test of Examples/MiniAxon/tests run on the
shipped file of its step, on that of the step before, and on the mistakes that it must catch; what
came of it is written into a file.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

STEPS = Path(__file__).resolve().parents[2] / "Examples" / "MiniAxon"
FOLDER = "MINI_AXON_MISTAKES"  # of the environment: where the files are, and the result goes
SHIPPED, BEFORE, RESULT = "as shipped", "the step before", "result.json"

Mistakes = dict[str, list[dict[str, Any]]]  # of each step; caught_by is a list of tests
Outcomes = dict[str, dict[str, bool]]  # step and file -> test -> whether it passed


def shipped(number: str) -> str:
    (path,) = STEPS.glob(f"step{number}_*.py")
    return path.read_text(encoding="utf-8")


def mistakes() -> Mistakes:
    text = Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def write_files(folder: Path) -> None:
    """A folder for each step. Raises ValueError for a mistake that does not fit the file."""
    for step, wrong in mistakes().items():
        number = step.removeprefix("step")
        text, here = shipped(number), folder / step
        here.mkdir()
        files = {SHIPPED: text}
        if number != "1":
            files[BEFORE] = shipped(str(int(number) - 1))
        for each in wrong:
            if (times := text.count(each["old"])) != 1:
                raise ValueError(f"{step}, {each['mistake']}: `old` is {times} times in the file")
            files[each["mistake"]] = text.replace(each["old"], each["new"])
        for name, content in files.items():
            (here / f"{name}.py").write_text(content, encoding="utf-8")


# ---- the plugin

_passed: Outcomes = {}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    name = metafunc.module.__name__.rpartition(".")[2].removeprefix("test_")
    if name in mistakes() and "mine" in metafunc.fixturenames:
        here = Path(os.environ[FOLDER]) / name
        test = metafunc.function.__name__
        caught = [each["mistake"] for each in mistakes()[name] if test in each["caught_by"]]
        before = [BEFORE] if (here / f"{BEFORE}.py").exists() else []
        names = [SHIPPED, *before, *caught]
        files = [here / f"{each}.py" for each in names]
        metafunc.parametrize("mine", files, ids=names, indirect=True, scope="module")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    found = re.search(r"test_(step\d+)\.py::(\w+)\[([^]-]+)", report.nodeid)
    if found and (report.when == "call" or report.failed):
        step, test, name = found.groups()
        tests = _passed.setdefault(f"{step}: {name}", {})
        # With several parameters of its own a test may fail for one of them only.
        tests[test] = tests.get(test, True) and not report.failed


def pytest_sessionfinish() -> None:
    Path(os.environ[FOLDER], RESULT).write_text(json.dumps(_passed), encoding="utf-8")
