"""
What the tests of Axon share: a scheduler of their own for each.

The default scheduler of the process is left alone, so that one test's left-overs (a sleeper, a
timer) cannot hang the next.
"""

from collections.abc import Iterator

import pytest

from Axon.Scheduler import scheduler
from Axon.Waiter import EpollWaiter


@pytest.fixture
def engine() -> Iterator[scheduler]:
    """Give a scheduler in real time, with its file descriptors returned afterwards."""
    waiter = EpollWaiter()
    yield scheduler(waiter=waiter)
    waiter.close()
