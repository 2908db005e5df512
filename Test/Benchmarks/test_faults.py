"""Faults by chance: the same for the same seed, and a sum that forgets no problem."""

import hashlib
import importlib
import random
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from Test.System.clients import Answer, Mail
from Test.System.cutting_relay import Point
from Test.System.faults import Attempt, Fault, Kind, Run, Side

FOLDER = Path(__file__).resolve().parent.parent.parent / "Benchmarks" / "proxy"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.delitem(sys.modules, "faults", raising=False)
    return importlib.import_module("faults")


def entry(mail: Mail) -> dict[str, object]:
    """What the checking sink's journal has of it."""
    content = mail.content()
    return {
        "id": mail.name,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "from": f"<{mail.sender}>",
        "to": [f"<{mail.recipient}>"],
    }


MAIL = Mail("m1")
TAKEN = Attempt(Answer(250, "2.0.0 Ok"), after_dot=True)
UNCLEAR = Attempt(Answer(0), after_dot=True)
BEFORE_THE_DOT = Attempt(Answer(0), after_dot=False)


@pytest.mark.parametrize(
    ("told", "times", "problems"),
    [
        ([TAKEN], 1, 0),
        ([TAKEN], 0, 1),  # lost
        ([TAKEN], 2, 1),  # doubled, and nobody can say why
        ([UNCLEAR, TAKEN], 2, 0),
        ([UNCLEAR, TAKEN], 1, 0),
        ([BEFORE_THE_DOT, TAKEN], 2, 1),
        ([UNCLEAR], 1, 1),  # never taken
    ],
)
def test_what_clients_were_told_is_compared_with_what_servers_hold(
    told: list[Attempt], times: int, problems: int
) -> None:
    run = Run({"m1": told}, {"m1": MAIL}, [entry(MAIL) for _ in range(times)])
    assert len(run.problems()) == problems


def test_half_a_message_is_a_problem() -> None:
    half = entry(MAIL) | {"size": 500}
    assert len(Run({"m1": [TAKEN]}, {"m1": MAIL}, [half]).problems()) == 1


def test_the_same_seed_makes_the_same_faults(bench: ModuleType) -> None:
    first = [bench.some_faults(random.Random(seed)) for seed in range(20)]
    assert first == [bench.some_faults(random.Random(seed)) for seed in range(20)]
    assert {fault.kind for faults in first for fault in faults} == set(Kind)


def test_the_sum_counts_everything(bench: ModuleType) -> None:
    fault = Fault(Kind.CUT, Side.BACK, Point.REPLY)
    run = Run(
        {"m1": [UNCLEAR, TAKEN]}, {"m1": MAIL}, [entry(MAIL), entry(MAIL)], Counter({fault: 2})
    )
    account = bench.Sum()
    for _ in range(2):
        account.add(run, ["a problem"])
    assert (account.runs, account.mails, account.doubled, account.unclear) == (2, 2, 2, 2)
    assert account.codes == {0: 2, 250: 2}
    assert "faults: back cut: 4\n" in str(account)
    assert "problems: 2" in str(account)
