"""The program as its administrator knows it: at rest, on IPv6, and the demo."""

import os
import re
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from Test.System.clients import Client, Mail, deliver, deliver_until_taken
from Test.System.processes import PATIENCE_SECONDS, ROOT, CheckingSink, Grey, free_port, wait_until

IDLE_SECONDS = 1.0


def cpu_ticks(pid: int) -> int:
    """CPU time of a process in hundredths of a second, in its own code and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def wake_ups(pid: int) -> int:
    """How often any of its threads went to sleep, so how often one was awake."""
    statuses = [path.read_text("ascii") for path in Path(f"/proc/{pid}/task").glob("*/status")]
    return sum(
        int(number)
        for status in statuses
        for number in re.findall(r"^voluntary_ctxt_switches:\s*(\d+)", status, re.MULTILINE)
    )


def test_program_at_rest_does_nothing(grey: Grey) -> None:
    """Also with clients that are connected and silent, and after mail has gone through."""
    deliver_until_taken(grey.address, Mail("first"))
    with Client(grey.address), Client(grey.address) as greeted:
        assert greeted.ask("EHLO client.example.net").code == 250
        settle = threading.Event()
        settle.wait(0.3)  # the last lines of the log are written
        ticks, sleeps = cpu_ticks(grey.pid), wake_ups(grey.pid)
        settle.wait(IDLE_SECONDS)
        assert cpu_ticks(grey.pid) - ticks <= 1
        assert wake_ups(grey.pid) - sleeps <= 2


def test_clients_above_the_limit_are_asked_to_come_later(
    tmp_path: Path, sink: CheckingSink
) -> None:
    with Grey(tmp_path, sink.port, max_connections=5) as grey, ExitStack() as clients:
        first, *more = [clients.enter_context(Client(grey.address)) for _ in range(8)]
        assert [client.banner.code for client in (first, *more)] == [220] * 5 + [421] * 3
        assert first.ask("QUIT").code == 221
        wait_until("a place to be free", lambda: deliver(grey.address, Mail("m1")).code == 451)


def test_client_over_ipv6(tmp_path: Path, sink: CheckingSink) -> None:
    try:
        free_port("::1")
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with Grey(tmp_path, sink.port, host="::1") as grey:
        answers = deliver_until_taken(grey.address, Mail("over-ipv6"))
        assert [answer.text.split()[0] for answer in answers[:-1]] == ["4.7.1"] * len(answers[:-1])
        assert answers[:-1]
        grey.wait_for_log("client=::1", "reason=new", "verdict=defer")
        grey.wait_for_log("client=::1", "outcome=delivered")
    assert [entry["id"] for entry in sink.kept()] == ["over-ipv6"]


def test_port_that_is_taken_is_said_and_ends_the_program(grey: Grey, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "Kamaelia.Apps.Grey", "-D", "-f", tmp_path / "greylist.conf"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode == os.EX_OSERR
    assert f"cannot listen on 127.0.0.1 port {grey.address[1]}: Address" in done.stderr
    assert "Traceback" not in done.stderr


def test_server_that_is_away_is_said_and_strangers_are_greylisted(
    tmp_path: Path, sink: CheckingSink
) -> None:
    sink.kill()
    with Grey(tmp_path, sink.port) as grey:
        assert deliver(grey.address, Mail("m1")).text.startswith("4.7.1 Greylisting in action, ")
        assert "cannot be used now" in grey.said()
        sink.restart()
        deliver_until_taken(grey.address, Mail("m1"))


def test_demo_plays_its_story() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "Kamaelia.Apps.Grey.Demo", "--once", "--delay", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Everything went as it should." in done.stdout
    assert "BAD" not in done.stdout
    assert done.stderr == ""
