"""Sockets of the file system, with their mode and owner, at which real mail servers ask; and
thousands of connections at once, as raw packets."""

import grp
import os
import pwd
import socket
import stat
import struct
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from Test.Peers.sendmail import Sendmail
from Test.System.mta_site import (
    Door,
    Face,
    Filter,
    FindProgram,
    MailSite,
    mail_server,
)
from Test.System.policy_site import Mailboxes
from Test.System.processes import wait_until

ANNA = "anna@example.org"
OPEN = "racl whitelist default\n"
OPTIONS = struct.pack(">III", 6, 0x1FF, 0x1FFFFF)  # as Postfix and sendmail offer
CROWD = 1_000
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start these mail servers")


@pytest.fixture
def boxes() -> Iterator[Mailboxes]:
    with Mailboxes() as mailboxes:
        yield mailboxes


def of_file(path: Path) -> tuple[str, str, str]:
    """Mode, owner and group."""
    found = path.stat()
    names = (pwd.getpwuid(found.st_uid).pw_name, grp.getgrgid(found.st_gid).gr_name)
    return (oct(stat.S_IMODE(found.st_mode)), *names)


@root_only
@pytest.mark.needs("postfix")
@pytest.mark.parametrize("face", [Face.POSTFIX_MILTER, Face.POSTFIX_POLICY], ids=lambda f: f.value)
def test_postfix_asks_at_a_socket_that_is_its_own(
    face: Face, find_program: FindProgram, tmp_path: Path, boxes: Mailboxes
) -> None:
    with ExitStack() as stack:
        # pytest's own folder is for root alone.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="grey-door-")))
        folder.chmod(0o755)
        door = Door(face, folder / "door")
        server = stack.enter_context(mail_server(door, find_program, boxes.port, tmp_path))
        site = MailSite(door, server, boxes)
        name = "policy_socket" if face is Face.POSTFIX_POLICY else "socket"
        grey = Filter(tmp_path, door)
        grey.write(f"{name}_mode = 0660\n{name}_owner = nobody:postfix\n{OPEN}")
        with grey:
            assert of_file(folder / "door") == ("0o660", "nobody", "postfix")
            assert site.sends("own@example.net", ANNA).code == 250
        assert not (folder / "door").exists()
        assert site.letter("own@example.net")
        grey.write(f"{name}_mode = 0600\n{OPEN}")
        with grey:
            assert of_file(folder / "door") == ("0o600", "root", "root")
            assert site.sends("not-own@example.net", ANNA).code == 451


@pytest.mark.needs("sendmail-bin")
def test_sendmail_asks_at_a_socket_in_its_own_world(tmp_path: Path, boxes: Mailboxes) -> None:
    inside = "/var/run/grey.sock"
    with Sendmail(tmp_path, boxes.port, "example.org", filter_at=f"local:{inside}") as server:
        path = server.world.path(inside)
        door = Door(Face.SENDMAIL_MILTER, path)
        site = MailSite(door, server, boxes)
        assert site.sends("early@example.net", ANNA).code == 451
        grey = Filter(tmp_path, door)
        grey.write(f"socket_mode = 0600\n{OPEN}")
        with grey:
            assert of_file(path) == ("0o600", "root", "root")
            assert site.sends("early@example.net", ANNA).code == 250
    assert site.letter("early@example.net")


def packet(command: bytes, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload) + 1) + command + payload


class RawMilter:
    """RawMilter(door, number) -> a mail server's connection, with packets made by hand."""

    def __init__(self, door: Door, number: int) -> None:
        self.sock = door.connect()
        self._stream = self.sock.makefile("rb")
        self._number = number

    def close(self) -> None:
        self._stream.close()
        self.sock.close()

    def greet(self) -> None:
        client = f"127.{self._number // 250}.{self._number % 250 + 1}.1".encode()
        self.sock.sendall(packet(b"O", OPTIONS))
        command, payload = self.read()
        assert command == b"O"
        steps = struct.unpack(">III", payload[:12])[2]
        self._silent = {b"C": steps & 0x1000, b"H": steps & 0x2000, b"M": steps & 0x4000}
        self.tell(b"C", b"client.x.test\x004\x00\x19" + client + b"\0")

    def tell(self, command: bytes, payload: bytes) -> None:
        """Say something that is only taken note of."""
        self.sock.sendall(packet(command, payload))
        if not self._silent[command]:
            assert self.read() == (b"c", b"")

    def ask(self) -> None:
        """About one recipient."""
        self.tell(b"H", b"client.x.test\0")
        self.tell(b"M", b"<sender%d@example.net>\0" % self._number)
        self.sock.sendall(packet(b"D", b"R") + packet(b"R", b"<anna@example.org>\0"))

    def read(self) -> tuple[bytes, bytes]:
        length = struct.unpack(">I", self._stream.read(4))[0]
        data = self._stream.read(length)
        return data[:1], data[1:]


class RawPolicy:
    """RawPolicy(door, number) -> a connection to the policy service."""

    def __init__(self, door: Door, number: int) -> None:
        self.sock = door.connect()
        self._stream = self.sock.makefile("rb")
        self._number = number

    def close(self) -> None:
        self._stream.close()
        self.sock.close()

    def greet(self) -> None:
        self.sock.sendall(b"request=smtpd_access_policy\nprotocol_state=RCPT\n")

    def ask(self) -> None:
        number = self._number
        client = f"127.{number // 250}.{number % 250 + 1}.1"
        self.sock.sendall(
            f"client_address={client}\nclient_name=unknown\nhelo_name=client.x.test\n"
            f"sender=sender{number}@example.net\nrecipient={ANNA}\ninstance=i{number}\n\n".encode()
        )

    def read(self) -> tuple[bytes, bytes]:
        line, empty = self._stream.readline(), self._stream.readline()
        assert empty == b"\n"
        return (b"y", line) if line.startswith(b"action=DEFER_IF_PERMIT ") else (b"?", line)


@pytest.mark.parametrize(
    ("face", "kind"),
    [(Face.POSTFIX_MILTER, RawMilter), (Face.POSTFIX_POLICY, RawPolicy)],
    ids=["milter", "policy"],
)
def test_a_connection_that_says_nothing_is_kept_while_a_thousand_come(
    face: Face, kind: type[RawMilter] | type[RawPolicy], tmp_path: Path
) -> None:
    door = Door(face)
    grey = Filter(tmp_path, door)
    grey.write("max_connections = 1200\nracl greylist default\n")
    with grey, ExitStack() as stack:

        def connected(number: int) -> RawMilter | RawPolicy:
            made = kind(door, number)
            stack.callback(made.close)
            made.greet()
            return made

        idle = connected(0)
        crowd = [connected(number) for number in range(1, CROWD + 1)]
        for one in crowd:
            one.ask()
        for one in crowd:
            command, told = one.read()
            assert (command, b"Greylisting in action" in told) == (b"y", True), told
        idle.ask()
        assert idle.read()[0] == b"y"
        wait_until("all in the log", lambda: len(grey.logged("verdict=defer")) == CROWD + 1)
        idle.sock.settimeout(0.05)
        with pytest.raises(socket.timeout):
            idle.sock.recv(1)  # not closed either
