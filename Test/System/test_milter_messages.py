"""Rules about the message itself, through Postfix and sendmail that ask by milter: what is refused
at its end, and what is changed in a message that is let in."""

from collections.abc import Iterator

import pytest

from Test.System.mta_site import (
    Face,
    Filter,
    FindProgram,
    MailSite,
    header_of,
    running_site,
    sites,
)
from Test.System.mta_site import grey as grey

ANNA = "anna@example.org"
OPEN = "racl whitelist default\n"
PLAIN = b"Subject: hello\r\nX-Spam: no\r\n\r\nfirst line\r\n.dots\r\n\r\nlast line\r\n"


@pytest.fixture(scope="module", params=sites(Face.POSTFIX_MILTER, Face.SENDMAIL_MILTER))
def site(
    request: pytest.FixtureRequest,
    find_program: FindProgram,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[MailSite]:
    with running_site(request.param, find_program, tmp_path_factory.mktemp("site")) as running:
        yield running


def body_of(message: bytes) -> bytes:
    return message.partition(b"\r\n\r\n")[2]


def test_a_message_is_refused_for_its_header_or_its_body_and_the_next_is_not(
    site: MailSite, grey: Filter
) -> None:
    grey.write(
        f'{OPEN}dacl blacklist header /^X-Spam: yes/ msg "we had %%that%% before"\n'
        'dacl blacklist body /buy this/ code "451" ecode "4.7.1" msg "later"\n'
    )
    spam = PLAIN.replace(b"X-Spam: no", b"X-Spam: yes")
    offer = PLAIN.replace(b"first line", b"buy this now")
    with grey, site.client(sender="mixed@example.net") as client:
        told = []
        for content in (spam, offer, PLAIN):
            assert client.to(ANNA).code == 250
            told.append(client.send(content.replace(b"\r\n.", b"\r\n..")))
            client.ask("MAIL FROM:<mixed@example.net>")
    assert [answer.code for answer in told] == [551, 451, 250]
    assert "5.7.1 we had %that% before (" in told[0].text
    assert "4.7.1 later (" in told[1].text
    assert body_of(site.letter("mixed@example.net")) == body_of(PLAIN)


def test_a_message_gets_its_headers_its_tag_and_its_footer(site: MailSite, grey: Filter) -> None:
    grey.write(
        f'{OPEN}dacl continue default addheader "X-One: 100%% of %f"\n'
        'dacl whitelist header /^X-Spam: no/ addheader "X-Two: two" subjtag "[seen] " '
        'addfooter "checked by us"\n'
    )
    with grey:
        answer = site.sends("edited@example.net", ANNA, PLAIN.replace(b"\r\n.", b"\r\n.."))
        assert answer.code == 250, answer
    letter = site.letter("edited@example.net")
    assert header_of(letter, b"X-One") == [b"100% of edited@example.net"]
    assert header_of(letter, b"X-Two") == [b"two"]
    assert header_of(letter, b"Subject") == [b"[seen] hello"]
    assert len(header_of(letter, b"X-Greylist")) == 1
    body = body_of(letter)
    assert body.startswith(body_of(PLAIN))
    assert body.rstrip().endswith(b"checked by us")


def test_a_large_message_comes_through_as_it_was(site: MailSite, grey: Filter) -> None:
    grey.write(f"{OPEN}dacl blacklist body /never there/\n")
    lines = b"".join(b"%06d %s\r\n" % (number, b"x" * 60) for number in range(40_000))
    content = b"Subject: large\r\n\r\n" + lines
    with grey:
        assert site.sends("large@example.net", ANNA, content).code == 250
    assert body_of(site.letter("large@example.net")) == lines


def test_a_deferral_of_the_null_sender_is_told_after_its_message(
    site: MailSite, grey: Filter
) -> None:
    grey.write("delayedreject\nracl whitelist from /other/\nracl greylist default\n")
    with grey, site.client(sender="") as client:
        assert client.to(ANNA).code == 250
        assert (told := client.send(PLAIN)).code == 451, told
        assert "Greylisting in action" in told.text
        # What was said of one message is over with it.
        client.ask("MAIL FROM:<other@example.net>")
        assert client.to(ANNA).code == 250
        assert client.send(PLAIN).code == 250
    assert site.arrived("other@example.net")


def test_a_client_that_changes_its_mind_leaves_nothing_behind(site: MailSite, grey: Filter) -> None:
    grey.write("racl whitelist from /good/\nracl greylist default\n")
    with grey, site.client(sender="good-one@example.net") as client:
        assert client.to(ANNA).code == 250
        client.ask("RSET")
        client.ask("MAIL FROM:<stranger@example.net>")
        assert client.to(ANNA).code == 451
        client.ask("RSET")
        client.ask("MAIL FROM:<good-two@example.net>")
        assert client.to(ANNA).code == 250
        assert client.send(PLAIN).code == 250
        (report,) = header_of(site.letter("good-two@example.net"), b"X-Greylist")
        assert b"not delayed" in report
