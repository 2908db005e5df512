"""What a configuration needs of this machine: each lack is said, with the setting's name."""

import os
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from Kamaelia.Apps.Grey import Checks
from Kamaelia.Apps.Grey.Config.Loader import loads
from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.Config.Sockets import Place
from Kamaelia.Apps.Grey.Core.Modes import ServerTLS
from Kamaelia.Apps.Grey.PidFile import PidFile
from Test.Kamaelia import tls
from Test.Kamaelia.Apps.Grey.support import FakeServer

MailServer = Callable[..., FakeServer]


@pytest.fixture
def good(tmp_path: Path) -> Config:
    return Config(database=tmp_path / "grey.sqlite3", listen=("127.0.0.1",), port=1)


def pair_in(folder: Path, *, expired: bool = False) -> dict[str, Any]:
    leaf = tls.certificate(expired=expired)
    certificate, key = folder / "mx.pem", folder / "mx.key"
    certificate.write_bytes(leaf.cert_chain_pems[0].bytes())
    key.write_bytes(leaf.private_key_pem.bytes())
    return {"tls_certificate": certificate, "tls_key": key}


def test_all_that_is_there_is_no_problem(good: Config, tmp_path: Path) -> None:
    assert Checks.surroundings(replace(good, **pair_in(tmp_path))) == []
    assert Checks.pid_folder(good) == []
    assert Checks.pid_folder(replace(good, pid_file=tmp_path / "pid")) == []
    assert Checks.expiring(good) == []


def test_a_rule_that_nobody_can_answer_is_said(good: Config, tmp_path: Path) -> None:
    for text, said in (
        ('racl blacklist geoip "XX"\n', "geoip: there is no geoipdb statement"),
        (f'geoipdb "{tmp_path}/none"\nracl blacklist geoip "XX"\n', "cannot be read"),
    ):
        config = loads(text)
        rules = {"access_rules": config.access_rules, "definitions": config.definitions}
        (problem,) = Checks.surroundings(replace(good, **rules))  # type: ignore[arg-type]
        assert said in problem


@pytest.mark.parametrize(
    "setting",
    [
        *("database", "greylist_log", "greylist_debuglog"),
        *("dumpfile", "expect_file", "big_senders_file"),
    ],
)
def test_a_missing_folder_is_said(good: Config, tmp_path: Path, setting: str) -> None:
    (problem,) = Checks.surroundings(
        replace(good, **{setting: tmp_path / "none" / "x"})  # type: ignore[arg-type]
    )
    assert problem.startswith(f"{setting} = ")
    assert "make it" in problem


def test_a_folder_that_may_not_be_written_is_said(
    good: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    (problem,) = Checks.surroundings(good)
    assert "may not write" in problem


def test_the_folder_of_a_socket_is_there_or_not_ours_to_look_at(
    good: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root has opened the socket there, and we have become another user since."""
    config = replace(good, socket=Place(path=str(tmp_path / "missing/grey.sock")))
    (problem,) = Checks.surroundings(config)
    assert problem.startswith("socket = /")
    assert problem.endswith("/missing does not exist: make it")
    real = Path.is_dir

    def is_dir(path: Path) -> bool:
        if path.name == "missing":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(Path, "is_dir", is_dir)
    assert Checks.surroundings(config) == []


def test_certificates_and_own_components_are_tried(good: Config, tmp_path: Path) -> None:
    config = replace(
        good,
        tls_certificate=tmp_path / "none.pem",
        backend_tls=ServerTLS.VERIFY,
        backend_tls_ca=tmp_path / "none.ca",
        before_decider=((tmp_path / "none.py", "Thing"),),
    )
    problems = Checks.surroundings(config)
    assert len(problems) == 3
    for problem, word in zip(problems, ("none.pem", "none.ca", "none.py"), strict=True):
        assert word in problem
    assert Checks.expiring(config) == []  # said already


def test_an_expired_certificate_is_said(good: Config, tmp_path: Path) -> None:
    config = replace(good, **pair_in(tmp_path, expired=True))
    assert Checks.surroundings(config) == []
    (line,) = Checks.expiring(config)
    assert "has expired on 2020-01-01" in line
    assert time.time() > tls.LONG_AGO.timestamp()


def test_a_pid_file_in_a_strange_place_is_said(good: Config, tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    (problem,) = Checks.pid_folder(replace(good, pid_file=folder / "pid"))
    assert "others may write" in problem


def test_ports_that_are_taken_are_said_unless_it_is_by_us(good: Config, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        config = replace(good, port=taken.getsockname()[1])
        (warning,) = Checks.ports(config)
        assert f"127.0.0.1 port {config.port}: Address already in use" in warning
        config = replace(config, pid_file=tmp_path / "pid")
        assert len(Checks.ports(config)) == 1
        with PidFile(tmp_path / "pid"):
            assert Checks.ports(config) == []
    assert Checks.ports(config) == []


def test_only_a_port_that_somebody_has_may_be_ours(good: Config) -> None:
    (warning,) = Checks.ports(replace(good, listen=("192.0.2.1",), port=50_025))
    assert warning.startswith("listen: cannot listen on 192.0.2.1 port 50025: Cannot assign")
    assert "already" not in warning


def test_relaying_is_asked_about_only_if_it_is_to_be(mail_server: MailServer, good: Config) -> None:
    server = mail_server()
    config = replace(good, smtp_port=server.address[1], allowed_domains=frozenset({"example.org"}))
    assert len(Checks.real_servers(config).problems) == 1
    assert Checks.real_servers(replace(config, relay_check=False)).problems == []
    assert len(Checks.real_servers(replace(config, relay_check=False)).notes) == 1


def test_a_new_real_server_is_asked_before_it_is_used(
    mail_server: MailServer, good: Config
) -> None:
    server = mail_server()
    new = replace(good, smtp_port=server.address[1])
    assert len(Checks.may_relay_now(good, new)) == 1
    assert Checks.may_relay_now(new, replace(new, greylist_delay=5)) == []
    assert Checks.may_relay_now(good, replace(new, relay_check=False)) == []
    assert len(server.visits) == 1


def test_a_door_that_cannot_be_a_file_is_a_problem(good: Config, tmp_path: Path) -> None:
    door = tmp_path / "door"
    config = replace(good, socket=Place(str(door)), socket_owner="no-such-user")
    (problem,) = Checks.surroundings(config)
    assert problem == "socket_owner = no-such-user: there is no such user"
    door.write_text("mine")
    config = replace(good, policy_socket=Place(str(door)))
    (problem,) = Checks.surroundings(config)
    assert problem == f"policy_socket = {door}: there is a file that is no socket: move it away"


@pytest.mark.parametrize(
    ("place", "warned"),
    [
        (Place(host="0.0.0.0", port=8891), 1),  # noqa: S104
        (Place(host="::", port=8891), 1),
        (Place(host="127.0.0.1", port=8891), 0),
        (Place("/run/grey.sock"), 0),
        (None, 0),
    ],
)
def test_a_door_of_mail_servers_that_is_open_to_all_is_mentioned(
    good: Config, place: Place | None, warned: int
) -> None:
    assert len(Checks.exposed(replace(good, policy_socket=place))) == warned


# ---- what root has made, or root alone may read


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    """Files that are there, and that we may neither read nor write."""
    files: set[Path] = set()
    real = os.access

    def access(path: Path | str, mode: int) -> bool:
        return real(path, mode) and (mode == os.F_OK or Path(path) not in files)

    monkeypatch.setattr(os, "access", access)
    return files


@pytest.mark.parametrize("more", ["", "-wal", "-shm"])
def test_a_database_that_belongs_to_another_is_a_problem(
    good: Config, closed: set[Path], more: str
) -> None:
    file = Path(f"{good.database}{more}")
    file.touch()
    assert Checks.surroundings(good) == []
    closed.add(file)
    (problem,) = Checks.surroundings(good)
    assert problem.startswith(f"database = {good.database}: user ")
    assert f" may not write {file}: chown " in problem


def test_logs_that_belong_to_another_are_odd(
    good: Config, closed: set[Path], tmp_path: Path
) -> None:
    mail, debug, stat = (tmp_path / name for name in ("mail.log", "debug.log", "stat"))
    definitions = loads(f'stat ">>{stat}" "%i"').definitions
    config = replace(good, greylist_log=mail, greylist_debuglog=debug, definitions=definitions)
    closed |= {mail, debug, stat}
    assert Checks.logs(config) == []  # none is there yet
    for each in (mail, debug, stat):
        each.touch()
    starts = [f"greylist_log = {mail}: ", f"greylist_debuglog = {debug}: ", f"stat {stat}: "]
    found = Checks.logs(config)
    assert [line.partition("user ")[0] for line in found] == starts
    assert all(" may not write it: chown " in line for line in found)
    assert Checks.surroundings(config) == []  # it costs no mail


@pytest.mark.parametrize(
    ("target", "odd"), [(">{}/none/stat", 1), (">>{}/stat", 0), ("|cat >{}/none/stat", 0)]
)
def test_the_folder_of_stat_is_looked_at(
    good: Config, tmp_path: Path, target: str, odd: int
) -> None:
    text = f'stat "{target.format(tmp_path)}" "%i"'
    found = Checks.logs(replace(good, definitions=loads(text).definitions))
    folder = tmp_path / "none"
    assert found == [f"stat {folder}/stat: the folder {folder} does not exist: make it"] * odd


def test_what_no_reload_could_read_is_odd(good: Config, closed: set[Path], tmp_path: Path) -> None:
    path, *lists = files = [tmp_path / name for name in ("greylist.conf", "clients", "recipients")]
    for each in files:
        each.touch()
    config = replace(
        good,
        postgrey_whitelist_clients=(lists[0],),
        postgrey_whitelist_recipients=(lists[1],),
    )
    assert Checks.rereadable(config, path) == []
    closed |= set(files)
    found = Checks.rereadable(config, path)
    assert [line.partition(": ")[0] for line in found] == [str(each) for each in files]
    assert all("no reload will work" in line for line in found)
    assert Checks.rereadable(good, None) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="root looks at the folder of another")
def test_a_folder_that_a_unit_has_made_is_known(
    good: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Checks, "RUN_FOLDERS", (tmp_path / "run", tmp_path / "var"))
    folder = tmp_path / "run" / "kamaelia-grey"
    config = replace(good, pid_file=folder / "pid")
    assert Checks.pid_folder(config)
    assert Checks.is_service_managers(config)  # it will be made
    assert not Checks.is_service_managers(replace(config, user="nobody"))  # we start as root
    assert not Checks.is_service_managers(replace(config, pid_file=tmp_path / "other" / "pid"))
    assert not Checks.is_service_managers(good)
    folder.mkdir(parents=True)
    assert Checks.pid_folder(config) == []
    os.chown(folder, 12_345, 12_345)
    assert "belongs to user 12345" in Checks.pid_folder(config)[0]
    assert Checks.is_service_managers(config)
    folder.chmod(0o777)
    assert not Checks.is_service_managers(config)
