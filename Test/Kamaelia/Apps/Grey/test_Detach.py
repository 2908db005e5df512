"""Becoming a daemon: real processes, for nothing else can."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from Test.Kamaelia.Apps.Grey.support import RCPT, STRANGER, Client, FakeServer
from Test.System.processes import is_running

ROOT = Path(__file__).parents[4]
SECONDS = 20
MailServer = Callable[..., FakeServer]


def run(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """Whoever starts a daemon: he waits for its exit code, and for the end of what it says."""
    return subprocess.run(
        [sys.executable, "-m", "Kamaelia.Apps.Grey", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def wait_until(what: Callable[[], bool]) -> None:
    until = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.fixture
def settings(tmp_path: Path, mail_server: MailServer) -> Iterator[Path]:
    """A configuration whose paths are relative; what was started by it is ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = tmp_path / "greylist.conf"
    path.write_text(
        f"listen:\n    127.0.0.1\nport = {port}\nservername = mx.example.org\n"
        f"smtp_port = {mail_server().address[1]}\nallowed_domains:\n    example.org\n"
        "relay_check = no\ndatabase = grey.sqlite3\ngreylist_log = mail.log\npid_file = pid\n"
        "greylist_debuglog = debug.log\n"
        "store_failure = defer\n"  # where much else goes on, a new database may take its time
    )
    yield path
    for line in (tmp_path / "pid").read_text().split() if (tmp_path / "pid").exists() else ():
        os.kill(int(line), signal.SIGKILL)


def address(path: Path) -> tuple[str, int]:
    (line,) = [line for line in path.read_text().splitlines() if line.startswith("port = ")]
    return "127.0.0.1", int(line.split()[2])


def pid_in(folder: Path) -> int:
    return int((folder / "pid").read_text())


def is_gone(pid: int) -> bool:
    return not is_running(pid)  # who takes note of its end is not for us to say


@pytest.mark.parametrize("workers", [1, 2])
def test_the_parent_ends_with_0_when_mail_is_taken(
    settings: Path, tmp_path: Path, workers: int
) -> None:
    with settings.open("a") as file:
        file.write(f"workers = {workers}\n")
    done = run("-f", "greylist.conf", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    client = Client(address(settings), STRANGER).begin()  # no second try
    assert client.ask(RCPT).startswith("451")
    client.close()
    pid = pid_in(tmp_path)
    place = Path(f"/proc/{pid}")
    assert (place / "cwd").readlink() == Path("/")
    for number in range(3):
        assert (place / "fd" / str(number)).readlink() == Path("/dev/null")
    assert os.getsid(pid) not in (os.getsid(0), pid)  # it can have no terminal any more
    wait_until((tmp_path / "mail.log").exists)
    assert {each.name for each in tmp_path.iterdir()} >= {"grey.sqlite3", "debug.log"}
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: is_gone(pid))
    assert not (tmp_path / "pid").exists()
    assert "ended" in (tmp_path / "debug.log").read_text()


def test_its_own_umask_keeps_others_from_writing(settings: Path, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert run("-f", settings, folder=tmp_path).returncode == 0
    finally:
        os.umask(before)
    for each in tmp_path.iterdir():
        if each != settings:
            assert each.stat().st_mode & 0o022 == 0, each
    os.kill(pid_in(tmp_path), signal.SIGTERM)
    wait_until(lambda: not (tmp_path / "pid").exists())


def test_the_parent_says_why_not(settings: Path, tmp_path: Path) -> None:
    with socket.create_server(address(settings)):
        done = run("-f", settings, folder=tmp_path)
    assert done.returncode == os.EX_OSERR
    assert f"cannot listen on 127.0.0.1 port {address(settings)[1]}" in done.stderr
    with settings.open("a") as file:
        file.write("tls_certificate = nothing.pem\n")
    done = run("-f", settings, folder=tmp_path)
    assert done.returncode == os.EX_CONFIG
    assert f"{tmp_path}/nothing.pem: No such file" in done.stderr
    settings.write_text("prt = 25\n")
    done = run("-f", settings, folder=tmp_path)
    assert done.returncode == os.EX_DATAERR
    assert "greylist.conf:1:1" in done.stderr


def test_a_daemon_that_dies_at_its_start_is_a_fault_of_ours(settings: Path, tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text(
        "import os, sys\n"
        "from Kamaelia.Apps.Grey import Daemon\n"
        "from Kamaelia.Apps.Grey.Program import Program\n"
        "Program.run = lambda *_: os._exit(3)\n"
        "sys.exit(Daemon.main(sys.argv[1:]))\n"
    )
    done = subprocess.run(
        [sys.executable, str(planted), "-f", str(settings)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == os.EX_SOFTWARE
    assert "ended before it took mail" in done.stderr


def test_a_change_of_the_file_is_noticed_without_a_signal(settings: Path, tmp_path: Path) -> None:
    assert run("-f", settings, "-P", "other.pid", folder=tmp_path).returncode == 0
    pid = int((tmp_path / "other.pid").read_text())
    try:
        log = tmp_path / "debug.log"
        settings.write_text(settings.read_text() + "serverid = Other\n")
        wait_until(lambda: "new sessions have the new configuration" in log.read_text())
        client = Client(address(settings))
        assert "Other" in client.banner
        client.close()
        settings.write_text(settings.read_text() + "prt = 25\n")
        wait_until(lambda: "the configuration stays as it was" in log.read_text())
        assert "pid_file has changed" not in log.read_text()  # the command line said it
    finally:
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: is_gone(pid))
