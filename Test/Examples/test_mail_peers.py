"""The examples that a mail server asks, or another machine, do so for real ones."""

import os
import re
import smtplib
from pathlib import Path

import pytest

from Kamaelia.Support.Protocol.Milter.MTASession import MTASession
from Test.Examples.running import EXAMPLES, Example, Netcat
from Test.System.mta_site import Door, Face, Filter, FindProgram
from Test.System.postfix_server import PostfixServer, settings
from Test.System.processes import wait_until

pytestmark = pytest.mark.timeout(60)
for_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start Postfix")


@for_root
@pytest.mark.needs("postfix")
def test_a_postfix_that_asks_the_milter_and_the_policy_server_does_what_they_say(
    tmp_path: Path, find_program: FindProgram
) -> None:
    with (
        Example("Mail/milter.py", tmp_path, 0) as milter,
        Example("Mail/policy_server.py", tmp_path, 0) as policy,
    ):
        main = settings(
            "virtual_mailbox_maps = static:anna/",
            f"smtpd_milters = inet:127.0.0.1:{milter.port}",
            "smtpd_recipient_restrictions = reject_unauth_destination,"
            f" check_policy_service inet:127.0.0.1:{policy.port}",
        )
        with (
            PostfixServer(find_program("postfix"), main) as postfix,
            smtplib.SMTP("127.0.0.1", postfix.port, timeout=30) as client,
        ):
            client.ehlo("client.example.net")
            client.mail("bob@example.net")
            assert client.rcpt("nobody@example.org") == (550, b"5.1.1 nobody reads this")
            code, text = client.rcpt("staff@example.org")
            assert (code, text.endswith(b"for members of staff only")) == (554, True)
            client.rset()
            client.sendmail("bob@example.net", "anna@example.org", b"Subject: a\r\n\r\nb\r\n")
            wait_until("the mail to arrive", lambda: postfix.mailbox("anna"))
            (letter,) = postfix.mailbox("anna")
            assert re.search(rb"^X-Seen-By: an example, as [0-9A-F]+$", letter, re.MULTILINE)
        for example in (milter, policy):
            assert example.interrupt() == 0
            assert "Traceback" not in example.said()


@pytest.mark.needs("nc")
def test_the_policy_server_answers_who_asks_by_hand(tmp_path: Path) -> None:
    asked = "request=smtpd_access_policy\nrecipient=staff@example.org\n"
    with (
        Example("Mail/policy_server.py", tmp_path, 0) as policy,
        Netcat(tmp_path, policy.port) as nc,
    ):
        nc.type(f"{asked}\n{asked}sasl_username=anna\n\n")
        nc.end_input()
        assert nc.wait_for_its_end() == 0
        refused = "action=REJECT 5.7.1 for members of staff only\n\n"
        assert nc.said() == f"{refused}action=DUNNO\n\n"


def test_two_peers_hear_what_the_other_one_tells(tmp_path: Path) -> None:
    with Example("Mail/two_peers.py", tmp_path) as peers:
        assert peers.wait_for_its_end() == 0
        said = [line.partition("(")[0] for line in peers.said().splitlines()]
    assert said == ["mx2 hears Add", "mx1 hears Delete", "mx1 hears Flush"]


@pytest.mark.needs("nc")
def test_the_door_of_ones_own_decides_as_all_doors_do(tmp_path: Path) -> None:
    with Example("Grey/own_door.py", tmp_path, 0, 1) as grey:

        def asked(line: str, name: str) -> str:
            with Netcat(tmp_path, grey.port, name=name) as nc:
                nc.type(f"{line}\n")
                nc.end_input()
                assert nc.wait_for_its_end() == 0
                return nc.said()

        stranger = "192.0.2.7 <bob@example.net> <anna@example.org>"
        said = asked(f"{stranger}\nhello\n192.0.2.7 <> berta@example.org", "first")
        assert re.fullmatch(
            r"defer 451 4\.7\.1 Greylisting in action, .*00:00:01 \([0-9a-f]{10}\)\n"
            r"\? CLIENT SENDER RECIPIENT\n"
            r"defer 451 4\.7\.1 .*\n",
            said,
        ), said
        tries = iter(range(1000))
        wait_until(
            "the stranger to be let in",
            lambda: asked(stranger, f"again{next(tries)}").startswith("pass retried ("),
        )
        assert asked(stranger, "known").startswith("pass known (")
        assert grey.interrupt() == 0
        assert "Traceback" not in grey.said()


def test_untag_stands_before_the_decider_at_the_milter_too(tmp_path: Path) -> None:
    door = Door(Face.POSTFIX_MILTER)
    grey = Filter(tmp_path, door)
    grey.write(f"before_decider:\n    {EXAMPLES}/Grey/untag.py  Untag\n")
    with grey:

        def said(recipient: str) -> str:
            return asked_as_an_mta(door, recipient)

        assert said("<anna+shop@example.org>").startswith("451 4.7.1 Greylisting in action")
        wait_until("the other tag to be let in", lambda: not said("<anna+news@example.org>"))
        assert said("<anna@example.org>") == ""
        assert said("<bert+news@example.org>").startswith("451 ")
        wait_until("both firsts to be logged", lambda: len(grey.logged("reason=new")) == 2)


def asked_as_an_mta(door: Door, recipient: str) -> str:
    """What the milter says to one recipient of a stranger's mail; "": go on."""
    mta = MTASession()
    with door.connect() as connection:

        def tell(wire: bytes) -> str:
            connection.sendall(wire)
            text = ""
            while mta.waiting:
                mta.receive_data(connection.recv(65_536))
                while (response := mta.next_response()) is not None:
                    text = response.text if response.kind == b"y" else ""
            return text

        tell(mta.negotiate())
        tell(mta.connect("mx.example.net", "192.0.2.7"))
        tell(mta.mail("<bob@example.net>"))
        answer = tell(mta.rcpt(recipient))
        tell(mta.quit())
    return answer
