"""A real Postfix that trusts the proxy too much, and what it knows of its recipients."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from Test.Peers.peer import NOT_KNOWN
from Test.System.clients import Client, Mail, deliver
from Test.System.postfix_server import PostfixServer, door
from Test.System.processes import PATIENCE_SECONDS, ROOT, Grey, free_port, wait_until

STRANGER = "127.0.0.77"
ADVICE = "smtpd_relay_restrictions=reject_unauth_destination"
pytestmark = pytest.mark.needs("postfix")


class Trusting(PostfixServer):
    """It trusts this machine; another of its ports hears who the client is."""

    def __init__(self, program: Path) -> None:
        self.hearing = free_port()
        trusting = door(self.hearing, smtpd_authorized_xclient_hosts="127.0.0.1")
        super().__init__(program, "smtpd_recipient_restrictions =\n", trusting)


@pytest.fixture(scope="module")
def trusting(postfix: PostfixServer, find_program: Callable[[str], Path]) -> Iterator[Trusting]:
    del postfix  # only root can start one
    with Trusting(find_program("postfix")) as server:
        yield server


def run(grey: Grey, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the program to its end; one that takes mail would not end in time."""
    return subprocess.run(
        [sys.executable, "-m", "Kamaelia.Apps.Grey", *options, "-f", grey.folder / "greylist.conf"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def test_it_does_not_start_before_a_server_that_relays_till_the_advice_is_followed(
    trusting: Trusting, tmp_path: Path
) -> None:
    grey = Grey(tmp_path, trusting.port, relay_check="yes")
    for options in (("-c",), ("-D",)):
        done = run(grey, *options)
        assert done.returncode == os.EX_CONFIG
        assert f"mail server 127.0.0.1 port {trusting.port} relays: it takes mail" in done.stderr
        assert f"take 127.0.0.1 away from what it trusts (Postfix: mynetworks, or {ADVICE}" in (
            " ".join(done.stderr.split())
        )
        assert "client_info = xclient" in done.stderr
        assert "taking mail" not in done.stderr
    # The same words that are in the advice, for this port.
    trusting.configure("-P", f"127.0.0.1:{trusting.port}/inet/{ADVICE}")
    wait_until("Postfix to follow", lambda: run(grey, "-c").returncode == os.EX_OK)
    with grey:
        assert deliver(grey.address, Mail("first", sender="t@example.net")).code == 451
    assert trusting.queued() == 0


def test_the_other_advice_is_good_as_well(trusting: Trusting, tmp_path: Path) -> None:
    for how, code in (("none", os.EX_CONFIG), ("xclient", os.EX_OK)):
        grey = Grey(tmp_path, trusting.hearing, relay_check="yes", client_info=how)
        assert run(grey, "-c").returncode == code
    with grey:
        assert deliver(grey.address, Mail("first", sender="t@example.net")).code == 451


def test_a_server_that_does_not_hear_who_the_client_is_is_found_out(
    trusting: Trusting, tmp_path: Path
) -> None:
    grey = Grey(tmp_path, trusting.port, relay_check="yes", client_info="xclient")
    for options in (("-c",), ("-D",)):
        done = run(grey, *options)
        assert done.returncode == os.EX_CONFIG
        assert "does not offer XCLIENT to us: let it (Postfix: smtpd_auth" in done.stderr


def test_a_stranger_hears_of_an_unknown_recipient_at_the_first_try(
    postfix: PostfixServer, tmp_path: Path
) -> None:
    unknown, known = f"{NOT_KNOWN}@example.org", "anna@example.org"
    with Grey(tmp_path, postfix.port, relay_check="yes") as grey:
        with Client(grey.address, STRANGER) as client:
            refused, deferred = client.begin("verified@example.net", (unknown, known))
        assert (refused.code, deferred.code) == (550, 451)
        assert refused.text == (
            f"5.1.1 <{unknown}>: Recipient address rejected: User unknown in virtual mailbox table"
        )
        assert deferred.text.startswith("4.7.1 Greylisting in action")
        grey.wait_for_log("event=decision", f"to={unknown}", "verdict=defer")
