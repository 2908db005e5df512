"""Which doors a configuration has, and how their sockets are opened."""

import errno
import os
import pwd
import socket
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from Kamaelia.Apps.Grey.Config.Loader import loads
from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.Config.Sockets import Place
from Kamaelia.Apps.Grey.Doors import (
    Door,
    DoorKind,
    check_free,
    doors_of,
    files_of,
    files_there,
    free_port,
    is_stranger,
    kind_of,
    name_of,
    open_doors,
    remove_files,
    remove_new,
)
from Kamaelia.Apps.Grey.SystemdSockets import close_all


def at(host: str, port: int = 0) -> Door:
    return Door(DoorKind.SMTP, Place(host=host, port=port))


def places(config: Config, kind: DoorKind) -> list[Place]:
    return [door.place for door in doors_of(config) if door.kind is kind]


def test_each_address_has_both_ports() -> None:
    config = Config(listen=("127.0.0.1", "::1"), port=25, tls_port=465)
    assert [str(door) for door in doors_of(config)] == [
        "mail on 127.0.0.1 port 25",
        "mail on ::1 port 25",
        "mail with TLS on 127.0.0.1 port 465",
        "mail with TLS on ::1 port 465",
    ]


def test_all_kinds_of_doors_may_be_open_at_once() -> None:
    config = loads(
        "listen = 127.0.0.1\nsocket = inet:8891@127.0.0.1\npolicy_socket = /run/policy\n"
        "policy_socket_owner = postfix\npeers:\n    192.0.2.2 3s\nsyncaddr = 127.0.0.1:7000\n"
    )
    kinds = [DoorKind.SMTP, DoorKind.MILTER, DoorKind.POLICY, DoorKind.SYNC]
    assert [door.kind for door in doors_of(config)] == kinds
    assert [door.owner for door in doors_of(config)] == ["", "", "postfix", ""]


def test_the_port_of_peers_is_theirs_when_there_are_none_any_more() -> None:
    peers = "peers:\n    192.0.2.2 3s\n"
    text = "policy_socket = /run/policy\nsyncaddr = 127.0.0.1:7001\n"
    ((sock,),) = open_doors([Door(DoorKind.SYNC, Place(host="127.0.0.1", port=7001))])
    with sock:
        assert kind_of(sock, loads(text + peers)) is DoorKind.SYNC
        assert kind_of(sock, loads(text)) is DoorKind.SYNC
        assert kind_of(sock, loads(f"{text}listen = 127.0.0.1\nport = 7001")) is DoorKind.SMTP


def test_without_an_owner_a_file_belongs_to_whom_we_become() -> None:
    (door,) = doors_of(loads("socket = /run/g\nuser = nobody\n"))
    assert door.owner == "nobody"


def test_who_has_no_peers_is_not_called_by_any() -> None:
    assert places(loads(""), DoorKind.SYNC) == []
    assert Place(host="0.0.0.0", port=5252) in places(  # noqa: S104 - compared
        loads("peer 192.0.2.2\n"), DoorKind.SYNC
    )


def test_what_is_spoken_is_told_by_the_place(tmp_path: Path) -> None:
    doors = [at("127.0.0.1"), at("127.0.0.2"), at("127.0.0.3")]
    policy = Door(DoorKind.POLICY, Place(str(tmp_path / "p")))
    (sockets,) = open_doors([*doors, policy])
    mail, milter, other, file = sockets
    config = Config(
        listen=("127.0.0.1",),
        port=mail.getsockname()[1],
        socket=Place(host="127.0.0.9", port=milter.getsockname()[1]),
        policy_socket=policy.place,
    )
    kinds = [kind_of(sock, config) for sock in (mail, milter, other, file)]
    # The milter's is on another address: as systemd's may be.
    assert kinds == [DoorKind.SMTP, DoorKind.MILTER, DoorKind.SMTP, DoorKind.POLICY]
    assert kind_of(file, Config()) is DoorKind.MILTER
    assert name_of(file) == str(tmp_path / "p")
    assert name_of(mail) == f"127.0.0.1 port {mail.getsockname()[1]}"
    close_all(sockets)


# ---- ports


def test_a_socket_of_systemd_may_be_behind_a_link_or_in_no_folder(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "var").symlink_to(tmp_path / "run")
    config = Config(policy_socket=Place(path=str(tmp_path / "var/policy")))
    with socket.socket(socket.AF_UNIX) as file, socket.socket(socket.AF_UNIX) as abstract:
        file.bind(str(tmp_path / "run/policy"))
        assert kind_of(file, config) is DoorKind.POLICY
        abstract.bind(f"\0{tmp_path}/grey")
        assert kind_of(abstract, config) is DoorKind.MILTER
        assert name_of(abstract) == f"@{tmp_path}/grey"


def test_each_worker_has_a_socket_of_its_own_on_the_same_port() -> None:
    ports = open_doors([at("127.0.0.1"), at("127.0.0.2")], count=3)
    assert [len(sockets) for sockets in ports] == [2, 2, 2]
    for column in zip(*ports, strict=True):
        assert len({sock.getsockname() for sock in column}) == 1
        assert len({sock.fileno() for sock in column}) == 3
    taken = at(*ports[0][0].getsockname())
    for count in (1, 3):
        with pytest.raises(OSError, match=r"cannot listen on 127\.0\.0\.1 port \d+: Address al"):
            open_doors([taken], count)
    with pytest.raises(OSError, match="Address already in use"):
        check_free(taken)
    for sockets in ports:
        close_all(sockets)


def test_when_one_cannot_be_had_none_stays_open(tmp_path: Path) -> None:
    (sockets,) = open_doors([at("127.0.0.1")])
    port = free_port("127.0.0.1", 0)
    file = Door(DoorKind.MILTER, Place(str(tmp_path / "m")))
    with pytest.raises(OSError, match="Address already in use"):
        open_doors([at("127.0.0.1", port), file, at(*sockets[0].getsockname())], count=2)
    assert free_port("127.0.0.1", port) == port
    assert not (tmp_path / "m").exists()
    close_all(sockets)


def test_ipv6_has_its_own_ports() -> None:
    try:
        ports = open_doors([at("::1")], count=2)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    assert ports[0][0].getsockname()[:2] == ports[1][0].getsockname()[:2]
    for sockets in ports:
        close_all(sockets)


# ---- files


def knock(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_file_has_its_mode_and_all_workers_share_it(tmp_path: Path) -> None:
    path = tmp_path / "m"
    ports = open_doors([Door(DoorKind.MILTER, Place(str(path)), mode=0o666)], count=2)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666
    ports[0][0].close()
    knock(path)
    close_all(ports[1])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_belongs_to_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "m"
    (sockets,) = open_doors([Door(DoorKind.MILTER, Place(str(path)), owner="nobody")])
    assert path.stat().st_uid == pwd.getpwnam("nobody").pw_uid
    close_all(sockets)


@pytest.mark.parametrize("plant", [os.symlink, os.link], ids=lambda plant: plant.__name__)
def test_a_link_that_is_put_in_a_sockets_place_gives_nothing_away(
    plant: Callable[[str, str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder may be another user's, who is quicker than we are."""
    path, victim = tmp_path / "grey.sock", tmp_path / "shadow"
    victim.touch(0o600)

    class Raced(socket.socket):
        def bind(self, address: object) -> None:
            super().bind(address)  # type: ignore[arg-type]
            path.unlink()
            plant(str(victim), str(path))

    monkeypatch.setattr(socket, "socket", Raced)
    owner = pwd.getpwuid(os.getuid()).pw_name if os.getuid() else "nobody"
    with pytest.raises(OSError, match="somebody else has put a file there"):
        open_doors([Door(DoorKind.MILTER, Place(path=str(path)), 0o666, owner)])
    found = victim.stat()
    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (os.getuid(), 0o600)
    assert path.exists()  # it is not ours to take away


@pytest.mark.parametrize("fails", ["chmod", "listen"])
def test_a_file_that_cannot_be_made_ready_is_taken_back(
    fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os if fails == "chmod" else socket.socket, fails, failing)
    with pytest.raises(OSError, match=f"cannot listen on {tmp_path}/m: Operation not"):
        open_doors([Door(DoorKind.MILTER, Place(str(tmp_path / "m")))])
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_not_all_workers_can_have_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: object) -> socket.socket:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(socket.socket, "dup", failing)
    with pytest.raises(OSError, match=f"cannot listen on {tmp_path}/m: Too many"):
        open_doors([Door(DoorKind.MILTER, Place(str(tmp_path / "m")))], count=2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("setting", ["socket_owner", "policy_socket_owner", "user"])
def test_an_owner_whom_nobody_knows_is_said_with_the_setting(tmp_path: Path, setting: str) -> None:
    door = "policy_socket" if setting == "policy_socket_owner" else "socket"
    config = loads(f"{door} = {tmp_path}/m\n{setting} = nobodyknows:postfix\n")
    with pytest.raises(OSError, match="cannot") as raised:
        open_doors(doors_of(config))
    text = f"{setting} = nobodyknows:postfix: there is no such user"
    assert raised.value.strerror == f"cannot listen on {tmp_path}/m: {text}"


def said(config: Config) -> str:
    """When its doors cannot be opened."""
    with pytest.raises(OSError, match="cannot listen") as raised:
        open_doors(doors_of(config))
    return str(raised.value.strerror)


def test_why_a_port_cannot_be_had_is_said_with_the_setting() -> None:
    assert said(Config(socket=Place(host="192.0.2.1", port=8891))).endswith(
        "Cannot assign requested address (this machine does not have it): change socket"
    )
    (sockets,) = open_doors([at("127.0.0.1")])
    port = sockets[0].getsockname()[1]
    who = "Address already in use (ss -ltnxp shows who has it): end that, or change "
    policy = Config(policy_socket=Place(host="127.0.0.1", port=port))
    assert said(policy).endswith(f"{who}policy_socket")
    mail = Config(listen=("127.0.0.1",), port=port)
    assert said(mail).endswith(f"{who}listen")
    mail = Config(listen=("127.0.0.1",), port=free_port("127.0.0.1", 0), tls_port=port)
    assert said(mail).endswith(f"{who}tls_port")
    peers = (("192.0.2.2", 3),)
    peers_at = Config(listen=("127.0.0.1",), port=0, peers=peers, syncaddr=("127.0.0.1", port))
    assert said(peers_at).endswith(f"{who}syncaddr")
    close_all(sockets)


def test_why_a_file_cannot_be_had_is_said_with_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m"
    config = Config(socket=Place(str(path)), socket_owner="nobody")
    (sockets,) = open_doors([Door(DoorKind.MILTER, Place(str(path)))])
    assert said(config).endswith("(ss -ltnxp shows who has it): end that, or change socket")
    close_all(sockets)
    path.unlink()
    path.write_text("mine")
    assert said(config).endswith("no socket: move it away, or change socket")
    path.unlink()
    nowhere = Config(policy_socket=Place(str(tmp_path / "no/m")))
    assert said(nowhere).endswith(
        "No such file or directory: make the folder, or change policy_socket"
    )

    def refused(number: int) -> Callable[..., None]:
        def call(*_: object) -> None:
            raise OSError(number, os.strerror(number))

        return call

    monkeypatch.setattr(os, "chown", refused(errno.EPERM))
    assert said(config).endswith(
        "m: Operation not permitted: socket_owner = nobody is not ours to say: start as root,"
        " or be of that group"
    )
    for number, end in (
        (errno.EACCES, "denied: let this user write in that folder, or change socket"),
        (errno.ENOSPC, "No space left on device (socket)"),
    ):
        monkeypatch.setattr(socket.socket, "bind", refused(number))
        assert said(config).endswith(end)
    port = Config(listen=("127.0.0.1",), port=25)
    monkeypatch.setattr(socket.socket, "bind", refused(errno.EACCES))
    end = "(ports below 1024 are root's and systemd's): start as root, or change listen"
    assert said(port).endswith(end)


def test_a_socket_that_no_door_names_is_a_stranger(tmp_path: Path) -> None:
    config = Config(
        socket=Place(host="127.0.0.9", port=8891),
        policy_socket=Place(str(tmp_path / "./policy")),
        syncaddr=("*", 5252),
    )
    for name, expected in (("policy", False), ("police", True), ("\0grey-of-no-folder", False)):
        with socket.socket(socket.AF_UNIX) as file:
            file.bind(name if name[0] == "\0" else str(tmp_path / name))
            assert is_stranger(file, config) is expected
    (sockets,) = open_doors([at("127.0.0.1")])
    port = sockets[0].getsockname()[1]
    assert is_stranger(sockets[0], config)
    assert not is_stranger(sockets[0], replace(config, socket=Place(host="127.0.0.9", port=port)))
    assert not is_stranger(sockets[0], replace(config, syncaddr=("*", port)))
    close_all(sockets)


def test_a_file_that_was_left_behind_is_taken_over_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "m"
    door = Door(DoorKind.MILTER, Place(str(path)))
    (before,) = open_doors([door])
    with pytest.raises(OSError, match="Address already in use"):
        open_doors([door])
    with pytest.raises(OSError, match="Address already in use"):
        check_free(door)
    close_all(before)  # its file stays, as after a crash
    check_free(door)
    (now,) = open_doors([door])
    knock(path)
    close_all(now)
    path.unlink()
    path.write_text("mine")
    for use in (lambda: open_doors([door]), lambda: check_free(door)):
        with pytest.raises(OSError, match="no socket"):
            use()
    assert path.read_text() == "mine"


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    door = Door(DoorKind.MILTER, Place(str(tmp_path / "no" / "m")))
    with pytest.raises(OSError, match=r"cannot listen on .*/no/m: No such file"):
        open_doors([door])


def test_at_the_end_the_file_goes_unless_it_is_anothers(tmp_path: Path) -> None:
    path = tmp_path / "m"
    door = Door(DoorKind.MILTER, Place(str(path)))
    (sockets,) = open_doors([door, at("127.0.0.1")])
    made = files_of(sockets)
    close_all(sockets)
    (others,) = open_doors([door])  # a program that was started while we ended
    remove_files(made)
    knock(path)
    remove_files(files_of(others))
    assert not path.exists()
    remove_files(files_of(others[:0]))
    close_all(others)


def test_a_file_that_is_gone_before_the_end_does_not_matter(tmp_path: Path) -> None:
    (sockets,) = open_doors([Door(DoorKind.MILTER, Place(str(tmp_path / "m")))])
    made = files_of(sockets)
    (tmp_path / "m").unlink()
    assert files_of(sockets) == []
    remove_files(made)
    close_all(sockets)


# ---- after a start that has failed


def doors_at(folder: Path) -> list[Door]:
    return [Door(DoorKind.MILTER, Place(str(folder / name))) for name in ("m", "p", "q")]


@pytest.mark.parametrize("is_closed", [True, False])
def test_what_the_start_has_made_goes_and_what_was_there_stays(
    is_closed: bool, tmp_path: Path
) -> None:
    stale, *ours = doors_at(tmp_path)
    (before,) = open_doors([stale])
    close_all(before)
    there = files_there([*doors_at(tmp_path), at("127.0.0.1")])
    (sockets,) = open_doors(ours[:1])
    if is_closed:
        close_all(sockets)
    (tmp_path / "q").write_text("mine")
    remove_new(there, os.getpid())
    assert sorted(each.name for each in tmp_path.iterdir()) == ["m", "q"]
    close_all(sockets)


def test_a_file_that_another_process_listens_at_stays(tmp_path: Path) -> None:
    door = doors_at(tmp_path)[0]
    there = files_there([door])
    (sockets,) = open_doors([door])
    remove_new(there, os.getpid() + 1)  # somebody else's start
    knock(tmp_path / "m")
    remove_new(there, os.getpid())
    assert not (tmp_path / "m").exists()
    close_all(sockets)


def test_a_file_that_was_taken_over_by_the_start_goes(tmp_path: Path) -> None:
    door = doors_at(tmp_path)[0]
    (before,) = open_doors([door])
    close_all(before)
    there = files_there([door])
    (sockets,) = open_doors([door])
    close_all(sockets)
    remove_new(there, os.getpid())
    assert not (tmp_path / "m").exists()
