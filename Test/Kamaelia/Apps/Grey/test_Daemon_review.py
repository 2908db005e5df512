"""A file that is read again on a bad day, by a program that has been running for long."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from Kamaelia.Apps.Grey import Daemon
from Kamaelia.Apps.Grey.Config.Loader import load
from Kamaelia.Apps.Grey.Logs import RULES
from Kamaelia.Apps.Grey.Options import Checking
from Kamaelia.Apps.Grey.Options.Overrides import Overrides
from Kamaelia.Apps.Grey.Program import Program

TEXT = "allowed_domains = example.org\nrelay_check = no\nworkers = 2\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "greylist.conf"
    made.write_text(f"{TEXT}database = {tmp_path / 'db'}\n")
    return made


@pytest.fixture
def program(path: Path) -> Program:
    return Program(load(path), path)


def add(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def test_a_pipe_in_the_place_of_the_file_is_not_waited_for(
    path: Path, program: Program, caplog: pytest.LogCaptureFixture
) -> None:
    path.unlink()
    os.mkfifo(path)
    assert program.read_again() is None
    assert "is no file" in caplog.text


def test_a_file_that_was_cut_to_nothing_does_not_refuse_everybodys_mail(
    path: Path, tmp_path: Path, program: Program, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text(f"database = {tmp_path / 'db'}\n")
    assert program.read_again() is None
    assert "allowed_domains is empty now" in caplog.text


def test_who_has_never_taken_mail_from_strangers_may_read_the_file_again(
    path: Path, tmp_path: Path
) -> None:
    path.write_text(f"relay_check = no\ndatabase = {tmp_path / 'db'}\n")
    assert Program(load(path), path).read_again() is not None


def test_a_worker_that_is_started_later_has_the_database_of_the_others(
    path: Path, tmp_path: Path, program: Program
) -> None:
    other = tmp_path / "other"
    path.write_text(
        TEXT.replace("workers = 2", "workers = 1") + f"database = {other}\ngreylist_delay = 77s\n"
    )
    new = program.read_again()
    assert new is not None
    assert (new.workers, new.database) == (1, other)  # to be told about
    assert (program._config.workers, program._config.database) == (2, tmp_path / "db")
    assert program._config.greylist_delay == 77


def test_limits_that_do_not_go_with_what_takes_a_restart_are_refused_by_all(
    path: Path, program: Program, caplog: pytest.LogCaptureFixture
) -> None:
    add(
        path, "max_connections = 5000\nreserved_connections = 2000\nreserved_networks = 192.0.2.1\n"
    )
    assert program.read_again() is None
    assert "all connections are reserved" in caplog.text
    assert "or restart" in caplog.text
    assert program._config.reserved_connections == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_before_a_reload_root_judges_as_the_user_of_the_program(
    path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Checking, "become", lambda _: os.setresuid(65_534, 65_534, 65_534))
    path.parent.chmod(0o700)
    add(path, f"user = nobody\npid_file = {path.parent / 'pid'}\n")
    assert Daemon.main(["--reload", "-f", str(path)]) == os.EX_CONFIG
    assert "cannot be looked at: Permission denied" in capfd.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="root may look everywhere")
def test_a_file_in_a_folder_that_is_closed_to_us_now_changes_nothing(
    path: Path, program: Program, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.chmod(0o700)
    os.seteuid(65_534)
    try:
        assert program.read_again() is None
    finally:
        os.seteuid(0)
    assert "cannot be read: Permission denied" in caplog.text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_user_that_cannot_be_had_is_said_before_a_reload(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    add(path, "user = nobody-of-that-name\n")
    assert Daemon.main(["--reload", "-f", str(path)]) == os.EX_OSERR
    assert "there is no such user" in capfd.readouterr().err


def test_who_is_not_root_cannot_say_u(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12_345)
    assert Daemon.main(["-c", "-f", str(path), "-u", "nobody"]) == os.EX_USAGE
    assert "only root can become somebody else" in capsys.readouterr().err


def test_the_command_line_beats_the_file_after_a_reload_too(path: Path) -> None:
    overrides = Overrides((("greylist_delay", 7),))
    add(path, "greylist_delay = 9\n")
    program = Program(overrides.apply(load(path)), path, overrides)
    path.write_text(path.read_text().replace("= 9", "= 8"))
    new = program.read_again()
    assert new is not None
    assert new.greylist_delay == 7


def test_what_was_read_is_not_read_again_because_it_has_changed(path: Path) -> None:
    program = Program(load(path), path)
    add(path, "greylist_delay = 9\n")
    assert program.read_again() is not None
    assert program.seen is not None
    assert [program.seen.look() for _ in range(3)] == [False] * 3


def test_the_rules_are_logged_for_who_asked(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    add(path, "racl whitelist addr 192.0.2.0/24\n")
    program = Program(load(path), path)
    with caplog.at_level(logging.DEBUG, RULES):
        assert program.read_again() is not None
    line = path.read_text().count("\n")
    said = [record.getMessage() for record in caplog.records if record.name == RULES]
    assert said == [f"{path}:{line}: racl whitelist addr 192.0.2.0/24"]
