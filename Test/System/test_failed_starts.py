"""A start that fails leaves no files of sockets behind: with the real program, which makes them as
root, and finds what is wrong when it is root no more."""

import os
import pwd
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from Test.System.other_users import PACKAGES, python_for
from Test.System.processes import wait_until

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{PACKAGES}"}
PATIENCE = 30
LISTS = ("listen", "before_decider", "tls_certificates")


class Site:
    """A folder for sockets that is ours alone, one for a database that the program's user has, and
    a configuration with three doors."""

    def __init__(self, folder: Path, user: str, python: str) -> None:
        self.folder = folder
        self.python = python
        self.run, self.state = folder / "run", folder / "state"
        for each in (self.run, self.state):
            each.mkdir(mode=0o755)
        self.path = folder / "greylist.conf"
        self.silent = socket.create_server(("127.0.0.1", 0))  # a mail server that says nothing
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.settings = {
            "listen": "127.0.0.1",
            "port": str(self.port),
            "socket": str(self.run / "milter"),
            "policy_socket": str(self.run / "policy"),
            "smtp_port": str(self.silent.getsockname()[1]),
            "relay_check": "no",
            "database": str(self.state / "grey.sqlite3"),
        }
        if user:
            entry = pwd.getpwnam(user)
            os.chown(self.state, entry.pw_uid, entry.pw_gid)
            self.settings["user"] = user
        self.started: list[subprocess.Popen[str]] = []

    def start(self, *options: str, **changed: str) -> "subprocess.Popen[str]":
        settings = self.settings | changed
        text = ""
        for name, value in settings.items():  # several lines, or one
            text += f"{name}:\n    {value}\n" if name in LISTS else f"{name} = {value}\n"
        self.path.write_text(text)
        self.path.chmod(0o644)
        program = subprocess.Popen(
            [self.python, "-m", "Kamaelia.Apps.Grey", *options, "-f", str(self.path)],
            cwd=ROOT,
            env=ENVIRONMENT,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(program)
        return program

    def fails(self, *options: str, **changed: str) -> tuple[int, str]:
        """Its code, and what it says."""
        program = self.start(*(options or ("-D",)), **changed)
        _, said = program.communicate(timeout=PATIENCE)
        return program.returncode, said

    @property
    def left(self) -> list[str]:
        return sorted(each.name for each in self.run.iterdir())

    def has_started(self, program: "subprocess.Popen[str]") -> None:
        assert program.stderr is not None
        for line in program.stderr:
            if "configuration" in line:
                return
        raise AssertionError("it has ended")

    def close(self) -> None:
        for program in self.started:
            if program.poll() is None:
                program.kill()
            program.communicate()
        self.silent.close()


def knock(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(number) for number in text.split()]


@cache
def has_the_program(python: str, user: str) -> bool:
    """What is installed may be for another version."""
    done = subprocess.run(
        [python, "-c", "import Kamaelia.Apps.Grey.Daemon"],
        user=user,
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode == 0


@pytest.fixture
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """One whose program becomes nobody, or the user that the test says."""
    user: str = getattr(request, "param", "nobody")
    python: str | None = sys.executable
    if user:
        if os.geteuid() != 0:
            pytest.skip("only root can become somebody else")
        python = python_for(user)
        if python is None or not has_the_program(python, user):
            pytest.skip("there is no Python that nobody may read, with all that the program needs")
    with tempfile.TemporaryDirectory(prefix="grey-start-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # pytest's own is for root alone
        made = Site(folder, user, python or "")
        yield made
        made.close()


def a_port(site: Site) -> dict[str, str]:
    """That of peers: it is opened last."""
    return {"peers": "192.0.2.9 3s", "syncaddr": f"127.0.0.1:{site.silent.getsockname()[1]}"}


def a_door(site: Site) -> dict[str, str]:
    (site.run / "policy").write_text("mine")
    return {}


def an_owner(site: Site) -> dict[str, str]:
    return {"policy_socket_owner": "no-such-user"}


def pid_file(site: Site) -> dict[str, str]:
    return {"pid_file": str(site.folder / "none" / "pid")}


def certificate(site: Site) -> dict[str, str]:
    (site.folder / "cert.pem").write_text("nonsense")
    return {"tls_certificate": str(site.folder / "cert.pem")}


def database(site: Site) -> dict[str, str]:
    """Where root could have it, and nobody cannot."""
    if "user" in site.settings:
        return {"database": str(site.run / "grey.sqlite3")}
    return {"database": str(site.run / "none" / "grey.sqlite3")}


def component(site: Site) -> dict[str, str]:
    (site.folder / "own.py").write_text("raise ValueError('planted')\n")
    return {"before_decider": f"{site.folder / 'own.py'} Own"}


Spoil = Callable[[Site], dict[str, str]]
WHYS: dict[Spoil, tuple[int, str]] = {
    a_port: (os.EX_OSERR, "Address already in use"),
    a_door: (os.EX_OSERR, "there is a file that is no socket"),
    an_owner: (os.EX_OSERR, "there is no such user"),
    pid_file: (os.EX_OSERR, "pid_file"),
    certificate: (os.EX_CONFIG, "cert.pem"),
    database: (os.EX_CONFIG, "database"),
    component: (os.EX_CONFIG, "planted"),
}


@pytest.mark.parametrize(
    ("site", "spoil"),
    [("nobody", spoil) for spoil in WHYS] + [("", a_port), ("", pid_file), ("", database)],
    indirect=["site"],
    ids=lambda each: getattr(each, "__name__", each or "root"),
)
def test_nothing_is_left(site: Site, spoil: Spoil) -> None:
    changed = spoil(site)
    before = site.left
    code, said = site.fails(**changed)
    assert (code, site.left) == (WHYS[spoil][0], before), said
    assert WHYS[spoil][1] in said


def test_nothing_is_left_by_a_daemon_when_its_starter_hears_of_it(site: Site) -> None:
    code, said = site.fails("-v", **database(site))
    assert (code, site.left) == (os.EX_CONFIG, []), said


def test_nothing_is_left_of_a_start_that_was_killed(site: Site) -> None:
    program = site.start("-D", relay_check="yes")
    site.silent.settimeout(PATIENCE)
    asking, _ = site.silent.accept()  # it asks the mail server, as nobody, and hears nothing
    with asking:
        assert site.left == ["milter", "policy"]
        os.kill(program.pid, signal.SIGKILL)
        program.wait(PATIENCE)
        wait_until("the files go", lambda: site.left == [])


def test_what_another_one_listens_at_stays(site: Site) -> None:
    first = site.start("-D")
    site.has_started(first)
    assert site.left == ["milter", "policy"]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # Its first door, which it gets, is a port; of its files it gets none, or one.
    other = {"port": str(port), "policy_socket": str(site.run / "another")}
    code, said = site.fails(**other)
    assert (code, site.left) == (os.EX_OSERR, ["milter", "policy"]), said
    other = {"port": str(port), "socket": str(site.run / "another")}
    code, said = site.fails(**other)
    assert code == os.EX_OSERR, said
    assert "policy: Address already in use" in said
    assert site.left == ["milter", "policy"]
    for name in site.left:
        knock(site.run / name)
    assert first.poll() is None


@pytest.mark.parametrize("workers", [1, 2])
def test_a_start_that_works_keeps_them_and_nobody_stays_root(site: Site, workers: int) -> None:
    program = site.start("-D", workers=str(workers))
    site.has_started(program)
    wait_until(
        "only workers", lambda: len(children(program.pid)) == (workers if workers > 1 else 0)
    )
    assert site.left == ["milter", "policy"]
    for name in site.left:
        knock(site.run / name)
    program.terminate()
    assert program.wait(PATIENCE) == os.EX_OK
