"""Console: lines in, messages out, and the end of input."""

import io
import os
from collections.abc import Iterator

import pytest

from Axon.Component import component
from Axon.Ipc import ipc, producerFinished, shutdownMicroprocess
from Axon.Scheduler import scheduler
from Axon.Testing import collect, drive, virtual_scheduler
from Kamaelia.Util.Console import ConsoleEchoer, ConsoleReader


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_each_line_is_sent_with_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "one\n\nlast, without an end")
    assert drive(ConsoleReader())["outbox"] == ["one\n", "\n", "last, without an end\n"]


def test_the_end_of_input_is_a_producer_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "")
    reader = ConsoleReader()
    (end,) = drive(reader)["signal"]
    assert isinstance(end, producerFinished)
    assert reader._isStopped()


def test_prompt_and_end_of_line_are_as_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, "one\ntwo\n")
    assert drive(ConsoleReader("? ", eol="\r\n"))["outbox"] == ["one\r\n", "two\r\n"]
    assert capsys.readouterr().out == "? ? ? "


@pytest.mark.parametrize("stop", [producerFinished(), shutdownMicroprocess()])
def test_a_shutdown_ends_it_after_the_next_line(stop: ipc, monkeypatch: pytest.MonkeyPatch) -> None:
    class Keyboard(io.StringIO):
        """Whoever types does so only after the shutdown has reached the reader's thread."""

        def readline(self, size: int | None = -1, /) -> str:
            reader.sync()
            return super().readline()

    reader = ConsoleReader()
    monkeypatch.setattr("sys.stdin", Keyboard("one\ntwo\nthree\n"))
    out = drive(reader, control=["a word", stop])
    assert (out["outbox"], out["signal"]) == (["one\n"], ["a word", stop])


def test_more_lines_than_fit_are_waited_for_and_none_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Slow(component):
        def main(self) -> Iterator[object]:
            self.got: list[str] = []
            while len(self.got) < len(lines):
                self.pause(0.001)
                yield 1
                self.got.extend(self.Inbox("inbox"))

    lines = [f"{number}\n" for number in range(500)]
    typed(monkeypatch, "".join(lines))
    reader, slow = ConsoleReader(""), Slow()
    reader.queuelengths = 3
    slow.setInboxSize("inbox", 2)
    slow.link((reader, "outbox"), (slow, "inbox"))
    runner = virtual_scheduler()
    reader.activate(Scheduler=runner)
    slow.activate(Scheduler=runner)
    runner.runThreads()
    assert slow.got == lines


def test_stopping_the_reader_does_not_wait_for_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.pipe()
    with os.fdopen(ours, encoding="utf-8") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        runner = scheduler()
        with os.fdopen(theirs, "w", encoding="utf-8"):
            reader = ConsoleReader().activate(Scheduler=runner)
            runner.call_later(0.05, reader.stop)
            runner.runThreads()
            assert runner.threads == {}
        reader._axon_thread.join(10)  # the end of input lets the thread go


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
    echoer, reader = ConsoleEchoer(forwarder=True), component()
    reader.setInboxSize("inbox", 1)
    reader.link((echoer, "outbox"), (reader, "inbox"))
    for message in ("a", "b", "c"):
        echoer.inboxes["inbox"].deliver(message)
    runner = virtual_scheduler()
    echoer.activate(Scheduler=runner)
    runner.runThreads()
    assert capsys.readouterr().out == "ab"
    assert reader.recv("inbox") == "a"
    runner.runThreads()
    assert capsys.readouterr().out == "c"


@pytest.mark.parametrize("stop", [producerFinished(), shutdownMicroprocess(), "enough"])
def test_any_control_message_ends_it_after_what_came_before_was_shown(
    stop: object, capsys: pytest.CaptureFixture[str]
) -> None:
    echoer = ConsoleEchoer()
    out = drive(echoer, inbox=["last words"], control=[stop, "and more"])
    assert capsys.readouterr().out == "last words"
    assert out["signal"][:2] == [stop, "and more"]
    assert echoer._isStopped()


def test_output_is_flushed_whenever_it_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    class Screen(io.StringIO):
        shown = ""

        def flush(self) -> None:
            self.shown = self.getvalue()

    screen = Screen()
    monkeypatch.setattr("sys.stdout", screen)
    echoer = ConsoleEchoer()
    collect(echoer)
    drive(echoer, inbox=["prompt> "])
    assert screen.shown == "prompt> "
