"""A message at the door of a mail server: kept, judged, edited."""

import logging
import tempfile
from dataclasses import replace
from typing import IO, Any

import pytest

from Axon.Ipc import shutdownMicroprocess
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Ruling
from Kamaelia.Apps.Grey.Core.Modes import Report
from Kamaelia.Apps.Grey.Core.Types import Decision, MessageDecision, Reason, Verdict
from Kamaelia.Apps.Grey.FrontDoor import KeptMessage, MilterContent
from Kamaelia.Apps.Grey.FrontDoor.DoorRules import DoorRules, DoorSettings
from Kamaelia.Apps.Grey.FrontDoor.KeptMessage import MessageRoom
from Kamaelia.Apps.Grey.Lookups.Contents import Contents
from Kamaelia.Support.Protocol.Milter import Negotiation
from Kamaelia.Support.Protocol.Milter.MTASession import FULL_OFFER
from Test.Kamaelia.Apps.Grey.FrontDoor.milters import BODY, HEADERS, WAIT, Asking, kinds
from Test.Kamaelia.Apps.Grey.FrontDoor.ruled import NOW, PASS, PASSED, door_rules, rule

REFUSED = MessageDecision(Verdict.REJECT, Ruling(Action.BLACKLIST), ("550", "5.7.1", "no"))
DEFERRED = MessageDecision(
    Verdict.DEFER, Ruling(Action.GREYLIST), reason=Reason.NEW, wait_seconds=90
)


def passed(**ruling: Any) -> MessageDecision:  # noqa: ANN401
    return MessageDecision(Verdict.PASS, Ruling(Action.WHITELIST, **ruling))


def judging(data: Any = lambda _: PASSED, **settings: Any) -> Asking:  # noqa: ANN401
    rules = settings.pop("rules", None) or door_rules(data_rules=True)
    return Asking(rules, data=data, **settings).connect()


# ---- without rules of the DATA stage


def test_a_message_that_nobody_judges_is_not_sent_to_us() -> None:
    asking = Asking(door_rules(report=Report.ALL)).connect()
    agreement = asking.mta.agreement
    assert agreement is not None
    assert not any(agreement.sends(command) for command in (b"L", b"N", b"B", b"T"))
    (header, last) = asking.message()
    assert header.strings[1].startswith(b"IP, sender and recipient auto-whitelisted, not delayed")
    assert last.kind == b"c"


def test_without_a_report_nothing_is_added() -> None:
    assert kinds(Asking(door_rules()).connect().message()) == b"c"
    assert kinds(Asking().connect().message()) == b"c"


def test_a_rule_may_have_a_report_of_its_own() -> None:
    ruling = Ruling(Action.WHITELIST, rule(), report="as it should be")
    decision = Decision(Verdict.PASS, Reason.RULE, ruling=ruling)
    (header, _) = Asking(door_rules(), rcpt=lambda _: decision).connect().message()
    assert header.strings == (b"X-Greylist", b"as it should be")


def test_the_report_says_which_address_the_client_came_to() -> None:
    asking = Asking(door_rules(report=Report.ALL))
    asking.connect(macros={"if_addr": "IPv6:2001:DB8:0:0:0:0:0:1"})
    assert b"(mx.example.org [2001:db8::1])" in asking.message()[0].payload


def test_a_message_that_nobody_may_have_is_not_let_in() -> None:
    asking = Asking(door_rules(), rcpt=lambda _: WAIT).connect()
    asking.mail()
    asking.rcpt()
    (said,) = asking.write(asking.mta.end_of_message())
    assert said.text.startswith("451 4.3.0 this message could not be looked at")


# ---- the null sender's deferral


def test_the_null_sender_hears_of_its_deferral_after_the_message() -> None:
    asking = Asking(
        door_rules(delayedreject=True, data_rules=True),
        rcpt=lambda a: PASS if a.recipient == "c@d" else WAIT,
    ).connect()
    asking.mail("<>")
    assert kinds(asking.rcpt("<c@d>") + asking.rcpt()) == b"cc"
    (said,) = asking.content()
    assert said.text == "451 4.7.1 Greylisting in action, please come back in 00:01:30 (id1)"
    assert asking.messages == []
    asking.write(asking.mta.abort())
    assert kinds(asking.message("<c@d>", sender="<>")) == b"c"


def test_others_hear_of_it_at_once() -> None:
    asking = Asking(door_rules(delayedreject=True), rcpt=lambda _: WAIT).connect()
    asking.mail()
    assert kinds(asking.rcpt()) == b"y"


# ---- judged


def test_a_message_is_judged_by_what_was_kept() -> None:
    def data(attempt: Any) -> MessageDecision:  # noqa: ANN401
        content = attempt.mail.content
        seen.append((content.headers, content.chunks, content.size, attempt.mail.recipients))
        return PASSED

    seen: list[Any] = []
    asking = judging(data)
    assert kinds(asking.message("<c@d>", "<e@f>")) == b"c"
    headers = ["Subject: hello\r\n", "From: a@example.net\r\n"]
    size = len("".join(headers)) + 2 + len(BODY) + 1  # the dot is doubled
    assert seen == [(headers, ["first\r\n.second\r\n"], size, ["<c@d>", "<e@f>"])]
    (attempt,) = asking.messages
    assert (attempt.session.client, attempt.session_id) == ("192.0.2.7", "id1")
    assert attempt.mail.content is None  # it is over


@pytest.mark.parametrize(
    ("decision", "text"),
    [
        (REFUSED, "550 5.7.1 no (id1)"),
        (DEFERRED, "451 4.7.1 Greylisting in action, please come back in 00:01:30 (id1)"),
    ],
)
def test_a_message_is_refused_as_a_whole(decision: MessageDecision, text: str) -> None:
    room = MessageRoom()
    before = room.total
    asking = judging(lambda _: decision, rules=door_rules(data_rules=True, room=room))
    (said,) = asking.message()
    assert said.text == text
    assert room.total == before


def test_the_ruling_of_the_last_recipient_is_told_but_not_ours() -> None:
    ruling = Ruling(Action.WHITELIST)
    asking = judging(rcpt=lambda _: Decision(Verdict.PASS, Reason.RULE, ruling=ruling))
    asking.message()
    assert asking.messages[0].ruling is ruling
    asking = Asking(door_rules(data_rules=True)).connect("", "localhost")
    asking.message()
    assert asking.messages[0].ruling is None


def test_edits_are_told_in_their_order() -> None:
    given = Ruling(Action.WHITELIST, rule(), addheaders=(("X-Rcpt: 1", 0), ("X-Both: 1", None)))
    edits = passed(
        addheaders=(("X-Both: 1", None), ("X-Data: 1", None)),
        subjtag="[ext] ",
        addfooter="-- \n.end",
    )
    asking = judging(
        lambda _: edits,
        rules=door_rules(data_rules=True, report=Report.ALL),
        rcpt=lambda _: Decision(Verdict.PASS, Reason.RULE, ruling=given),
    )
    said = asking.message()
    assert kinds(said) == b"bbmhihhc"
    assert said[0].payload + said[1].payload == b"first\r\n.second\r\n-- \r\n.end\r\n"
    assert said[2].strings == (b"Subject", b" [ext] hello")
    assert [each.strings[0] for each in said[3:-1]] == [
        *(b"X-Greylist", b"X-Rcpt", b"X-Both", b"X-Data")
    ]


@pytest.mark.parametrize(
    ("recipient", "message", "told"),
    [(0, 70, "00:01:10"), (90, 70, "00:01:30"), (60, 70, "00:01:10"), (90, 0, "00:01:30")],
)
def test_the_longest_wait_is_a_recipients_or_that_of_the_message(
    recipient: int, message: int, told: str
) -> None:
    waited = Decision(Verdict.PASS, Reason.RETRIED, waited_seconds=recipient)
    asking = judging(
        lambda _: replace(PASSED, waited_seconds=message),
        rules=door_rules(data_rules=True, report=Report.ALL),
        rcpt=lambda _: waited,
    )
    (header, _) = asking.message()
    assert header.strings[1].startswith(b" Delayed for %b by" % told.encode())


def test_the_report_says_what_the_mail_server_calls_itself() -> None:
    asking = Asking(door_rules(report=Report.ALL)).connect(macros={"j": "mx7.example.net"})
    assert b"kamaelia-grey-1.0 (mx7.example.net [0.0.0.0]);" in asking.message()[0].payload
    asking = Asking(door_rules(report=Report.ALL)).connect(macros={"j": "m" * 1000})
    assert b" (%b [" % (b"m" * 255) in b"".join(asking.message()[0].payload.split(b"\n "))


def test_blanks_are_ours_to_tell_only_if_that_was_agreed_on() -> None:
    offer = type(FULL_OFFER)(6, 0x1FF, int(FULL_OFFER.protocol & ~0x100000))
    said = judging(lambda _: passed(subjtag="[ext] "), offer=offer).message()
    assert said[0].strings == (b"Subject", b"[ext] hello")


def test_an_edit_that_was_not_allowed_is_not_made() -> None:
    offer = type(FULL_OFFER)(6, int(Negotiation.Action.ADD_HEADERS), FULL_OFFER.protocol)
    edits = passed(subjtag="x", addfooter="y", addheaders=(("X-Data: 1", None),))
    assert kinds(judging(lambda _: edits, offer=offer).message()) == b"hc"


def test_the_last_piece_may_come_with_the_end() -> None:
    asking = judging(lambda _: passed(addfooter="end"))
    asking.mail()
    asking.rcpt()
    asking.write(asking.mta.header("Subject", "x"))
    said = asking.write(asking.mta.command(b"E", b"all of it"))
    assert b"".join(each.payload for each in said) == b"all of it\r\nend\r\n"


def test_look_ups_find_the_message_while_it_is_judged() -> None:
    def data(attempt: Any) -> MessageDecision:  # noqa: ANN401
        found.append(contents.read(attempt.mail.content.message_id))
        return PASSED

    found: list[bytes | None] = []
    contents = Contents()
    settings = DoorSettings("mx.example.org", data_rules=True)
    asking = judging(data, rules=DoorRules(settings, lambda: NOW, register=contents))
    asking.message()
    assert found == [b"Subject: hello\r\nFrom: a@example.net\r\n\r\nfirst\r\n.second\r\n"]
    assert len(contents) == 0


def test_a_mail_server_of_long_ago_has_us_answer_each_piece() -> None:
    offer = type(FULL_OFFER)(2, 0x1FF, 0x7F)
    asking = Asking(door_rules(data_rules=True), data=lambda _: REFUSED, offer=offer)
    for data in (asking.mta.connect("mx", "192.0.2.7"), asking.mta.helo("mx"), asking.mta.mail("")):
        assert kinds(asking.write(data)) == b"c"
    asking.rcpt()
    for name, value in HEADERS:
        assert kinds(asking.write(asking.mta.header(name, value))) == b"c"
    assert kinds(asking.write(asking.mta.body(BODY))) == b"c"
    assert kinds(asking.write(asking.mta.end_of_message())) == b"y"


def test_what_nobody_decides_on_is_not_kept_for_longer_than_the_answer_takes() -> None:
    room = MessageRoom()
    before = room.total
    asking = judging(lambda _: None, rules=door_rules(data_rules=True, room=room))
    asking.mail()
    asking.rcpt()
    assert asking.content() == []
    assert room.total < before
    said = asking.run(121.0)
    assert said[-1].text.startswith("451 4.3.0 this could not be decided")
    assert room.total == before


# ---- a body that is large


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MilterContent, "SENT_AT_ONCE", 4_000)


@pytest.mark.usefixtures("small_pieces")
def test_a_large_body_goes_back_piece_by_piece() -> None:
    body = b"0123456789\r\n" * 2_000
    asking = judging(lambda _: passed(addfooter="end"))
    asking.mail()
    asking.rcpt()
    said = asking.content(body=body)
    assert len(said) < len(body) // 1_000
    said += asking.answered()
    assert kinds(said).strip(b"b") == b"c"
    assert b"".join(each.payload for each in said) == body + b"end\r\n"


@pytest.mark.usefixtures("small_pieces")
def test_no_faster_than_the_mail_server_takes_it() -> None:
    asking = judging(lambda _: passed(addfooter="end"))
    asking.mail()
    asking.rcpt()
    asking.content_begun(b"0123456789\r\n" * 2_000)
    asking.door.inboxes["inbox"].deliver(asking.mta.end_of_message())
    asking.waiter.deadline = asking.clock() + 5.0
    asking.scheduler.runThreads()  # and nobody takes what is sent
    assert 4_000 <= sum(map(len, asking.sent["outbox"])) < 8_000


@pytest.mark.usefixtures("small_pieces")
def test_a_mail_server_that_takes_nothing_is_left_and_its_message_forgotten() -> None:
    room = MessageRoom()
    before = room.total
    asking = judging(
        lambda _: passed(addfooter="end"), rules=door_rules(data_rules=True, room=room)
    )
    asking.mail()
    asking.rcpt()
    asking.content_begun(b"0123456789\r\n" * 2_000)
    asking.door.inboxes["inbox"].deliver(asking.mta.end_of_message())
    for seconds in (MilterContent.STALLED_SECONDS - 1.0, 2.0):
        assert not asking.ended
        asking.waiter.deadline = asking.clock() + seconds
        asking.scheduler.runThreads()
        asking.clock.advance(asking.waiter.deadline - asking.clock())
    asking.scheduler.runThreads()
    assert asking.ended
    assert room.total == before


@pytest.mark.usefixtures("small_pieces")
def test_what_is_broken_off_meanwhile_is_not_gone_on_with() -> None:
    room = MessageRoom()
    before = room.total
    asking = judging(
        lambda _: passed(addfooter="end"), rules=door_rules(data_rules=True, room=room)
    )
    asking.mail()
    asking.rcpt()
    asking.content_begun(b"0123456789\r\n" * 2_000)
    asking.door.inboxes["inbox"].deliver(asking.mta.end_of_message() + asking.mta.abort())
    asking.run(5.0)
    assert room.total == before
    assert asking.door._sending is None


# ---- what goes wrong


def test_no_room_is_a_temporary_refusal_at_the_end() -> None:
    room = MessageRoom(total=100)
    asking = judging(rules=door_rules(data_rules=True, room=room))
    asking.mail()
    asking.rcpt()
    (said,) = asking.content(body=b"x" * 5_000)
    assert said.text.startswith("452 4.3.1 no room to keep this message now")
    assert (room.total, asking.messages) == (100, [])


def test_a_message_that_is_too_large_is_refused() -> None:
    settings = DoorSettings("mx.example.org", data_rules=True, size_limit=1_000)
    asking = judging(rules=DoorRules(settings, lambda: NOW))
    asking.mail()
    asking.rcpt()
    (said,) = asking.content(body=b"x" * 5_000)
    assert said.text == "552 5.3.4 message is too large (id1)"


class Broken:
    """A disk that takes so many writes, and gives nothing back."""

    def __init__(self, file: IO[bytes], writes: int) -> None:
        self.file, self.writes = file, writes

    def write(self, data: bytes) -> int:
        self.writes -= 1
        if self.writes < 0:
            raise OSError("disk full")
        return self.file.write(data)

    def seek(self, at: int) -> int:
        raise OSError("input/output error")

    def close(self) -> None:
        self.file.close()


@pytest.mark.parametrize(
    ("writes", "text"), [(1, "452 4.3.1 no room"), (99, "451 4.3.0 this message could not")]
)
def test_a_broken_disk_is_a_temporary_refusal(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, writes: int, text: str
) -> None:
    real: Any = tempfile.TemporaryFile
    monkeypatch.setattr(KeptMessage, "IN_MEMORY", 0)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **how: Broken(real(**how), writes))
    room = MessageRoom(memory=0)
    before = room.total
    asking = judging(rules=door_rules(data_rules=True, room=room))
    asking.mail()
    asking.rcpt()
    with caplog.at_level(logging.ERROR):
        (said,) = asking.content(body=b"x" * 5_000)
    assert said.text.startswith(text)
    assert room.total == before
    assert "session id1: a" in caplog.text


class Fading(Broken):
    """A disk that gives back what is asked for so many times."""

    def seek(self, at: int) -> int:
        self.reads -= 1
        if self.reads < 0:
            raise OSError("input/output error")
        return self.file.seek(at)

    def read(self, count: int) -> bytes:
        return self.file.read(count)

    reads = 3  # header, body for the rules, their end


@pytest.mark.parametrize(("at_once", "reads"), [(1 << 20, 3), (4_000, 3), (4_000, 4)])
def test_a_disk_that_breaks_while_a_body_goes_back_lets_nothing_in(
    monkeypatch: pytest.MonkeyPatch, at_once: int, reads: int
) -> None:
    real: Any = tempfile.TemporaryFile

    def made(**how: Any) -> Fading:  # noqa: ANN401
        fading = Fading(real(**how), 1_000)
        fading.reads = reads
        return fading

    monkeypatch.setattr(MilterContent, "SENT_AT_ONCE", at_once)
    monkeypatch.setattr(tempfile, "TemporaryFile", made)
    room = MessageRoom(memory=0)
    before = room.total
    asking = judging(
        lambda _: passed(addfooter="end"), rules=door_rules(data_rules=True, room=room, peek=10)
    )
    asking.mail()
    asking.rcpt()
    said = asking.content(body=b"0123456789\r\n" * 20_000) + asking.answered()
    assert said[-1].text.startswith("451 4.3.0 this message could not be looked at")
    assert room.total == before


def test_a_program_that_ends_gives_back_what_it_has() -> None:
    room = MessageRoom()
    before = room.total
    asking = judging(rules=door_rules(data_rules=True, room=room))
    asking.mail()
    asking.rcpt()
    asking.content_begun(BODY)
    assert room.total < before
    asking.tell(shutdownMicroprocess())
    assert not asking.ended
    asking.door.stop()
    asking.run()
    assert room.total == before


def test_an_answer_that_comes_after_all_is_nobodys() -> None:
    asking = judging(lambda _: None)
    asking.mail()
    asking.rcpt()
    assert asking.content() == []
    asking.write(asking.mta.abort())
    asking.mail()
    assert asking.answer(REFUSED) == []
    assert kinds(asking.rcpt()) == b"c"
    assert asking.content() == []
    assert kinds(asking.answer(PASSED)) == b"c"
    assert PASS.reason is Reason.KNOWN
