"""The file of the big senders: whole, readable by anybody, and never believed blindly."""

import os
from ipaddress import ip_network
from pathlib import Path

import pytest

from Kamaelia.Apps.Grey.Lookups.BigSendersFile import Fetched, read, report, write

NOON = 1_795_348_800.0  # 2026-11-22T12:00:00Z
LISTS = {
    "a.test": Fetched((ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")), NOON),
    "b.test": Fetched((ip_network("198.51.100.7/32"),), NOON - 7200),
}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "big"
    write(file, LISTS)
    assert read(file) == LISTS
    assert "a.test 192.0.2.0/24 2026-11-22T12:00:00Z\n" in file.read_text()
    assert list(tmp_path.iterdir()) == [file]


def test_anybody_may_read_it_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        write(tmp_path / "big", LISTS)
    finally:
        os.umask(old)
    assert (tmp_path / "big").stat().st_mode & 0o777 == 0o644


def test_what_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "big"
    write(file, LISTS)
    (tmp_path / f".big.{os.getpid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="big"):
        write(file, {})
    assert read(file) == LISTS
    assert not (tmp_path / "elsewhere").exists()


def test_lines_that_make_no_sense_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "big"
    file.write_bytes(
        b"# comment\n\na.test 192.0.2.0/24 2026-11-22T12:00:00Z\na.test 192.0.2.0/24\n"
        b"a.test 192.0.2.1/24 2026-11-22T12:00:00Z\na.test 10.0.0.0/8 yesterday\n\xff\xfe\n"
    )
    assert read(file) == {"a.test": Fetched((ip_network("192.0.2.0/24"),), NOON)}
    assert "has 4 lines that cannot be read" in caplog.text


def test_the_report_says_how_old_each_is(tmp_path: Path) -> None:
    file = tmp_path / "big"
    assert "is not there yet" in report(file, NOON)[0]
    write(file, {})
    assert report(file, NOON) == [f"{file} has no networks"]
    write(file, LISTS)
    assert report(file, NOON + 3600) == [
        "a.test: 2 networks, fetched 2026-11-22T12:00:00Z, 60 minutes ago",
        "  192.0.2.0/24",
        "  2001:db8::/32",
        "b.test: 1 network, fetched 2026-11-22T10:00:00Z, 3 hours ago",
        "  198.51.100.7/32",
    ]
    assert "cannot be read" in report(tmp_path, NOON)[0]
