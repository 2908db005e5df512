"""From the settings to lines: who gets which, in which form."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from Kamaelia.Apps.Grey import Logs
from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.Core.Modes import LogFormat, LogTo
from Kamaelia.Apps.Grey.Core.Types import Attempt, Decided, Decision, Reason, Verdict
from Kamaelia.Apps.Grey.Detach import Detached
from Kamaelia.Apps.Grey.Logs import RULES, log_directly, log_in_thread, log_rules
from Kamaelia.Apps.Grey.Watch.Journal import JournalHandler
from Kamaelia.Apps.Grey.Watch.Syslog import Syslog

DECIDED = Decided(
    Attempt("192.0.2.7", "mx", "a@example.net", "b@example.org", "k3f9", "b", "example.org"),
    Decision(Verdict.DEFER, Reason.NEW, 60),
    0.0,
)
log = logging.getLogger("grey.test")


class Said:
    """What came to the journal or syslog."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.fields: list[dict[str, str]] = []


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Said:
    made = Said()

    def to_syslog(handler: Syslog, record: logging.LogRecord) -> None:
        made.lines.append(handler.format(record))

    def to_journal(handler: JournalHandler, record: logging.LogRecord) -> None:
        made.lines.append(handler.format(record))
        made.fields.append(dict(handler._fields(record)))

    monkeypatch.setattr(Syslog, "emit", to_syslog)
    monkeypatch.setattr(JournalHandler, "emit", to_journal)
    return made


@pytest.fixture(autouse=True)
def root() -> Iterator[None]:
    logger, rules = logging.getLogger(), logging.getLogger(RULES)
    before = logger.handlers[:], logger.level, rules.level
    logger.handlers.clear()
    yield
    for handler in logger.handlers[:]:
        handler.close()
    logger.handlers[:], level, rules_level = before
    logger.setLevel(level)
    rules.setLevel(rules_level)


def config(**settings: Any) -> Config:  # noqa: ANN401 - of Config
    return Config(**settings)


def test_standard_error_gets_what_matters(capsys: pytest.CaptureFixture[str]) -> None:
    log_directly(config())
    log.info("one")
    log.debug("two")
    error = capsys.readouterr().err
    assert error.endswith("INFO grey.test: one\n")
    assert "two" not in error


def test_verbose_is_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    log_directly(config(verbose=True))
    log.debug("two")
    assert "DEBUG grey.test: two" in capsys.readouterr().err


def test_the_rules_log_is_heard_without_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    log_directly(config())
    logging.getLogger(RULES).debug("not yet")
    log_rules()
    logging.getLogger(RULES).debug("line 7: yes")
    log.debug("two")
    error = capsys.readouterr().err
    assert "line 7: yes" in error
    assert "two" not in error
    assert "not yet" not in error


def test_lines_may_be_json_with_what_the_mail_log_knows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log_directly(config(log_format=LogFormat.JSON))
    log.info("a %s", "line", extra={"event": DECIDED})
    made = json.loads(capsys.readouterr().err)
    assert made["message"] == "a line"
    assert made["level"] == "INFO"
    assert (made["event"], made["verdict"], made["client"]) == ("decision", "defer", "192.0.2.7")


@pytest.mark.parametrize("line_format", LogFormat)
def test_a_traceback_is_part_of_its_record(
    line_format: LogFormat, capsys: pytest.CaptureFixture[str]
) -> None:
    log_directly(config(log_format=line_format))
    try:
        int("planted")
    except ValueError:
        log.exception("failed")
    error = capsys.readouterr().err
    assert "ValueError: invalid" in error
    if line_format is LogFormat.JSON:
        assert "planted" in json.loads(error)["traceback"]


def test_syslog_gets_the_bare_text(said: Said, capsys: pytest.CaptureFixture[str]) -> None:
    log_directly(config(log_to=LogTo.SYSLOG))
    log.info("one")
    assert said.lines == ["one"]
    assert capsys.readouterr().err == ""


def test_facility_none_silences_syslog(said: Said, capsys: pytest.CaptureFixture[str]) -> None:
    log_directly(config(log_to=LogTo.SYSLOG, logfac="none"))
    log.critical("one")
    assert said.lines == []
    assert capsys.readouterr().err == ""


def test_the_journal_gets_fields_through_the_thread_too(said: Said) -> None:
    listener = log_in_thread(config(log_to=LogTo.JOURNAL), worker=3)
    log.info("one", extra={"event": DECIDED})
    listener.stop()
    assert said.lines == ["one"]
    assert said.fields[0]["worker"] == "3"
    assert said.fields[0]["reason"] == "new"


def test_workers_say_who_they_are(said: Said, capsys: pytest.CaptureFixture[str]) -> None:
    for settings in ({}, {"log_to": LogTo.SYSLOG}, {"log_format": LogFormat.JSON}):
        listener = log_in_thread(config(**settings), worker=2)
        log.info("one")
        listener.stop()
    text, as_json = capsys.readouterr().err.splitlines()
    assert "INFO worker 2 grey.test: one" in text
    assert json.loads(as_json)["worker"] == 2
    assert said.lines == ["worker 2: one"]


def test_a_file_gets_all_in_detail_beside_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "debug.log"
    log_directly(config(greylist_debuglog=path))
    log.debug("two")
    assert "two" in path.read_text()
    assert capsys.readouterr().err == ""


def test_a_file_alone_gets_what_matters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "grey.log"
    settings = config(greylist_debuglog=path, log_to=LogTo.FILE)
    log_directly(settings, to_file=False)  # before it is anybody's file
    log.info("early")
    log_directly(settings)
    log.info("one")
    log.debug("two")
    assert [line.partition("test: ")[2] for line in path.read_text().splitlines()] == ["one"]
    assert capsys.readouterr().err.endswith("early\n")


@pytest.mark.parametrize("target", [LogTo.STDERR, LogTo.SYSLOG, LogTo.JOURNAL])
def test_a_daemon_says_it_to_the_terminal_until_it_takes_mail(
    target: LogTo, said: Said, capsys: pytest.CaptureFixture[str]
) -> None:
    detached = Detached(-1, is_parent=False)
    log_directly(config(log_to=target), detached=detached)
    log.info("one")
    detached.is_silent = True
    log.info("two")
    assert said.lines == ["one", "two"]
    error = capsys.readouterr().err
    assert "one" in error
    assert "two" not in error
    assert Logs.RULES == "kamaelia-grey.rules"


def test_how_rules_match_is_only_for_those_who_ask(tmp_path: Path) -> None:
    """Of many rules each decision would be as many lines."""
    rules = logging.getLogger(RULES)
    rules.setLevel(logging.NOTSET)
    log_directly(config(verbose=True, greylist_debuglog=tmp_path / "debug.log"))
    assert logging.getLogger().isEnabledFor(logging.DEBUG)
    assert not rules.isEnabledFor(logging.DEBUG)
    log_rules()
    log_directly(config())
    assert rules.isEnabledFor(logging.DEBUG)
