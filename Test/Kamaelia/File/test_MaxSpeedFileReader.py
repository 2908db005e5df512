"""MaxSpeedFileReader: everything, in chunks, no faster than it is taken."""

import os
from pathlib import Path

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.File.MaxSpeedFileReader import MaxSpeedFileReader
from Test.Kamaelia.File.patience import let_work
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {MaxSpeedFileReader: Ends(lambda: MaxSpeedFileReader(os.devnull), ends_alone=True)}


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 1000])
def test_the_whole_file_comes_in_chunks_then_the_end(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(size))
    out = drive(MaxSpeedFileReader(path, chunksize=100))
    assert b"".join(out["outbox"]) == path.read_bytes()
    assert all(len(chunk) == 100 for chunk in out["outbox"][:-1])
    assert isinstance(out["signal"][0], producerFinished)


def test_a_full_receiver_holds_it_up(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(10)))
    with harness(MaxSpeedFileReader(path, chunksize=1)) as h:
        h.limit(3)
        let_work(h)
        assert h.take("outbox") == [bytes([number]) for number in range(3)]
        h.limit(None)
        h.expect_end()
        assert len(h.take("outbox")) == 7


@pytest.mark.parametrize("stop", [producerFinished(), shutdownMicroprocess()])
def test_either_shutdown_ends_it_in_the_middle(tmp_path: Path, stop: object) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(10))
    with harness(MaxSpeedFileReader(path, chunksize=1)) as h:
        h.limit(1)
        let_work(h)
        h.finish(stop)
        assert h.take("signal") == [stop]
        assert len(h.take("outbox")) == 1


def test_a_missing_file_is_told() -> None:
    out = drive(MaxSpeedFileReader("/no/such/file"))
    assert [report.operation for report in out["error"]] == ["open"]


@pytest.mark.parametrize("size", [0, -1, 16 * 1024 * 1024 + 1])
def test_a_chunksize_without_measure_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="chunksize is from 1"):
        MaxSpeedFileReader("x", chunksize=size)
