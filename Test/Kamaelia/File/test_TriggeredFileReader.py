"""TriggeredFileReader: a content for each name."""

from pathlib import Path
from typing import Any

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.File.TriggeredFileReader import TriggeredFileReader
from Test.Kamaelia.File.patience import let_work
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {TriggeredFileReader: Ends(TriggeredFileReader)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "file"
    made.write_bytes(b"four")
    return made


def test_each_name_gives_a_content(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stop = producerFinished()
    out = drive(TriggeredFileReader(), inbox=[path, str(path)], control=[stop])
    assert (out["outbox"], out["signal"], out["error"]) == ([b"four"] * 2, [stop], [])
    assert capsys.readouterr().out == ""


def test_one_that_cannot_be_read_is_told_and_the_next_one_is_read(path: Path) -> None:
    out = drive(TriggeredFileReader(), inbox=["/no/such/file", path])
    assert out["outbox"] == [b"four"]
    (report,) = out["error"]
    assert (report.filename, report.operation) == ("/no/such/file", "read")
    assert isinstance(report.error, FileNotFoundError)


@pytest.mark.parametrize(("limit", "good"), [(4, True), (3, False)])
def test_one_that_is_too_large_is_told(path: Path, limit: int, good: bool) -> None:
    out = drive(TriggeredFileReader(most_bytes=limit), inbox=[path])
    assert (len(out["outbox"]), len(out["error"])) == (good, not good)


@pytest.mark.parametrize("message", [b"name", 3, None, ["name"]])
def test_what_is_no_filename_is_told(message: Any) -> None:  # noqa: ANN401 - anything
    (report,) = drive(TriggeredFileReader(), inbox=[message])["error"]
    assert "inbox: a filename is expected, not " + repr(message) in str(report)


def test_a_full_receiver_is_waited_for_and_a_shutdown_ends_the_wait(path: Path) -> None:
    with harness(TriggeredFileReader()) as h:
        h.limit(1)
        h.put_all([path] * 3)
        let_work(h)
        assert h.take("outbox") == [b"four"]
        let_work(h)
        stop = shutdownMicroprocess()
        h.finish(stop)
        assert h.take("signal") == [stop]
