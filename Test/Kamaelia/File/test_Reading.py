"""The readers: what comes out, at what pace, and how they end."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness, like
from Kamaelia.Chassis.Prefab import JoinChooserToCarousel
from Kamaelia.File.Errors import FileError
from Kamaelia.File.Reading import (
    FixedRateControlledReusableFileReader,
    PromptedFileReader,
    RateControlledFileReader,
    RateControlledReusableFileReader,
    ReusableFileReader,
    SimpleReader,
)
from Kamaelia.Util.Chooser import ForwardIteratingChooser
from Test.Kamaelia.File.patience import let_work
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {
    SimpleReader: Ends(lambda: SimpleReader(os.devnull), ends_alone=True),
    PromptedFileReader: Ends(lambda: PromptedFileReader(__file__), turns=2),
}


@pytest.fixture
def poem(tmp_path: Path) -> Path:
    path = tmp_path / "poem.txt"
    path.write_bytes(b"one\ntwo\nthree")
    return path


# ---- SimpleReader


def test_lines_come_with_their_newlines_then_the_end(poem: Path) -> None:
    out = drive(SimpleReader(str(poem)))
    assert out["outbox"] == ["one\n", "two\n", "three"]
    assert isinstance(out["signal"][0], producerFinished)


def test_in_mode_rb_they_are_bytes(poem: Path) -> None:
    assert drive(SimpleReader(poem, mode="rb"))["outbox"] == [b"one\n", b"two\n", b"three"]


def test_text_is_read_in_its_encoding_with_any_newline(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes("grün\r\nblau\rrot\n".encode("latin-1"))
    assert drive(SimpleReader(path, encoding="latin-1"))["outbox"] == ["grün\n", "blau\n", "rot\n"]
    assert drive(SimpleReader(path, mode="rb"))["outbox"][0] == b"gr\xfcn\r\n"


def test_text_that_is_not_in_its_encoding_is_an_error_after_the_lines_before(
    tmp_path: Path,
) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"good\n" * 20_000 + b"\xff\n")
    out = drive(SimpleReader(path))
    assert out["outbox"][:2] == ["good\n", "good\n"]
    (report,) = out["error"]
    assert (report.operation, type(report.error)) == ("read", UnicodeDecodeError)
    assert isinstance(out["signal"][0], producerFinished)


def test_letters_may_lie_across_the_chunks_that_are_read(tmp_path: Path) -> None:
    path = tmp_path / "text"
    text = "x" + "ü" * 200_000 + "\n"
    path.write_text(text, encoding="utf-8")
    assert "".join(drive(SimpleReader(path))["outbox"]) == text


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(alphabet="aü\n", max_size=60), limit=st.integers(1, 20))
def test_nothing_is_lost_and_no_line_is_longer_than_the_limit(
    tmp_path: Path, text: str, limit: int
) -> None:
    path = tmp_path / "text"
    path.write_text(text, encoding="utf-8")
    lines = drive(SimpleReader(path, line_limit=limit))["outbox"]
    assert "".join(lines) == text
    assert all(len(line) <= limit for line in lines)


def test_a_full_receiver_holds_the_file_up(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(b"line\n" * 100_000)
    with harness(SimpleReader(path)) as h:
        h.limit(2)
        let_work(h)
        assert h.take("outbox") == ["line\n"] * 2
        let_work(h)
        assert h.take("outbox") == ["line\n"] * 2
        stop = shutdownMicroprocess()
        h.finish(stop)
        assert h.take("signal") == [stop]


def test_a_producer_finished_does_not_shorten_the_file(poem: Path) -> None:
    out = drive(SimpleReader(poem), control=[producerFinished()])
    assert len(out["outbox"]) == 3


def test_a_line_of_a_pipe_comes_before_the_next_one_is_written(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    end = os.open(path, os.O_RDWR)
    with harness(SimpleReader(path)) as h:
        os.write(end, b"first\nsec")
        h.expect("outbox", "first\n")
        os.write(end, b"ond\n")
        h.expect("outbox", "second\n")
        os.close(end)
        h.expect_end()


@pytest.mark.parametrize(
    ("name", "error"), [("missing", FileNotFoundError), (".", IsADirectoryError)]
)
def test_a_file_that_cannot_be_read_is_told_and_ends_it(
    tmp_path: Path, name: str, error: type[OSError]
) -> None:
    for reader in (SimpleReader(tmp_path / name), PromptedFileReader(tmp_path / name)):
        out = drive(reader)
        assert [type(report.error) for report in out["error"]] == [error]
        assert isinstance(out["signal"][0], producerFinished)


def test_a_mode_for_writing_is_refused() -> None:
    with pytest.raises(ValueError, match="modes r and rb, not 'w'"):
        SimpleReader("x", mode="w")


# ---- PromptedFileReader


@pytest.mark.parametrize(
    ("mode", "requests", "parts", "ended"),
    [
        ("bytes", [3, 5], [b"one", b"\ntwo\n"], False),
        ("bytes", [0, 13], [b"one\ntwo\nthree"], False),
        ("bytes", [13, 1, 1], [b"one\ntwo\nthree"], True),
        ("bytes", [100, 1], [b"one\ntwo\nthree"], True),
        ("lines", [1, 2], [b"one\n", b"two\nthree"], False),
        ("lines", [2, 2, 1], [b"one\ntwo\n", b"three"], True),
    ],
)
def test_as_much_as_was_asked_for_comes_in_one_message(
    poem: Path, mode: str, requests: list[int], parts: list[bytes], ended: bool
) -> None:
    reader = PromptedFileReader(poem, mode)
    out = drive(reader, inbox=requests)
    assert out["outbox"] == parts
    assert reader._isStopped() is ended
    assert [type(message) for message in out["signal"]] == [producerFinished] * ended


def test_a_producer_finished_answers_what_was_asked_for_before(poem: Path) -> None:
    stop = producerFinished()
    out = drive(PromptedFileReader(poem), inbox=[3, 4], control=[stop])
    assert (out["outbox"], out["signal"]) == ([b"one", b"\ntwo"], [stop])


def test_a_shutdown_microprocess_answers_nothing_any_more(poem: Path) -> None:
    stop = shutdownMicroprocess()
    out = drive(PromptedFileReader(poem), inbox=[3, 4], control=[stop])
    assert (out["outbox"], out["signal"]) == ([], [stop])


@pytest.mark.parametrize("request_", ["10", 1.5, None, True, b"1"])
def test_a_request_that_is_no_number_is_told_and_ends_it(poem: Path, request_: object) -> None:
    out = drive(PromptedFileReader(poem), inbox=[3, request_, 4])
    assert out["outbox"] == [b"one"]
    (report,) = out["error"]
    assert "PromptedFileReader" in str(report)
    assert "inbox: a number is expected, not " + repr(request_) in str(report)


@pytest.mark.parametrize("request_", [-1, 16 * 1024 * 1024 + 1])
@pytest.mark.parametrize("mode", ["bytes", "lines"])
def test_a_request_without_measure_is_told_and_ends_it(
    poem: Path, mode: str, request_: int
) -> None:
    (report,) = drive(PromptedFileReader(poem, mode), inbox=[request_])["error"]
    assert isinstance(report.error, ValueError)


def test_lines_without_end_are_cut_and_many_lines_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(b"x" * 10 + b"\n" + b"y\n" * 5)
    reader = PromptedFileReader(path, "lines", line_limit=4, most_bytes=8)
    out = drive(reader, inbox=[1, 1, 1, 8])
    assert out["outbox"] == [b"xxxx", b"xxxx", b"xx\n", b"y\n" * 4]


def test_answers_wait_for_room(poem: Path) -> None:
    with harness(reader := PromptedFileReader(poem)) as h:
        h.limit(1)
        h.put_all([3, 1, 3])
        let_work(h)
        assert (h.take("outbox"), reader.dataReady("inbox")) == ([b"one"], 1)
        let_work(h)
        h.finish(shutdownMicroprocess())


def test_an_unknown_readmode_is_refused() -> None:
    with pytest.raises(ValueError, match="'bytes' or 'lines', not 'words'"):
        PromptedFileReader("x", "words")


def test_readers_of_one_file_are_at_their_own_places(poem: Path) -> None:
    one, other = PromptedFileReader(poem), PromptedFileReader(poem)
    with harness(one, other) as h:
        h.put(5, (one, "inbox"))
        h.expect((one, "outbox"), b"one\nt")
        h.put(3, (other, "inbox"))
        h.expect((other, "outbox"), b"one")


# ---- at a rate


def test_a_file_is_read_at_its_rate(poem: Path) -> None:
    with harness(RateControlledFileReader(poem, rate=4, chunksize=4)) as h:
        h.expect("outbox", b"one\n", within=0)
        h.expect_nothing("outbox", during=0.9)
        h.expect("outbox", b"two\n", within=0.2)
        h.run_for(2.5)
        assert h.take("outbox") == [b"thre", b"e"]
        h.expect_end()
        assert isinstance(h.expect("signal"), producerFinished)


def test_lines_are_counted_if_that_is_the_readmode(poem: Path) -> None:
    out = drive(RateControlledFileReader(poem, "lines", rate=2, chunksize=1))
    assert out["outbox"] == [b"one\n", b"two\n", b"three"]


def test_a_producer_finished_does_not_shorten_it_and_is_handed_on(poem: Path) -> None:
    with harness(RateControlledFileReader(poem, rate=4, chunksize=4)) as h:
        h.put(stop := producerFinished(), "control")
        h.expect_all("outbox", [b"one\n", b"two\n", b"thre", b"e"], within=10)
        h.expect_end()
        assert h.take("signal") == [stop]


def test_a_shutdown_microprocess_ends_it_between_two_chunks(poem: Path) -> None:
    with harness(RateControlledFileReader(poem, rate=4, chunksize=4)) as h:
        h.expect("outbox", b"one\n")
        h.put(stop := shutdownMicroprocess(), "control")
        h.expect_end()
        assert h.take("signal") == [stop]
        assert h.take("outbox") == []


def test_its_error_comes_out_of_it(tmp_path: Path) -> None:
    with harness(RateControlledFileReader(tmp_path / "missing", rate=4, chunksize=4)) as h:
        h.expect("error", like(FileError, operation="open"))
        h.expect_end()


def test_requests_do_not_pile_up_before_a_reader_that_is_held_up(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(bytes(1000))
    graph = RateControlledFileReader(path, rate=10, chunksize=1)
    with harness(graph) as h:
        h.limit(1)
        h.run_for(60)
        assert graph.components["READER"].dataReady("inbox") <= 16
        h.limit(None)
        h.run_for(1)
        assert sum(map(len, h.take("outbox"))) >= 600
        h.finish(shutdownMicroprocess())


# ---- one after the other


def test_a_reusable_reader_reads_the_file_it_was_told_last(poem: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"1234")
    with harness(ReusableFileReader()) as h:
        h.expect_nothing("requestNext")
        h.put(poem, "next")
        let_work(h)
        h.put(3)
        h.expect("outbox", b"one")
        h.put(100)
        h.expect("outbox", b"\ntwo\nthree")
        h.expect("requestNext", "NEXT")
        h.put(other, "next")
        let_work(h)
        h.put(2)
        h.expect("outbox", b"12")
        h.finish(shutdownMicroprocess())


def test_a_missing_file_is_logged_and_the_next_one_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with harness(ReusableFileReader()) as h:
        h.put(tmp_path / "missing", "next")
        h.expect("requestNext", "NEXT")
        h.finish()
    assert "cannot open" in caplog.text


def test_each_file_may_have_its_rate(poem: Path) -> None:
    with harness(RateControlledReusableFileReader("lines")) as h:
        h.put((poem, {"rate": 1, "chunksize": 1}), "next")
        h.run_for(1.5)
        assert h.take("outbox") == [b"one\n", b"two\n"]
        h.expect("requestNext", "NEXT")
        h.put((poem, {"rate": 10, "chunksize": 1}), "next")
        h.expect("requestNext", "NEXT", within=0.5)
        h.finish()


def played(reader: component, paths: list[Path]) -> component:
    return JoinChooserToCarousel(ForwardIteratingChooser(paths), reader)


def test_a_list_of_files_is_read_at_one_rate(poem: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"four\n")
    reader = FixedRateControlledReusableFileReader("lines", rate=1, chunksize=1)
    with harness(played(reader, [poem, other])) as h:
        h.expect_all("outbox", [b"one\n", b"two\n", b"three", b"four\n"], within=10)
        h.expect_end(within=10)
