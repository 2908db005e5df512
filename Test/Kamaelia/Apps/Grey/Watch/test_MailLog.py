"""The mail log: one event is one line, whatever strangers write; trouble with the file is ours."""

import codecs
import json
import logging
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from Axon.Component import component as Nobody
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Extras, Rule, Ruling, Stage
from Kamaelia.Apps.Grey.Core.Access.Subject import Mail, Session
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
from Kamaelia.Apps.Grey.Watch.MailLog import MailLog, escaped, fields_of, line_of, words_of
from Test.Kamaelia.Apps.Grey.support import values_of

ATTEMPT = Attempt(
    *("192.0.2.7", "mx.example.net", "a@example.net", "b@example.org", "k3f9", "b", "example.org")
)
DECIDED = Decided(ATTEMPT, Decision(Verdict.DEFER, Reason.NEW, 60), 1_795_253_405.12)
OUTCOME = Outcome(
    *("k3g1", "192.0.2.7", "a@example.net", ("b@example.org",), 1204, Fate.DELIVERED),
    reply="250 2.0.0 Ok: queued as 4F2",
    now=1_795_253_467.004,
)
DECIDED_LINE = (
    "2026-11-21T09:30:05.120Z event=decision session=k3f9 client=192.0.2.7 helo=mx.example.net"
    " from=a@example.net to=b@example.org verdict=defer reason=new wait=60 waited=0"
)
OUTCOME_LINE = (
    "2026-11-21T09:31:07.004Z event=message session=k3g1 client=192.0.2.7 from=a@example.net"
    " to=b@example.org recipients=1 size=1204 outcome=delivered"
    ' reply="250 2.0.0 Ok: queued as 4F2"'
)


# ---- the line


def test_the_lines_are_those_of_the_module_text() -> None:
    assert line_of(DECIDED) == DECIDED_LINE
    assert line_of(OUTCOME) == OUTCOME_LINE


def test_the_null_sender_can_be_seen() -> None:
    bounce = Attempt("192.0.2.7", "mx", "", "b@example.org", "k3f9", "b", "example.org")
    line = line_of(Decided(bounce, Decision(Verdict.PASS, Reason.KNOWN), 0.0))
    assert " from=<> " in line
    assert " from=<> " in line_of(Outcome("s", "c", "", (), 0, Fate.UNKNOWN, ""))


def test_of_many_recipients_five_are_shown_and_all_are_counted() -> None:
    many = tuple(f"u{number}@example.org" for number in range(1000))
    values = values_of(line_of(Outcome("s", "c", "a@b", many, 0, Fate.UNKNOWN, "lost")))
    assert values["recipients"] == "1000"
    assert values["to"] == ",".join(many[:5])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mx.example.net", "mx.example.net"),
        ("a=b", '"a=b"'),
        ("", '""'),
        ("a b", '"a b"'),
        ('a"b', r'"a\"b"'),
        ("a\\b", r'"a\\b"'),
        ("a\\", r'"a\\"'),
        ('\\"', r'"\\\""'),
        ("a\r\nb", r'"a\r\nb"'),
        ("\x1b[31m", r'"\x1b[31m"'),
        ("\x00\x7f", r'"\x00\x7f"'),
        ("é", r'"\xe9"'),
        ("\u202e\u2028", r'"\u202e\u2028"'),
        ("\udc80", r'"\udc80"'),
        ("😀", r'"\U0001f600"'),
        ("%s %d", '"%s %d"'),
        ("x" * 256, "x" * 256),
        ("x" * 257, "x" * 256 + "..."),
        ("é" * 300, '"' + r"\xe9" * 256 + '"...'),
    ],
)
def test_a_value_is_escaped_and_cut(text: str, shown: str) -> None:
    assert escaped(text) == shown


def unescaped(shown: str) -> str:
    """What a reader of the log gets back; escapes are those of a Python string."""
    if not shown.startswith('"'):
        return shown
    body = re.fullmatch(r'"((?:\\.|[^"\\])*)"', shown)
    assert body is not None, shown
    return codecs.decode(body[1].encode("ascii"), "unicode_escape")


@given(st.text(max_size=256))
@example('\\"')
@example('\\\\"\n\\')
@example("\\\\\\\\")
@example('\n\\"')
def test_what_is_escaped_can_be_read_back(text: str) -> None:
    assert unescaped(escaped(text)) == text


ANYTHING = st.text(st.characters(), max_size=300)


@given(st.builds(Attempt, ANYTHING, ANYTHING, ANYTHING, ANYTHING, ANYTHING, ANYTHING, ANYTHING))
def test_a_line_is_one_line_of_printable_ascii_with_these_keys(attempt: Attempt) -> None:
    line = line_of(Decided(attempt, Decision(Verdict.PASS, Reason.KNOWN), 0.0))
    assert line.isascii()
    assert line.isprintable()
    keys = "event session client helo from to verdict reason wait waited"
    assert list(values_of(line)) == keys.split()
    assert values_of(line)["verdict"] == "pass"


# ---- what only some decisions have

RULE = Rule(Stage.RCPT, Action.GREYLIST, (), Extras(), "greylist.conf", 12, "slow one")


@given(
    st.lists(
        st.sampled_from(
            ["mx.example.net", "", "a b", 'a"', "a=b", "a\\b", "\xe4", "x" * 70, "x" * 257]
        ),
        min_size=5,
        max_size=5,
    )
)
def test_each_value_is_as_harmless_as_if_it_stood_alone(values: list[str]) -> None:
    session, client, helo, sender, recipient = values
    attempt = Attempt(client, helo, sender, recipient, session, "", "")
    line = line_of(Decided(attempt, Decision(Verdict.PASS, Reason.KNOWN), 0.0))
    names = ("session", "client", "helo", "from", "to")
    shown = (session, client, helo, sender or "<>", recipient)
    told = " ".join(f"{name}={escaped(text)}" for name, text in zip(names, shown, strict=True))
    assert line.partition(" event=decision ")[2].startswith(f"{told} verdict=pass ")


def test_a_rule_a_key_and_a_dry_run_are_said_at_the_end_of_the_line() -> None:
    ruling = Ruling(Action.GREYLIST, RULE)
    would = Decision(Verdict.DEFER, Reason.NEW, 60, ruling=ruling)
    decided = Decision(Verdict.PASS, Reason.NEW, would=would, key_kind="spf")
    line = line_of(Decided(ATTEMPT, decided, 0.0))
    assert line.endswith(' wait=0 waited=0 rule="slow one" key=spf would=defer/new')
    fields = fields_of(Decided(ATTEMPT, decided, 0.0))
    assert values_of(line) == {**fields, "rule": '"slow one"'}
    assert list(fields) == list(values_of(line))


def test_a_ruling_without_a_rule_has_no_name() -> None:
    decided = Decision(Verdict.DEFER, Reason.NEW, ruling=Ruling(Action.GREYLIST))
    assert " rule=" not in line_of(Decided(ATTEMPT, decided, 0.0))


def test_what_the_rules_say_of_a_whole_message_is_a_line_too() -> None:
    mail = Mail("<a@example.net>", recipients=["<b@example.org>", "<c@example.org>"])
    attempt = MessageAttempt(Session("192.0.2.7", helo="mx"), mail, "k3f9", (Nobody(), "x"))
    decided = MessageDecision(Verdict.REJECT, Ruling(Action.BLACKLIST, RULE, log=["seen %"]))
    event = Decided(attempt, decided, 1_795_253_405.12)
    assert line_of(event) == (
        "2026-11-21T09:30:05.120Z event=content session=k3f9 client=192.0.2.7 helo=mx"
        " from=a@example.net recipients=2 verdict=reject reason=rule wait=0 waited=0"
        ' rule="slow one"'
    )
    assert list(words_of(event)) == [
        '2026-11-21T09:30:05.120Z event=log session=k3f9 text="seen %"'
    ]


def test_fields_are_of_events_alone() -> None:
    assert fields_of(None) == {}
    assert fields_of(OUTCOME) == {
        **values_of(OUTCOME_LINE),
        "reply": "250 2.0.0 Ok: queued as 4F2",
    }


def test_lines_may_be_json(tmp_path: Path) -> None:
    path = tmp_path / "grey.log"
    ruling = Ruling(Action.GREYLIST, log=["one\n", "two"])
    worded = Decided(ATTEMPT, Decision(Verdict.DEFER, Reason.NEW, 60, ruling=ruling), 0.0)
    write(MailLog(path, as_json=True), [DECIDED, worded, OUTCOME])
    made = [json.loads(line) for line in path.read_text("ascii").splitlines()]
    assert [each["event"] for each in made] == ["decision", "decision", "log", "log", "message"]
    assert made[0]["time"] == "2026-11-21T09:30:05.120Z"
    assert made[2] == {
        "time": "1970-01-01T00:00:00.000Z",
        "event": "log",
        "session": "k3f9",
        "text": "one\n",
    }


def test_what_rules_write_is_bounded(tmp_path: Path) -> None:
    ruling = Ruling(Action.GREYLIST, log=["x"] * 1000)
    worded = Decided(ATTEMPT, Decision(Verdict.DEFER, Reason.NEW, 60, ruling=ruling), 0.0)
    path = tmp_path / "grey.log"
    write(MailLog(path), [worded])
    assert len(path.read_text().splitlines()) == 21


def test_records_of_the_logger_have_the_event(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "kamaelia-grey.mail")
    ruling = Ruling(Action.GREYLIST, log=["words"])
    worded = Decided(ATTEMPT, Decision(Verdict.DEFER, Reason.NEW, 60, ruling=ruling), 0.0)
    write(MailLog(), [worded])
    assert [getattr(record, "event", None) for record in caplog.records] == [worded, None]
    assert caplog.messages[1] == "event=log session=k3f9 text=words"


def test_how_the_rules_matched_is_said_to_who_wants_to_know(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ruling = Ruling(Action.GREYLIST, trace=["greylist.conf:12 greylist: default: yes"])
    worded = Decided(ATTEMPT, Decision(Verdict.DEFER, Reason.NEW, 60, ruling=ruling), 0.0)
    caplog.set_level(logging.INFO, "kamaelia-grey.rules")
    write(MailLog(), [worded])
    caplog.set_level(logging.DEBUG, "kamaelia-grey.rules")
    write(MailLog(), [worded, OUTCOME])
    said = [record.getMessage() for record in caplog.records if record.levelname == "DEBUG"]
    assert said == ["k3f9: greylist.conf:12 greylist: default: yes"]


# ---- the file


def write(log: MailLog, events: Iterable[object], stop: object = None) -> object:
    """Run it with these events to its end; give what it sent at that."""
    stop = stop or producerFinished()
    out = drive(log, inbox=events, control=[stop])
    assert out["signal"] == [stop]
    return stop


@pytest.mark.parametrize("stop", [producerFinished(), shutdownMicroprocess()])
def test_all_that_came_is_in_the_file_at_the_end(tmp_path: Path, stop: object) -> None:
    path = tmp_path / "grey.log"
    write(MailLog(path), [DECIDED, OUTCOME] * 1000, stop)
    assert path.read_text("ascii").splitlines() == [DECIDED_LINE, OUTCOME_LINE] * 1000
    assert path.stat().st_mode & 0o777 & ~0o640 == 0


def test_a_file_that_is_there_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "grey.log"
    write(MailLog(path), [DECIDED])
    write(MailLog(path), [OUTCOME])
    assert path.read_text("ascii").splitlines() == [DECIDED_LINE, OUTCOME_LINE]


def test_without_a_file_the_lines_go_to_a_logger(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "kamaelia-grey.mail")
    percent = Outcome("%s", "%d", "a@b", ("%n",), 0, Fate.UNKNOWN, "%")
    write(MailLog(), [DECIDED, percent])
    # The logger says the time itself.
    assert caplog.messages == [line.partition(" ")[2] for line in (DECIDED_LINE, line_of(percent))]


def test_the_line_of_an_ordinary_decision_is_made_when_it_comes(tmp_path: Path) -> None:
    worded = Decided(
        ATTEMPT, Decision(Verdict.DEFER, Reason.NEW, 60, ruling=Ruling(Action.GREYLIST)), 0.0
    )
    for log, kept in (
        (MailLog(tmp_path / "x"), [DECIDED_LINE, worded, OUTCOME]),
        (MailLog(tmp_path / "x", as_json=True), [DECIDED, worded, OUTCOME]),
        (MailLog(), [DECIDED, worded, OUTCOME]),
    ):
        for event in (DECIDED, worded, OUTCOME):
            log.inboxes["inbox"].deliver(event)
        assert list(log._overflow) == kept


def test_who_rests_is_woken_by_the_next_event_and_by_no_other(tmp_path: Path) -> None:
    log = MailLog(tmp_path / "x")
    log._rests = True
    log.inboxes["inbox"].deliver(DECIDED)
    assert log._axon_something.is_set()
    log._axon_something.clear()
    log.inboxes["inbox"].deliver(DECIDED)
    assert not log._axon_something.is_set()


def test_without_events_no_file_is_made(tmp_path: Path) -> None:
    path = tmp_path / "grey.log"
    write(MailLog(path), [])
    assert not path.exists()


def rotate(path: Path) -> None:
    path.rename(path.with_suffix(".1"))


def replace(path: Path) -> None:
    rotate(path)
    path.write_text("")


@pytest.mark.parametrize("move", [rotate, replace])
def test_after_rotation_it_writes_to_the_new_file(
    tmp_path: Path, move: Callable[[Path], None]
) -> None:
    path = tmp_path / "grey.log"
    log = MailLog(path)
    log._write([DECIDED_LINE])
    move(path)
    log._write([OUTCOME_LINE])
    log._close()
    assert path.with_suffix(".1").read_text("ascii") == DECIDED_LINE + "\n"
    assert path.read_text("ascii") == OUTCOME_LINE + "\n"


def test_trouble_with_the_file_is_said_once_a_minute_and_its_end_needs_no_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = 1000.0
    path = tmp_path / "missing" / "grey.log"
    log = MailLog(path, lambda: now)
    for seconds in (0, 1, 58, 2):
        now += seconds
        log._write(["x"] * 3)
    assert len(caplog.records) == 2  # at 1000 and 1061
    assert all(record.levelname == "CRITICAL" for record in caplog.records)
    assert "No such file" in caplog.messages[0]
    path.parent.mkdir()
    log._write(["y"])
    log._close()
    assert path.read_text("ascii") == "y\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_trouble_and_not_the_end(caplog: pytest.LogCaptureFixture) -> None:
    write(MailLog(Path("/dev/full")), [DECIDED])
    assert "No space left" in caplog.text


def test_a_link_is_not_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    victim = tmp_path / "victim"
    victim.write_text("")
    path = tmp_path / "grey.log"
    path.symlink_to(victim)
    write(MailLog(path), [DECIDED])
    assert victim.read_text() == ""
    assert "grey.log" in caplog.text


def test_a_write_that_is_cut_short_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = os.write

    def half(fd: int, data: bytes) -> int:
        return whole(fd, data[: max(1, len(data) // 2)])

    path = tmp_path / "grey.log"
    log = MailLog(path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", half)
        log._write([DECIDED_LINE, OUTCOME_LINE])
    log._close()
    assert path.read_text("ascii").splitlines() == [DECIDED_LINE, OUTCOME_LINE]


def test_lines_that_found_no_room_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("Kamaelia.Apps.Grey.Watch.Overflowing.WAITING_LINES", 5)
    path = tmp_path / "grey.log"
    write(MailLog(path), [DECIDED] * 8)
    lines = path.read_text("ascii").splitlines()
    assert lines.count(DECIDED_LINE) == 5
    (loss,) = [line for line in lines if line != DECIDED_LINE]
    assert values_of(loss) == {"event": "lost", "lines": "3"}


def test_what_a_rule_does_not_want_logged_is_not(tmp_path: Path) -> None:
    ruling = Ruling(Action.WHITELIST, nolog=True)
    silent = Decided(ATTEMPT, Decision(Verdict.PASS, Reason.RULE, ruling=ruling), 0.0)
    path = tmp_path / "mail.log"
    drive(MailLog(path), inbox=[silent], control=[producerFinished()])
    assert not path.exists()
    drive(MailLog(path), inbox=[silent, DECIDED], control=[producerFinished()])
    assert path.read_text(encoding="ascii") == DECIDED_LINE + "\n"
