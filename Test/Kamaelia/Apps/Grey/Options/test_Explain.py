"""--explain: the same answer as the program's, with its reasons, and nothing left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from Kamaelia.Apps.Grey.Config.Loader import load
from Kamaelia.Apps.Grey.Core.Types import Record, Triplet
from Kamaelia.Apps.Grey.Options.Explain import explain
from Kamaelia.Apps.Grey.Store.Sqlite import SqliteStore

NOW = 1_795_253_405
TEXT = """
allowed_domains = example.org
nospf
racl "bad" blacklist from /spam/ msg "no %f"
racl whitelist addr 192.0.2.0/28
racl greylist default delay 5m
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "greylist.conf"
    made.write_text(f"{TEXT}database = {tmp_path / 'grey.sqlite3'}\n")
    return made


def asked(path: Path, capsys: pytest.CaptureFixture[str], *words: str, helo: str = "") -> list[str]:
    client, sender, recipient = words
    assert explain(load(path), client, sender, recipient, helo, clock=lambda: NOW) == 0
    said = capsys.readouterr()
    assert said.err == ""
    return said.out.splitlines()


def test_each_rule_that_was_looked_at_and_the_decision(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = asked(path, capsys, "192.0.2.77", "a@example.net", "<b@example.org>")
    assert [line.partition(" ")[2] for line in lines if "greylist.conf:" in line] == [
        "blacklist: from /spam/: no",
        "whitelist: addr 192.0.2.0/28: no",
        "greylist: default: yes",
    ]
    assert "record of 192.0.2.77/32, a@example.net, b@example.org: none" in lines
    assert lines[-1].startswith("defer, new, 300 s to wait: 451 4.7.1 ")


def test_the_first_rule_that_matches_ends_it(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = asked(path, capsys, "192.0.2.7", "a@example.net", "b@example.org")
    assert lines[-2].endswith("whitelist: addr 192.0.2.0/28: yes")
    assert lines[-1] == "pass, rule"
    lines = asked(path, capsys, "192.0.2.7", "spam@example.net", "b@example.org")
    assert lines[-1] == "reject, rule: 551 5.7.1 no spam@example.net"


def test_the_record_counts_and_stays_as_it_is(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    triplet = Triplet("192.0.2.77/32", "a@example.net", "b@example.org")
    store = SqliteStore(tmp_path / "grey.sqlite3")
    store.merge(triplet, Record.started(NOW - 400, delay=300))
    store.close()
    before = (tmp_path / "grey.sqlite3").read_bytes()
    lines = asked(path, capsys, "192.0.2.77", "a@example.net", "b@example.org")
    assert lines[-1].startswith("pass, retried")
    assert any("waits, first seen 400 s ago" in line for line in lines)
    assert (tmp_path / "grey.sqlite3").read_bytes() == before


def test_no_database_is_made(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked(path, capsys, "2001:db8::1", "", "b@example.org", helo="mx.example.net")
    assert [each.name for each in tmp_path.iterdir()] == ["greylist.conf"]


def test_a_database_of_another_schema_cannot_say(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "grey.sqlite3").write_bytes(b"no database at all " * 100)
    code = explain(load(path), "192.0.2.77", "a@example.net", "b@example.org", clock=lambda: NOW)
    assert code == 0
    said = capsys.readouterr()
    assert "the database cannot say" in said.out
    assert "grey.sqlite3" in said.err


def test_a_dry_run_says_what_would_have_been(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with path.open("a") as file:
        file.write("dry_run = yes\n")
    lines = asked(path, capsys, "192.0.2.77", "a@example.net", "b@example.org")
    assert lines[-1].startswith("pass, new (dry run: else defer), 300 s to wait: 451")


def test_a_look_up_is_shown_with_its_answer(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # A port of loopback where nobody answers questions: the look-up fails, and that is shown.
    path.write_text(
        "lookup_timeout = 1s\nresolvers:\n    127.0.0.1 9\n"
        + path.read_text().replace('racl "bad"', 'racl whitelist domain example.net\nracl "bad"')
    )
    lines = asked(path, capsys, "192.0.2.77", "a@example.net", "b@example.org")
    assert any(line.startswith("looked up HostName(") and "failed: " in line for line in lines)


def test_lists_of_the_settings_are_asked_as_the_program_asks_them(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with path.open("a") as file:  # no name below "invalid" is ever asked for outside
        file.write("trusted_lists:\n    dnswl.invalid  127.0.0.0/16\n")
    lines = asked(path, capsys, "192.0.2.77", "a@example.net", "b@example.org")
    (line,) = [each for each in lines if "dnswl.invalid" in each]
    assert line.endswith(": False")


@pytest.mark.parametrize(
    ("doors", "last"),
    [
        ("socket = /run/grey.sock\n", "defer, new"),
        ("policy_socket = /run/grey.sock\n", "defer, new"),
        ("", "reject, relay"),
        ("socket = /run/grey.sock\nlisten = 127.0.0.1\n", "reject, relay"),
    ],
)
def test_without_a_proxy_the_mail_server_knows_its_recipients(
    path: Path, capsys: pytest.CaptureFixture[str], doors: str, last: str
) -> None:
    path.write_text(doors + path.read_text())
    lines = asked(path, capsys, "192.0.2.77", "a@example.net", "b@elsewhere.example")
    assert lines[-1].startswith(last)


def test_a_client_that_is_no_address_is_usage(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(load(path), "mx.example.net", "a@b", "c@d") == os.EX_USAGE
    assert "is no IP address" in capsys.readouterr().err
