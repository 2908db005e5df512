"""Real clients through the running program: deferred, then delivered, once and unchanged."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from Test.Peers.exim import Exim
from Test.Peers.one_shot import DEFERRED, ONE_SHOT
from Test.Peers.opensmtpd import OpenSmtpd
from Test.Peers.peer import Peer
from Test.Peers.postfix import PostfixClient
from Test.Peers.sendmail import Sendmail
from Test.System.clients import Client, Mail
from Test.System.postfix_server import PostfixServer
from Test.System.processes import PATIENCE_SECONDS, Grey, wait_until

FindProgram = Callable[[str], Path]
KNOWN, STRANGE = "fred@example.org", "gina@example.org"
QUEUEING = ("postfix", "exim4-daemon-light", "opensmtpd", "sendmail-bin")


def needing(*programs: str) -> list[object]:
    """Parameters, each with the mark that it needs the program of its name."""
    return [pytest.param(name, marks=pytest.mark.needs(name)) for name in programs]


@pytest.fixture
def grey(tmp_path: Path, postfix: PostfixServer) -> Iterator[Grey]:
    lists = {"whitelisted_triples": f"* * {KNOWN}"}
    with Grey(tmp_path, postfix.port, greylist_delay="2s", **lists) as program:
        yield program
        print(*program.logged(), sep="\n")  # noqa: T201 - shown with a failure


@contextlib.contextmanager
def queueing(
    name: str, folder: Path, relay_to: int, find_program: FindProgram
) -> Iterator[Peer | PostfixServer]:
    """The mail server of that name, which hands what it gets to a port of loopback."""
    match name:
        case "postfix":
            made: Peer | PostfixServer = PostfixClient(find_program(name), relay_to)
        case "exim4-daemon-light":
            made = Exim(folder, "example.net", relay_to)
        case "opensmtpd":
            made = OpenSmtpd(folder, "example.net", relay_to)
        case _:
            made = Sendmail(folder, relay_to)
    with made as server:
        try:
            yield server
        except TimeoutError as error:
            error.add_note(f"{name} has written:\n{server.said()}")
            raise


def found_in(postfix: PostfixServer, mail: Mail, recipient: str) -> list[bytes]:
    words = f"X-Id: {mail.name}\n".encode("ascii")
    user = recipient.partition("@")[0]
    return [found for found in postfix.mailbox(user) if words in found]


def check_log(grey: Grey, mail: Mail) -> None:
    """It was deferred as new first, passed at the end, and was given to the server once."""
    grey.wait_for_log("event=message", "outcome=delivered", f"to={mail.recipient}")
    decisions = grey.logged("event=decision", f"to={mail.recipient}")
    assert "verdict=defer reason=new" in decisions[0]
    assert all("verdict=defer reason=too-early" in line for line in decisions[1:-1])
    assert "verdict=pass reason=retried" in decisions[-1]
    assert len(grey.logged("event=message", f"to={mail.recipient}")) == 1


def check_mailbox(postfix: PostfixServer, mail: Mail, recipient: str) -> None:
    """It is there once, as it was sent; servers on the way have added header lines."""
    wait_until(f"{mail.name} in the mailbox", lambda: found_in(postfix, mail, recipient))
    wait_until("the server to deliver all it has", lambda: postfix.queued() == 0)
    (found,) = found_in(postfix, mail, recipient)
    head, _, body = mail.content().replace(b"\r\n", b"\n").partition(b"\n\n")
    found_head, _, found_body = found.partition(b"\n\n")
    assert found_body == body
    assert set(head.splitlines()) <= set(found_head.splitlines())


@pytest.mark.needs("postfix")
@pytest.mark.parametrize("name", needing(*QUEUEING))
def test_queued_mail_reaches_each_recipient_once_and_strangers_after_the_delay(
    name: str, grey: Grey, postfix: PostfixServer, find_program: FindProgram, tmp_path: Path
) -> None:
    mail = Mail(f"by-{name}", size=200_000, sender=f"{name}@example.net", recipient=STRANGE)
    with queueing(name, tmp_path, grey.address[1], find_program) as client:
        with Client(("127.0.0.1", client.port)) as session:
            answers = session.begin(mail.sender, (KNOWN, STRANGE))
            assert [answer.code for answer in answers] == [250, 250]
            assert session.give(mail.content()).code == 250
        grey.wait_for_log("event=message", "outcome=delivered", f"to={KNOWN}")

        def taken() -> bool:
            if name == "opensmtpd":  # the others do it by themselves
                client.flush()
            return bool(grey.logged("event=message", f"to={STRANGE}"))

        wait_until(f"{name} to get in", taken)
        wait_until(f"{name} to forget its mail", lambda: client.queued() == 0)
    check_log(grey, mail)
    first, second = grey.logged("event=message")
    assert f"to={KNOWN}" in first
    assert f"to={STRANGE}" in second
    for recipient in (KNOWN, STRANGE):
        check_mailbox(postfix, mail, recipient)


@pytest.mark.needs("postfix")
@pytest.mark.parametrize("name", needing(*ONE_SHOT))
def test_mail_of_a_program_that_is_run_again_is_delivered_once(
    name: str, grey: Grey, postfix: PostfixServer, find_program: FindProgram, tmp_path: Path
) -> None:
    mail = Mail(f"by-{name}", size=200_000, sender=f"{name}@example.net", recipient=STRANGE)
    letter = tmp_path / "letter"
    command = [str(find_program(name)), *ONE_SHOT[name](mail, letter, grey.address)]
    codes = []

    def run() -> bool:
        with letter.open("rb") as lines:
            done = subprocess.run(
                command, stdin=lines, capture_output=True, timeout=PATIENCE_SECONDS, check=False
            )
        codes.append(done.returncode)
        return done.returncode == 0

    wait_until(f"{name} to get in", run)
    assert codes[0] == DEFERRED[name]
    assert set(codes) == {DEFERRED[name], 0}
    check_log(grey, mail)
    check_mailbox(postfix, mail, mail.recipient)
