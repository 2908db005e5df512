"""A file that is read again on a bad day, by a program that has been running for long."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from Kamaelia.Apps.Grey import Daemon
from Kamaelia.Apps.Grey.Config.Loader import load
from Kamaelia.Apps.Grey.Daemon import _Program

TEXT = "allowed_domains = example.org\nrelay_check = no\nworkers = 2\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "greylist.conf"
    made.write_text(f"{TEXT}database = {tmp_path / 'db'}\n")
    return made


@pytest.fixture
def program(path: Path) -> _Program:
    return _Program(load(path), path)


def add(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def test_a_pipe_in_the_place_of_the_file_is_not_waited_for(
    path: Path, program: _Program, caplog: pytest.LogCaptureFixture
) -> None:
    path.unlink()
    os.mkfifo(path)
    assert program._read_again() is None
    assert "is no file" in caplog.text


def test_a_file_that_was_cut_to_nothing_does_not_refuse_everybodys_mail(
    path: Path, tmp_path: Path, program: _Program, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text(f"database = {tmp_path / 'db'}\n")
    assert program._read_again() is None
    assert "allowed_domains is empty now" in caplog.text


def test_who_has_never_taken_mail_from_strangers_may_read_the_file_again(
    path: Path, tmp_path: Path
) -> None:
    path.write_text(f"relay_check = no\ndatabase = {tmp_path / 'db'}\n")
    assert _Program(load(path), path)._read_again() is not None


def test_a_worker_that_is_started_later_has_the_database_of_the_others(
    path: Path, tmp_path: Path, program: _Program
) -> None:
    other = tmp_path / "other"
    path.write_text(
        TEXT.replace("workers = 2", "workers = 1") + f"database = {other}\ngreylist_delay = 77s\n"
    )
    new = program._read_again()
    assert new is not None
    assert (new.workers, new.database) == (1, other)  # to be told about
    assert (program._config.workers, program._config.database) == (2, tmp_path / "db")
    assert program._config.greylist_delay == 77


def test_limits_that_do_not_go_with_what_takes_a_restart_are_refused_by_all(
    path: Path, program: _Program, caplog: pytest.LogCaptureFixture
) -> None:
    add(
        path, "max_connections = 5000\nreserved_connections = 2000\nreserved_networks = 192.0.2.1\n"
    )
    assert program._read_again() is None
    assert "all connections are reserved" in caplog.text
    assert "or restart" in caplog.text
    assert program._config.reserved_connections == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_before_a_reload_root_judges_as_the_user_of_the_program(
    path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Daemon, "become", lambda _: os.setresuid(65_534, 65_534, 65_534))
    path.parent.chmod(0o700)
    add(path, f"user = nobody\npid_file = {path.parent / 'pid'}\n")
    assert Daemon.main(["--reload", "-f", str(path)]) == os.EX_CONFIG
    assert "cannot be looked at: Permission denied" in capfd.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="root may look everywhere")
def test_a_file_in_a_folder_that_is_closed_to_us_now_changes_nothing(
    path: Path, program: _Program, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.chmod(0o700)
    os.seteuid(65_534)
    try:
        assert program._read_again() is None
    finally:
        os.seteuid(0)
    assert "cannot be read: Permission denied" in caplog.text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_user_that_cannot_be_had_is_said_before_a_reload(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    add(path, "user = nobody-of-that-name\n")
    assert Daemon.main(["--reload", "-f", str(path)]) == os.EX_CONFIG
    assert "there is no such user" in capfd.readouterr().err
