"""Messages that are kept until they are judged: what the server gets, and what the client hears."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Axon.AxonExceptions import noSpaceInBox
from Axon.Box import Inbox
from Axon.Ipc import shutdownMicroprocess
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Ruling
from Kamaelia.Apps.Grey.Core.Modes import Report
from Kamaelia.Apps.Grey.Core.Outcome import Fate
from Kamaelia.Apps.Grey.Core.Types import MessageAttempt, MessageDecision, Verdict
from Kamaelia.Apps.Grey.FrontDoor.DoorRules import DoorRules
from Kamaelia.Apps.Grey.FrontDoor.KeptMessage import KeptMessage, MessageRoom
from Kamaelia.Apps.Grey.FrontDoor.ProxyDesk import WholeMessage
from Kamaelia.Support.Protocol.SMTP.ClientCommands import Abandoned, EndData
from Kamaelia.Support.Protocol.SMTP.Events import (
    DataReceived,
    FailReason,
    MessageComplete,
    MessageFailed,
    ReplyReceived,
    SessionFailed,
)
from Kamaelia.Support.Protocol.SMTP.Replies import Reply
from Test.Kamaelia.Apps.Grey.FrontDoor.ruled import (
    ENDED,
    OK,
    PASSED,
    RuledDesk,
    door_rules,
)

LETTER = b"Subject: x\r\nFrom: a@b\r\n\r\nhello\r\n..dot\r\n"
LOST = SessionFailed(FailReason.LOST, None)
NO = Reply.of(554, "5.7.1", "no")
REFUSED = MessageDecision(
    Verdict.REJECT, Ruling(Action.BLACKLIST), reply=("551", "5.7.1", "Go away!")
)
LATER = MessageDecision(Verdict.DEFER, Ruling(Action.GREYLIST), reply=("451", "4.7.1", "later"))


def judging(rules: DoorRules | None = None) -> RuledDesk:
    return RuledDesk(rules or door_rules(data_rules=True)).in_data()


def asked(desk: RuledDesk, letter: bytes = LETTER) -> MessageAttempt:
    said = desk.put("inbox", DataReceived(letter), MessageComplete(len(letter)))
    assert list(said) == ["attempts"]
    (attempt,) = said["attempts"]
    assert isinstance(attempt, MessageAttempt)
    return attempt


def decided(desk: RuledDesk, attempt: MessageAttempt, decision: object) -> dict[str, list[Any]]:
    for each in desk.sent.values():
        each.clear()
    addressee, box = attempt.reply_to
    addressee.inboxes[box].deliver(decision)
    return desk.run()


def text_of(commands: list[Any]) -> bytes:
    return b"".join(each.data for each in commands if isinstance(each, DataReceived))


def test_the_rules_see_the_message_before_the_server_has_any_of_it() -> None:
    desk = judging()
    attempt = asked(desk)
    content = attempt.mail.content
    assert content is not None
    assert content.headers == ["Subject: x\r\n", "From: a@b\r\n"]
    assert content.chunks == ["hello\r\n.dot\r\n"]
    assert content.size == len(LETTER)
    assert attempt.mail.recipients == ["<c@d>"]
    said = decided(desk, attempt, PASSED)
    assert (text_of(said["to_backend"]), said["to_backend"][-1]) == (LETTER, EndData())
    assert attempt.mail.content is None  # it need not lie there
    said = desk.put("backend", ReplyReceived(".", OK))
    assert said["outbox"] == [OK]
    assert said["outcomes"][0].fate is Fate.DELIVERED


def test_a_message_that_came_whole_is_judged_too() -> None:
    desk = judging()
    said = desk.put("inbox", WholeMessage(LETTER, len(LETTER)))
    assert list(said) == ["attempts"]


@pytest.mark.parametrize(
    ("decision", "reply", "fate"),
    [
        (REFUSED, b"551 5.7.1 Go away! (k3f9)\r\n", Fate.REFUSED),
        (LATER, b"451 4.7.1 later (k3f9)\r\n", Fate.DEFERRED),
        (
            replace(REFUSED, reply=None),
            b"551 5.7.1 Go away! (k3f9)\r\n",
            Fate.REFUSED,
        ),
    ],
)
def test_a_message_that_is_refused_never_gets_its_dot(
    decision: MessageDecision, reply: bytes, fate: Fate
) -> None:
    desk = judging()
    said = decided(desk, asked(desk), decision)
    assert set(said) == {"outbox", "outcomes", "abandon"}
    assert said["outbox"][0].to_wire() == reply
    assert said["outcomes"][0].fate is fate


def test_what_the_rules_say_is_done_to_the_message() -> None:
    desk = judging()
    ruling = Ruling(
        Action.WHITELIST,
        addheaders=(("X-Rule: 1", 1),),
        addfooter="-- \n.scanned",
        subjtag="[ext] ",
    )
    said = decided(desk, asked(desk), MessageDecision(Verdict.PASS, ruling))
    assert text_of(said["to_backend"]) == (
        b"Subject: [ext] x\r\nX-Rule: 1\r\nFrom: a@b\r\n\r\nhello\r\n..dot\r\n-- \r\n..scanned\r\n"
    )


def test_the_longest_wait_is_a_recipients_or_that_of_the_message() -> None:
    desk = judging(door_rules(data_rules=True, report=Report.ALL))
    said = decided(desk, asked(desk), replace(PASSED, waited_seconds=70))
    assert text_of(said["to_backend"]).startswith(b"X-Greylist: Delayed for 00:01:10 by")


def test_the_refusal_of_the_server_is_the_clients() -> None:
    desk = judging()
    decided(desk, asked(desk), PASSED)
    assert desk.put("backend", ReplyReceived(".", NO))["outbox"] == [NO]


def test_nobody_waits_for_ever_for_a_decision() -> None:
    desk = judging()
    attempt = asked(desk)
    assert desk.wait(119.0) == {}
    said = desk.wait(2.0)
    assert [reply.code for reply in said["outbox"]] == [451]
    assert "abandon" in said
    assert decided(desk, attempt, PASSED) == {}  # too late


def test_a_late_decision_is_for_no_other_message() -> None:
    desk = judging()
    first = asked(desk)
    desk.wait(130.0)
    desk.put("backend", Abandoned())
    second = asked(desk.in_data())
    assert decided(desk, first, PASSED) == {}
    assert decided(desk, second, REFUSED)["outbox"][0].code == 551


def test_a_decision_counts_once() -> None:
    desk = judging()
    attempt = asked(desk)
    decided(desk, attempt, PASSED)
    assert decided(desk, attempt, PASSED) == {}
    assert decided(desk, attempt, REFUSED) == {}


@pytest.mark.parametrize("gone", ["left", "ended"])
def test_who_is_gone_before_its_message_is_judged_has_sent_none(gone: str) -> None:
    desk = judging()
    attempt = asked(desk)
    if gone == "left":
        desk.desk.client_left()
        said = desk.run()
        assert [reply.code for reply in said["outbox"]] == [451]
    else:
        said = desk.put("inbox", ENDED)
        assert "outbox" not in said
    assert "abandon" in said
    assert said["outcomes"][0].fate is Fate.ABANDONED
    assert "to_backend" not in decided(desk, attempt, PASSED)


def test_who_was_gone_before_its_dot_is_not_judged() -> None:
    desk = judging()
    desk.desk.client_left()
    said = desk.put("inbox", WholeMessage(LETTER, len(LETTER)))
    assert "attempts" not in said
    assert [reply.code for reply in said["outbox"]] == [451]


def test_a_server_that_is_lost_while_the_message_is_judged_is_451() -> None:
    desk = judging()
    attempt = asked(desk)
    said = desk.put("backend", LOST)
    assert [reply.code for reply in said["outbox"]] == [451]
    assert decided(desk, attempt, PASSED) == {}


def test_a_server_that_is_lost_while_the_message_comes_is_451_after_it() -> None:
    desk = judging()
    desk.put("inbox", DataReceived(b"S: x\r\n"))
    assert "outbox" not in desk.put("backend", LOST)
    said = desk.put("inbox", DataReceived(b"y\r\n"), MessageComplete(9))
    assert [reply.code for reply in said["outbox"]] == [451]
    assert "attempts" not in said


def test_a_broken_message_is_not_judged() -> None:
    rules = door_rules(data_rules=True)
    before = rules.room.total
    desk = judging(rules)
    said = desk.put("inbox", DataReceived(b"S: x\r\n"), MessageFailed(NO))
    assert set(said) == {"abandon", "outcomes"}
    assert rules.room.total == before


@pytest.mark.parametrize("how", ["stop", "shutdown"])
def test_nothing_is_left_of_a_message_when_all_ends(how: str) -> None:
    rules = door_rules(data_rules=True)
    before = rules.room.total
    desk = judging(rules)
    asked(desk)
    assert rules.room.total < before
    if how == "stop":
        desk.desk.stop()
    else:
        desk.put("control", shutdownMicroprocess())
    desk.run()
    assert rules.room.total == before


def test_a_message_for_which_there_is_no_room_is_refused_for_now() -> None:
    rules = door_rules(data_rules=True, room=MessageRoom(total=20))
    desk = judging(rules)
    said = desk.put("inbox", DataReceived(b"x" * 18 + b"\r\n"), DataReceived(b"y\r\n"))
    assert "abandon" in said
    said = desk.put("inbox", MessageComplete(23))
    assert said["outbox"][0].to_wire().startswith(b"452 4.3.1 ")
    assert rules.room.total == 20


def test_a_full_disk_is_a_refusal_for_now(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    desk = judging()
    monkeypatch.setattr(KeptMessage, "add", full)
    desk.put("inbox", DataReceived(b"S: x\r\n"))
    assert desk.put("inbox", MessageComplete(6))["outbox"][0].code == 452


@pytest.mark.parametrize("when", ["asked", "decided", "sending"])
def test_a_message_that_cannot_be_read_again_is_451(
    monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    def broken(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    desk = judging()
    if when == "asked":
        monkeypatch.setattr(KeptMessage, "beginning", broken)
        said = desk.put("inbox", WholeMessage(LETTER, len(LETTER)))
    else:
        attempt = asked(desk)
        monkeypatch.setattr(KeptMessage, "beginning" if when == "decided" else "pieces", broken)
        said = decided(desk, attempt, PASSED)
    assert [reply.code for reply in said["outbox"]] == [451]
    assert "abandon" in said
    assert EndData() not in said.get("to_backend", [])


# ---- the property: once and whole, or not at all


class _Server:
    """In the place of the server's session: it takes one thing at a time, when told."""

    def __init__(self, desk: RuledDesk) -> None:
        self.got: list[Any] = []
        self._free = False
        box = desk.desk.outboxes["to_backend"].target
        assert isinstance(box, Inbox)
        self._box = box
        box.q = self  # it has what delivery needs

    def append(self, given: object) -> None:
        if not self._free:
            raise noSpaceInBox(1, 1)
        self._free = False
        self.got += given if isinstance(given, (list, tuple)) else [given]

    def __len__(self) -> int:
        return 0

    def make_room(self) -> None:
        self._free = True
        self._box.collected()


PIECES = st.lists(
    st.sampled_from([b"a: b\r\n", b"\r\n", b"..\r\n", b"text\r\n", b"x" * 70_000 + b"\r\n"]),
    min_size=1,
    max_size=12,
)
STEPS = st.lists(
    st.sampled_from(["piece", "dot", "pass", "refuse", "room", "lost", "left", "reply", "no"]),
    min_size=1,
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(pieces=PIECES, steps=STEPS, in_memory=st.sampled_from([0, 100, 1 << 20]))
def test_a_message_goes_once_and_whole_or_not_at_all(
    pieces: list[bytes], steps: list[str], in_memory: int
) -> None:
    """Whatever happens in whatever order: without a dot nothing was promised; with it the server
    has all; and the client hears yes only from the server."""
    rules = door_rules(data_rules=True)
    before = rules.room.total, rules.room.memory
    desk = judging(rules)
    judged = desk.desk._transaction.judged
    assert judged is not None
    judged.message._in_memory = in_memory
    server = _Server(desk)
    message = b"".join(pieces)
    waiting = list(pieces)
    attempt: MessageAttempt | None = None
    heard: list[Reply] = []
    state = {"dot": False, "over": False, "lost": False}

    def hear(said: dict[str, list[Any]]) -> None:
        nonlocal attempt
        heard.extend(said.get("outbox", []))
        if said.get("attempts"):
            (attempt,) = said["attempts"]
        if said.get("abandon"):
            state["lost"] = True

    for step in [*steps, *["piece"] * len(pieces), "dot", "pass", *["room"] * 20, "reply"]:
        if state["over"] or heard:
            break
        if step == "piece" and waiting:
            hear(desk.put("inbox", DataReceived(waiting.pop(0))))
        elif step == "dot" and not waiting and not state["dot"]:
            state["dot"] = True
            hear(desk.put("inbox", MessageComplete(len(message))))
        elif step in ("pass", "refuse") and attempt is not None:
            hear(decided(desk, attempt, PASSED if step == "pass" else REFUSED))
        elif step == "room":
            server.make_room()
            hear(desk.wait(0.0))
        elif step == "lost" and not state["lost"]:
            state["lost"] = True
            hear(desk.put("backend", LOST))
        elif step == "left":
            desk.wait(0.0)
            desk.desk.client_left()
            hear(desk.run())
        elif step == "reply" and EndData() in server.got and not state["lost"]:
            hear(desk.put("backend", ReplyReceived(".", OK)))
        elif step == "no" and server.got and not state["lost"]:
            state["lost"] = EndData() not in server.got
            hear(desk.put("backend", ReplyReceived(".", NO)))
    sent = text_of(server.got)
    assert server.got.count(EndData()) <= 1
    if EndData() in server.got:
        assert sent == message
        assert server.got[-1] == EndData()
    else:
        assert message.startswith(sent)
        assert all(reply.code >= 400 for reply in heard)
    assert len(heard) == 1
    if heard == [OK]:
        assert EndData() in server.got
    assert (rules.room.total, rules.room.memory) == before


def test_no_more_is_read_of_a_kept_message_than_the_server_takes() -> None:
    desk = judging()
    server = _Server(desk)
    pieces = [b"%d\r\n" % number for number in range(40)]
    for piece in pieces:
        desk.put("inbox", DataReceived(piece))
    (attempt,) = desk.put("inbox", MessageComplete(110))["attempts"]
    decided(desk, attempt, PASSED)
    for taken in range(41):
        assert len(desk.desk._kept) <= 1
        assert len(server.got) == taken
        server.make_room()
        desk.run()
    assert text_of(server.got) == b"".join(pieces)
    assert server.got[-1] == EndData()


def test_what_is_being_sent_is_decided() -> None:
    desk = judging()
    server = _Server(desk)
    attempt = asked(desk)
    decided(desk, attempt, PASSED)
    assert decided(desk, attempt, REFUSED) == {}
    assert decided(desk, attempt, PASSED) == {}
    for _ in range(9):
        server.make_room()
        desk.run()
    assert text_of(server.got) == LETTER
    assert server.got[-1] == EndData()
