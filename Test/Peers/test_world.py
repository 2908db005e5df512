"""A world has what its programs need, and nothing of it is left."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from Test.Peers.world import PEERS, World
from Test.System.processes import is_running, wait_until

CONTROL = "/usr/sbin/smtpctl"
pytestmark = pytest.mark.needs("opensmtpd")


@pytest.fixture
def world() -> Iterator[World]:
    made = World("opensmtpd", [CONTROL], ["opensmtpd"])
    yield made
    if made.root.exists():
        made.remove()


def test_a_program_runs_in_it_with_users_and_files_of_its_own(world: World) -> None:
    world.write("/etc/hello", "hello\n")
    world.folder("/own", "opensmtpd")
    script = 'read line < /etc/hello; echo "$line"; echo lost > /dev/null; test -d /own'
    assert world.run("/bin/sh", "-c", script) == "hello\n"
    assert world.path("/own").stat().st_uid == world.users["opensmtpd"]


def test_a_program_that_fails_says_why(world: World) -> None:
    with pytest.raises(RuntimeError, match="not today"):
        world.run("/bin/sh", "-c", "echo not today; exit 3")


def test_what_still_runs_in_it_is_ended_and_the_folder_removed(world: World) -> None:
    command = world.command("/bin/sh", "-c", "echo up; read line")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        world.remove()
        wait_until("the shell to be over", lambda: not is_running(process.pid))
    assert not world.root.exists()


def test_a_program_without_its_libraries_is_found_out_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake = tmp_path / "ldd"
    fake.write_text("#!/bin/sh\necho 'libdb.so => not found'\n", encoding="ascii")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/sbin:/usr/bin:/bin")
    with pytest.raises(RuntimeError, match=r"libdb\.so"):
        World("opensmtpd", [CONTROL], [])
    assert not list(PEERS.glob(f"run-{os.getpid()}-*"))
