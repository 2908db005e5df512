"""
Schedulers that nobody runs: what is activated there is stepped by hand.
"""

from collections.abc import Callable
from typing import Any

import pytest

from Axon.Scheduler import scheduler
from Test.Axon.contract.old_fakes import OldScheduler

SCHEDULERS: list[Callable[[], Any]] = [scheduler, OldScheduler]


@pytest.fixture(params=SCHEDULERS, ids=["ours", "of another make"])
def make(request: pytest.FixtureRequest) -> Callable[[], Any]:
    """Give a function that makes a scheduler nobody runs."""
    made: Callable[[], Any] = request.param
    return made
