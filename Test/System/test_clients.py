"""The account that the other tests rely on finds what is lost, doubled, changed or ill-formed."""

from typing import Any

import pytest

from Test.System.clients import Client, Ledger, Mail, stuffed
from Test.System.processes import CheckingSink


def test_mail_that_arrives_makes_no_difference(sink: CheckingSink) -> None:
    ledger = sent(sink)
    assert ledger.taken == {"m0", "m1", "m2"}
    assert ledger.differences(sink.kept()) == []


def test_lost_mail_is_found(sink: CheckingSink) -> None:
    ledger = sent(sink)
    lost = sink.kept()[:-1]
    (difference,) = ledger.differences(lost)
    assert difference.endswith(": answered [250], there 0 times")


def test_doubled_mail_is_found(sink: CheckingSink) -> None:
    ledger = sent(sink)
    doubled = [*sink.kept(), sink.kept()[0]]
    (difference,) = ledger.differences(doubled)
    assert difference.endswith(": answered [250], there 2 times")


@pytest.mark.parametrize(
    "change",
    [{"size": 1}, {"sha256": ""}, {"from": "<>"}, {"to": []}, {"to": ["<anna@example.org>"] * 2}],
    ids=str,
)
def test_changed_mail_is_found(change: dict[str, Any], sink: CheckingSink) -> None:
    ledger = sent(sink)
    first, *others = sink.kept()
    (difference,) = ledger.differences([first | change, *others])
    assert difference.startswith("damaged")


@pytest.mark.parametrize(
    ("wire", "fault"),
    [
        (b"bare\nLF\r\n.\r\n", "bare CR or LF"),
        (b"bare\rCR\r\n.\r\n", "bare CR or LF"),
        (b".one dot\r\n.\r\n", "begins with one dot"),
        (b".\r\nRCPT TO:<x@example.org>\n", "command line"),
        (b".\r\nBDAT 3 LAST\r\n", "not expected"),
    ],
)
def test_what_breaks_the_rules_is_found(wire: bytes, fault: str, sink: CheckingSink) -> None:
    with Client(("127.0.0.1", sink.port)) as client:
        client.begin("sender@example.net", ["anna@example.org"])
        assert client.ask("DATA").code == 354
        client.sock.sendall(wire)
        client.say("QUIT")
        while client.sock.recv(1_000):
            pass  # it has seen all when it hangs up
    assert any(fault in text for text in Ledger(("", 0)).differences(sink.kept()))


def test_hard_lines_are_stuffed_and_unstuffed(sink: CheckingSink) -> None:
    content = Mail("hard", 100_000).content()
    assert b"\r\n.\r\n" in content
    assert stuffed(content).find(b"\r\n.\r\n") == len(stuffed(content)) - 5
    ledger = Ledger(("127.0.0.1", sink.port))
    ledger.send_all([Mail("hard", 100_000)])
    assert ledger.differences(sink.kept()) == []


def sent(sink: CheckingSink) -> Ledger:
    """Three mails, straight to the server."""
    ledger = Ledger(("127.0.0.1", sink.port))
    ledger.send_all([Mail(f"m{number}") for number in range(3)])
    return ledger
