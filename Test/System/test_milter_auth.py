"""Clients that log in, or show a certificate, to a Sendmail or a Postfix that asks kamaelia-grey:
who is known does not wait, unless the file says so, and rules can tell them apart."""

from collections.abc import Iterator

import pytest

from Test.System.auth_site import (
    CLIENT,
    NEEDS,
    USER,
    How,
    ReadAgain,
    SecureSite,
    secure_site,
)
from Test.System.mta_site import Face, FindProgram, header_of

DEFERRED = {Face.POSTFIX_MILTER: 451, Face.POSTFIX_POLICY: 450, Face.SENDMAIL_MILTER: 451}
KNOWN = (How.VERIFIED, How.LOGGED_IN)
# In the words of milter-greylist, whether a rule lets them in or nothing else.
WHY = {
    How.VERIFIED: "Sender succeeded STARTTLS authentication, not delayed by ",
    How.LOGGED_IN: "Sender succeeded SMTP AUTH, not delayed by ",
}
# Sendmail tells all of the certificate's name, Postfix its last part alone.
RULES = f"""
racl "carl" blacklist auth "carl@example.org" msg "not carl"
racl "user" whitelist auth "{USER}"
racl "paper" whitelist tls /{CLIENT.replace(".", "[.]")}$/
racl greylist default
"""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(face, marks=pytest.mark.needs(*NEEDS[face]), id=face.value) for face in Face
    ],
)
def site(
    request: pytest.FixtureRequest,
    find_program: FindProgram,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[SecureSite]:
    with secure_site(request.param, find_program, tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture(scope="module")
def grey(site: SecureSite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadAgain]:
    with ReadAgain(tmp_path_factory.mktemp("grey"), site.door) as program:
        yield program


def report_on(site: SecureSite, sender: str) -> str:
    (report,) = header_of(site.letter(sender), b"X-Greylist")
    return report.decode("ascii")


def test_who_is_known_to_the_mail_server_does_not_wait(site: SecureSite, grey: ReadAgain) -> None:
    grey.read("")
    deferred = DEFERRED[site.door.face]
    told = {how: site.tries(how, f"{how.name}@first.example").code for how in How}
    assert told == {how: 250 if how in KNOWN else deferred for how in How}
    # What one of them has proved is not the next one's.
    assert site.tries(How.PLAIN, "next@first.example").code == deferred
    reasons = {How.VERIFIED: "certificate", How.LOGGED_IN: "authenticated"}
    for how in How:
        line = grey.wait_for_log(f"from={how.name}@first.example")
        assert f"reason={reasons.get(how, 'new')} " in line
    for how in KNOWN:
        assert report_on(site, f"{how.name}@first.example").startswith(WHY[how])


def test_with_noauth_everybody_waits(site: SecureSite, grey: ReadAgain) -> None:
    grey.read("noauth = yes\n")
    told = {how: site.tries(how, f"{how.name}@second.example").code for how in KNOWN}
    assert told == dict.fromkeys(KNOWN, DEFERRED[site.door.face])


def test_rules_tell_them_apart(site: SecureSite, grey: ReadAgain) -> None:
    """A certificate for the right name by the wrong authority is none."""
    grey.read(RULES)
    some = (How.ENCRYPTED, How.UNVERIFIED, *KNOWN)
    told = {how: site.tries(how, f"{how.name}@third.example").code for how in some}
    assert told == {how: 250 if how in KNOWN else DEFERRED[site.door.face] for how in some}
    for how, rule in ((How.VERIFIED, "paper"), (How.LOGGED_IN, "user")):
        line = grey.wait_for_log(f"from={how.name}@third.example")
        assert "verdict=pass reason=rule " in line
        assert f"rule={rule}" in line.split()
        assert report_on(site, f"{how.name}@third.example").startswith(WHY[how])
    grey.read(RULES.replace("carl@", "anna@"))
    refused = site.tries(How.LOGGED_IN, "again@third.example")
    assert (refused.code, "not carl" in refused.text) == (551, True)


def test_what_a_fingerprint_is_worth_a_rule_may_say(site: SecureSite, grey: ReadAgain) -> None:
    """Postfix tells the policy service that of any certificate, and a milter none."""
    mark = site.papers.fingerprint(site.papers.untrusted)
    grey.read(
        f'sm_macro "mine" "{{ccert_fingerprint}}" "{mark}"\nracl "mine" whitelist sm_macro "mine"\n'
    )
    told = site.tries(How.UNVERIFIED, "marked@fourth.example").code
    told_another = site.tries(How.ENCRYPTED, "unmarked@fourth.example").code
    deferred = DEFERRED[site.door.face]
    tells = site.door.face is Face.POSTFIX_POLICY
    assert (told, told_another) == (250 if tells else deferred, deferred)
