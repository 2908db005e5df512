"""What systemd hands to us and hears from us, played with sockets of the test's own."""

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from Kamaelia.Apps.Grey.SystemdSockets import (
    Notifier,
    SystemdError,
    close_all,
    take_inherited,
)


def handed(count: object, names: str = "", pid: int | None = None) -> dict[str, str]:
    return {
        "LISTEN_FDS": str(count),
        "LISTEN_PID": str(os.getpid() if pid is None else pid),
        "LISTEN_FDNAMES": names,
        "HOME": "/",
    }


class Row:
    """File descriptors with numbers one after the other, as systemd gives them."""

    def __init__(self, *socks: socket.socket) -> None:
        self.first = 200
        for number, sock in enumerate(socks, self.first):
            os.dup2(sock.fileno(), number)
            sock.close()

    def close(self) -> None:
        for number in range(self.first, self.first + 4):
            try:
                os.close(number)
            except OSError:
                continue


@pytest.fixture
def row() -> Iterator[list[Row]]:
    made: list[Row] = []
    yield made
    for each in made:
        each.close()


def listener(family: int = socket.AF_INET) -> socket.socket:
    host = "127.0.0.1" if family == socket.AF_INET else "::1"
    return socket.create_server((host, 0), family=family)


# ---- sockets


def test_listening_sockets_are_taken_with_their_names(row: list[Row]) -> None:
    one, two = listener(), listener()
    wanted = [one.getsockname(), two.getsockname()]
    row.append(Row(one, two))
    environment = handed(2, "smtp:tls")
    taken = take_inherited(environment, row[0].first)
    assert [(each.sock.getsockname(), each.name) for each in taken] == [
        (wanted[0], "smtp"),
        (wanted[1], "tls"),
    ]
    assert environment == {"HOME": "/"}  # no child of ours may think that they are for it
    for each in taken:
        assert not os.get_inheritable(each.sock.fileno())
        assert not each.sock.getblocking()
    with socket.create_connection(wanted[0], timeout=5):
        taken[0].sock.setblocking(True)
        taken[0].sock.accept()[0].close()
    close_all([each.sock for each in taken])


def test_fewer_names_than_sockets_are_no_matter(row: list[Row]) -> None:
    row.append(Row(listener(), listener()))
    taken = take_inherited(handed(2, "smtp"), row[0].first)
    assert [each.name for each in taken] == ["smtp", ""]
    close_all([each.sock for each in taken])


@pytest.mark.parametrize("environment", [{}, {"HOME": "/"}, handed(1, pid=1)])
def test_what_is_not_for_us_is_left_alone(environment: dict[str, str]) -> None:
    assert take_inherited(environment) == []
    assert "LISTEN_FDS" not in environment


@pytest.mark.parametrize("count", ["-1", "0", "257", "x", "1\n", "9" * 50, "²"])
def test_a_count_that_cannot_be_is_said(count: str) -> None:
    with pytest.raises(SystemdError, match="LISTEN_FDS"):
        take_inherited(handed(count))


def bound_but_not_listening() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


def datagrams() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def local() -> socket.socket:
    return socket.socket(socket.AF_UNIX)


@pytest.mark.parametrize("make", [bound_but_not_listening, datagrams, local])
def test_a_socket_of_another_kind_is_refused_and_the_others_closed(
    row: list[Row], make: type[socket.socket]
) -> None:
    good = listener()
    address = good.getsockname()
    row.append(Row(good, make()))
    with pytest.raises(SystemdError, match=r"201 \(odd\).*no listening stream"):
        take_inherited(handed(2, "smtp:odd"), row[0].first)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=5)


def test_what_is_no_socket_is_said(row: list[Row]) -> None:
    row.append(Row())
    with pytest.raises(SystemdError, match=r"200 \(without a name\) .* is no socket"):
        take_inherited(handed(1), row[0].first)


# ---- messages


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(address)
        self.sock.setblocking(False)

    def heard(self) -> str:
        return self.sock.recv(1000).decode()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Manager, str]]:
    name = f"grey-test-{os.getpid()}"
    path = str(tmp_path / "notify")
    one, text = (
        (Manager(path), path) if request.param == "path" else (Manager(f"\0{name}"), f"@{name}")
    )
    yield one, text
    one.sock.close()


def test_each_state_is_said(manager: tuple[Manager, str]) -> None:
    there, address = manager
    environment = {"NOTIFY_SOCKET": address}
    notifier = Notifier.from_environment(environment)
    assert environment == {}
    notifier.ready("taking mail")
    assert there.heard() == "READY=1\nSTATUS=taking mail"
    notifier.reloading(123_456)
    assert there.heard() == ("RELOADING=1\nMONOTONIC_USEC=123456\nSTATUS=reading the configuration")
    notifier.ready()
    assert there.heard() == "READY=1"
    notifier.alive()
    assert there.heard() == "WATCHDOG=1"
    notifier.stopping("draining")
    assert there.heard() == "STOPPING=1\nSTATUS=draining"


def test_a_status_is_one_line_and_short(manager: tuple[Manager, str]) -> None:
    there, address = manager
    Notifier(address).ready("a\nMAINPID=1" + "x" * 500)
    heard = there.heard()
    assert heard.startswith("READY=1\nSTATUS=a MAINPID=1xxx")
    assert len(heard) < 250


def test_a_manager_that_is_gone_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = Notifier(str(tmp_path / "nobody"))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            notifier.alive()
    assert len(caplog.records) == 1


def test_a_manager_that_does_not_read_does_not_hold_us_up(manager: tuple[Manager, str]) -> None:
    notifier = Notifier(manager[1])
    for _ in range(1_000):
        notifier.alive()
    assert manager[0].heard() == "WATCHDOG=1"


def test_without_systemd_nothing_is_said() -> None:
    notifier = Notifier.from_environment({})
    notifier.ready()
    notifier.alive()
    assert notifier.watchdog_seconds == 0


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0.0),
        ({}, 0.0),
    ],
)
def test_the_watchdog_is_ours_or_it_is_none(variables: dict[str, str], seconds: float) -> None:
    assert Notifier.from_environment(variables).watchdog_seconds == seconds
    assert variables == {}


@pytest.mark.parametrize(
    "variables",
    [{"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "0"}, {"NOTIFY_SOCKET": "notify"}],
)
def test_variables_that_cannot_be_are_said(variables: dict[str, str]) -> None:
    with pytest.raises(SystemdError):
        Notifier.from_environment(variables)
