"""To become another user, for good: tried in processes of their own."""

import grp
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from Kamaelia.Apps.Grey.Privileges import Caretaker, PrivilegeError, become, found
from Test.System.other_users import PACKAGES, python_for

ROOT = Path(__file__).parents[4]
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def in_a_process(
    code: str, python: str = "", *, start_new_session: bool = False
) -> subprocess.CompletedProcess[str]:
    python = python or python_for("nobody") or ""
    if not python:
        pytest.skip("there is no Python that nobody may read")
    head = "import os\nfrom Kamaelia.Apps.Grey.Privileges import PrivilegeError, become\n"
    return subprocess.run(
        [python, "-c", head + code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(PACKAGES)},
        capture_output=True,
        text=True,
        check=False,
        start_new_session=start_new_session,
    )


@root_only
def test_all_ids_change_and_there_is_no_way_back() -> None:
    done = in_a_process(
        "become('nobody')\n"
        "print(os.getresuid(), os.getresgid(), 0 in os.getgroups())\n"
        "status = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
        "print(*(int(status['Cap' + kind], 16) for kind in ('Prm', 'Eff', 'Inh', 'Amb')))\n"
        "for back in (os.setuid, os.seteuid, os.setgid):\n"
        "    try:\n"
        "        back(0)\n"
        "    except PermissionError:\n"
        "        print('no way')\n"
    )
    entry = pwd.getpwnam("nobody")
    uid, gid = entry.pw_uid, entry.pw_gid
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"({uid}, {uid}, {uid}) ({gid}, {gid}, {gid}) False",
        "0 0 0 0",
        *["no way"] * 3,
    ]


@root_only
def test_who_is_no_longer_root_stays_who_he_is() -> None:
    done = in_a_process(
        "become('nobody')\n"
        "become('nobody')\n"
        "try:\n"
        "    become('daemon')\n"
        "except PrivilegeError as error:\n"
        "    print(error)\n"
    )
    assert done.stderr == ""
    assert done.stdout == "user = daemon: only root can become somebody else\n"


@root_only
def test_who_may_not_read_python_is_told_so_before_it_is_too_late() -> None:
    done = in_a_process(
        "os.access = lambda *_: False\n"
        "try:\n"
        "    become('nobody')\n"
        "except PrivilegeError as error:\n"
        "    print(error)\n"
    )
    assert done.stdout.startswith("user = nobody: may not read /")


@root_only
def test_root_is_nobody_to_become() -> None:
    with pytest.raises(PrivilegeError, match="that is root"):
        become("root")


def test_a_user_who_is_not_there_is_said() -> None:
    with pytest.raises(PrivilegeError, match="user = no-such-user: there is no such user"):
        become("no-such-user")


@root_only
def test_a_way_back_ends_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("setgroups", "setresgid", "setresuid"):  # a system on which nothing happens
        monkeypatch.setattr(os, name, lambda *_: None)
    with pytest.raises(PrivilegeError, match="could be had back"):
        become("nobody")


@root_only
def test_a_refusal_of_the_system_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "setgroups", refuse)
    with pytest.raises(PrivilegeError, match="user = nobody: Operation not permitted"):
        become("nobody")


@root_only
def test_a_group_may_be_named() -> None:
    done = in_a_process(
        "become('nobody:daemon')\nprint(os.getresuid(), os.getresgid(), 0 in os.getgroups())\n"
    )
    uid, gid = pwd.getpwnam("nobody").pw_uid, grp.getgrnam("daemon").gr_gid
    assert done.stderr == ""
    assert done.stdout == f"({uid}, {uid}, {uid}) ({gid}, {gid}, {gid}) False\n"


@pytest.mark.parametrize(
    ("name", "words", "code"),
    [
        ("no-such-user", "there is no such user", os.EX_OSERR),
        ("nobody:no-such-group", "there is no such group", os.EX_OSERR),
        ("nobody:root", "that is root's group", os.EX_CONFIG),
        ("nobody:", "there is no such group", os.EX_OSERR),
    ],
)
def test_who_is_not_there_is_the_systems_fault(name: str, words: str, code: int) -> None:
    with pytest.raises(PrivilegeError, match=words) as refused:
        found(name)
    assert refused.value.exit_code == code


# ---- who stays behind

CARETAKER = """
import signal, sys
from Kamaelia.Apps.Grey.Privileges import Caretaker
def undo():
    print('undone', os.getuid(), flush=True)
pid = os.getpid()
"""


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("with Caretaker(undo): print('block', flush=True)\nprint('after')", "block undone after"),
        ("with Caretaker(undo) as one: one.dismiss(); one.dismiss()\nprint('after')", "after"),
        ("with Caretaker(undo): sys.exit('a fault')", "undone"),
        ("with Caretaker(undo): os.kill(pid, signal.SIGKILL)", "undone"),
        ("with Caretaker(undo): os.killpg(0, signal.SIGTERM)", "undone"),
        ("with Caretaker(lambda: 1 / 0): pass\nprint('after')", "after"),
    ],
    ids=["left", "dismissed", "failed", "killed", "all are ended", "it fails itself"],
)
def test_what_is_to_be_undone_is_undone_once_unless_all_went_well(code: str, said: str) -> None:
    done = in_a_process(f"{CARETAKER}{code}\n", sys.executable, start_new_session=True)
    assert done.stdout.replace(f" {os.getuid()}", "").split() == said.split()


@root_only
def test_it_keeps_the_rights_that_are_given_up() -> None:
    done = in_a_process(f"{CARETAKER}with Caretaker(undo): become('nobody')\nprint(os.getuid())\n")
    assert done.stdout.split() == ["undone", "0", str(pwd.getpwnam("nobody").pw_uid)]


def test_one_that_was_killed_keeps_nobody_waiting() -> None:
    code = "one = Caretaker(undo)\nos.kill(one._pid, signal.SIGKILL)\none.dismiss()\nprint('after')"
    assert in_a_process(f"{CARETAKER}{code}\n", sys.executable).stdout == "after\n"


def test_without_a_second_process_there_is_none_and_nothing_is_left_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", failing)
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with pytest.raises(OSError, match="temporarily"):
        Caretaker(lambda: None)
    assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
