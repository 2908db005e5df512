"""What may go wrong with the program's own log, and with a configuration that cannot be taken."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from queue import SimpleQueue

import pytest

from Axon.Scheduler import scheduler
from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.Logs import LINES_WAITING, _Entrance, _LogFile, log_in_thread
from Kamaelia.Apps.Grey.Process import _Life
from Kamaelia.Apps.Grey.Server import GreyServer
from Kamaelia.Apps.Grey.Store.Memory import MemoryStore
from Kamaelia.Apps.Grey.SystemdSockets import Notifier


def line(text: str = "text") -> logging.LogRecord:
    return logging.LogRecord("test", logging.INFO, __file__, 1, text, None, None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "logs"
    made.mkdir()
    return made


def test_a_log_that_cannot_be_opened_costs_its_lines_and_is_said_once(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = _LogFile(folder / "debug.log", delay=True)
    log.emit(line("before"))
    folder.rename(folder.with_name("gone"))
    for _ in range(3):
        log.emit(line("lost"))
    assert capsys.readouterr().err.count("its lines are lost for now") == 1
    folder.with_name("gone").rename(folder)
    log.emit(line("after"))
    log.close()
    assert (folder / "debug.log").read_text() == "before\nafter\n"


def test_such_a_log_does_not_end_the_thread_that_writes_all_of_them(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = logging.root.handlers[:], logging.root.level
    listener = log_in_thread(Config(greylist_debuglog=folder / "debug.log"))
    try:
        folder.rename(folder.with_name("gone"))
        for number in range(3):
            logging.getLogger("test").info("line %d", number)
    finally:
        listener.stop()  # when all that was said is written
        logging.root.handlers[:], level = before
        logging.root.setLevel(level)  # not the attribute alone: loggers remember what is enabled
    assert "line 2" in capsys.readouterr().err


def test_without_a_standard_error_a_lost_log_is_no_fault(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    _LogFile(folder / "none" / "debug.log", delay=True).emit(line())


def test_what_the_thread_that_logs_has_not_written_has_an_end() -> None:
    waiting: SimpleQueue[object] = SimpleQueue()
    entrance = _Entrance(waiting)
    for _ in range(LINES_WAITING + 10):
        entrance.emit(line())
    assert waiting.qsize() == LINES_WAITING


def test_limits_that_do_not_go_with_what_takes_a_restart_are_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Unwilling(GreyServer):
        def reload(self, config: Config) -> list[str]:
            raise ValueError("all connections are reserved")

    server = Unwilling(Config(), open_store=MemoryStore, listening=[])
    life = _Life(scheduler(), server, 1, Config, Notifier(), None)
    life._take(Config())
    assert "the configuration stays as it was: all connections are reserved" in caplog.text
