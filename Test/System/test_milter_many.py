"""Hundreds of messages through each door, each greylisted once and there once: what
Benchmarks/doors/ten_thousand.py does with ten thousand."""

import importlib
import os
import sys
from pathlib import Path

import pytest

from Test.System.mta_site import Face, FindProgram

FOLDER = Path(__file__).resolve().parents[2] / "Benchmarks" / "doors"
MESSAGES = 240
NEEDED = {face.value: face.needs for face in Face}
WAYS = (*NEEDED, "miltertest")


@pytest.mark.parametrize(
    "way",
    [pytest.param(way, marks=pytest.mark.needs(NEEDED.get(way, way))) for way in WAYS],
)
def test_of_hundreds_of_messages_none_is_lost_or_doubled(
    way: str, find_program: FindProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way in NEEDED and os.geteuid() != 0:
        pytest.skip("only root can start these mail servers")
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.delitem(sys.modules, "ten_thousand", raising=False)
    bench = importlib.import_module("ten_thousand")
    account = bench.run(way, MESSAGES, find_program, tmp_path)
    assert account.problems == []
    assert account.greylisted >= MESSAGES
    assert account.taken.total() == account.arrived.total() == MESSAGES


def test_a_sum_that_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.delitem(sys.modules, "ten_thousand", raising=False)
    bench = importlib.import_module("ten_thousand")
    account = bench.Account("way", 3)
    account.first.update({"deferred": 3})
    account.taken.update([0, 1, 2])
    account.arrived.update([0, 1, 2])
    assert account.problems == []
    account.arrived.update([1, 7])
    del account.arrived[2]
    account.strange.append("2: 500 no")
    assert [problem.split(": ")[1] for problem in account.problems] == [
        "1 lost",
        "1 doubled",
        "1 there, though never taken",
        "1 strange answers",
    ]
    account.first["taken"] = 1
    assert account.problems[-1].startswith("way: at the first try")
