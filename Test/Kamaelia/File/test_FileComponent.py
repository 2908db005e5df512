"""FileComponent: the thread, the errors, and each way to end."""

import gc
import logging
import os
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness, like
from Kamaelia.Apps.SA.Time import PeriodicTick
from Kamaelia.File.Errors import FileError
from Kamaelia.File.FileComponent import FileComponent
from Test.Kamaelia.File.patience import let_work, wait_for_threads_of
from Test.Kamaelia.shutdown import Ends


class Holder(FileComponent):
    """Opens its file and waits for the end."""

    mode = "rb"

    def work(self) -> Iterator[object]:
        yield from self.open_file(self.mode)
        self.opened: IO[Any] | None = self._file
        while not self.told_to_stop():
            self.pause()
            yield 1


class Caller(FileComponent):
    """Makes the calls that it is sent, in its thread."""

    def work(self) -> Iterator[object]:
        while not self.told_to_stop():
            for call in self.Inbox("inbox"):
                self.send((yield from self.in_thread("call", call)), "outbox")
            self.pause()
            yield 1


SHUTDOWN = {
    FileComponent: Ends(None, why="a base: its subclasses are played here and beside them"),
}


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Path]:
    """One that blocks who opens it for reading; the end lets them go."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    yield path
    os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))


def test_calls_are_made_in_one_thread_that_is_not_the_schedulers() -> None:
    with harness(caller := Caller()) as h:
        h.put_all([threading.current_thread] * 3)
        threads = [h.expect("outbox") for _ in range(3)]
        h.finish()
    assert len(set(threads)) == 1
    assert threads[0] is not threading.current_thread()
    wait_for_threads_of(caller)
    assert not threads[0].is_alive()


def test_without_a_call_there_is_no_thread() -> None:
    caller = Caller()
    drive(caller, control=[producerFinished()])
    assert caller._helper is None


@pytest.mark.parametrize("stop", [producerFinished(), shutdownMicroprocess()])
def test_either_shutdown_closes_the_file(stop: object) -> None:
    with harness(holder := Holder(__file__)) as h:
        h.run_until(lambda: hasattr(holder, "opened"))
        h.finish(stop)
        assert h.take("signal") == [stop]
    wait_for_threads_of(holder)
    assert holder.opened is not None
    assert holder.opened.closed


def test_one_that_is_stopped_closes_its_file() -> None:
    with harness(holder := Holder(__file__)) as h:
        h.run_until(lambda: hasattr(holder, "opened"))
    wait_for_threads_of(holder)
    assert holder.opened is not None
    assert holder.opened.closed


def test_one_that_fails_closes_its_file() -> None:
    with harness(holder := Holder(__file__)) as h:
        h.run_until(lambda: hasattr(holder, "opened"))
        h.crash(ZeroDivisionError())
        with pytest.raises(ZeroDivisionError):
            h.settle()
    wait_for_threads_of(holder)
    assert holder.opened is not None
    assert holder.opened.closed


def test_told_to_stop_before_it_began_it_touches_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    stop = shutdownMicroprocess()
    assert drive(Holder(path, mode="wb"), control=[stop])["signal"] == [stop]
    assert not path.exists()


def test_an_error_is_a_message_and_then_the_end() -> None:
    out = drive(Holder("/no/such/file"))
    (report,) = out["error"]
    assert isinstance(report, FileError)
    assert (report.filename, report.operation) == ("/no/such/file", "open")
    assert isinstance(report.error, FileNotFoundError)
    assert isinstance(out["signal"][0], producerFinished)


def test_an_error_that_nobody_takes_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    drive(Holder("/no/such/file"), collecting=["signal"])
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "cannot open /no/such/file: [Errno 2]" in record.getMessage()


@pytest.mark.parametrize("name", ["", "\0", "x" * 5000])
def test_a_name_that_cannot_be_one_is_such_an_error(name: str) -> None:
    out = drive(Holder(name))
    assert [report.operation for report in out["error"]] == ["open"]


@pytest.mark.parametrize("name", [None, 3, ["x"]])
def test_what_is_no_filename_is_refused_where_it_is_made(name: Any) -> None:  # noqa: ANN401
    with pytest.raises(TypeError):
        Holder(name)


def test_an_error_waits_for_room_and_a_shutdown_ends_the_wait() -> None:
    with harness(Holder("/no/such/file")) as h:
        h.limit(0, "error")
        let_work(h)
        h.not_ended()
        h.finish(shutdownMicroprocess())
        h.expect_nothing("error")


def test_a_mistake_in_a_call_is_no_file_error() -> None:
    with pytest.raises(ZeroDivisionError):
        drive(Caller(), inbox=[lambda: 1 / 0])


def test_an_error_while_closing_is_told() -> None:
    class Unclosable(Holder):
        def close(self) -> None:
            super().close()
            raise OSError(28, "No space left on device")

    with harness(Unclosable(__file__)) as h:
        h.put(producerFinished(), "control")
        h.expect("error", like(FileError, operation="close"))
        h.expect_end()


def test_no_thread_to_be_had_is_such_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    (report,) = drive(Holder(__file__))["error"]
    assert "can't start new thread" in str(report)


def test_a_call_that_blocks_holds_up_nobody_else(pipe: Path) -> None:
    holder, tick = Holder(pipe), PeriodicTick(1)
    with harness(holder, tick) as h:
        h.run_for(3.5)
        assert len(h.take((tick, "outbox"))) == 3
        h.not_ended(holder)


def test_a_shutdown_microprocess_ends_it_although_a_call_blocks(pipe: Path) -> None:
    with harness(holder := Holder(pipe)) as h:
        h.settle()
        stop = shutdownMicroprocess()
        h.finish(stop)
        assert h.take("signal") == [stop]
    os.close(os.open(pipe, os.O_RDWR | os.O_NONBLOCK))
    wait_for_threads_of(holder)
    assert holder._file is None  # opened at last, and closed at once


def test_stopping_one_whose_call_blocks_takes_no_longer_than_its_grace(pipe: Path) -> None:
    with harness(holder := Holder(pipe)) as h:
        h.settle()
    assert holder._isStopped()


def test_a_producer_finished_waits_for_the_call(pipe: Path) -> None:
    with harness(Holder(pipe)) as h:
        h.settle()
        h.put(producerFinished(), "control")
        h.run_for(1)
        h.not_ended()
        h.finish(shutdownMicroprocess())


def test_one_that_has_ended_can_be_forgotten() -> None:
    holder = Holder(__file__)
    drive(holder, control=[producerFinished()])
    wait_for_threads_of(holder)
    seen = weakref.ref(holder)
    del holder
    gc.collect()
    assert seen() is None


def test_two_components_have_a_thread_each() -> None:
    one, other = Caller(), Caller()
    with harness(one, other) as h:
        for caller in (one, other):
            h.put(threading.current_thread, (caller, "inbox"))
        assert h.expect((one, "outbox")) is not h.expect((other, "outbox"))
