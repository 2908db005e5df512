"""Importing: what other greylisters have written comes in, and what is wrong with it is said."""

import dbm
import dbm.dumb
import doctest
import importlib
import io
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Core.Clients import Clients, client_triplet
from Kamaelia.Apps.Grey.Core.Types import Policy, Record, Triplet
from Kamaelia.Apps.Grey.Importers.Found import ImportFailedError, Ours
from Kamaelia.Apps.Grey.Importers.Importing import KINDS, Summary, run
from Kamaelia.Apps.Grey.Importers.Postgrey import read as read_postgrey
from Kamaelia.Apps.Grey.Importers.Spamdb import read as read_spamdb
from Kamaelia.Apps.Grey.Store.Dump import BadLine
from Kamaelia.Apps.Grey.Store.Memory import MemoryStore
from Kamaelia.Apps.Grey.Store.Sqlite import SqliteStore

NOW = 1_740_000_000
DAY = 24 * 3600
POLICY = Policy(delay_seconds=60, window_seconds=DAY, pass_seconds=DAY, prefix4=24, prefix6=64)
KEY = Triplet("192.0.2.0/24", "a@example.net", "b@example.org")
MODULES = ("Found", "Postgrey", "Spamdb", "Importing")


def imported(
    kind: str, path: Path, policy: Policy = POLICY, now: int = NOW
) -> tuple[Summary, dict[Triplet, Record]]:
    store = MemoryStore()
    summary = run(kind, path, store, now, policy)
    assert summary == run(kind, path, store, now, policy)  # twice is as good as once
    return summary, dict(store.scan())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


# --- for all of them ---


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_not_there_is_an_error_that_names_it(kind: str, path: Path) -> None:
    with pytest.raises(ImportFailedError, match=str(path)):
        run(kind, path, MemoryStore(), NOW, POLICY)


@pytest.mark.parametrize("kind", ["sqlgrey", "original"])
def test_a_file_of_another_kind_is_an_error_that_names_it(kind: str, path: Path) -> None:
    path.write_bytes(b"\xff\x00 nothing of the kind\n" * 500)
    with pytest.raises(ImportFailedError, match=str(path)):
        run(kind, path, MemoryStore(), NOW, POLICY)


@pytest.mark.parametrize("kind", ["milter-greylist", "spamdb"])
def test_of_bad_lines_the_first_are_told_and_all_are_counted(kind: str, path: Path) -> None:
    path.write_bytes(b"\xff\x1b nothing of the kind\n" * 50)
    summary, found = imported(kind, path)
    assert found == {}
    assert (summary.read, summary.merged, summary.skipped) == (0, 0, 50)
    assert len(summary.problems) == 21
    assert summary.problems[-1] == "and 30 more lines that cannot be read"
    assert all(problem.isascii() and problem.isprintable() for problem in summary.problems)


def test_it_goes_into_a_file_in_more_than_one_group(path: Path, tmp_path: Path) -> None:
    path.write_text(
        "".join(f"192.0.2.7 <a{n}@b> <c@d> {NOW + DAY} AUTO\n" for n in range(9001))
        + f"192.0.2.7 <a@b> <c@d> {NOW - 5} AUTO\n"
    )
    with closing(SqliteStore(tmp_path / "greylist.sqlite3")) as store:
        assert run("milter-greylist", path, store, NOW, POLICY) == Summary(9002, 9001, 1)
        assert store.count() == 9001


# --- milter-greylist ---


def test_milter_greylists_dump_comes_with_our_networks_and_its_times(path: Path) -> None:
    path.write_text(
        f"192.0.2.7\t<A@Example.net>\t<b@example.org>\t{NOW + 50} AUTO\n"
        f"192.0.2.8\t<>\t<b@example.org>\t{NOW + 70} # later\n"
    )
    _, found = imported("milter-greylist", path)
    assert found[KEY].until == NOW + 50
    waiting = found[Triplet("192.0.2.0/24", "", "b@example.org")]
    assert (waiting.due, waiting.first_seen) == (NOW + 70, NOW)


def test_with_lazyaw_the_address_alone_is_known(path: Path) -> None:
    path.write_text(f"192.0.2.7 <a@example.net> <b@example.org> {NOW + 50} AUTO\n")
    _, found = imported("milter-greylist", path, Policy(client_passes=1, prefix4=32))
    assert Clients(1, 50).is_known(found[client_triplet("192.0.2.7/32")])


# --- postgrey ---


DB_DUMP = rf"""VERSION=3
format=print
type=btree
db_pagesize=4096
HEADER=END
 192.0.2.0/a@example.net/b@example.org
 {NOW - 5000},{NOW - 100},mx.example.net
 192.0.2.0/x\5cy@example.net/\\@example.org
 {NOW - 50},{NOW - 20}
 192.0.2.0//b@example.org
 {NOW - 50 * DAY},{NOW - 40 * DAY}
 192.0.2.0/old@example.net/b@example.org
 {NOW - 3 * DAY},{NOW - 3 * DAY}
 0123456789012345678901234567890123456789
 {NOW},{NOW}
 198.51.100.7
 7,{NOW - 100}
 nonsense
 1
 192.0.2.0/odd
DATA=END
"""


def test_the_text_of_db_dump_is_read(path: Path) -> None:
    path.write_text(DB_DUMP)
    summary, found = imported("postgrey", path)
    assert found == {
        KEY: Record(0, NOW - 5000, NOW - 100, NOW - 100, 1, 1, NOW - 5000, NOW - 100 + 35 * DAY),
        Triplet("192.0.2.0/24", "x\\y@example.net", "\\@example.org"): Record(
            0, NOW - 50, NOW - 50, None, 1, 0, NOW + 10
        ),
        client_triplet("198.51.100.0/24"): Record(
            0, NOW - 100, NOW - 100, NOW - 100, 7, 7, NOW - 100, NOW - 100 + 35 * DAY
        ),
    }
    assert (summary.read, summary.merged, summary.skipped) == (5, 3, 4)
    assert any("--privacy" in problem for problem in summary.problems)


def test_text_comes_from_standard_input_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(DB_DUMP))
    assert run("postgrey", Path("-"), MemoryStore(), NOW, POLICY).merged == 3


def test_without_p_db_dump_writes_in_hex() -> None:
    lines = ["format=bytevalue", "HEADER=END", *(" " + x.encode().hex() for x in ("::1", "1,2"))]
    ((triplet, _),) = list(read_postgrey(lines, Ours(POLICY, NOW)))  # type: ignore[misc]
    assert triplet == client_triplet("::/64")
    (bad,) = read_postgrey([*lines[:2], " zz", " zz"], Ours(POLICY, NOW))
    assert isinstance(bad, BadLine)


def test_longer_networks_than_postgrey_keeps_are_a_problem_that_is_told(path: Path) -> None:
    path.write_text(DB_DUMP)
    summary, _ = imported("postgrey", path, Policy(prefix4=32))
    assert "network_prefix4 to 24" in summary.problems[0]


def test_without_a_program_that_reads_it_the_error_says_what_helps(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(bytes(512))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(ImportFailedError, match="db_dump -p"):
        run("postgrey", path, MemoryStore(), NOW, POLICY)


def has_perl() -> bool:
    perl = shutil.which("perl")
    return (
        perl is not None
        and subprocess.run(
            [perl, "-MBerkeleyDB", "-e", "1"], capture_output=True, check=False
        ).returncode
        == 0
    )


needs_perl = pytest.mark.skipif(not has_perl(), reason="needs Perl's BerkeleyDB, as of postgrey")


@needs_perl
def test_what_is_no_database_is_an_error_of_the_program_that_reads_it(path: Path) -> None:
    path.write_bytes(b"\xff" * 4096)
    with pytest.raises(ImportFailedError, match=rf"{path}: \w+ says: "):
        run("postgrey", path, MemoryStore(), NOW, POLICY)


@contextmanager
def postgrey(folder: Path) -> Iterator[int]:
    """The real one, on a port of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    words = ["--user=root", "--group=root", "--delay=1", "--auto-whitelist-clients=2"]
    with (folder / "log").open("w") as log:
        child = subprocess.Popen(
            ["/usr/sbin/postgrey", f"--inet=127.0.0.1:{port}", f"--dbdir={folder}", *words],
            stdout=log,
            stderr=log,
        )
    try:
        yield port
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(10)


def asked(port: int, client: str, sender: str) -> bytes:
    until = time.monotonic() + 10
    while True:
        try:
            connection = socket.create_connection(("127.0.0.1", port), 5)
        except ConnectionRefusedError:
            assert time.monotonic() < until, "it does not listen"
            time.sleep(0.05)
            continue
        with connection:
            connection.sendall(
                "request=smtpd_access_policy\nprotocol_state=RCPT\n"
                f"client_address={client}\nclient_name=mx.example.net\nhelo_name=mx\n"
                f"sender={sender}\nrecipient=b@example.org\n\n".encode()
            )
            return connection.recv(1000)


@needs_perl
@pytest.mark.skipif(not Path("/usr/sbin/postgrey").exists(), reason="needs postgrey")
def test_the_databases_of_a_real_postgrey_are_read(tmp_path: Path) -> None:
    with postgrey(tmp_path) as port:
        assert b"DEFER" in asked(port, "192.0.2.7", "A@example.net")
        assert b"DEFER" in asked(port, "192.0.2.8", "")
        assert b"DEFER" in asked(port, "2001:db8::5", "c/d@example.net")
        until = time.monotonic() + 10
        while b"DEFER" in asked(port, "192.0.2.9", "a@example.net"):
            assert time.monotonic() < until
            time.sleep(0.2)
    now = int(time.time())
    summary, found = imported("postgrey", tmp_path / "postgrey.db", now=now)
    assert summary == Summary(read=3, merged=3, skipped=0)
    assert found.keys() == {
        KEY,
        Triplet("192.0.2.0/24", "", "b@example.org"),
        Triplet("2001:db8::/64", "c/d@example.net", "b@example.org"),
    }
    _, clients = imported("postgrey", tmp_path / "postgrey_clients.db", now=now)
    assert clients[client_triplet("192.0.2.0/24")].passed == 1


# --- spamdb ---


def test_grey_and_white_lines_of_spamdb_are_read_and_traps_left_out(path: Path) -> None:
    path.write_text(
        f"GREY|192.0.2.7|mx|<a@example.net>|<b@example.org>|{NOW - 60}|{NOW + 5}|{NOW + DAY}|1|0\n"
        f"WHITE|198.51.100.7|||{NOW - DAY}|{NOW - 50}|{NOW + 36 * DAY}|2|9\n"
        f"TRAPPED|203.0.113.1|{NOW}\nSPAMTRAP|<x@example.org>\n"
    )
    summary, found = imported("spamdb", path)
    assert summary == Summary(read=2, merged=2, skipped=0)
    assert found[KEY] == Record(0, NOW - 60, NOW - 60, None, 1, 0, NOW + 5)
    client = found[client_triplet("198.51.100.0/24")]
    assert (client.until, client.passed) == (NOW + 36 * DAY, 9)
    assert Clients(5, 50).is_known(client)


# --- sqlgrey ---


def test_sqlgreys_tables_are_read(path: Path) -> None:
    def text(seconds: int) -> str:
        return f"{datetime.fromtimestamp(seconds, UTC).astimezone():%Y-%m-%d %H:%M:%S}"

    with closing(sqlite3.connect(path)) as file:
        file.executescript(
            "CREATE TABLE connect (sender_name, sender_domain, src, rcpt, first_seen);"
            "CREATE TABLE from_awl (sender_name, sender_domain, src, first_seen, last_seen);"
            "CREATE TABLE domain_awl (sender_domain, src, first_seen, last_seen);"
        )
        file.executemany(
            "INSERT INTO connect VALUES (?,?,?,?,?)",
            [
                ("a", "example.net", "192.0.2", "b@example.org", text(NOW - 50)),
                ("-undef-", "-undef-", "192.0.2.9", "b@example.org", str(NOW - 50)),
                ("a", "example.net", "nowhere", "b@example.org", text(NOW)),
                ("a", "example.net", "192.0.2", "b@example.org", "yesterday"),
            ],
        )
        file.executemany(
            "INSERT INTO from_awl VALUES (?,?,?,?,?)",
            [(f"s{n}", "example.net", "198.51.100", text(NOW - DAY), text(NOW)) for n in range(3)],
        )
        file.execute(
            "INSERT INTO domain_awl VALUES ('x', '198.51.100', ?, ?)", (text(NOW), text(NOW))
        )
        file.commit()
    summary, found = imported("sqlgrey", path)
    assert (summary.read, summary.merged, summary.skipped) == (3, 3, 2)
    assert found[KEY].due == NOW + 10
    assert found[Triplet("192.0.2.0/24", "", "b@example.org")].due == NOW + 10
    assert found[client_triplet("198.51.100.0/24")].passed == 4


# --- the original ---


def test_the_originals_files_are_read_whatever_dbm_made_them(tmp_path: Path) -> None:
    made = 0
    for name in ("dbm.dumb", "dbm.gnu", "dbm.ndbm", "dbm.sqlite3"):
        try:
            kind = importlib.import_module(name)
        except ImportError:
            continue
        folder = tmp_path / name
        folder.mkdir()
        keys = {
            "attempters.dbm": {repr(("192.0.2.8", "<>", "<b@example.org>")): str(NOW - 50.25)},
            "greylisted.dbm": {
                repr(("192.0.2.7", "<a@example.net>", "<b@example.org>")): str(NOW - 10.5),
                "__import__('os')": "1",
                "('192.0.2.7', 1, 2)": "1",
                "(" * 500: "1",
            },
        }
        for file_name, entries in keys.items():
            with closing(kind.open(str(folder / file_name), "c")) as file:
                for key, value in entries.items():
                    file[key] = value
        summary, found = imported("original", folder)
        assert (summary.read, summary.merged, summary.skipped) == (2, 2, 3)
        assert found[KEY].until == NOW - 11 + 3_000_000
        assert found[Triplet("192.0.2.0/24", "", "b@example.org")].due == NOW - 51 + 60
        one = next(each for each in folder.iterdir() if each.name.startswith("greylisted"))
        assert imported("original", one)[0].read == 1
        made += 1
    assert made >= 1


def test_a_dbm_file_of_another_name_is_not_guessed_at(tmp_path: Path) -> None:
    with closing(dbm.dumb.open(str(tmp_path / "other"), "c")) as file:
        file["x"] = "y"
    with pytest.raises(ImportFailedError, match="are called attempters"):
        run("original", tmp_path / "other.dat", MemoryStore(), NOW, POLICY)


# --- any text at all ---


@settings(max_examples=50)
@given(st.lists(st.text(max_size=30) | st.sampled_from(DB_DUMP.splitlines()), max_size=12))
def test_any_text_is_read_or_told(lines: list[str]) -> None:
    for read in (read_postgrey, read_spamdb):
        for one in read(["format=print", "HEADER=END", *lines], Ours(POLICY, NOW)):
            assert isinstance(one, BadLine) or one[0].network.count("/") == 1


@pytest.mark.parametrize("name", MODULES)
def test_the_example_in_the_docstring_is_true(name: str) -> None:
    module = importlib.import_module(f"Kamaelia.Apps.Grey.Importers.{name}")
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed
