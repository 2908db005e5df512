"""Real mail servers behind the running program: what they can do, say and keep."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from Test.Peers.exim import Exim
from Test.Peers.hooked import Hooked
from Test.Peers.opensmtpd import OpenSmtpd
from Test.Peers.peer import NOT_KNOWN
from Test.System.clients import Client, Mail
from Test.System.processes import FRIEND, Grey, wait_until

OWN_LIMIT = 50 << 20  # message_size_limit
END_TO_END = {"8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES"}
TOLD = {"refuse me": "554 5.7.1 the hook says no", "not now": "451 4.7.1 the hook says not now"}


class Server(Protocol):
    """What each mail server here has."""

    port: int

    def mailbox(self, user: str) -> list[bytes]: ...


@dataclass(frozen=True, slots=True)
class Behind:
    """A mail server, and kamaelia-grey before it."""

    server: Server
    grey: Grey

    def client(self) -> Client:
        return Client(self.grey.address, FRIEND)

    def directly(self) -> Client:
        """To the server itself, to hear what it says."""
        return Client(("127.0.0.1", self.server.port), FRIEND)

    def wait_for(self, user: str, words: bytes) -> bytes:
        """The only message in the user's mailbox with these words."""

        def found() -> list[bytes]:
            return [message for message in self.server.mailbox(user) if words in message]

        wait_until(f"{words!r} in the mailbox of {user}", found)
        (message,) = found()
        return message


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("postfix", marks=pytest.mark.needs("postfix")),
        pytest.param("exim4-daemon-light", marks=pytest.mark.needs("exim4-daemon-light")),
        pytest.param("opensmtpd", marks=pytest.mark.needs("opensmtpd")),
        "aiosmtpd",
    ],
)
def behind(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Behind]:
    folder = tmp_path_factory.mktemp(request.param)
    with contextlib.ExitStack() as running:
        server: Server
        match request.param:
            case "postfix":
                server = request.getfixturevalue("postfix")
            case "exim4-daemon-light":
                server = running.enter_context(Exim(folder))
            case "opensmtpd":
                server = running.enter_context(OpenSmtpd(folder))
            case _:
                server = running.enter_context(Hooked(TOLD))
        yield Behind(server, running.enter_context(Grey(folder, server.port)))


def offers(client: Client) -> dict[str, str]:
    """The extensions that somebody offers, each with what follows its name."""
    with client:
        lines = client.ask("EHLO client.example.net").text.upper().splitlines()[1:]
    return {line.partition(" ")[0]: line.partition(" ")[2] for line in lines}


def parts(message: bytes) -> tuple[set[bytes], bytes]:
    """The lines of its head, in no order, and its body."""
    head, _, body = message.replace(b"\r\n", b"\n").partition(b"\n\n")
    return set(head.splitlines()), body


def test_it_decides_what_we_offer(behind: Behind) -> None:
    theirs, ours = offers(behind.directly()), offers(behind.client())
    assert "8BITMIME" in theirs  # each of these servers has it
    assert ours.keys() & END_TO_END == theirs.keys() & END_TO_END
    assert ours.keys() - END_TO_END == {"PIPELINING", "SIZE"}
    assert int(ours["SIZE"]) == min(OWN_LIMIT, int(theirs["SIZE"]))


def test_three_mails_of_one_session_arrive_as_they_were(behind: Behind) -> None:
    sizes = (1_000, 10_000, 100_000)
    mails = [Mail(f"with-{size}", size, recipient="fred@example.org") for size in sizes]
    with behind.client() as client:
        client.ask("EHLO client.example.net")
        for mail in mails:
            assert client.ask(f"MAIL FROM:<{mail.sender}> BODY=8BITMIME").code == 250
            assert client.ask(f"RCPT TO:<{mail.recipient}>").code == 250
            assert client.give(mail.content()).code == 250
    for mail in mails:
        head, body = parts(mail.content())
        found_head, found_body = parts(behind.wait_for("fred", f"X-Id: {mail.name}\n".encode()))
        assert found_body == body
        assert head <= found_head


def test_the_one_it_does_not_know_is_refused_in_its_own_words(behind: Behind) -> None:
    mail = Mail("for-two", recipient="gina@example.org")
    unknown = f"{NOT_KNOWN}@example.org"
    with behind.directly() as client:
        client.begin(mail.sender, ())
        its_own = client.ask(f"RCPT TO:<{unknown}>")
    assert its_own.code == 550
    with behind.client() as client:
        answers = client.begin(mail.sender, (mail.recipient, unknown))
        assert answers[0].code == 250
        assert answers[1] == its_own
        assert client.give(mail.content()).code == 250
    behind.wait_for("gina", b"X-Id: for-two\n")


def test_what_is_too_large_for_it_is_refused_at_mail(behind: Behind) -> None:
    limit = int(offers(behind.client())["SIZE"])
    with behind.client() as client:
        client.ask("EHLO client.example.net")
        refused = client.ask(f"MAIL FROM:<a@example.net> SIZE={limit + 1}")
        assert (refused.code, refused.text[:5]) == (552, "5.3.4")
        assert client.ask(f"MAIL FROM:<a@example.net> SIZE={limit}").code == 250
        assert client.ask("RCPT TO:<fred@example.org>").code == 250


def test_mail_with_utf8_addresses_goes_where_it_is_offered(behind: Behind) -> None:
    content = "From: <jürgen@example.net>\r\nSubject: grüße\r\nX-Id: utf8\r\n\r\nja\r\n".encode()
    offered = "SMTPUTF8" in offers(behind.client())
    with behind.client() as client:
        client.ask("EHLO client.example.net")
        answer = client.ask("MAIL FROM:<jürgen@example.net> BODY=8BITMIME SMTPUTF8")
        if not offered:
            assert (answer.code, answer.text[:5]) == (553, "5.6.7")
            return
        assert answer.code == 250
        assert client.ask("RCPT TO:<hans@example.org>").code == 250
        assert client.give(content).code == 250
    assert "Subject: grüße\n".encode() in behind.wait_for("hans", b"X-Id: utf8\n")


def test_its_delivery_notice_is_as_if_it_had_been_asked_directly(behind: Behind) -> None:
    if "DSN" not in offers(behind.client()):
        with behind.client() as client:
            client.ask("EHLO client.example.net")
            answer = client.ask("MAIL FROM:<hans@example.org> RET=HDRS ENVID=QQ314159")
        assert (answer.code, answer.text[:5]) == (555, "5.5.4")
        return
    notice = ask_for_notice(behind, behind.client(), "by-proxy")
    assert b"Action: delivered" in notice
    assert notice == ask_for_notice(behind, behind.directly(), "directly")


def ask_for_notice(behind: Behind, client: Client, name: str) -> set[bytes]:
    """What the server writes to a sender who wants to know, as far as the envelope decides it."""
    mail = Mail(name, sender="hans@example.org", recipient="gina@example.org")
    with client:
        client.ask("EHLO client.example.net")
        assert client.ask(f"MAIL FROM:<{mail.sender}> RET=HDRS ENVID=QQ314159").code == 250
        extra = "NOTIFY=SUCCESS ORCPT=rfc822;before@example.org"
        assert client.ask(f"RCPT TO:<{mail.recipient}> {extra}").code == 250
        assert client.give(mail.content()).code == 250
    notice = behind.wait_for("hans", f"X-Id: {name}\n".encode("ascii"))
    wanted = (b"Original-", b"Final-", b"Action:", b"Status:")
    return {line for line in notice.splitlines() if line.startswith(wanted)}


@pytest.mark.parametrize("words", TOLD)
def test_what_a_hook_says_after_the_dot_is_what_the_client_hears(
    words: str, tmp_path: Path
) -> None:
    with Hooked(TOLD) as server, Grey(tmp_path, server.port) as grey:
        with Client(grey.address, FRIEND) as client:
            assert client.begin("a@example.net", ["fred@example.org"])[0].code == 250
            answer = client.give(f"Subject: {words}\r\n\r\nx\r\n".encode("ascii"))
            assert f"{answer.code} {answer.text}" == TOLD[words]
            assert client.begin("a@example.net", ["fred@example.org"])[0].code == 250
            assert client.give(b"Subject: good\r\n\r\nx\r\n").code == 250
        (kept,) = server.kept
        assert kept.content == b"Subject: good\r\n\r\nx\r\n"
