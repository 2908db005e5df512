"""What the rules want of the front door, by itself."""

import logging

import pytest

from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Ruling
from Kamaelia.Apps.Grey.Core.Modes import Report
from Kamaelia.Apps.Grey.Core.Types import Decision, Reason, Verdict
from Kamaelia.Apps.Grey.FrontDoor.DoorRules import (
    DEFAULT_WHY,
    MOST_HEADERS,
    MOST_TARPITTED,
    PEEK_BYTES,
    DoorRules,
    DoorSettings,
    hours,
)
from Test.Kamaelia.Apps.Grey.FrontDoor.ruled import NOW, PASS, door_rules, rule


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def test_a_line_has_the_time_at_which_it_was_made() -> None:
    clock = Clock()
    rules = door_rules(report=Report.ALL, clock=clock)
    first = rules.report_line(0, PASS, "192.0.2.1")
    assert rules.report_line(0, PASS, "192.0.2.1") is first  # made once a second
    assert rules.report_line(0, PASS, "192.0.2.2") != first
    assert rules.report_line(5, PASS, "192.0.2.1") != first
    clock.now += 1.0
    second = rules.report_line(0, PASS, "192.0.2.1")
    assert b":00:01 " in second
    clock.now -= 3_600.0  # set back
    assert rules.report_line(0, PASS, "192.0.2.1") not in (first, second)


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_words(reason: Reason) -> None:
    line = door_rules(report=Report.ALL).report_line(0, Decision(Verdict.PASS, reason), "")
    assert line.startswith(b"X-Greylist: ")
    assert b"[0.0.0.0]" in line
    assert line.count(b"\r\n") == 1


def test_what_nobody_knows_is_by_default() -> None:
    assert door_rules().why(None) == DEFAULT_WHY


def test_two_rules_are_not_told_as_one() -> None:
    rules = door_rules(report=Report.ALL)
    lines = [
        rules.report_line(
            0,
            Decision(
                Verdict.PASS,
                Reason.RULE,
                ruling=Ruling(Action.WHITELIST, rule(name), kinds=("geoip",)),
            ),
            "",
        )
        for name in ("12", "13")
    ]
    assert b"ACL 12 matched" in lines[0]
    assert b"ACL 13 matched" in lines[1]


def test_our_address_may_be_set() -> None:
    settings = DoorSettings("mx", report=Report.ALL, local_address="192.0.2.99")
    line = DoorRules(settings, lambda: NOW).report_line(0, PASS, "192.0.2.1")
    assert b"kamaelia-grey (mx [192.0.2.99])" in line


def test_headers_of_rules_are_some_and_each_once(caplog: pytest.LogCaptureFixture) -> None:
    rules = door_rules()
    with caplog.at_level(logging.WARNING):
        assert rules.given_lines(["X-A: 1", "nothing", "X-A: 1", "what"]) == [b"X-A: 1\r\n"]
    assert len(caplog.messages) == 1  # a minute
    assert len(rules.given_lines([f"X-{number}: 1" for number in range(99)])) == MOST_HEADERS


def test_crontab_fields_count_sunday_as_0() -> None:
    local = door_rules().local(NOW)  # Friday, 15 January 2027
    assert local[2:] == (15, 1, 5)
    rules = door_rules()
    assert rules.local(NOW + 2 * 86_400)[4] == 0
    assert rules.local(NOW + 2 * 86_400 + 59) is rules.local(NOW + 2 * 86_400)


@pytest.mark.parametrize(("wanted", "seen"), [(None, PEEK_BYTES), (0, 0), (-1, 0), (7, 7)])
def test_so_much_may_be_seen_of_a_message(wanted: int | None, seen: int) -> None:
    assert door_rules(peek=wanted).peek(None) == seen
    assert DoorRules(DoorSettings("mx"), lambda: NOW).peek(None) == PEEK_BYTES


def test_only_so_many_are_kept_waiting() -> None:
    rules = door_rules()
    assert sum(rules.enter_tarpit() for _ in range(MOST_TARPITTED + 5)) == MOST_TARPITTED
    rules.leave_tarpit()
    assert rules.enter_tarpit()


@pytest.mark.parametrize(
    ("report", "needs_subject", "data_rules", "room"),
    [
        (Report.NONE, False, False, 0),
        (Report.ALL, False, False, 1_024),
        (Report.NONE, True, False, 16_384),
        (Report.NONE, False, True, 16_384),
    ],
)
def test_room_is_left_for_what_is_added(
    report: Report, needs_subject: bool, data_rules: bool, room: int
) -> None:
    rules = door_rules(report=report, needs_subject=needs_subject, data_rules=data_rules)
    assert rules.added_bytes == room
    assert rules.needs_subject == (needs_subject or data_rules)


def test_hours_may_be_many() -> None:
    assert [hours(seconds) for seconds in (0, 59, 3_600, 400_000)] == [
        *("00:00:00", "00:00:59", "01:00:00", "111:06:40"),
    ]
