"""
What happens when something dies: no mail that got a 250 may be missing afterwards.

All deaths are kill -9, at a place that the test knows: the checking sink says when it is there.
"""

import re
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from Test.System.clients import (
    Client,
    Ledger,
    Mail,
    deliver,
    deliver_until_taken,
    stuffed,
)
from Test.System.processes import FRIEND, CheckingSink, Grey, wait_until


@pytest.fixture
def sender() -> Iterator[ThreadPoolExecutor]:
    """A thread for a client that waits while the test kills somebody."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


def ids(sink: CheckingSink) -> list[str]:
    return [entry["id"] for entry in sink.kept()]


# ---- the server behind dies


def test_server_killed_before_its_banner(
    grey: Grey, sink: CheckingSink, sender: ThreadPoolExecutor
) -> None:
    sink.restart(hang_at="banner")
    mail = Mail("m1")
    answer = sender.submit(deliver, grey.address, mail, FRIEND)
    sink.wait_for("hanging at banner")
    sink.kill()
    assert answer.result().code == 451
    assert answer.result().text.startswith("4.4.1 ")
    # Strangers are still asked to come back: that needs no server.
    stranger = deliver(grey.address, Mail("m2", sender="stranger@example.net"))
    assert stranger.text.startswith("4.7.1 Greylisting in action, ")

    sink.restart()
    assert deliver(grey.address, mail, FRIEND).code == 250
    assert ids(sink) == ["m1"]


@pytest.mark.parametrize("size", [2_000, 3_000_000], ids=["small", "large"])
def test_server_killed_inside_a_message(
    size: int, grey: Grey, sink: CheckingSink, sender: ThreadPoolExecutor
) -> None:
    sink.restart(hang_at="data")
    mail = Mail("m1", size)
    with Client(grey.address, FRIEND) as client:
        assert client.begin(mail.sender, [mail.recipient])[0].code == 250
        assert client.ask("DATA").code == 354
        wire = stuffed(mail.content())
        half = sender.submit(client.sock.sendall, wire[: size // 2])
        sink.wait_for("hanging at data")
        sink.kill()
        half.result()
        client.sock.sendall(wire[size // 2 :])
        answer = client.read()
        assert answer.code == 451
        assert answer.text.startswith("4.4.2 ")

        # The client may go on in the same session.
        sink.restart()
        assert client.begin(mail.sender, [mail.recipient])[0].code == 250
        assert client.give(mail.content()).code == 250
    assert ids(sink) == ["m1"]
    grey.wait_for_log("event=message", "outcome=deferred", "connection to the mail server lost")


@pytest.mark.parametrize(("place", "copies"), [("dot", 1), ("kept", 2)])
def test_server_killed_after_the_dot(
    place: str, copies: int, grey: Grey, sink: CheckingSink, sender: ThreadPoolExecutor
) -> None:
    """Nobody can know whether it had the message already: the client has to send it again."""
    sink.restart(hang_at=place)
    mail = Mail("m1")
    answer = sender.submit(deliver, grey.address, mail, FRIEND)
    sink.wait_for(f"hanging at {place}")
    sink.kill()
    assert answer.result().code == 451
    assert answer.result().text.startswith("4.4.2 ")
    grey.wait_for_log("event=message", "outcome=unknown")

    sink.restart()
    assert deliver(grey.address, mail, FRIEND).code == 250
    assert ids(sink) == ["m1"] * copies


def test_server_killed_and_restarted_under_load(grey: Grey, sink: CheckingSink) -> None:
    deliver_until_taken(grey.address, Mail("first"))
    ledger = Ledger(grey.address)
    mails = [Mail(f"m{number}", 1_000 + number % 7 * 5_000) for number in range(600)]
    killing = threading.Lock()
    kills = iter((100, 300))
    next_kill = [next(kills)]

    def kill_now_and_then(taken: int) -> None:
        with killing:
            if taken >= next_kill[0]:
                next_kill[0] = next(kills, 1_000_000)
                sink.restart()

    def all_taken() -> bool:
        waiting = [mail for mail in mails if mail.name not in ledger.taken]
        ledger.send_all(waiting, after=kill_now_and_then)
        return len(ledger.taken) == len(mails)

    wait_until("all mails to be taken", all_taken)
    assert not list(kills)
    kept = [entry for entry in sink.kept() if entry.get("id") != "first"]
    assert ledger.differences(kept) == []
    # Each that is there twice is one whose fate the log calls unknown.
    assert len(kept) - 600 <= len(grey.logged("outcome=unknown"))


# ---- the proxy dies


def test_proxy_killed_in_the_middle_of_a_thousand_sessions(grey: Grey, sink: CheckingSink) -> None:
    deliver_until_taken(grey.address, Mail("first"))
    stranger = Mail("stranger", sender="stranger@example.net")
    assert deliver(grey.address, stranger).code == 451
    ledger = Ledger(grey.address)
    mails = [Mail(f"m{number}", 1_000 + number % 5 * 20_000) for number in range(1_000)]
    killed = threading.Lock()

    def kill_once(taken: int) -> None:
        if taken >= 400 and killed.acquire(blocking=False):
            grey.kill()

    ledger.send_all(mails, after=kill_once)
    assert len(ledger.taken) >= 400
    assert ledger.codes[0] >= 100  # told nothing

    grey.start()
    # The database is as it was: who got in gets in, who was deferred has waited.
    assert deliver(grey.address, Mail("after")).code == 250
    deliver_until_taken(grey.address, stranger)
    grey.wait_for_log("from=stranger@example.net", "reason=retried", "verdict=pass")
    again = [mail for mail in mails if mail.name not in ledger.taken]
    ledger.send_all(again)
    assert len(ledger.taken) == 1_000
    others = {"first", "after", "stranger"}
    assert ledger.differences(e for e in sink.kept() if e.get("id") not in others) == []
    assert "set aside" not in grey.said()
    assert "Traceback" not in grey.said()


def test_term_lets_a_message_finish(
    grey: Grey, sink: CheckingSink, sender: ThreadPoolExecutor
) -> None:
    wire = stuffed(Mail("m1", 500_000).content())
    with Client(grey.address, FRIEND) as inside, Client(grey.address, FRIEND) as idle:
        assert inside.begin("sender@example.net", ["anna@example.org"])[0].code == 250
        assert inside.ask("DATA").code == 354
        inside.sock.sendall(wire[:200_000])
        code: Future[int] = sender.submit(grey.end, signal.SIGTERM)
        assert idle.read().code == 421
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(grey.address).close()
        inside.sock.sendall(wire[200_000:])
        assert inside.read().code == 250
        assert inside.read().code == 421
    assert code.result() == 0
    assert ids(sink) == ["m1"]


# ---- the database dies


@pytest.mark.parametrize("damage", ["all of it", "a page inside"])
def test_broken_database_is_set_aside_and_mail_flows(
    damage: str, grey: Grey, sink: CheckingSink
) -> None:
    deliver_until_taken(grey.address, Mail("before"))
    assert grey.end() == 0
    broken = bytearray(grey.database.read_bytes())
    start = 0 if damage == "all of it" else 4_096
    broken[start:] = b"\xa5" * (len(broken) - start)
    grey.database.write_bytes(broken)

    grey.start()
    first = deliver(grey.address, Mail("after"))
    assert first.text.startswith("4.7.1 Greylisting in action, ")  # the memory is gone, mail is not
    deliver_until_taken(grey.address, Mail("after"))
    assert ids(sink) == ["before", "after"]
    (kept,) = set_aside(grey.database)
    assert kept.read_bytes() == bytes(broken)
    assert f"CRITICAL Kamaelia.Apps.Grey.Store.Sqlite: {grey.database} cannot" in grey.said()
    assert kept.name in grey.said()


def set_aside(database: Path) -> list[Path]:
    stamped = re.compile(re.escape(database.name) + r"\.broken-\d{8}T\d{6}Z").fullmatch
    return [path for path in database.parent.iterdir() if stamped(path.name)]
