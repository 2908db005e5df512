"""The program with the sockets of systemd, and with doors that it cannot open."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from Kamaelia.Internet.TCPServer import listening_socket

ROOT = Path(__file__).parents[4]
PATIENCE = 30
# As systemd starts a service: its sockets are from 3 on, and the variables name the process.
HAND_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """The program with that text as its file, and a listening socket that is handed to it."""
    made = []

    def launch(text: str, inherited: socket.socket | None = None) -> "subprocess.Popen[str]":
        path = tmp_path / "greylist.conf"
        path.write_text(f"{text}database = {tmp_path}/db\nrelay_check = no\n")
        words = ["-m", "Kamaelia.Apps.Grey", "-D", "-f", str(path)]
        if inherited is not None:
            words = ["-c", HAND_OVER, str(inherited.fileno()), *words]
        program = subprocess.Popen(
            [sys.executable, *words],
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            pass_fds=[] if inherited is None else [inherited.fileno()],
            text=True,
        )
        made.append(program)
        return program

    yield launch
    for each in made:
        each.kill()
        each.communicate()


def fails(program: "subprocess.Popen[str]") -> tuple[int, str]:
    _, said = program.communicate(timeout=PATIENCE)
    assert "Traceback" not in said
    return program.returncode, said


def starts(program: "subprocess.Popen[str]", word: str) -> bool:
    assert program.stderr is not None
    return any(word in line for line in program.stderr)


@pytest.mark.parametrize("door", ["socket", "policy_socket"])
def test_a_port_of_systemds_that_no_door_names_is_no_proxy(
    start: Start, tmp_path: Path, door: str
) -> None:
    with listening_socket(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        code, said = fails(start(f"{door} = {tmp_path}/door\n", stranger))
    assert code == os.EX_CONFIG
    assert f"systemd has opened 127.0.0.1 port {port}, where greylist.conf has no door: " in said
    assert "ListenStream" in said
    assert "listen" in said


def test_a_file_of_systemds_that_no_door_names_is_no_milter(start: Start, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(tmp_path / "slip"))
        stranger.listen()
        code, said = fails(start(f"policy_socket = {tmp_path}/policy\n", stranger))
    assert code == os.EX_CONFIG
    assert f"systemd has opened {tmp_path}/slip, where" in said


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("socket = inet:{}@127.0.0.2\n", "milters"),
        ("policy_socket = inet:{}@127.0.0.1\n", "policy requests"),
        ("socket = /run/grey.sock\nlisten = 127.0.0.9\nport = 26\n", "mail"),
        ("port = 26\nservername = mx.example.org\n", "mail"),
    ],
)
def test_a_port_of_systemds_that_has_its_door_is_served(start: Start, text: str, kind: str) -> None:
    with listening_socket(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
        program = start(text.format(port), door)
        assert starts(program, f"taking {kind} on 127.0.0.1 port {port}")


def test_what_keeps_a_door_closed_is_said_with_its_setting(start: Start, tmp_path: Path) -> None:
    text = f"socket = {tmp_path}/m\nsocket_owner = nobodyknows:postfix\n"
    code, said = fails(start(text))
    assert code == os.EX_OSERR
    assert "socket_owner = nobodyknows:postfix: there is no such user" in said
    with listening_socket(("127.0.0.1", 0)) as taken:
        code, said = fails(start(f"policy_socket = inet:{taken.getsockname()[1]}@127.0.0.1\n"))
    assert code == os.EX_OSERR
    assert "(ss -ltnxp shows who has it): end that, or change policy_socket" in said
