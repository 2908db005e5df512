"""--import and --big-senders, as an administrator meets them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.Core.Types import Triplet
from Kamaelia.Apps.Grey.Options.Others import import_records, show_big_senders
from Kamaelia.Apps.Grey.PidFile import PidFile
from Kamaelia.Apps.Grey.Store.Sqlite import SqliteStore

NOW = 1_795_253_405
DUMP = f"192.0.2.7 <a@example.net> <b@example.org> {NOW + 1000} AUTO\nbad\n"


def test_records_are_taken_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "greylist.db"
    path.write_text(DUMP)
    config = Config(database=tmp_path / "grey.sqlite3")
    assert import_records(config, "milter-greylist", str(path), clock=lambda: NOW) == 0
    said = capsys.readouterr()
    assert said.out == "read 1, taken over 1, left out 1\n"
    assert said.err.startswith("2: ")
    store = SqliteStore(tmp_path / "grey.sqlite3")
    found = store.get(Triplet("192.0.2.7/32", "a@example.net", "b@example.org"))
    store.close()
    assert found is not None
    assert found.until >= NOW + 1000


@pytest.mark.parametrize("kind", ["milter-greylist", "postgrey", "sqlgrey", "spamdb", "original"])
def test_a_file_that_is_not_there_is_said(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Config(database=tmp_path / "grey.sqlite3")
    assert import_records(config, kind, str(tmp_path / "none")) != 0
    assert "none" in capsys.readouterr().err


def test_while_the_program_runs_nothing_is_taken_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "greylist.db"
    path.write_text(DUMP)
    tmp_path.chmod(0o700)
    config = Config(database=tmp_path / "grey.sqlite3", pid_file=tmp_path / "pid")
    with PidFile(tmp_path / "pid"):
        code = import_records(config, "milter-greylist", str(path), clock=lambda: NOW)
        assert code == os.EX_UNAVAILABLE
    assert f"process {os.getpid()} runs" in capsys.readouterr().err
    assert not (tmp_path / "grey.sqlite3").exists()
    assert import_records(config, "milter-greylist", str(path), clock=lambda: NOW) == 0


def test_networks_are_shown_with_their_age(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "big"
    path.write_text("example.net 192.0.2.0/24 2026-11-21T10:00:00Z\n")
    assert show_big_senders(Config(big_senders_file=path), clock=lambda: NOW) == 0
    out = capsys.readouterr().out
    assert "example.net: 1 network" in out
    assert "192.0.2.0/24" in out


def test_without_a_file_the_setting_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_big_senders(Config()) == os.EX_CONFIG
    assert "set big_senders_file" in capsys.readouterr().err
