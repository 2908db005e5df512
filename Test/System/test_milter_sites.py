"""Mail servers that ask kamaelia-grey, by milter and as a policy service: strangers wait, their
mail arrives once, and nothing is lost when kamaelia-grey is changed, killed and started again."""

from collections.abc import Iterator

import pytest

from Test.System.mta_site import (
    LETTER,
    STRANGER,
    Face,
    Filter,
    FindProgram,
    MailSite,
    header_of,
    pass_time,
    running_site,
    sites,
)
from Test.System.mta_site import grey as grey

ANNA, BERT, CARL = "anna@example.org", "bert@example.org", "carl@example.org"
DEFERRED = {Face.POSTFIX_MILTER: 451, Face.POSTFIX_POLICY: 450, Face.SENDMAIL_MILTER: 451}
DELAY = 1.1  # a little more than BASE has


@pytest.fixture(scope="module", params=sites(*Face))
def site(
    request: pytest.FixtureRequest,
    find_program: FindProgram,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[MailSite]:
    with running_site(request.param, find_program, tmp_path_factory.mktemp("site")) as running:
        yield running


def test_a_stranger_waits_then_its_mail_arrives_and_says_so(site: MailSite, grey: Filter) -> None:
    with grey:
        told = site.asks("waits@example.net", ANNA)
        assert told.code == DEFERRED[site.door.face], told
        assert "Greylisting in action, please come back in 00:00:0" in told.text
        codes = site.sends_till_taken("waits@example.net", ANNA)
    assert set(codes[:-1]) <= {DEFERRED[site.door.face]}
    letter = site.letter("waits@example.net")
    (report,) = header_of(letter, b"X-Greylist")
    assert report.startswith(b"Delayed for 00:00:0")
    assert b" by kamaelia-grey-" in report
    assert letter.endswith(b"\r\n\r\nhello\r\n")


def test_what_is_said_can_be_found_in_the_log(site: MailSite, grey: Filter) -> None:
    with grey:
        told = site.asks("found@example.net", ANNA)
        session = told.text.rpartition("(")[2].rstrip(")")
        line = grey.wait_for_log(f"session={session}", "verdict=defer")
    for words in (f"client={STRANGER}", "helo=client.x.test", "from=found@example.net", ANNA):
        assert words in line


def test_percent_signs_in_words_are_told_as_they_are(site: MailSite, grey: Filter) -> None:
    grey.write('racl blacklist from /odd/ msg "50%% of %f, %%s %%n"\nracl greylist default\n')
    with grey:
        told = site.asks("odd%s%n@example.net", ANNA)
    assert told.code == 551
    assert "50% of odd%s%n@example.net, %s %n (" in told.text


def test_of_several_recipients_each_hears_its_own_answer(site: MailSite, grey: Filter) -> None:
    grey.write(f"racl whitelist rcpt {BERT}\nracl greylist default\n")
    with grey:
        with site.client(sender="several@example.net") as client:
            codes = [client.to(recipient).code for recipient in (ANNA, BERT, CARL)]
            assert codes == [DEFERRED[site.door.face], 250, DEFERRED[site.door.face]]
            assert client.send().code == 250
        (first,) = site.arrived("several@example.net")
        assert first.rcpt_tos == [BERT]
        site.sends_till_taken("several@example.net", ANNA)
        _, second = site.arrived("several@example.net", 2)
        assert second.rcpt_tos == [ANNA]


def test_two_messages_of_a_session_are_two(site: MailSite, grey: Filter) -> None:
    grey.write("racl whitelist from one@example.net\nracl greylist default\n")
    with grey:
        site.asks("two@example.net", ANNA)
        with site.client(sender="one@example.net") as client:
            assert client.to(ANNA).code == 250
            assert client.send().code == 250
            pass_time(DELAY)
            client.ask("MAIL FROM:<two@example.net>")
            assert client.to(ANNA).code == 250
            assert client.send().code == 250
        (first,) = header_of(site.letter("one@example.net"), b"X-Greylist")
        (second,) = header_of(site.letter("two@example.net"), b"X-Greylist")
    assert b"not delayed" in first
    assert second.startswith(b"Delayed for")


def test_a_new_configuration_comes_while_mail_servers_are_connected(
    site: MailSite, grey: Filter
) -> None:
    grey.write("racl greylist default\n")
    with grey, site.client(sender="open@example.net") as client:
        assert client.to(ANNA).code == DEFERRED[site.door.face]
        # Postfix keeps its connection to the policy service for the next client.
        assert site.asks("other@example.net", BERT).code == DEFERRED[site.door.face]
        rules = f"racl whitelist rcpt {BERT}\nracl greylist default\n"
        grey.reload(rules, "new sessions have the new configuration")
        # A milter's session keeps the rules it began with; requests to a policy service are one by
        # one, and their connection may stay for hours.
        policy = site.door.face is Face.POSTFIX_POLICY
        assert client.to(BERT).code == (250 if policy else DEFERRED[site.door.face])
        assert client.to(CARL).code == DEFERRED[site.door.face]
        assert site.asks("other@example.net", BERT).code == 250
        assert site.asks("other@example.net", ANNA).code == DEFERRED[site.door.face]
        grey.reload("racl greylist defautl\n", "the configuration stays as it was")
        assert site.asks("third@example.net", BERT).code == 250


def test_while_it_is_dead_mail_is_deferred_and_after_that_arrives_once(
    site: MailSite, grey: Filter
) -> None:
    grey.start()
    assert site.asks("patient@example.net", ANNA).code == DEFERRED[site.door.face]
    grey.kill()
    for sender in ("patient@example.net", "new@example.net"):
        assert site.sends(sender, ANNA).code == 451
    grey.start()
    assert site.asks("new@example.net", ANNA).code == DEFERRED[site.door.face]
    assert site.sends_till_taken("patient@example.net", ANNA)[-1] == 250
    (report,) = header_of(site.letter("patient@example.net"), b"X-Greylist")
    assert report.startswith(b"Delayed for")
    grey.end()


def test_killed_inside_a_message_it_is_deferred_or_taken_but_not_lost(
    site: MailSite, grey: Filter
) -> None:
    grey.write(f"racl whitelist rcpt {ANNA}\nracl greylist default\n")
    grey.start()
    with site.client(sender="inside@example.net") as client:
        assert client.to(ANNA).code == 250
        grey.kill()
        told = client.send()
    # A policy service is asked about recipients only: that answer stands.
    taken = site.door.face is Face.POSTFIX_POLICY
    assert told.code == (250 if taken else 451)
    grey.start()
    if not taken:
        assert site.sends("inside@example.net", ANNA, LETTER).code == 250
    assert site.letter("inside@example.net")
    grey.end()
