"""WholeFileWriter: a file for each message."""

from pathlib import Path
from typing import Any

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.File.WholeFileWriter import WholeFileWriter
from Test.Kamaelia.File.patience import let_work
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {WholeFileWriter: Ends(WholeFileWriter)}


def test_each_file_is_written_and_then_named(tmp_path: Path) -> None:
    one, two = str(tmp_path / "one"), tmp_path / "two"
    two.write_bytes(b"a longer old content")
    stop = producerFinished()
    out = drive(WholeFileWriter(), inbox=[[one, b"1"], (two, bytearray(b"2"))], control=[stop])
    assert (out["outbox"], out["signal"]) == ([one, two], [stop])
    assert (Path(one).read_bytes(), two.read_bytes()) == (b"1", b"2")


def test_one_that_cannot_be_written_is_told_and_the_next_one_is_written(tmp_path: Path) -> None:
    missing, good = tmp_path / "no" / "file", tmp_path / "good"
    out = drive(WholeFileWriter(), inbox=[[missing, b"1"], [good, b"2"], ["/dev/full", b"3"]])
    assert out["outbox"] == [good]
    assert [(report.filename, report.operation) for report in out["error"]] == [
        (str(missing), "write"),
        ("/dev/full", "write"),
    ]


@pytest.mark.parametrize(
    "message", [["name", "text"], ["name"], [3, b"x"], "name", None, ["a", b"x", b"y"]]
)
def test_what_is_no_such_pair_is_told(message: Any) -> None:  # noqa: ANN401 - anything
    (report,) = drive(WholeFileWriter(), inbox=[message])["error"]
    assert isinstance(report.error, TypeError)
    assert "inbox: [filename, bytes] is expected" in str(report)


def test_a_full_receiver_is_waited_for_and_a_shutdown_ends_the_wait(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "abc"]
    with harness(WholeFileWriter()) as h:
        h.limit(1)
        h.put_all([[path, b"x"] for path in paths])
        let_work(h)
        stop = shutdownMicroprocess()
        h.finish(stop)
        assert h.take("signal") == [stop]
    assert [path.exists() for path in paths] == [True, True, False]
