"""Console: lines in, messages out, and each way to end, whatever standard input is."""

import io
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TextIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Axon.Component import component
from Axon.Ipc import ipc, producerFinished, shutdownMicroprocess
from Axon.Scheduler import scheduler
from Axon.Testing import drive, harness
from Kamaelia.Util.Console import ConsoleEchoer, ConsoleReader, _Typed
from Test.Kamaelia.shutdown import Ends, TurnCounter


@contextmanager
def nothing_typed() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.StringIO(""))
        yield


SHUTDOWN = {
    ConsoleReader: Ends(lambda: ConsoleReader(), ends_alone=True, within=nothing_typed),
    ConsoleEchoer: Ends(lambda: ConsoleEchoer()),
}


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


class Neighbour(component):
    """Gets the reader's lines and its end; does the acts one by one, each after a line."""

    def __init__(self, reader: ConsoleReader, *acts: Callable[[], object]) -> None:
        super().__init__()
        self._acts = list(acts)
        self.lines: list[str] = []
        self.link((reader, "outbox"), (self, "inbox"))
        self.link((reader, "signal"), (self, "control"))

    def main(self) -> Iterator[object]:
        while not self.told_to_stop():
            for line in self.Inbox():
                self.lines.append(line)
                if self._acts:
                    self._acts.pop(0)()
            self.pause()
            yield 1
        self.end = self.told_to_stop()


def run(reader: ConsoleReader, *acts: Callable[[], object]) -> Neighbour:
    """Run it in real time, as descriptors need."""
    neighbour = Neighbour(reader, *acts)
    runner = scheduler()
    neighbour.activate(Scheduler=runner)
    reader.activate(Scheduler=runner)
    runner.runThreads()
    return neighbour


def tell(reader: ConsoleReader, message: object, after: float = 0.0) -> Callable[[], object]:
    """An act: a control message for the reader."""

    def act() -> None:
        reader.inboxes["control"].deliver(message)

    return (lambda: reader.scheduler.call_later(after, act)) if after else act


class Pipe:
    """Standard input, and somebody who types."""

    def __init__(self, **options: str) -> None:
        ours, theirs = os.pipe()
        self.stdin: TextIO = os.fdopen(ours, **{"encoding": "utf-8", **options})  # type: ignore[call-overload]
        self._keyboard = os.fdopen(theirs, "wb", buffering=0)

    def type(self, data: bytes) -> None:
        self._keyboard.write(data)

    def end(self) -> None:
        self._keyboard.close()

    def close(self) -> None:
        self.end()
        self.stdin.close()


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    made = Pipe()
    monkeypatch.setattr("sys.stdin", made.stdin)
    yield made
    made.close()


# ---- ConsoleReader: standard input that is no file


def test_each_line_is_sent_with_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "one\n\nlast, without an end")
    assert drive(ConsoleReader())["outbox"] == ["one\n", "\n", "last, without an end\n"]


def test_the_end_of_input_is_a_producer_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "")
    reader = ConsoleReader()
    (end,) = drive(reader)["signal"]
    assert isinstance(end, producerFinished)
    assert reader._isStopped()


def test_a_program_without_a_console_is_at_its_end_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    out = drive(ConsoleReader())
    assert out["outbox"] == []
    assert isinstance(out["signal"][0], producerFinished)


def test_prompt_and_end_of_line_are_as_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, "one\ntwo\n")
    assert drive(ConsoleReader("? ", eol="\r\n"))["outbox"] == ["one\r\n", "two\r\n"]
    assert capsys.readouterr().out == "? ? ? "


@pytest.mark.parametrize("stop", [producerFinished(), shutdownMicroprocess()])
def test_a_shutdown_ends_it_though_a_thread_sits_in_the_middle_of_a_line(
    stop: ipc, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Keyboard(io.StringIO):
        def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]
            reading.set()
            over.wait(10)
            return "too late\n"

    reading, over = threading.Event(), threading.Event()
    monkeypatch.setattr("sys.stdin", Keyboard())
    try:
        with harness(reader := ConsoleReader("")) as h:
            h.settle()
            assert reading.wait(10)
            h.put_all(["a word", stop], "control")
            h.expect_end(reader)
            assert (h.take("outbox"), h.take("signal")) == ([], ["a word", stop])
    finally:
        over.set()


def test_what_standard_input_raises_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.StringIO):
        def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]
            raise OSError("no keyboard")

    monkeypatch.setattr("sys.stdin", Broken())
    with pytest.raises(OSError, match="no keyboard"):
        drive(ConsoleReader(""))


def test_more_lines_than_fit_are_waited_for_and_none_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = [f"{number}\n" for number in range(50)]
    typed(monkeypatch, "".join(lines))
    with harness(ConsoleReader("")) as h:
        h.limit(2)
        h.expect_all("outbox", lines)
        h.expect_end()


def test_a_full_receiver_does_not_keep_it_from_stopping_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    typed(monkeypatch, "one\ntwo\n")
    with harness(ConsoleReader("")) as h:
        h.limit(0)
        h.run_for(1)
        h.finish(shutdownMicroprocess())


# ---- ConsoleReader: a pipe, a file, a terminal


def test_lines_from_a_pipe_are_sent_as_they_come_and_the_last_needs_no_end(pipe: Pipe) -> None:
    pipe.type(b"one\r\n\nthr")

    def the_rest() -> None:
        pipe.type(b"st")
        pipe.end()

    acts = (lambda: None, lambda: pipe.type(b"ee\nla"), the_rest)
    neighbour = run(ConsoleReader("", eol="|"), *acts)
    assert neighbour.lines == ["one|", "|", "three|", "last|"]
    assert isinstance(neighbour.end, producerFinished)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=5).map(lambda data: data.replace(b"\xff", b"\n"))))
def test_lines_do_not_depend_on_how_they_are_typed(pieces: list[bytes]) -> None:
    with closing(Pipe(encoding="latin-1")) as pipe:
        keyboard = _Typed(pipe.stdin, 1000)
        lines: list[str | None] = []
        for piece in pieces:
            pipe.type(piece)
            while keyboard.is_ready():
                lines.append(keyboard.read())
        pipe.end()
        while lines[-1:] != [""]:
            lines.append(keyboard.read())
        keyboard.stop()
    whole = b"".join(pieces).decode("latin-1").replace("\r\n", "\n")
    assert [line for line in lines if line] == io.StringIO(whole, newline="\n").readlines()


def test_a_file_is_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"line {number}\n" for number in range(2000)]
    file = tmp_path / "lines"
    file.write_text("".join(lines))
    with file.open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert run(ConsoleReader("")).lines == lines


def test_a_terminal_is_read_until_ctrl_d(monkeypatch: pytest.MonkeyPatch) -> None:
    keyboard, screen = os.openpty()
    with os.fdopen(keyboard, "wb", buffering=0) as keys, os.fdopen(screen, "r") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        keys.write(b"hello\n")
        neighbour = run(ConsoleReader("> "), lambda: keys.write(b"\x04"))
    assert neighbour.lines == ["hello\n"]
    assert isinstance(neighbour.end, producerFinished)


@pytest.mark.parametrize("stop", [producerFinished(), shutdownMicroprocess()])
def test_a_shutdown_ends_it_in_the_middle_of_a_line_without_any_thread(
    stop: ipc, pipe: Pipe
) -> None:
    pipe.type(b"one\nhalf a l")
    threads = threading.active_count()
    reader = ConsoleReader("")
    neighbour = run(reader, tell(reader, stop, after=0.02))
    assert neighbour.lines == ["one\n"]
    assert neighbour.end is stop
    assert threading.active_count() == threads


def test_stopping_it_does_not_wait_for_a_line(pipe: Pipe) -> None:
    reader = ConsoleReader("").activate(Scheduler=(runner := scheduler()))
    runner.call_later(0.02, reader.stop)
    runner.runThreads()
    assert runner.threads == {}
    assert not runner._waiter.busy


def test_what_was_typed_and_not_sent_is_there_for_the_next_who_reads(pipe: Pipe) -> None:
    pipe.type(b"one\ntwo\nthree\n")
    pipe.end()
    first = ConsoleReader("")
    assert run(first, tell(first, producerFinished())).lines[:1] == ["one\n"]
    assert pipe.stdin.readline() in ("two\n", "three\n")


def test_two_readers_share_the_lines_and_neither_blocks_the_other(pipe: Pipe) -> None:
    readers = [ConsoleReader(""), ConsoleReader("")]
    neighbours = [Neighbour(reader) for reader in readers]
    runner = scheduler()
    for one in (*readers, *neighbours):
        one.activate(Scheduler=runner)
    runner.call_later(0.01, lambda: pipe.type(b"one\ntwo\n"))
    runner.call_later(0.02, lambda: pipe.type(b"three\n"))
    runner.call_later(0.03, pipe.end)
    runner.runThreads()
    assert sorted(neighbours[0].lines + neighbours[1].lines) == ["one\n", "three\n", "two\n"]


@pytest.mark.parametrize("how", ["told to stop", "stopped", "end of input"])
def test_its_own_descriptor_is_closed_however_it_ends(
    how: str, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    dup = os.dup

    def noticed(fd: int) -> int:
        made.append(dup(fd))
        return made[-1]

    monkeypatch.setattr(os, "dup", noticed)
    reader = ConsoleReader("")
    pipe.type(b"one\n")
    acts = {
        "told to stop": tell(reader, producerFinished(), 0.01),
        "stopped": reader.stop,
        "end of input": pipe.end,
    }
    run(reader, acts[how])
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(made[0])


def test_while_the_receiver_is_full_a_line_that_waits_costs_no_turns(pipe: Pipe) -> None:
    pipe.type(b"one\ntwo\nthree\n")
    reader, full = ConsoleReader(""), component()
    full.setInboxSize("inbox", 1)
    full.link((reader, "outbox"), (full, "inbox"))
    runner = scheduler()
    runner.add_instrument(counter := TurnCounter())
    reader.activate(Scheduler=runner)
    runner.call_later(0.05, lambda: reader.inboxes["control"].deliver(shutdownMicroprocess()))
    runner.runThreads()
    assert list(full.Inbox()) == ["one\n"]
    assert counter.turns < 20


def test_a_line_that_is_too_long_is_an_error(pipe: Pipe) -> None:
    pipe.type(b"abc\nabcde")
    with pytest.raises(ValueError, match="more than 4 bytes"):
        run(ConsoleReader("", longest=4))


def test_what_is_no_text_is_an_error(pipe: Pipe) -> None:
    pipe.type(b"\xff\n")
    with pytest.raises(UnicodeDecodeError):
        run(ConsoleReader(""))


# ---- ConsoleEchoer


@pytest.mark.parametrize(
    ("echoer", "shown"),
    [
        (ConsoleEchoer(), "ab'c'5"),
        (ConsoleEchoer(use_repr=True), "'a'b'c'5"),
        (ConsoleEchoer(tag="> "), "> a> b'c'> 5"),
    ],
)
def test_messages_are_written_as_asked_for(
    echoer: ConsoleEchoer, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = drive(echoer, inbox=["a", b"c", 5])
    assert capsys.readouterr().out == shown
    assert out == {"outbox": [], "signal": []}


def test_a_forwarder_sends_on_what_it_shows(capsys: pytest.CaptureFixture[str]) -> None:
    assert drive(ConsoleEchoer(forwarder=True), inbox=["a", b"b"])["outbox"] == ["a", b"b"]
    assert capsys.readouterr().out == "ab'b'"


def test_a_forwarder_waits_for_room_and_has_shown_what_it_waits_with(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with harness(ConsoleEchoer(forwarder=True)) as h:
        h.limit(1)
        h.put_all(["a", "b", "c"])
        h.settle()
        assert capsys.readouterr().out == "ab"
        h.expect_all("outbox", ["a", "b", "c"])
        assert capsys.readouterr().out == "c"


def test_a_forwarder_that_waits_for_room_stops_at_once_and_has_shown_all(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with harness(ConsoleEchoer(forwarder=True)) as h:
        h.limit(0)
        h.put_all(["a", "b"])
        h.settle()
        h.finish(shutdownMicroprocess())
        assert h.take("outbox") == []
    assert capsys.readouterr().out == "ab"


@pytest.mark.parametrize("stop", [producerFinished(), shutdownMicroprocess(), "enough"])
def test_any_control_message_ends_it_after_what_came_before_was_shown(
    stop: object, capsys: pytest.CaptureFixture[str]
) -> None:
    echoer = ConsoleEchoer()
    out = drive(echoer, inbox=["last words"], control=["a word", stop])
    assert capsys.readouterr().out == "last words"
    assert out["signal"][:2] == ["a word", stop]
    assert echoer._isStopped()


def test_output_is_flushed_whenever_it_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    class Screen(io.StringIO):
        shown = ""

        def flush(self) -> None:
            self.shown = self.getvalue()

    screen = Screen()
    monkeypatch.setattr("sys.stdout", screen)
    drive(ConsoleEchoer(), inbox=["prompt> "])
    assert screen.shown == "prompt> "
