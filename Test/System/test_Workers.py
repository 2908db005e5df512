"""The life of the program in real processes: workers that die, new configurations, its end, and
what systemd does with it. Clients come all the time, and none may notice."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from Test.System.clients import Client, Mail, deliver, deliver_until_taken
from Test.System.other_users import PACKAGES, python_for
from Test.System.processes import (
    FRIEND,
    PATIENCE_SECONDS,
    ROOT,
    CheckingSink,
    Grey,
    free_port,
    is_running,
    takes_connections,
    wait_until,
)

PAUSE_SECONDS = 0.005
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


class Stream:
    """Clients that come one after the other, several at a time, in a `with`; what became of
    them."""

    def __init__(self, address: tuple[str, int], at_a_time: int = 3) -> None:
        self._address = address
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(at_a_time)]
        self.ends: Counter[str] = Counter()

    def __enter__(self) -> Stream:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive()

    def wait_for(self, more: int) -> None:
        """Until so many more clients have been served."""
        wanted = self.ends["served"] + more
        wait_until(f"{wanted} clients to be served", lambda: self.ends["served"] >= wanted)

    def _run(self) -> None:
        while not self._over.wait(PAUSE_SECONDS):
            try:
                with Client(self._address) as client:
                    codes = (client.banner.code, client.ask("QUIT").code)
                end = "served" if codes == (220, 221) else str(codes)
            except OSError as error:
                end = type(error).__name__
            self.ends[end] += 1


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
    return [int(word) for word in text.split()]


def config_of(grey: Grey) -> Path:
    return grey.folder / "greylist.conf"


def reload(grey: Grey) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "Kamaelia.Apps.Grey", "--reload", "-f", config_of(grey)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@pytest.fixture
def two(tmp_path: Path, sink: CheckingSink) -> Iterator[Grey]:
    """kamaelia-grey with two workers."""
    folder = tmp_path / "run"
    folder.mkdir(0o755)
    with Grey(tmp_path, sink.port, workers=2, relay_check="no", pid_file=folder / "pid") as program:
        yield program


@pytest.fixture
def one(tmp_path: Path, sink: CheckingSink) -> Iterator[Grey]:
    """kamaelia-grey in one process."""
    folder = tmp_path / "run"
    folder.mkdir(0o755)
    with Grey(tmp_path, sink.port, relay_check="no", pid_file=folder / "pid") as program:
        yield program


# ---- workers


def test_clients_are_dealt_out_and_share_what_is_remembered(two: Grey) -> None:
    deliver_until_taken(two.address, Mail("first"))
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(Client(two.address))
        counts = [len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in children(two.pid)]
        # Each of the 40 is a descriptor in one of them; dealt out by hash, so not quite evenly.
        assert abs(counts[0] - counts[1]) < 30
        assert sum(counts) > 40
    # Whichever of them gets it: the sender is known by now.
    answers = [deliver(two.address, Mail(f"m{number}")).code for number in range(8)]
    assert answers == [250] * 8


def test_a_worker_that_is_killed_is_replaced_and_nobody_is_refused(two: Grey) -> None:
    before = children(two.pid)
    assert len(before) == 2
    with Stream(two.address) as stream:
        stream.wait_for(30)
        os.kill(before[0], signal.SIGKILL)
        wait_until(
            "another worker", lambda: len(now := children(two.pid)) == 2 and before[0] not in now
        )
        stream.wait_for(60)
    assert "ConnectionRefusedError" not in stream.ends
    # Those that it was serving in that moment, and no others.
    assert sum(stream.ends.values()) - stream.ends["served"] <= 3, stream.ends
    two.wait_for(rf"worker \d \({before[0]}\) was ended by SIGKILL; starting it now")
    assert before[1] in children(two.pid)
    assert two.end() == 0


def test_term_lets_a_message_end_and_then_all_of_them_are_gone(two: Grey) -> None:
    pids = children(two.pid)
    with Client(two.address, FRIEND) as client:
        assert client.begin("a@example.net", ["anna@example.org"])[-1].code == 250
        assert client.ask("DATA").code == 354
        os.kill(two.pid, signal.SIGTERM)
        wait_until("the port to be closed", lambda: not takes_connections(two.address[1]))
        assert all(is_running(pid) for pid in (two.pid, pids[0]) if pid != pids[0])
        client.say("Subject: x", "X-Id: last", "", "hello", ".")
        assert client.read().code == 250
        wait_until("the end", lambda: not is_running(two.pid))
    assert not [pid for pid in pids if is_running(pid)]
    assert "Traceback" not in two.said()


def test_ctrl_c_for_the_whole_group_is_one_term(two: Grey) -> None:
    """A terminal sends it to the workers, too, and systemd may do the same with TERM."""
    pids = children(two.pid)
    with Client(two.address, FRIEND) as client:
        assert client.begin("a@example.net", ["anna@example.org"])[-1].code == 250
        assert client.ask("DATA").code == 354
        for pid in (*pids, two.pid):
            os.kill(pid, signal.SIGINT)
        wait_until("the port to be closed", lambda: not takes_connections(two.address[1]))
        client.say("Subject: x", "X-Id: last", "", "hello", ".")
        assert client.read().code == 250


def test_workers_do_not_outlive_their_supervisor(two: Grey) -> None:
    pids = children(two.pid)
    two.kill()
    wait_until("the workers to end", lambda: not any(is_running(pid) for pid in pids))
    assert two.said().count("the supervisor is gone") == 2
    two.start()
    with Client(two.address) as client:
        assert client.banner.code == 220


# ---- reload


@pytest.mark.parametrize("kind", ["one", "two"])
def test_a_new_configuration_disturbs_no_client(kind: str, request: pytest.FixtureRequest) -> None:
    grey: Grey = request.getfixturevalue(kind)
    path = config_of(grey)
    with Client(grey.address) as old, Stream(grey.address) as stream:
        stream.wait_for(20)
        for number in range(3):
            path.write_text(
                re.sub(r"serverid = .*\n", "", path.read_text()) + f"serverid = No {number}\n"
            )
            assert reload(grey).returncode == 0
            stream.wait_for(20)
        wait_until("the last one", lambda: "No 2" in banner_of(grey))
        assert old.ask("NOOP").code == 250
    assert set(stream.ends) == {"served"}
    assert "Traceback" not in grey.said()


def banner_of(grey: Grey) -> str:
    with Client(grey.address) as client:
        return client.banner.text


@pytest.mark.parametrize("kind", ["one", "two"])
def test_a_bad_configuration_changes_nothing_and_is_said(
    kind: str, request: pytest.FixtureRequest
) -> None:
    grey: Grey = request.getfixturevalue(kind)
    path = config_of(grey)
    good = path.read_text()
    path.write_text(good + "serverid = Other\nprt = 25\n")
    line = path.read_text().count("\n")
    done = reload(grey)
    assert done.returncode == os.EX_DATAERR
    assert f"greylist.conf:{line}:1" in done.stderr
    os.kill(grey.pid, signal.SIGHUP)
    grey.wait_for(rf"ERROR kamaelia-grey: .*greylist\.conf:{line}:1")
    grey.wait_for("ERROR kamaelia-grey: the configuration stays as it was")
    assert "Other" not in banner_of(grey)
    path.write_text(good + "serverid = Mended\n")
    assert reload(grey).returncode == 0
    wait_until("the good one", lambda: "Mended" in banner_of(grey))


def test_to_reload_what_does_not_run_is_said(one: Grey) -> None:
    one.kill()
    done = reload(one)
    assert done.returncode == os.EX_UNAVAILABLE
    assert "is the program running" in done.stderr
    one.start()  # the file that was left behind is no obstacle
    assert reload(one).returncode == 0


def test_a_second_one_with_the_same_pid_file_does_not_start(one: Grey, tmp_path: Path) -> None:
    other = tmp_path / "other.conf"
    port = free_port()
    other.write_text(
        re.sub(r"^port = \d+", f"port = {port}", config_of(one).read_text(), flags=re.MULTILINE)
    )
    done = subprocess.run(
        [sys.executable, "-m", "Kamaelia.Apps.Grey", "-D", "-f", other],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == os.EX_OSERR
    assert f"process {one.pid} runs already" in done.stderr


# ---- under systemd


class Manager:
    """What systemd would be to us: a listening socket, and a place to be told things."""

    def __init__(self, folder: Path, grey: Grey) -> None:
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._path = folder / "notify"
        self._notify.bind(str(self._path))
        self._notify.settimeout(PATIENCE_SECONDS)
        self.door = socket.create_server(grey.address, backlog=100)
        self._grey = grey

    def start(self) -> None:
        number = self.door.fileno()
        script = f'exec 3<&{number}; LISTEN_PID=$$ WATCHDOG_PID=$$ exec "$@"'
        with self._grey.output.open("ab") as output:
            self._grey._process = subprocess.Popen(
                [
                    *("bash", "-c", script, "sh", sys.executable, "-m", "Kamaelia.Apps.Grey"),
                    *("-D", "-f", str(config_of(self._grey))),
                ],
                cwd=ROOT,
                env={
                    **os.environ,
                    "LISTEN_FDS": "1",
                    "LISTEN_FDNAMES": "smtp",
                    "NOTIFY_SOCKET": str(self._path),
                    "WATCHDOG_USEC": "300000",
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[number],
            )

    def hear(self, wanted: str) -> None:
        while wanted not in self._notify.recv(1_000).decode().splitlines():
            pass

    def close(self) -> None:
        self.door.close()
        self._notify.close()


@pytest.fixture(params=[1, 2])
def managed(
    request: pytest.FixtureRequest, tmp_path: Path, sink: CheckingSink
) -> Iterator[tuple[Manager, Grey]]:
    grey = Grey(tmp_path, sink.port, workers=request.param, relay_check="no")
    manager = Manager(tmp_path, grey)
    yield manager, grey
    grey.__exit__()
    manager.close()


def test_systemd_hears_of_us_and_its_socket_is_used(managed: tuple[Manager, Grey]) -> None:
    manager, grey = managed
    early = socket.create_connection(grey.address, timeout=PATIENCE_SECONDS)
    manager.start()
    manager.hear("READY=1")
    assert early.recv(100).startswith(b"220 ")  # who came before us was kept for us
    early.close()
    manager.hear("WATCHDOG=1")
    manager.hear("WATCHDOG=1")
    os.kill(grey.pid, signal.SIGHUP)
    manager.hear("RELOADING=1")
    manager.hear("READY=1")
    with Client(grey.address) as client:
        assert client.banner.code == 220
    os.kill(grey.pid, signal.SIGTERM)
    manager.hear("STOPPING=1")
    wait_until("the end", lambda: not is_running(grey.pid))
    # It is systemd's socket: connections wait for the next start.
    assert takes_connections(grey.address[1])


# ---- who we are


@root_only
@pytest.mark.parametrize("workers", [1, 2])
def test_once_the_ports_are_open_we_are_somebody_else(
    sink: CheckingSink,
    make_folder: Callable[[], Path],
    monkeypatch: pytest.MonkeyPatch,
    workers: int,
) -> None:
    python = python_for("nobody")
    if python is None:
        pytest.skip("there is no Python that nobody may read")
    monkeypatch.setattr(sys, "executable", python)
    monkeypatch.setenv("PYTHONPATH", str(PACKAGES))
    entry = pwd.getpwnam("nobody")
    folder = make_folder()
    with Grey(folder, sink.port, workers=workers, relay_check="no", user="nobody") as grey:
        deliver_until_taken(grey.address, Mail(f"as-nobody-{workers}"))
        for pid in [grey.pid, *children(grey.pid)]:
            status = Path(f"/proc/{pid}/status").read_text("ascii")
            ids = re.findall(r"^(?:Uid|Gid):\s*(.*)$", status, re.MULTILINE)
            assert [set(map(int, line.split())) for line in ids] == [
                {entry.pw_uid},
                {entry.pw_gid},
            ]
            assert re.search(r"^CapEff:\s*0+$", status, re.MULTILINE)


@pytest.fixture
def make_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Path]]:
    """A folder that is nobody's own, where pytest's are root's."""
    made: list[Path] = []

    def make() -> Path:
        entry = pwd.getpwnam("nobody")
        folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        made.append(folder)
        return folder

    yield make
    for folder in made:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
