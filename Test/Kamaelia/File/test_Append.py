"""Append: the end of the file, and handing on."""

import os
from pathlib import Path

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.File.Append import Append
from Test.Kamaelia.File.patience import let_work
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {Append: Ends(lambda: Append(filename=os.devnull), turns=2)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "log"
    made.write_bytes(b"old\n")
    return made


@pytest.mark.parametrize("hold_open", [True, False])
@pytest.mark.parametrize(("blat_file", "before"), [(False, b"old\n"), (True, b"")])
def test_messages_go_to_the_end_of_the_file_and_are_handed_on(
    path: Path, hold_open: bool, blat_file: bool, before: bytes
) -> None:
    append = Append(filename=path, hold_open=hold_open, blat_file=blat_file)
    with harness(append) as h:
        h.put("grün\n")
        h.expect("outbox", "grün\n")
        h.put(b"\xff\n")
        h.expect("outbox", b"\xff\n")
        assert path.read_bytes() == before + "grün\n".encode() + b"\xff\n"
        h.finish()
    assert append._file is None


@pytest.mark.parametrize("forwarder", [True, False])
def test_only_a_forwarder_hands_on(path: Path, forwarder: bool) -> None:
    out = drive(Append(filename=path, forwarder=forwarder), inbox=["x"], control=["end"])
    assert out["outbox"] == ["x"] * forwarder
    assert path.read_bytes() == b"old\nx"


def test_what_is_not_held_open_may_be_moved_away(path: Path) -> None:
    with harness(Append(filename=path, hold_open=False)) as h:
        h.put("one\n")
        h.expect("outbox", "one\n")
        path.rename(path.with_suffix(".1"))
        h.put("two\n")
        h.expect("outbox", "two\n")
        h.finish()
    assert path.read_bytes() == b"two\n"
    assert path.with_suffix(".1").read_bytes() == b"old\none\n"


@pytest.mark.parametrize("stop", ["a word", producerFinished(), shutdownMicroprocess()])
def test_any_control_message_ends_it_and_goes_on(path: Path, stop: object) -> None:
    with harness(Append(filename=path)) as h:
        h.put("x")
        h.expect("outbox", "x")
        h.put(stop, "control")
        h.expect_end()
        assert h.take("signal")[0] is stop
    assert path.read_bytes() == b"old\nx"


def test_a_full_receiver_is_waited_for_and_a_shutdown_ends_the_wait(path: Path) -> None:
    with harness(Append(filename=path)) as h:
        h.limit(1)
        h.put_all(["a", "b", "c"])
        let_work(h)
        assert h.take("outbox") == ["a"]
        let_work(h)
        h.finish(shutdownMicroprocess())
    assert path.read_bytes() == b"old\nabc"


@pytest.mark.parametrize("hold_open", [True, False])
def test_what_is_neither_text_nor_bytes_is_told_and_ends_it(path: Path, hold_open: bool) -> None:
    out = drive(Append(filename=path, hold_open=hold_open), inbox=["x", 3, "y"])
    (report,) = out["error"]
    assert "inbox: bytes is expected, not 3" in str(report)
    assert path.read_bytes() == b"old\nx"
    assert isinstance(out["signal"][0], producerFinished)


@pytest.mark.parametrize("hold_open", [True, False])
def test_a_file_that_cannot_be_written_is_told_before_anything_comes(
    tmp_path: Path, hold_open: bool
) -> None:
    out = drive(Append(filename=tmp_path / "no" / "file", hold_open=hold_open))
    assert [report.operation for report in out["error"]] == ["open"]


def test_a_full_disk_is_told() -> None:
    out = drive(Append(filename="/dev/full"), inbox=["x"])
    assert [report.operation for report in out["error"]] == ["write"]
    assert out["outbox"] == []


@pytest.mark.parametrize("arguments", [{}, {"filename": None}, {"filename": ""}])
def test_without_a_filename_it_is_refused(arguments: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="filename"):
        Append(**arguments)


def test_a_subclass_may_name_the_file(path: Path) -> None:
    class Log(Append):
        filename = str(path)

    drive(Log(), inbox=["x"], control=[producerFinished()])
    assert path.read_bytes() == b"old\nx"
