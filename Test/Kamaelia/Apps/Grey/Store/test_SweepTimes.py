"""SweepTimes: each interval, and not for a day after the clock has jumped (row 23)."""

import doctest
import sys

import pytest

from Kamaelia.Apps.Grey.Store.SweepTimes import SweepTimes

DAY = 24 * 3600.0
WALL = 1_740_000_000.0


def test_it_is_due_each_interval() -> None:
    times = SweepTimes(600.0, WALL, 100.0)
    assert not times.is_due(WALL + 599, 699.0)
    assert times.is_due(WALL + 600, 700.0)
    assert times.is_due(WALL + 601, 701.0)  # until it is done
    times.done(705.0)
    assert not times.is_due(WALL + 1204, 1304.0)
    assert times.is_due(WALL + 1205, 1305.0)


@pytest.mark.parametrize("jump", [-DAY, 365 * DAY, 3601.0])
def test_after_a_jump_it_waits_a_day(jump: float, caplog: pytest.LogCaptureFixture) -> None:
    times = SweepTimes(600.0, WALL, 100.0)
    assert not times.is_due(WALL + jump + 600, 700.0)
    assert not times.is_due(WALL + jump + DAY, 100.0 + DAY)
    assert times.is_due(WALL + jump + DAY + 600, 700.0 + DAY)
    assert caplog.text.count("jumped by") == 1


def test_daylight_saving_and_a_drifting_clock_are_no_jump() -> None:
    times = SweepTimes(600.0, WALL, 100.0)
    assert times.is_due(WALL + 600 + 3600, 700.0)


def test_the_example_in_the_docstring_is_true() -> None:
    result = doctest.testmod(sys.modules[SweepTimes.__module__])
    assert result.attempted
    assert not result.failed
