"""Rules of greylist.conf at work in the proxy: what a client hears, and what arrives."""

from collections.abc import Callable
from typing import Any

from Kamaelia.Apps.Grey.Config.Loader import loads
from Kamaelia.Apps.Grey.Core.Modes import Report
from Test.Kamaelia.Apps.Grey.support import Client, FakeServer, Grey

STRANGER = "127.0.0.77"
NewServer = Callable[..., FakeServer]
StartGrey = Callable[..., Grey]
BODY = b"Subject: x\r\n\r\nhello\r\n"


def policy(text: str) -> dict[str, Any]:
    """The settings that these rules make."""
    config = loads(text)
    return {
        "access_rules": config.access_rules,
        "definitions": config.definitions,
        "noauth": config.noauth,
    }


def rcpt(client: Client, name: str) -> str:
    return client.ask(b"RCPT TO:<" + name.encode() + b"@example.org>\r\n")


def send(client: Client, body: bytes = BODY) -> str:
    assert client.ask(b"DATA\r\n").startswith("354")
    return client.ask(body + b".\r\n")


def test_rules_let_in_refuse_and_defer_each_recipient_by_itself(
    mail_server: NewServer, start_grey: StartGrey
) -> None:
    server = mail_server()
    rules = """
extendedregex
racl "friends" whitelist rcpt white@example.org
racl blacklist rcpt /^<?black@/ code "550" ecode "5.7.1" msg "no mail for %r, rule %a"
racl greylist rcpt slow@example.org delay 2h
racl whitelist default
"""
    grey = start_grey(server, **policy(rules))
    client = grey.client(STRANGER).begin()
    assert rcpt(client, "white").startswith("250")
    assert rcpt(client, "black").startswith("550 5.7.1 no mail for black@example.org, rule 4")
    assert rcpt(client, "slow").startswith(
        "451 4.7.1 Greylisting in action, please come back in 02:00:00"
    )
    assert rcpt(client, "other").startswith("250")
    assert send(client).startswith("250")
    assert server.messages == [BODY]
    grey.clock.advance(7200)
    assert rcpt(grey.client(STRANGER).begin(), "slow").startswith("250")


def test_a_set_of_rules_without_a_match_greylists(
    mail_server: NewServer, start_grey: StartGrey
) -> None:
    grey = start_grey(mail_server(), **policy("racl whitelist addr 192.0.2.0/24\n"))
    assert rcpt(grey.client(STRANGER).begin(), "b").startswith("451")
    assert grey.decision()["reason"] == "new"


def test_no_rule_opens_a_relay(mail_server: NewServer, start_grey: StartGrey) -> None:
    grey = start_grey(mail_server(), **policy("racl whitelist default\n"))
    client = grey.client(STRANGER).begin()
    assert client.ask(b"RCPT TO:<b@example.com>\r\n").startswith("550")


def test_a_message_that_a_data_rule_refuses_never_arrives(
    mail_server: NewServer, start_grey: StartGrey
) -> None:
    server = mail_server()
    rules = 'racl whitelist default\ndacl blacklist body "cheap pills" msg "no, thank you"\n'
    grey = start_grey(server, **policy(rules))
    client = grey.client(STRANGER).begin()
    assert rcpt(client, "b").startswith("250")
    assert send(client, b"Subject: x\r\n\r\nbuy cheap pills\r\n").startswith(
        "551 5.7.1 no, thank you"
    )
    assert client.ask(b"MAIL FROM:<a@example.net>\r\n").startswith("250")
    assert rcpt(client, "b").startswith("250")
    assert send(client).startswith("250")
    assert server.messages == [BODY]


def test_what_a_data_rule_adds_is_in_the_message(
    mail_server: NewServer, start_grey: StartGrey
) -> None:
    server = mail_server()
    rules = (
        'racl whitelist default\ndacl whitelist default addheader "X-Rule: %A" subjtag "[in] "\n'
    )
    grey = start_grey(server, **policy(rules))
    client = grey.client(STRANGER).begin()
    assert rcpt(client, "b").startswith("250")
    assert send(client).startswith("250")
    (message,) = server.messages
    assert b"X-Rule: 2\r\n" in message
    assert b"Subject: [in] x\r\n" in message
    assert message.endswith(b"\r\n\r\nhello\r\n")


def test_who_waited_has_it_in_a_header(mail_server: NewServer, start_grey: StartGrey) -> None:
    server = mail_server()
    grey = start_grey(server, report=Report.ALL)
    assert rcpt(grey.client(STRANGER).begin(), "b").startswith("451")
    grey.clock.advance(90)
    client = grey.client(STRANGER).begin()
    assert rcpt(client, "b").startswith("250")
    assert send(client).startswith("250")
    (message,) = server.messages
    assert message.startswith(b"X-Greylist: Delayed for 00:01:30 by kamaelia-grey")


def test_in_a_dry_run_all_mail_passes_and_the_log_says_what_would_have_been(
    mail_server: NewServer, start_grey: StartGrey
) -> None:
    grey = start_grey(mail_server(), dry_run=True)
    assert rcpt(grey.client(STRANGER).begin(), "b").startswith("250")
    line = grey.decision()
    assert (line["verdict"], line["would"]) == ("pass", "defer/new")
