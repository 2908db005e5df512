"""One message at the door of a mail server."""

from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Ruling
from Kamaelia.Apps.Grey.Core.Access.Subject import Content
from Kamaelia.Apps.Grey.Core.Types import Decision, Reason, Verdict
from Kamaelia.Apps.Grey.FrontDoor.DoorRules import MOST_HEADERS
from Kamaelia.Apps.Grey.FrontDoor.KeptMessage import KeptMessage, MessageRoom
from Kamaelia.Apps.Grey.FrontDoor.MilterMail import MilterMail
from Kamaelia.Apps.Grey.FrontDoor.MilterMessage import MilterMessage

KNOWN = Decision(Verdict.PASS, Reason.KNOWN)


def retried(seconds: int) -> Decision:
    return Decision(Verdict.PASS, Reason.RETRIED, waited_seconds=seconds)


def test_the_longest_wait_counts_and_the_last_reason() -> None:
    mail = MilterMail("<a@b>", authenticated=False)
    for decision in (retried(70), retried(90), retried(80), KNOWN):
        mail.let_pass("c@d", decision)
    assert (mail.waited, mail.last) == (90, KNOWN)


def test_rules_see_addresses_in_brackets_whoever_leaves_them_out() -> None:
    mail = MilterMail("", authenticated=False)
    mail.let_pass("c@d", KNOWN)
    told = mail.mail("4F2")
    mail.let_pass("e f@d", KNOWN)
    assert (told.sender, told.raw_sender, told.queue_id) == ("<>", "<>", "4F2")
    assert told.recipients == ["<c@d>", "<e_f@d>"]


def test_rules_see_the_cleaned_sender_beside_the_real_one() -> None:
    told = MilterMail("<list=bob@b>", authenticated=False).mail("")
    assert (told.sender, told.raw_sender) == ("<bob@b>", "<list=bob@b>")


def test_it_is_one_mail_whose_queue_id_may_come_late() -> None:
    mail = MilterMail("<a@b>", authenticated=True)
    first = mail.mail("")
    assert mail.mail("4F2") is first
    assert first.queue_id == "4F2"


def test_headers_of_all_recipients_are_gathered() -> None:
    mail = MilterMail("<a@b>", authenticated=False)
    for text in ("X-A: 1", "X-B: 2"):
        ruling = Ruling(Action.WHITELIST, addheaders=((text, None),))
        mail.let_pass("c@d", Decision(Verdict.PASS, Reason.RULE, ruling=ruling))
    assert mail.given_headers == (("X-A: 1", None), ("X-B: 2", None))


def test_headers_of_thousands_of_recipients_are_no_more_than_one_message_may_have() -> None:
    mail = MilterMail("<a@b>", authenticated=False)
    for number in range(3 * MOST_HEADERS):
        ruling = Ruling(Action.WHITELIST, addheaders=((f"X-A: {number // 2}", None),))
        mail.let_pass("c@d", Decision(Verdict.PASS, Reason.RULE, ruling=ruling))
    assert mail.given_headers == tuple((f"X-A: {n}", None) for n in range(MOST_HEADERS))


def test_what_was_kept_gives_its_room_back_once() -> None:
    room = MessageRoom(total=100)
    mail = MilterMail("<a@b>", authenticated=False)
    mail.kept = MilterMessage(KeptMessage(room), 100)
    mail.kept.body(b"hello\r\n")
    mail.mail("").content = Content(1, [], [], 7)
    mail.forget_message()
    mail.forget_message()
    assert room.total == 100
    assert [mail.kept, mail.mail("").content] == [None, None]
