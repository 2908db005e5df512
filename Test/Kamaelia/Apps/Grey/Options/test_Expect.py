"""--expect: a line in a file that other processes read."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.Core.Expectations import Expectations
from Kamaelia.Apps.Grey.ExpectFile import add
from Kamaelia.Apps.Grey.Options.Expect import expect

NOW = 1_795_253_405


def read(path: Path, now: int = NOW) -> Expectations:
    return Expectations.parse(path.read_text(), now)


def test_a_recipient_is_expected_for_a_while(tmp_path: Path) -> None:
    path = tmp_path / "expect"
    assert expect(Config(expect_file=path), "Anna@Example.org", 900, clock=lambda: NOW) == 0
    assert path.read_text() == f"anna@example.org {NOW + 900} timed -\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert read(path).matches("anna@example.org", NOW + 900)
    assert not read(path).matches("anna@example.org", NOW + 901)


def test_what_is_over_goes_and_the_rest_stays(tmp_path: Path) -> None:
    path = tmp_path / "expect"
    add(path, "a@example.org", 10, NOW)
    add(path, "b@example.org", 1000, NOW, once=True)
    add(path, "c@example.org", 1000, NOW + 11)
    assert [line.split()[0] for line in path.read_text().splitlines()] == [
        "b@example.org",
        "c@example.org",
    ]
    assert " once " in path.read_text()


def test_once_more_for_the_same_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "expect"
    add(path, "a@example.org", 10, NOW)
    add(path, "A@example.org", 20, NOW)
    assert path.read_text() == f"a@example.org {NOW + 20} timed -\n"


def test_many_at_once_lose_nobody(tmp_path: Path) -> None:
    path = tmp_path / "expect"
    threads = [
        threading.Thread(target=add, args=(path, f"u{number}@example.org", 60, NOW))
        for number in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(path.read_text().splitlines()) == 20
    assert list(tmp_path.iterdir()) == [path]


def test_without_a_setting_it_says_which_one_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert expect(Config(), "a@example.org", 60) == os.EX_CONFIG
    assert "set expect_file" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "none" / "expect"
    assert expect(Config(expect_file=path), "a@example.org", 60) == os.EX_OSERR
    assert "No such file" in capsys.readouterr().err


def test_a_link_is_not_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    victim = tmp_path / "victim"
    victim.write_text("secret")
    path = tmp_path / "expect"
    path.symlink_to(victim)
    assert expect(Config(expect_file=path), "a@example.org", 60) == os.EX_OSERR
    assert victim.read_text() == "secret"
    assert "expect_file" in capsys.readouterr().err


def test_a_user_that_is_not_there_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root becomes somebody else")
    config = Config(expect_file=tmp_path / "expect", user="no-such-user")
    assert expect(config, "a@example.org", 60) == os.EX_OSERR
    assert "there is no such user" in capsys.readouterr().err
