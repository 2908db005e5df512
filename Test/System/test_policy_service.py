"""A real Postfix that asks kamaelia-grey as its policy service: what only this door does. What all
doors do is in test_milter_sites.py."""

import re
from collections.abc import Iterator

import pytest

from Test.System.mta_site import (
    Face,
    Filter,
    FindProgram,
    MailSite,
    header_of,
    running_site,
)
from Test.System.mta_site import grey as grey

ANNA, BERT = "anna@example.org", "bert@example.org"
pytestmark = pytest.mark.needs("postfix")


@pytest.fixture(scope="module")
def site(find_program: FindProgram, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailSite]:
    folder = tmp_path_factory.mktemp("site")
    with running_site(Face.POSTFIX_POLICY, find_program, folder) as running:
        yield running


def test_what_postfix_refuses_for_good_is_refused_at_the_first_try(
    site: MailSite, grey: Filter
) -> None:
    grey.write("racl greylist default\n")
    with grey:
        told = site.asks("x@example.net", "nobody-here@example.org")
        assert (told.code, told.text[:5]) == (550, "5.1.1")
        assert site.asks("x@example.net", "someone@elsewhere.example").code == 554
        assert site.asks("x@example.net", ANNA).code == 450
        grey.wait_for_log("to=nobody-here@example.org", "verdict=defer")
        assert not grey.logged("to=someone@elsewhere.example")


def test_a_rule_refuses_with_its_own_code_and_words(site: MailSite, grey: Filter) -> None:
    grey.write(
        'racl blacklist from /never/ code "550" ecode "5.7.2" msg "100%% no"\n'
        'racl blacklist from /later/ code "452" ecode "4.2.2" msg "not now"\n'
        "racl whitelist default\n"
    )
    with grey:
        never = site.asks("never@example.net", ANNA)
        later = site.asks("later@example.net", ANNA)
    for answer, code, words in ((never, 550, "5.7.2 .*100% no"), (later, 452, "4.2.2 .*not now")):
        assert answer.code == code
        assert re.match(words + r" \([0-9a-f]{10}\)$", answer.text), answer


def test_a_message_to_several_has_one_report(site: MailSite, grey: Filter) -> None:
    grey.write("racl whitelist default\n")
    with grey, site.client(sender="both@example.net") as client:
        assert [client.to(recipient).code for recipient in (ANNA, BERT)] == [250, 250]
        assert client.send().code == 250
    (report,) = header_of(site.letter("both@example.net"), b"X-Greylist")
    assert b"not delayed" in report


def test_both_recipients_of_a_message_hear_when_to_come_back(site: MailSite, grey: Filter) -> None:
    with grey, site.client(sender="two@example.net") as client:
        for recipient in (ANNA, BERT):
            assert "come back in 00:00:01" in client.to(recipient).text
        assert client.ask("DATA").code == 554
        grey.wait_for_log(f"to={BERT}", "verdict=defer")
        lines = grey.logged("from=two@example.net", "verdict=defer")
        assert len(lines) == 2
        sessions = {match[1] for line in lines if (match := re.search(r"session=(\w+)", line))}
        assert len(sessions) == 1  # one message, by its `instance`


def test_its_end_disturbs_no_message_and_the_next_is_deferred(site: MailSite, grey: Filter) -> None:
    grey.write("racl whitelist default\n")
    grey.start()
    with site.client(sender="last@example.net") as client:
        assert client.to(ANNA).code == 250
        assert grey.end() == 0
        assert client.send().code == 250
    assert site.letter("last@example.net")
    assert site.asks("late@example.net", ANNA).code == 451
