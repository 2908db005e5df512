"""A conversation ends in time, whatever the peer does."""

from itertools import count
from pathlib import Path

import pytest

from Kamaelia.Apps.Grey.Lookups.TimedSocket import TimedSocket
from Test.Kamaelia.Apps.Grey.Lookups.daemons import PATIENCE, SHORT, Daemon


def test_bytes_go_out_and_all_that_comes_is_read() -> None:
    with (
        Daemon(lambda request: request[::-1] * 100_000) as daemon,
        TimedSocket(("localhost", daemon.port), PATIENCE) as connection,
    ):
        connection.send(b"abc")
        connection.end()
        assert connection.read_all(1 << 20) == b"cba" * 100_000


def test_no_more_is_read_than_asked_for(tmp_path: Path) -> None:
    with (
        Daemon(b"x" * 100_000, tmp_path / "s", size=1) as _,
        TimedSocket(str(tmp_path / "s"), PATIENCE) as connection,
    ):
        connection.send(b"a")
        assert connection.read_all(10) == b"x" * 10


def test_a_peer_that_goes_on_for_ever_is_left_when_the_time_is_over() -> None:
    ticks = count()
    # Each look at the clock takes a second: the fifth or so is one too many.
    with (
        Daemon(b"x" * 50_000_000, size=1) as daemon,
        TimedSocket(("127.0.0.1", daemon.port), 5.0, lambda: float(next(ticks))) as connection,
    ):
        connection.send(b"a")
        with pytest.raises(TimeoutError):
            connection.read_all(50_000_000)
    assert next(ticks) < 10


def test_a_peer_that_takes_nothing_is_left_too(tmp_path: Path) -> None:
    with (
        Daemon(None, tmp_path / "s"),
        TimedSocket(str(tmp_path / "s"), SHORT) as connection,
        pytest.raises(TimeoutError),
    ):
        connection.send(b"x" * 100_000_000)


def test_nobody_there_is_an_error() -> None:
    with pytest.raises(ConnectionRefusedError):
        TimedSocket(("127.0.0.1", 1), PATIENCE)
    with pytest.raises(OSError, match="No such file"):
        TimedSocket("/nowhere/at/all", PATIENCE)
