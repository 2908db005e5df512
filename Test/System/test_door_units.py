"""The doors are systemd's: what each is for is told by its place, as the socket unit says."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from fcntl import F_DUPFD, fcntl
from pathlib import Path

import pytest

from Kamaelia.Apps.Grey.Config.Loader import loads
from Kamaelia.Apps.Grey.Doors import DoorKind, kind_of
from Kamaelia.Support.Protocol.Milter.MTASession import MTASession
from Test.System.processes import PATIENCE_SECONDS, ROOT, Program, free_port, takes_connections

UNIT = ROOT / "Config" / "kamaelia-grey.socket"
POLICY_PAGE = ROOT / "Docs" / "operating" / "postfix-policy.md"


def shown_question_and_answer() -> tuple[bytes, re.Pattern[bytes]]:
    """What an administrator is told to type, and what is said to come back; the id is another."""
    found = re.search(
        r"^\$ nc .*\n((?:.+\n)+\n)(action=.*)\((\w+)\)\n",
        POLICY_PAGE.read_text("utf-8"),
        re.MULTILINE,
    )
    assert found
    return found[1].encode(), re.compile(re.escape(found[2].encode()) + rb"\([0-9a-f]{10}\)\n\n")


class Handed(Program):
    """Handed(folder, sockets) -> kamaelia-grey, to which systemd hands these."""

    def __init__(self, folder: Path, sockets: list[socket.socket]) -> None:
        super().__init__("grey", folder)
        self._sockets = sockets

    def start(self) -> None:
        numbers = [sock.fileno() for sock in self._sockets]
        moves = " ".join(f"{at}<&{number}" for at, number in enumerate(numbers, start=3))
        script = f'exec {moves}; LISTEN_PID=$$ exec "$@"'
        command = [sys.executable, "-m", "Kamaelia.Apps.Grey", "-D", "-f", "greylist.conf"]
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                ["bash", "-c", script, "sh", *command],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), "LISTEN_FDS": str(len(numbers))},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=numbers,
            )
        self.wait_for("configuration greylist.conf")


@pytest.fixture
def sockets(tmp_path: Path) -> Iterator[list[socket.socket]]:
    milter = socket.create_server(("127.0.0.1", 0))
    policy = socket.socket(socket.AF_UNIX)
    policy.bind(str(tmp_path / "policy.sock"))
    policy.listen()
    with closing(milter), closing(policy):
        # A shell moves them to 3 and 4: they must not be there already, the other way round.
        higher = [socket.socket(fileno=fcntl(sock, F_DUPFD, 20)) for sock in (milter, policy)]
        with higher[0], higher[1]:
            yield higher


def test_each_socket_of_systemd_is_the_door_with_its_place_and_no_other_is_open(
    tmp_path: Path, sockets: list[socket.socket]
) -> None:
    port, mail_port = sockets[0].getsockname()[1], free_port()
    (tmp_path / "greylist.conf").write_text(
        f"socket = inet:{port}@127.0.0.1\npolicy_socket = {tmp_path}/policy.sock\n"
        f"listen = 127.0.0.1\nport = {mail_port}\nrelay_check = no\nnospf = yes\n"
        f"database = {tmp_path}/greylist.sqlite3\n",
        encoding="utf-8",
    )
    question, answer = shown_question_and_answer()
    # Whoever comes before the program is there only waits.
    with socket.socket(socket.AF_UNIX) as postfix:
        postfix.settimeout(PATIENCE_SECONDS)
        postfix.connect(str(tmp_path / "policy.sock"))
        postfix.sendall(question)
        with Handed(tmp_path, sockets) as grey:
            assert answer.fullmatch(postfix.recv(1000))
            assert f"taking milters on 127.0.0.1 port {port}\n" in grey.said()
            assert f"taking policy requests on {tmp_path}/policy.sock\n" in grey.said()
            mta = MTASession()
            with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as connection:
                connection.sendall(mta.negotiate())
                mta.receive_data(connection.recv(1000))
                assert mta.next_response() is not None
            assert not takes_connections(mail_port)


def test_the_unit_names_the_doors_of_the_pages() -> None:
    streams = re.findall(r"^(?:# )?ListenStream=(\S+)$", UNIT.read_text("utf-8"), re.MULTILINE)
    assert "127.0.0.1:8891" in streams
    config = loads(
        "socket = inet:8891@127.0.0.1\npolicy_socket = inet:10023@127.0.0.1\n"
        "listen = 0.0.0.0\npeers:\n    192.0.2.1  3s\n"
    )

    def kind(stream: str) -> DoorKind:
        host, _, port = stream.rpartition(":")
        return kind_of(Bound((host.strip("[]"), int(port))), config)

    ports = {stream: kind(stream) for stream in streams if not stream.startswith("/")}
    assert ports == {
        "0.0.0.0:25": DoorKind.SMTP,
        "[::]:25": DoorKind.SMTP,
        "127.0.0.1:8891": DoorKind.MILTER,
        "127.0.0.1:10023": DoorKind.POLICY,
        "0.0.0.0:5252": DoorKind.SYNC,
    }


class Bound(socket.socket):
    """Bound(name) -> a socket that says it listens there."""

    def __init__(self, name: tuple[str, int]) -> None:
        super().__init__()
        self._name = name
        self.close()

    def getsockname(self) -> tuple[str, int]:
        return self._name
