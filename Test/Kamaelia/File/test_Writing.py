"""SimpleFileWriter: all of it is in the file, whatever ends it."""

import os
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from Axon.Ipc import ipc, producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.File.Errors import FileError
from Kamaelia.File.Writing import SimpleFileWriter
from Test.Kamaelia.File.patience import wait_for_threads_of
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {SimpleFileWriter: Ends(lambda: SimpleFileWriter(os.devnull), turns=2)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def test_what_came_is_in_the_file_in_order(path: Path) -> None:
    stop = producerFinished()
    pieces = [b"one", bytearray(b" two"), memoryview(b" three")]
    out = drive(SimpleFileWriter(path), inbox=pieces, control=[stop])
    assert path.read_bytes() == b"one two three"
    assert (out["signal"], out["error"]) == ([stop], [])


def test_text_is_written_as_it_was_sent(path: Path) -> None:
    drive(SimpleFileWriter(path, "w"), inbox=["grün\r\n", "\n"], control=[producerFinished()])
    assert path.read_bytes() == "grün\r\n\n".encode()


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(pieces=st.lists(st.binary(max_size=20), max_size=30))
def test_any_slicing_gives_the_same_file(path: Path, pieces: list[bytes]) -> None:
    drive(SimpleFileWriter(path), inbox=pieces, control=[producerFinished()])
    assert path.read_bytes() == b"".join(pieces)


def test_more_messages_than_are_written_at_once_are_all_written(path: Path) -> None:
    drive(SimpleFileWriter(path), inbox=[b"x"] * 10_000, control=[producerFinished()])
    assert path.stat().st_size == 10_000


@pytest.mark.parametrize(("mode", "content"), [("wb", b"new"), ("ab", b"oldnew")])
def test_the_mode_decides_what_becomes_of_an_old_file(
    path: Path, mode: str, content: bytes
) -> None:
    path.write_bytes(b"old")
    drive(SimpleFileWriter(path, mode), inbox=[b"new"], control=[producerFinished()])
    assert path.read_bytes() == content


def test_mode_x_refuses_an_old_file(path: Path) -> None:
    path.write_bytes(b"old")
    (report,) = drive(SimpleFileWriter(path, "xb"), inbox=[b"new"])["error"]
    assert isinstance(report.error, FileExistsError)
    assert path.read_bytes() == b"old"


def test_what_was_taken_can_be_read_by_others_before_the_end(path: Path) -> None:
    with harness(SimpleFileWriter(path)) as h:
        h.put(b"at once")
        h.run_until(lambda: path.exists() and path.read_bytes() == b"at once")
        h.not_ended()


@pytest.mark.parametrize("stop", [producerFinished(), shutdownMicroprocess()])
def test_either_shutdown_closes_the_file(path: Path, stop: ipc) -> None:
    with harness(writer := SimpleFileWriter(path)) as h:
        h.put(b"x")
        h.run_until(lambda: path.exists() and path.stat().st_size == 1)
        h.finish(stop)
        assert h.take("signal") == [stop]
    wait_for_threads_of(writer)
    assert writer._file is None


class Slow(SimpleFileWriter):
    """On a slow disk: each batch takes a fifth of a second."""

    def write(self, batch: list[bytes]) -> None:
        assert not threading.Event().wait(0.2)
        super().write(batch)


def test_a_shutdown_microprocess_leaves_time_to_write_what_was_taken(path: Path) -> None:
    writer = Slow(path, grace_seconds=1000)  # virtual ones, beyond what finish() waits for
    with harness(writer) as h:
        h.run_until(path.exists)
        h.put(b"precious")
        h.run_until(lambda: not writer.dataReady("inbox"))
        assert path.read_bytes() == b""
        h.put(b"not taken any more")
        h.finish(shutdownMicroprocess())
        assert path.read_bytes() == b"precious"


def test_so_does_stopping_it(path: Path) -> None:
    writer = Slow(path)
    with harness(writer) as h:
        h.run_until(path.exists)
        h.put(b"precious")
        h.run_until(lambda: not writer.dataReady("inbox"))
        assert path.read_bytes() == b""
    assert path.read_bytes() == b"precious"


@pytest.mark.parametrize(("mode", "good", "bad"), [("wb", b"good", "bad"), ("w", "good", b"bad")])
def test_the_wrong_kind_is_told_after_what_came_before_is_written(
    path: Path, mode: str, good: object, bad: object
) -> None:
    out = drive(SimpleFileWriter(path, mode), inbox=[good, bad, good])
    assert path.read_bytes() == b"good"
    (report,) = out["error"]
    assert isinstance(report, FileError)
    assert isinstance(report.error, TypeError)
    assert f"inbox: {type(good).__name__} is expected, not {bad!r}" in str(report)
    assert isinstance(out["signal"][0], producerFinished)


def test_a_full_disk_is_told_and_ends_it() -> None:
    out = drive(SimpleFileWriter("/dev/full"), inbox=[b"x"])
    (report,) = out["error"]
    assert (report.filename, report.operation) == ("/dev/full", "write")
    assert "No space left" in str(report)
    assert isinstance(out["signal"][0], producerFinished)


def test_a_folder_that_is_not_there_is_told_and_ends_it(tmp_path: Path) -> None:
    out = drive(SimpleFileWriter(tmp_path / "no" / "file"), inbox=[b"x"])
    assert [report.operation for report in out["error"]] == ["open"]


@pytest.mark.parametrize("mode", ["r", "rb", "w+b", ""])
def test_a_mode_that_does_not_only_write_is_refused(mode: str) -> None:
    with pytest.raises(ValueError, match="is no mode for writing"):
        SimpleFileWriter("x", mode)


def test_two_writers_write_their_own_files(tmp_path: Path) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    writers = [SimpleFileWriter(path) for path in paths]
    with harness(*writers) as h:
        for writer, text in zip(writers, (b"a", b"b"), strict=True):
            h.put(text, (writer, "inbox"))
            h.put(producerFinished(), (writer, "control"))
        h.expect_end()
    assert [path.read_bytes() for path in paths] == [b"a", b"b"]
