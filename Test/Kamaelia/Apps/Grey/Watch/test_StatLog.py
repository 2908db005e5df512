"""The statement `stat`: three kinds of targets, and what may go wrong with each."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from Axon.Component import component
from Axon.Ipc import producerFinished
from Axon.Testing import drive
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Extras, Rule, Ruling, Stage
from Kamaelia.Apps.Grey.Core.Access.Site import Site
from Kamaelia.Apps.Grey.Core.Access.Subject import Mail, Session
from Kamaelia.Apps.Grey.Core.Engine import subject_of
from Kamaelia.Apps.Grey.Core.Outcome import Fate, Outcome
from Kamaelia.Apps.Grey.Core.Types import (
    Attempt,
    Decided,
    Decision,
    MessageAttempt,
    MessageDecision,
    Reason,
    Verdict,
)
from Kamaelia.Apps.Grey.Watch.StatLog import StatLog, Target, stat_line

ATTEMPT = Attempt(
    *("192.0.2.7", "mx.example.net", "a@example.net", "b@example.org", "k3f9", "b", "example.org")
)
DECIDED = Decided(ATTEMPT, Decision(Verdict.DEFER, Reason.NEW, 60), 1_795_253_405.12)


def line(event: Decided | Outcome) -> str:
    assert isinstance(event, Decided)
    assert isinstance(event.attempt, Attempt)
    return f"{event.attempt.client} {event.decision.verdict.value}\n"


LINE = line(DECIDED)


def write(log: StatLog, events: Iterable[object]) -> None:
    stop = producerFinished()
    out = drive(log, inbox=events, control=[stop])
    assert out["signal"] == [stop]


def test_a_file_is_begun_anew_or_continued(tmp_path: Path) -> None:
    path = tmp_path / "stat"
    path.write_text("old\n")
    write(StatLog(f">>{path}", line), [DECIDED] * 2)
    assert path.read_text() == "old\n" + LINE * 2
    write(StatLog(f"> {path}", line), [DECIDED])
    assert path.read_text() == LINE
    write(StatLog(f">{path}", line), [])
    assert path.read_text() == ""


def test_after_a_rotation_a_new_file_is_not_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "stat"
    log = StatLog(f">{path}", line)
    log._prepare()
    log._put(b"one\n")
    path.rename(tmp_path / "old")
    path.write_text("theirs\n")
    log._open()
    log._put(b"two\n")
    log._close()
    assert (tmp_path / "old").read_text() == "one\n"
    assert path.read_text() == "theirs\ntwo\n"


def test_a_program_gets_the_lines(tmp_path: Path) -> None:
    path = tmp_path / "out"
    write(StatLog(f"|cat > {path}", line), [DECIDED] * 3)
    assert path.read_text() == LINE * 3


def test_a_program_that_ends_is_said_and_started_again_in_a_minute(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = 1000.0
    path = tmp_path / "out"
    log = StatLog(f"|head -n 1 >> {path}", line, lambda: now)
    log._open()
    first = log._program
    assert first is not None
    log._put(b"one\n")
    first.wait(10)
    with pytest.raises(OSError, match="has ended"):
        log._open()
    now += 61
    log._open()
    log._put(b"two\n")
    log._close()
    assert path.read_text() == "one\ntwo\n"
    assert caplog.messages == []


def test_a_program_that_does_not_read_costs_lines_and_not_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    times = iter(range(0, 10_000, 2))  # each look at the clock is two seconds later
    log = StatLog("|exec sleep 60", line, lambda: float(next(times)))
    log._open()
    program = log._program
    assert program is not None
    with pytest.raises(OSError, match="does not read"):
        log._put(b"x" * (1 << 20))
    program.kill()
    log._close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_said_and_is_not_the_end(caplog: pytest.LogCaptureFixture) -> None:
    write(StatLog(">>/dev/full", line), [DECIDED])
    assert "No space left" in caplog.text


def test_a_folder_that_is_missing_is_said_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        write(StatLog(f">>{tmp_path / 'none' / 'stat'}", line), [])
    assert "No such file" in caplog.text


def test_a_link_is_not_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    victim = tmp_path / "victim"
    victim.write_text("theirs")
    (tmp_path / "stat").symlink_to(victim)
    write(StatLog(f">{tmp_path / 'stat'}", line), [DECIDED])
    assert victim.read_text() == "theirs"
    assert "stat" in caplog.text


def test_a_format_that_fails_costs_its_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(event: Decided | Outcome) -> str:
        raise ValueError("no such code")

    write(StatLog(f">{tmp_path / 'stat'}", fail), [DECIDED])
    assert "no such code" in caplog.text


def test_lines_are_cut_and_nothing_is_written_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "stat"
    write(StatLog(f">{path}", lambda _: "x" * 10_000), [DECIDED])
    assert len(path.read_text()) == 4096
    write(StatLog(f">{path}", lambda _: ""), [DECIDED])
    assert path.read_text() == ""
    write(StatLog(f">{path}", lambda _: "\udc80é\n"), [DECIDED])
    assert path.read_bytes() == b"\\udc80\xc3\xa9\n"


@pytest.mark.parametrize("text", ["", "file", ">", ">>", "|  ", "/var/log/stat"])
def test_what_is_no_target_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no target"):
        Target.parse(text)


def test_a_format_has_the_codes_of_a_decision() -> None:
    site = Site(version="1.0", host="mx.example.org")
    rule = Rule(Stage.RCPT, Action.GREYLIST, (), Extras(), "greylist.conf", 12, "slow")
    ruling = Ruling(Action.GREYLIST, rule)
    reply = ("451", "4.7.1", "later")
    decision = Decision(Verdict.DEFER, Reason.NEW, 60, reply=reply, ruling=ruling)
    line = stat_line("%i %f %r %S %Xc %Xe %Xm %A %a %Rt %v\n", site)
    assert line(Decided(ATTEMPT, decision, 0.0)) == (
        "192.0.2.7 a@example.net b@example.org tempfail 451 4.7.1 later 12 slow 60 1.0\n"
    )
    passed = Decided(ATTEMPT, Decision(Verdict.PASS, Reason.KNOWN), 0.0)
    assert stat_line("%S %Xc %A", site)(passed) == "accept 250 0"
    assert stat_line("%S", site)(Outcome("s", "c", "", (), 0, Fate.UNKNOWN, "")) == ""


def test_a_subject_that_is_still_in_use_is_left_as_it_is() -> None:
    subject = subject_of(ATTEMPT)
    attempt = replace(ATTEMPT, subject=subject)
    stat_line("%S", Site())(Decided(attempt, Decision(Verdict.PASS, Reason.KNOWN), 0.0))
    assert subject.reply == {}


def test_a_whole_message_has_no_recipient() -> None:
    session, mail = Session("192.0.2.7"), Mail("<a@example.net>")
    attempt = MessageAttempt(session, mail, "k3f9", (component(), "inbox"))
    decision = MessageDecision(Verdict.REJECT, Ruling(Action.BLACKLIST))
    assert stat_line("%S (%r)", Site())(Decided(attempt, decision, 0.0)) == "reject ()"


def test_what_found_no_room_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("Kamaelia.Apps.Grey.Watch.Overflowing.WAITING_LINES", 5)
    path = tmp_path / "stat"
    write(StatLog(f">{path}", line), [DECIDED] * 8)
    assert path.read_text() == LINE * 5
    assert "too slow; 3 lines are lost" in caplog.text


def test_the_program_has_nothing_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "fds"
    write(StatLog(f"|ls /proc/self/fd > {path}; cat > /dev/null", line), [DECIDED])
    assert path.read_text().split() == ["0", "1", "2", "3"]  # 3: the folder that ls reads
    assert os.getpid()
