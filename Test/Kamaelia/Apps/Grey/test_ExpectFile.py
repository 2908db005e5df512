"""The file of mail that is waited for: followed, written down, and for once only once."""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.ExpectFile import MAX_BYTES, ExpectFile, add, mark_used, text_of
from Test.Kamaelia.Apps.Grey.support import STRANGER, Client, FakeServer

NOW = 1_740_000_000
MODULE = "Kamaelia.Apps.Grey.ExpectFile"
ROOT = Path(__file__).resolve().parents[4]
SECONDS = 20.0
ANNA, BOB = "anna@example.org", "bob@example.org"
MailServer = Callable[..., FakeServer]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "expected"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(float(NOW))


def write(path: Path, text: str) -> None:
    """As an editor does: another file in its place."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < until
        time.sleep(0.01)


# --- following it ---


def test_nothing_is_read_before_the_first_look_and_then_what_is_new(
    path: Path, clock: FakeClock
) -> None:
    add(path, ANNA, 900, NOW)
    expected = ExpectFile(path, clock)
    assert not expected
    assert expected.look()
    assert expected.is_timed(ANNA, NOW + 900)
    assert not expected.look()
    add(path, BOB, 900, NOW, once=True)
    assert expected.look()
    assert expected.matches(BOB, NOW)
    assert expected.matches(ANNA, NOW)


def test_without_a_file_nobody_is_waited_for_and_later_there_may_be_one(
    path: Path, clock: FakeClock
) -> None:
    expected = ExpectFile(path, clock)
    assert not expected.look()
    add(path, ANNA, 900, NOW)
    assert expected.look()
    path.unlink()
    assert expected.look()
    assert not expected.matches(ANNA, NOW)


def test_lines_that_are_none_are_counted_in_the_log(
    path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    write(path, f"nonsense\n# a remark\n{ANNA} {NOW + 9} timed -\n{BOB} soon timed -\n")
    expected = ExpectFile(path, clock)
    assert expected.look()
    assert expected.matches(ANNA, NOW)
    assert "2 lines are none" in caplog.text


def test_one_that_cannot_be_read_changes_nothing_and_is_spoken_of_once(
    path: Path, clock: FakeClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    add(path, ANNA, 900, NOW)
    expected = ExpectFile(path, clock)
    expected.look()
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")  # nobody may lead us to another file
    (tmp_path / "elsewhere").write_text(f"{BOB} {NOW + 9} timed -\n")
    with caplog.at_level(logging.WARNING):
        assert not expected.look()
        assert not expected.look()
    assert expected.matches(ANNA, NOW)
    assert not expected.matches(BOB, NOW)
    assert [each.levelname for each in caplog.records] == ["WARNING"]


def test_of_a_file_that_is_far_too_long_the_beginning_counts(path: Path) -> None:
    path.write_bytes(b"x" * (MAX_BYTES + 1))
    assert len(text_of(path)) == MAX_BYTES


# --- once ---


def test_what_was_used_is_written_down_and_others_see_it(path: Path, clock: FakeClock) -> None:
    add(path, ANNA, 900, NOW, once=True)
    one, other = ExpectFile(path, clock), ExpectFile(path, clock)
    one.look()
    other.look()
    assert one.use(ANNA, NOW)
    wait_for(lambda: " used" in path.read_text())
    assert not other.matches(ANNA, NOW)  # it looks before it says yes
    assert not one.matches(ANNA, NOW)


def test_what_we_have_used_stays_so_while_it_is_not_yet_written(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = threading.Event()
    monkeypatch.setattr(f"{MODULE}._write_down", lambda *_: slow.wait(SECONDS))
    add(path, ANNA, 900, NOW, once=True)
    expected = ExpectFile(path, clock)
    expected.look()
    assert expected.use(ANNA, NOW)
    add(path, BOB, 900, NOW)  # by somebody who does not know of it
    assert expected.look()
    assert expected.matches(BOB, NOW)
    assert not expected.matches(ANNA, NOW)
    mark_used(path, ANNA, NOW)
    expected.look()
    add(path, ANNA, 950, NOW, once=True)  # waited for anew
    expected.look()
    assert expected.matches(ANNA, NOW)
    slow.set()


def test_for_a_while_nothing_is_written_at_a_use(path: Path, clock: FakeClock) -> None:
    add(path, ANNA, 900, NOW)
    before = path.stat().st_ino
    expected = ExpectFile(path, clock)
    expected.look()
    assert not expected.use(ANNA, NOW)
    assert expected.matches(ANNA, NOW)
    mark_used(path, ANNA, NOW)
    assert path.stat().st_ino == before


def test_a_use_that_cannot_be_written_is_told_and_counts_here(
    path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    add(path, ANNA, 900, NOW, once=True)
    expected = ExpectFile(path, clock)
    expected.look()
    monkeypatch.setattr(f"{MODULE}.mark_used", full)
    assert expected.use(ANNA, NOW)
    wait_for(lambda: "No space left" in caplog.text)
    assert not expected.matches(ANNA, NOW)


def test_who_fails_to_write_leaves_the_file_as_it_was_and_no_other(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: int) -> None:
        raise OSError(5, "broken")

    add(path, ANNA, 900, NOW)
    before = path.read_text()
    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="broken"):
        add(path, BOB, 900, NOW)
    assert path.read_text() == before
    assert list(path.parent.iterdir()) == [path]


def test_there_are_not_too_many(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("Kamaelia.Apps.Grey.Core.Expectations.MOST", 1)
    add(path, ANNA, 900, NOW)
    with pytest.raises(OSError, match="waited for already"):
        add(path, BOB, 900, NOW)


# --- the program ---


def run(*words: str, folder: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "Kamaelia.Apps.Grey", "-f", "greylist.conf", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def expect(*words: str, folder: Path) -> None:
    done = run("--expect", *words, folder=folder)
    assert done.wait(SECONDS) == 0


@pytest.fixture
def program(tmp_path: Path, mail_server: MailServer) -> Iterator[tuple[str, int]]:
    """Two workers that take mail; their address."""
    port = free_port()
    (tmp_path / "greylist.conf").write_text(
        f"listen:\n    127.0.0.1\nport = {port}\nservername = mx.example.org\n"
        f"smtp_port = {mail_server().address[1]}\nallowed_domains:\n    example.org\n"
        "relay_check = no\nworkers = 2\nnodetach\ndatabase = grey.sqlite3\nexpect_file = expected\n"
        "greylist_log = mail.log\ngreylist_debuglog = debug.log\npid_file = pid\n"
    )
    process = run(folder=tmp_path)
    try:
        wait_for(lambda: (tmp_path / "pid").exists() and takes_mail(("127.0.0.1", port)))
        yield "127.0.0.1", port
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(SECONDS)
        finally:
            process.kill()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def takes_mail(address: tuple[str, int]) -> bool:
    try:
        Client(address, STRANGER).close()
    except OSError:
        return False
    return True


def reply_to(address: tuple[str, int], sender: int, recipient: str) -> str:
    client = Client(address, STRANGER)
    try:
        client.ask(b"EHLO client.example\r\n")
        client.ask(b"MAIL FROM:<s%d@example.net>\r\n" % sender)
        return client.ask(b"RCPT TO:<%s>\r\n" % recipient.encode())[:3]
    finally:
        client.close()


def test_of_two_workers_one_lets_in_one_mail_and_for_a_while_both_let_in_all(
    program: tuple[str, int], tmp_path: Path
) -> None:
    assert reply_to(program, 0, ANNA) == "451"
    expect(ANNA, "--once", folder=tmp_path)
    expect(BOB, "--for", "10m", folder=tmp_path)
    time.sleep(1.5)  # they look once a second
    assert [reply_to(program, number, BOB) for number in range(1, 9)] == ["250"] * 8
    assert reply_to(program, 10, ANNA) == "250"
    wait_for(lambda: " once used" in (tmp_path / "expected").read_text())
    # Which of them takes a connection is the kernel's choice: of twelve, both have some.
    assert [reply_to(program, number, ANNA) for number in range(11, 23)] == ["451"] * 12
