"""The desk by itself, event by event: what it says to whom, and what it ignores."""

from typing import Any

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import collect, virtual_scheduler
from Kamaelia.Apps.Grey.Core.Outcome import Fate
from Kamaelia.Apps.Grey.Core.Types import Decision, Reason, Verdict
from Kamaelia.Apps.Grey.FrontDoor.Backend import Backend
from Kamaelia.Apps.Grey.FrontDoor.ProxyDesk import ProxyDesk
from Kamaelia.Support.Protocol.SMTP.Address import NULL_PATH, Path
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.ClientCommands import (
    Abandoned,
    EndData,
    GiveRecipient,
    GiveSender,
    ResetTransaction,
    StartData,
)
from Kamaelia.Support.Protocol.SMTP.Events import (
    DataReceived,
    DataRequested,
    EndReason,
    FailReason,
    HelloReceived,
    MessageComplete,
    MessageFailed,
    Ready,
    RecipientGiven,
    ReplyReceived,
    SenderGiven,
    SessionEnded,
    SessionFailed,
    TransactionReset,
)
from Kamaelia.Support.Protocol.SMTP.Replies import Reply

SENDER, RECIPIENT = Path(b"a@b", b"a", b"b"), Path(b"c@d", b"c", b"d")
OK = Reply.of(250, "2.0.0", "ok")
NO = Reply.of(550, "5.1.1", "no such user")
GO_ON = Reply.of(354, "", "go on")
PASS = Decision(Verdict.PASS, Reason.KNOWN)
ALL = Capabilities(1000, True, True, True, True, True, True)
LOST = SessionFailed(FailReason.LOST, None)
QUIT = SessionEnded(EndReason.QUIT)


def _each(said: list[Any]) -> list[Any]:
    """Commands may come in one list, to go out together."""
    return [each for one in said for each in (one if isinstance(one, (list, tuple)) else [one])]


class Desk:
    """A desk whose neighbours are the test: put something into a box, see what comes out."""

    def __init__(self) -> None:
        self.scheduler = virtual_scheduler()
        self.backend = Backend("192.0.2.1", 25)
        self.desk = ProxyDesk("192.0.2.7", "k3f9", self.backend, lambda: 1234.0)
        self.sent = collect(self.desk)
        self.desk.activate(Scheduler=self.scheduler)
        self.put("inbox", HelloReceived("EHLO", b"mx.example.net"))

    def put(self, box: str, *messages: object) -> dict[str, list[Any]]:
        for each in self.sent.values():
            each.clear()
        for message in messages:
            self.desk.inboxes[box].deliver(message)
        self.scheduler.runThreads()
        return {name: _each(said) for name, said in self.sent.items() if said}

    def begin(self) -> "Desk":
        """Up to a recipient that passes and is offered to the server."""
        self.put("inbox", SenderGiven(SENDER, {}), RecipientGiven(RECIPIENT, {}))
        said = self.put("decisions", PASS)
        assert said == {"to_backend": [GiveSender(SENDER, {}), GiveRecipient(RECIPIENT, {})]}
        self.put("backend", Ready(ALL), ReplyReceived("MAIL", OK))
        return self

    def accepted(self) -> "Desk":
        assert self.begin().put("backend", ReplyReceived("RCPT", OK)) == {"outbox": [OK]}
        return self

    def in_data(self) -> "Desk":
        assert self.accepted().put("inbox", DataRequested()) == {"to_backend": [StartData()]}
        said = self.put("backend", ReplyReceived("DATA", GO_ON))
        assert [reply.code for reply in said["outbox"]] == [354]
        return self

    def stopped(self) -> dict[str, list[Any]]:
        """Stopped from outside, twice; what it says in its last turn."""
        self.desk.stop()
        self.desk.stop()
        return self.put("inbox")

    @property
    def is_over(self) -> bool:
        return self.desk._isStopped()


def test_a_recipient_is_an_attempt_with_all_that_was_said_before() -> None:
    desk = Desk()
    said = desk.put("inbox", SenderGiven(SENDER, {}), RecipientGiven(RECIPIENT, {}))
    (attempt,) = said["attempts"]
    assert (attempt.client, attempt.helo, attempt.session) == (
        *("192.0.2.7", "mx.example.net", "k3f9"),
    )
    assert (attempt.sender, attempt.recipient) == ("a@b", "c@d")
    assert (attempt.recipient_local, attempt.recipient_domain) == ("c", "d")


@pytest.mark.parametrize(
    ("decision", "reply"),
    [
        (
            Decision(Verdict.DEFER, Reason.NEW, 60),
            Reply.of(451, "4.7.1", "Greylisting in action, please come back in 00:01:00 (k3f9)"),
        ),
        (
            Decision(Verdict.DEFER, Reason.TOO_EARLY, 1),
            Reply.of(451, "4.7.1", "Greylisting in action, please come back in 00:00:01 (k3f9)"),
        ),
        (
            Decision(Verdict.REJECT, Reason.RELAY_DENIED),
            Reply.of(550, "5.7.1", "relaying denied (k3f9)"),
        ),
    ],
)
def test_who_does_not_pass_is_answered_here(decision: Decision, reply: Reply) -> None:
    desk = Desk()
    desk.put("inbox", SenderGiven(SENDER, {}), RecipientGiven(RECIPIENT, {}))
    assert desk.put("decisions", decision) == {"outbox": [reply]}


def test_the_server_is_told_of_the_sender_once() -> None:
    desk = Desk().accepted()
    desk.put("inbox", RecipientGiven(RECIPIENT, {"NOTIFY": b"NEVER"}))
    said = desk.put("decisions", PASS)
    assert said == {"to_backend": [GiveRecipient(RECIPIENT, {"NOTIFY": b"NEVER"})]}


def test_a_message_goes_to_the_server_and_its_reply_to_the_client() -> None:
    desk = Desk().in_data()
    piece = DataReceived(b"x\r\n")
    assert desk.put("inbox", piece, MessageComplete(3)) == {"to_backend": [piece, EndData()]}
    said = desk.put("backend", ReplyReceived(".", OK))
    assert said["outbox"] == [OK]
    (outcome,) = said["outcomes"]
    assert (outcome.fate, outcome.size, outcome.reply) == (Fate.DELIVERED, 3, "250 2.0.0 ok")
    assert (outcome.sender, outcome.recipients, outcome.now) == ("a@b", ("c@d",), 1234.0)


def test_nothing_is_forgotten_by_a_reply_of_no_known_kind() -> None:
    # ClientSession lets no 3xx through here; if one came all the same, it promises nothing.
    desk = Desk().in_data()
    desk.put("inbox", MessageComplete(0))
    said = desk.put("backend", ReplyReceived(".", GO_ON))
    assert said["outcomes"][0].fate is Fate.UNKNOWN


def test_replies_of_a_session_that_was_left_are_not_heard() -> None:
    desk = Desk().in_data()
    said = desk.put("inbox", MessageFailed(NO))
    assert set(said) == {"abandon", "outcomes"}
    assert said["outcomes"][0].fate is Fate.ABANDONED
    desk.put("inbox", SenderGiven(SENDER, {}), RecipientGiven(RECIPIENT, {}))
    said = desk.put("decisions", PASS)
    assert said == {"to_backend": [GiveSender(SENDER, {}), GiveRecipient(RECIPIENT, {})]}
    assert desk.put("backend", ReplyReceived("RCPT", NO), LOST) == {}
    assert desk.put("backend", Abandoned(), Ready(ALL), ReplyReceived("MAIL", OK)) == {}
    assert desk.put("backend", ReplyReceived("RCPT", OK)) == {"outbox": [OK]}


def test_replies_that_nobody_waits_for_are_not_handed_on() -> None:
    desk = Desk().accepted()
    stray = [ReplyReceived("RCPT", NO), ReplyReceived(".", OK), ReplyReceived("RSET", NO)]
    assert desk.put("backend", *stray, Ready(ALL)) == {}


def test_a_message_refused_before_its_end_goes_no_further() -> None:
    desk = Desk().in_data()
    assert desk.put("backend", ReplyReceived(".", NO)) == {}
    assert desk.put("inbox", DataReceived(b"x\r\n")) == {}
    said = desk.put("inbox", MessageComplete(3))
    assert said["outbox"] == [NO]
    assert said["outcomes"][0].fate is Fate.REFUSED


def test_data_to_a_server_that_is_gone_is_451() -> None:
    desk = Desk().accepted()
    assert desk.put("backend", LOST) == {}
    (reply,) = desk.put("inbox", DataRequested())["outbox"]
    assert reply.to_wire().startswith(b"451 4.4.2 ")


def test_a_loss_that_is_heard_just_before_the_dot_is_451() -> None:
    desk = Desk().in_data()
    assert desk.put("backend", LOST) == {}
    said = desk.put("inbox", MessageComplete(3))
    assert said["outbox"][0].to_wire().startswith(b"451 4.4.2 ")
    assert said["outcomes"][0].fate is Fate.DEFERRED


def test_an_offer_that_has_shrunk_is_451_and_the_server_is_left() -> None:
    desk = Desk()
    desk.put("inbox", SenderGiven(SENDER, {"SIZE": b"1", "RET": b"HDRS"}))
    desk.put("inbox", RecipientGiven(RECIPIENT, {}))
    desk.put("decisions", PASS)
    said = desk.put("backend", Ready(Capabilities()))
    assert set(said) == {"abandon", "outbox"}
    assert said["outbox"][0].to_wire().startswith(b"451 4.3.0 ")
    assert desk.backend.known


def test_size_alone_is_no_reason_to_ask_anew() -> None:
    desk = Desk()
    desk.put("inbox", SenderGiven(SENDER, {"SIZE": b"1"}), RecipientGiven(RECIPIENT, {}))
    desk.put("decisions", PASS)
    assert desk.put("backend", Ready(Capabilities())) == {}


def test_a_reset_is_handed_on_only_if_the_server_knows_of_a_transaction() -> None:
    desk = Desk()
    desk.put("inbox", SenderGiven(SENDER, {}))
    assert desk.put("inbox", TransactionReset()) == {}
    desk.begin().put("backend", ReplyReceived("RCPT", NO))
    assert desk.put("inbox", TransactionReset()) == {"to_backend": [ResetTransaction()]}
    assert desk.put("inbox", TransactionReset()) == {}


def test_a_null_sender_is_an_empty_text() -> None:
    desk = Desk()
    said = desk.put("inbox", SenderGiven(NULL_PATH, {}), RecipientGiven(RECIPIENT, {}))
    assert said["attempts"][0].sender == ""


def test_at_the_end_of_the_clients_session_it_says_so_and_ends() -> None:
    desk = Desk()
    assert isinstance(desk.put("inbox", QUIT)["signal"][0], producerFinished)
    assert desk.is_over


def test_a_client_that_leaves_while_a_recipient_is_decided_needs_no_answer() -> None:
    desk = Desk()
    desk.put("inbox", SenderGiven(SENDER, {}), RecipientGiven(RECIPIENT, {}))
    desk.desk.inboxes["inbox"].deliver(QUIT)
    said = desk.put("decisions", PASS)
    assert "to_backend" not in said or desk.is_over


def test_a_client_that_leaves_after_the_dot_is_outlived() -> None:
    desk = Desk().in_data()
    desk.put("inbox", MessageComplete(3))
    assert desk.put("inbox", QUIT) == {}
    assert not desk.is_over
    said = desk.put("backend", ReplyReceived(".", OK))
    assert said["outcomes"][0].fate is Fate.DELIVERED
    assert "outbox" not in said
    assert desk.is_over


def test_what_the_server_says_after_the_client_has_left_is_not_for_anybody() -> None:
    desk = Desk().in_data()
    desk.put("inbox", MessageComplete(3), QUIT)
    desk.put("decisions", PASS)
    said = desk.put("backend", LOST)
    assert said["outcomes"][0].fate is Fate.UNKNOWN
    assert "outbox" not in said
    assert desk.is_over


def test_a_shutdown_ends_it_at_once() -> None:
    desk = Desk().in_data()
    desk.put("control", "hello")
    assert not desk.is_over
    said = desk.put("control", shutdownMicroprocess())
    assert [outcome.fate for outcome in said["outcomes"]] == [Fate.ABANDONED]
    assert desk.is_over


def test_stopped_after_the_dot_it_says_that_nobody_knows() -> None:
    desk = Desk().in_data()
    desk.put("inbox", MessageComplete(3))
    said = desk.stopped()
    assert [outcome.fate for outcome in said["outcomes"]] == [Fate.UNKNOWN]


def test_stopped_inside_a_message_it_says_that_it_was_abandoned() -> None:
    desk = Desk().in_data()
    desk.put("inbox", DataReceived(b"x\r\n"))
    said = desk.stopped()
    assert [outcome.fate for outcome in said["outcomes"]] == [Fate.ABANDONED]


def test_stopped_between_messages_it_has_nothing_to_say_of_any() -> None:
    assert "outcomes" not in Desk().accepted().stopped()


def test_what_the_server_says_just_before_the_last_turn_is_still_the_truth() -> None:
    desk = Desk().in_data()
    desk.put("inbox", MessageComplete(3))
    desk.desk.stop()  # ends in its next turn
    said = desk.put("backend", ReplyReceived(".", OK))
    assert [outcome.fate for outcome in said["outcomes"]] == [Fate.DELIVERED]
    assert desk.is_over
