"""Real senders through the running program into a real Postfix."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from Test.System.clients import Client, Mail, deliver, deliver_until_taken, stuffed
from Test.System.postfix_server import PostfixServer
from Test.System.processes import FRIEND, Grey, SmtpSink, wait_until

SWAKS_DEFERRED = 24  # swaks(1): "error with recipient"
TRACE = (b"Return-Path:", b"X-Original-To:", b"Delivered-To:", b"Received:")


def without_trace(delivered: bytes) -> bytes:
    """What Postfix delivered, without the header lines that it has put before it."""
    lines = delivered.splitlines(keepends=True)
    while lines and (lines[0].startswith(TRACE) or lines[0][:1] in (b" ", b"\t")):
        del lines[0]
    return b"".join(lines)


def as_delivered(content: bytes) -> bytes:
    """Postfix keeps lines as the system does."""
    return content.replace(b"\r\n", b"\n")


def delivered(postfix: PostfixServer, user: str, words: bytes, times: int = 1) -> list[bytes]:
    """The user's messages that contain these words, once there are so many."""

    def found() -> list[bytes]:
        return [message for message in postfix.mailbox(user) if words in message]

    wait_until(f"{words!r} in the mailbox of {user}", lambda: len(found()) >= times)
    return found()


@pytest.mark.needs("postfix", "swaks")
def test_mail_of_swaks_is_deferred_then_delivered_byte_for_byte(
    grey_before_postfix: Grey,
    postfix: PostfixServer,
    find_program: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    grey = grey_before_postfix
    mail = Mail("by-swaks", size=200_000, sender="swaks@example.net")
    letter = tmp_path / "letter"
    letter.write_bytes(stuffed(mail.content()).removesuffix(b"\r\n"))  # swaks adds that
    command = [str(find_program("swaks")), "--server", "127.0.0.1", "--port", str(grey.address[1])]
    command += ["--from", mail.sender, "--to", mail.recipient, "--helo", "client.example.net"]
    command += ["--data", f"@{letter}", "--no-data-fixup", "--suppress-data"]

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    first = run()
    assert first.returncode == SWAKS_DEFERRED, first.stdout
    assert "451 4.7.1 " in first.stdout
    assert not [found for found in postfix.mailbox("anna") if b"by-swaks" in found]

    retries = [first]

    def taken() -> bool:
        retries.append(run())
        return retries[-1].returncode == 0

    wait_until("swaks to get in", taken)
    assert {retry.returncode for retry in retries[:-1]} == {SWAKS_DEFERRED}
    (found,) = delivered(postfix, "anna", b"by-swaks")
    assert found.startswith(b"Return-Path: <swaks@example.net>\n")
    assert without_trace(found) == as_delivered(mail.content())
    grey.wait_for_log("event=message", "outcome=delivered", '"250 2.0.0 Ok: queued as ')


@pytest.mark.needs("postfix", "smtp-source")
def test_mail_of_smtp_source_is_deferred_then_delivered(
    grey_before_postfix: Grey, postfix: PostfixServer, find_program: Callable[[str], Path]
) -> None:
    grey = grey_before_postfix
    command = smtp_source(find_program("smtp-source"), grey, "bert@example.org")
    first = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert first.returncode == 1
    assert "451 4.7.1 " in first.stderr
    assert not postfix.mailbox("bert")

    wait_until("smtp-source to get in", lambda: succeeds(command))
    messages = delivered(postfix, "bert", b"From: <source@example.net>", times=200)
    assert len(messages) == 200
    assert len({message_id(message) for message in messages}) == 200


@pytest.mark.needs("smtp-sink", "smtp-source")
def test_mail_of_smtp_source_arrives_at_smtp_sink(
    smtp_sink: SmtpSink, find_program: Callable[[str], Path], tmp_path: Path
) -> None:
    with Grey(tmp_path, smtp_sink.port) as grey:
        command = smtp_source(find_program("smtp-source"), grey, "bert@example.org")
        assert not succeeds(command)
        assert not smtp_sink.messages()
        wait_until("smtp-source to get in", lambda: succeeds(command))
    messages = smtp_sink.messages()
    assert len(messages) == 200
    assert len({message_id(message) for message in messages}) == 200
    (body,) = {message.partition(b"\n\n")[2].rstrip(b"\n") for message in messages}
    assert len(body.replace(b"\n", b"\r\n")) == 5_000


def smtp_source(program: Path, grey: Grey, recipient: str) -> list[str]:
    """200 mails of 5 kB, ten at a time; it ends with 1 at the first 4xx."""
    options = ["-s", "10", "-m", "200", "-l", "5000", "-f", "source@example.net", "-t", recipient]
    return [str(program), "-M", "client.example.net", *options, f"127.0.0.1:{grey.address[1]}"]


def succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


def message_id(message: bytes) -> bytes:
    return message.partition(b"\nMessage-Id: ")[2].partition(b"\n")[0]


@pytest.mark.needs("postfix")
@pytest.mark.parametrize("pipelined", [False, True], ids=["lock-step", "pipelined"])
def test_each_of_three_recipients_gets_its_own_answer(
    pipelined: bool, grey_before_postfix: Grey, postfix: PostfixServer
) -> None:
    grey = grey_before_postfix
    sender = f"three-{pipelined}@example.net".lower()
    known, unknown, new = "anna@example.org", "nobody-here@example.org", "carl@example.org"
    unheard = Mail("never-sent", sender=sender, recipient=unknown)
    told_at_once = deliver(grey.address, unheard)  # not after a wait that was for nothing
    assert (told_at_once.code, told_at_once.text[:6]) == (550, "5.1.1 ")
    deliver_until_taken(grey.address, Mail("opens", sender=sender, recipient=known))

    with Client(grey.address) as client:
        commands = [f"RCPT TO:<{recipient}>" for recipient in (known, unknown, new)]
        if pipelined:
            assert "PIPELINING" in client.ask("EHLO client.example.net").text
            client.say(f"MAIL FROM:<{sender}>", *commands, "DATA")
            assert client.read().code == 250
            answers = [client.read() for _ in commands]
            assert client.read().code == 354
            client.sock.sendall(stuffed(Mail(f"for-{sender}", sender=sender).content()))
            last = client.read()
        else:
            answers = client.begin(sender, (known, unknown, new))
            last = client.give(Mail(f"for-{sender}", sender=sender).content())
    assert answers[0].code == 250
    assert answers[1].code == 550
    assert answers[1].text.startswith("5.1.1 <nobody-here@example.org>: Recipient address rejected")
    assert answers[2].code == 451
    assert answers[2].text.startswith("4.7.1 Greylisting in action, ")
    assert last.text.startswith("2.0.0 Ok: queued as ")
    delivered(postfix, "anna", f"X-Id: for-{sender}".encode())
    assert not [found for found in postfix.mailbox("carl") if sender.encode() in found]


# What senders have hidden a second mail with: a false end of data in many shapes (CVE-2023-51764
# and those after it).
FALSE_ENDS = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\n",
    b"\r\n.\r",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\0\n.\r\n",
    b"\0\r\n.\r\n",
    b"\r\n.\r\0\n",
]


@pytest.mark.needs("postfix")
def test_nothing_is_smuggled_into_postfix(
    grey_before_postfix: Grey, postfix: PostfixServer
) -> None:
    grey = grey_before_postfix
    for number, false_end in enumerate(FALSE_ENDS):
        hidden = (
            f"MAIL FROM:<evil{number}@example.net>\r\nRCPT TO:<dora@example.org>\r\nDATA\r\n"
            f"Subject: smuggled {number}\r\n\r\nsmuggled\r\n"
        ).encode("ascii")
        with Client(grey.address, FRIEND) as client:
            assert client.begin("smuggler@example.net", ["dora@example.org"])[0].code == 250
            assert client.ask("DATA").code == 354
            client.sock.sendall(b"Subject: outer\r\n\r\ntext" + false_end + hidden + b".\r\n")
            assert client.read().code in (421, 550), false_end
            assert client.sock.recv(100) == b"", false_end  # hung up on
    # Postfix works in order: when this one is there, whatever came before it would be, too.
    assert deliver(grey.address, Mail("after", recipient="dora@example.org"), FRIEND).code == 250
    delivered(postfix, "dora", b"X-Id: after")
    assert len(postfix.mailbox("dora")) == 1


@pytest.mark.needs("postfix")
def test_a_sender_that_vanishes_leaves_no_half_mail(
    grey_before_postfix: Grey, postfix: PostfixServer
) -> None:
    grey = grey_before_postfix
    wire = stuffed(Mail("cut-off", size=300_000, recipient="emil@example.org").content())
    for part in (0, 1, 1_000, 200_000):
        with Client(grey.address, FRIEND) as client:
            assert client.begin("sender@example.net", ["emil@example.org"])[0].code == 250
            assert client.ask("DATA").code == 354
            client.sock.sendall(wire[:part])
    grey.wait_for_log("event=message", "outcome=abandoned", times=4)
    whole = Mail("whole", recipient="emil@example.org")
    assert deliver(grey.address, whole, FRIEND).code == 250
    delivered(postfix, "emil", b"X-Id: whole")
    assert len(postfix.mailbox("emil")) == 1
