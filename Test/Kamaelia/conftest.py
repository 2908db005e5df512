"""Fixtures of the tests of network components; see network.py beside this file."""

from collections.abc import Iterator

import pytest

from Axon.Testing import FakeClock
from Test.Kamaelia.network import World, open_files


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1000.0)


@pytest.fixture
def world(clock: FakeClock) -> Iterator[World]:
    before = open_files()
    made = World(clock)
    yield made
    made.close()
    assert open_files() == before


@pytest.fixture
def real_time_world() -> Iterator[World]:
    before = open_files()
    made = World(None)
    yield made
    made.close()
    assert open_files() == before
