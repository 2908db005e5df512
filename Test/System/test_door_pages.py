"""What the pages about the doors of a mail server tell an administrator to write does what they
say: their lines, in a real Postfix or sendmail, with other ports."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from Test.Peers import sendmail
from Test.System.mta_site import Door, Face, Filter, FindProgram, MailServer, MailSite
from Test.System.policy_site import Mailboxes
from Test.System.postfix_server import PostfixServer, settings
from Test.System.processes import ROOT

PAGES = ROOT / "Docs" / "operating"
# So that mail goes on to a server that shows what arrived; the rest is the page's.
ONWARD = "virtual_transport = smtp:[127.0.0.1]:{port}\nsmtp_host_lookup = native\n"
MASTER = "smtp unix - - n - - smtp\ntlsmgr unix - - n 1000? 1 tlsmgr\n"

pytestmark = [
    pytest.mark.timeout(90),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can start these mail servers"),
]


def block(page: str, info: str) -> str:
    """The first block of a page that is of this kind."""
    text = (PAGES / page).read_text(encoding="utf-8")
    found = re.search(rf"^```{re.escape(info)}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found, f"{page} has no block of the kind {info}"
    return found[1]


def told(page: str, info: str, port: int) -> str:
    """The same, with the port of this test in the place of the page's."""
    return re.sub(r"\b(8891|10023)\b", str(port), block(page, info))


class AsTold(Filter):
    """AsTold(folder, page, door) -> kamaelia-grey with the page's settings, and a shorter delay."""

    def __init__(self, folder: Path, page: str, door: Door) -> None:
        super().__init__(folder, door)
        lines = told(page, "conf", door.port)
        self.config.write_text(
            f"{lines}greylist_delay = 1s\ndatabase = {folder}/greylist.sqlite3\n", encoding="utf-8"
        )


@pytest.fixture
def boxes() -> Iterator[Mailboxes]:
    with Mailboxes() as servers:
        yield servers


@pytest.mark.needs("postfix")
@pytest.mark.parametrize(
    ("face", "page", "code"),
    [
        (Face.POSTFIX_MILTER, "milter.md", 451),
        (Face.POSTFIX_POLICY, "postfix-policy.md", 450),
    ],
    ids=["milter", "policy"],
)
def test_postfix_asks_as_the_page_says(
    face: Face, page: str, code: int, tmp_path: Path, boxes: Mailboxes, find_program: FindProgram
) -> None:
    door = Door(face)
    main = ONWARD.format(port=boxes.port) + told(page, "text main.cf", door.port)
    # One setting may go over several lines in a page, and settings() counts lines.
    main = re.sub(r"\n\s+", " ", main)
    with PostfixServer(find_program("postfix"), settings(main), MASTER) as postfix:
        greylists(MailSite(door, postfix, boxes), AsTold(tmp_path, page, door), code)


@pytest.mark.needs("sendmail-bin")
def test_sendmail_asks_as_the_page_says(
    tmp_path: Path, boxes: Mailboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = Door(Face.SENDMAIL_MILTER)
    line = told("milter.md", "text sendmail.mc", door.port)
    monkeypatch.setattr(sendmail, "FILTER", line.replace("{", "{{").replace("}", "}}"))
    with sendmail.Sendmail(
        tmp_path, boxes.port, "example.org", filter_at=door.for_sendmail, traffic=False
    ) as server:
        greylists(MailSite(door, server, boxes), AsTold(tmp_path, "milter.md", door), 451)


def greylists(site: MailSite, grey: Filter, code: int) -> None:
    """Mail waits while nobody is there, then for the delay, and then arrives once."""
    server: MailServer = site.server
    assert site.asks("early@example.net", "anna@example.org").code == 451, server.said()
    with grey:
        answer = site.asks("bob@example.net", "anna@example.org")
        assert answer.code == code, server.said()
        assert "Greylisting in action" in answer.text
        assert site.sends_till_taken("bob@example.net", "anna@example.org")[-1] == 250
        assert b"X-Greylist: Delayed for" in site.letter("bob@example.net")
