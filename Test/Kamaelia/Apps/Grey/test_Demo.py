"""The demo tells the truth: its story ends well, and says so when it does not."""

import re
import signal
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from Axon.Scheduler import scheduler
from Kamaelia.Apps.Grey import Demo
from Kamaelia.Apps.Grey.Demo import Mailbox, Story, small_mail_server
from Test.Kamaelia.Apps.Grey.support import HELLO, MAIL, RCPT, Client
from Test.Kamaelia.network import Script, World

ROOT = Path(__file__).parents[4]


@pytest.fixture
def own_scheduler(monkeypatch: pytest.MonkeyPatch) -> Iterator[scheduler]:
    """The demo runs in the process's default scheduler: give it one of the test's own."""
    mine = scheduler()
    monkeypatch.setattr(scheduler, "run", mine)
    yield mine
    mine._waiter.close()


def test_played_once_it_ends_well(
    own_scheduler: scheduler, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Demo.main(["--once", "--delay", "1"]) == 0
    out = capsys.readouterr().out
    assert "BAD" not in out
    assert len(re.findall(r"^   ok  ", out, re.MULTILINE)) == 9
    assert out.endswith("Everything went as it should.\n")
    assert "451 4.7.1 Greylisting in action" in out
    assert "550 5.7.1 relaying denied" in out


def test_a_story_that_goes_wrong_says_so(
    own_scheduler: scheduler,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The mail server keeps nothing of what it takes.
    class Leaky(list[bytes]):
        def append(self, message: bytes) -> None:
            """Lost."""

    monkeypatch.setattr(Demo, "Mailbox", lambda: Mailbox(Leaky()))
    assert Demo.main(["--once", "--delay", "1"]) == 1
    out = capsys.readouterr().out
    assert "BAD  the mail lies in anna's mailbox" in out
    assert out.endswith("Something went wrong.\n")


def test_a_story_without_servers_says_so(own_scheduler: scheduler) -> None:
    said: list[str] = []
    story = Story(1, Mailbox(), 1, said.append)  # nobody listens on port 1
    story.activate(own_scheduler)
    own_scheduler.runThreads()
    assert not story.went_well
    assert "BAD  that went wrong: " in said[-1]


def test_the_small_mail_server_takes_mail_for_its_own(real_time_world: World) -> None:
    world = real_time_world
    mailbox = Mailbox()

    def script() -> Script:
        server = small_mail_server(mailbox)
        world.run(server)
        client = world.connect(server)
        client.sendall(HELLO)
        wire = b""
        while b"\n250 " not in wire:  # who says more before the answer to EHLO is hung up on
            wire += yield from world.receive(client, 1)
        client.sendall(MAIL + RCPT + b"RCPT TO:<b@elsewhere.example>\r\nDATA\r\n")
        client.sendall(b"..dot\r\n.\r\nQUIT\r\n")
        wire += yield from world.receive_all(client)
        codes = [line[:3] for line in wire.split(b"\r\n") if line[3:4] == b" "]
        assert codes == [b"220", b"250", b"250", b"250", b"550", b"354", b"250", b"221"]

    world.play(script())
    assert mailbox.messages == [b"..dot\r\n"]


def test_without_once_it_stays_until_ctrl_c() -> None:
    program = subprocess.Popen(
        [sys.executable, "-m", "Kamaelia.Apps.Grey.Demo", "--delay", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    assert program.stdout is not None
    port = 0
    for line in program.stdout:
        if found := re.search(r"--server 127\.0\.0\.1:(\d+)", line):
            port = int(found[1])
            break
    with smtplib.SMTP("127.0.0.1", port, timeout=15) as client:
        assert client.noop()[0] == 250
    stranger = Client(("127.0.0.1", port), "127.0.0.55").begin()
    assert stranger.ask(RCPT).startswith("451 4.7.1")
    stranger.close()
    program.send_signal(signal.SIGINT)
    out, error = program.communicate(timeout=15)
    assert program.returncode == 0
    assert out.endswith("Good-bye.\n")
    assert "Traceback" not in error
