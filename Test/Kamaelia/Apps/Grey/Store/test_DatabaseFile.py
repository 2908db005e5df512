"""DatabaseFile: only a plain file of our own is used, and nothing is ever overwritten."""

import doctest
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from Kamaelia.Apps.Grey.Store.DatabaseFile import MOST_KEPT, claim, set_aside
from Kamaelia.Apps.Grey.Store.Interface import StoreError

NOW = 1_740_812_400.9  # 2025-03-01 07:00:00 UTC
STAMP = "20250301T070000Z"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "greylist.sqlite3"


def test_a_new_file_is_for_its_owner_only_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        claim(path)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes() == b""


def test_an_existing_file_keeps_content_and_mode(path: Path) -> None:
    path.write_bytes(b"something")
    path.chmod(0o640)
    claim(path)
    assert path.read_bytes() == b"something"
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_missing_folder_is_named_with_its_cure(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"No such file.*mkdir -p .*/missing$"):
        claim(tmp_path / "missing" / "greylist.sqlite3")


def test_a_file_in_place_of_the_folder_is_named_with_its_cure(path: Path) -> None:
    path.write_bytes(b"")
    with pytest.raises(StoreError, match=r"Not a directory.*mkdir -p"):
        claim(path / "greylist.sqlite3")


def test_a_symbolic_link_is_refused_and_its_target_not_touched(path: Path) -> None:
    victim = path.with_name("victim")
    victim.write_bytes(b"precious")
    path.symlink_to(victim)
    with pytest.raises(StoreError, match="symbolic link"):
        claim(path)
    assert victim.read_bytes() == b"precious"


def test_a_folder_or_pipe_in_place_of_the_file_is_refused(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StoreError, match="Is a directory"):
        claim(path)
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(StoreError, match="not a plain file"):
        claim(path)


@pytest.fixture
def foreign_folder() -> Iterator[Path]:
    """A folder that everybody may enter and that this process, for now, may not write."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        if os.geteuid() == 0:  # root may do everything, so be somebody else
            os.seteuid(65_534)
            try:
                yield folder
            finally:
                os.seteuid(0)
        else:
            yield folder
        folder.chmod(0o755)


def test_a_folder_that_is_not_ours_is_named_with_its_cure(foreign_folder: Path) -> None:
    with pytest.raises(StoreError, match=r"Permission denied.*must own the file"):
        claim(foreign_folder / "greylist.sqlite3")


def test_a_full_disk_is_named_with_its_cure(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(StoreError, match=r"No space left on device\. Free some space"):
        claim(path)


def test_a_file_set_aside_keeps_content_and_companions(path: Path) -> None:
    path.write_bytes(b"main")
    for suffix in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).write_text(suffix)
    kept = set_aside(path, NOW)
    assert kept.name == f"greylist.sqlite3.broken-{STAMP}"
    assert kept.read_bytes() == b"main"
    assert sorted(entry.name for entry in path.parent.iterdir()) == sorted(
        kept.name + suffix for suffix in ("", "-wal", "-shm", "-journal")
    )
    assert kept.with_name(kept.name + "-wal").read_text() == "-wal"


def test_nothing_is_overwritten_within_one_second(path: Path) -> None:
    names = []
    for content in (b"first", b"second", b"third"):
        path.write_bytes(content)
        names.append(set_aside(path, NOW))
    assert [name.read_bytes() for name in names] == [b"first", b"second", b"third"]
    assert [name.name.partition("broken-")[2] for name in names] == [
        STAMP,
        f"{STAMP}-2",
        f"{STAMP}-3",
    ]


def test_a_disk_that_breaks_every_file_is_not_filled_with_them(path: Path) -> None:
    for number in range(MOST_KEPT):
        path.write_bytes(b"x")
        set_aside(path, NOW + number)
    path.write_bytes(b"one more")
    with pytest.raises(StoreError, match=f"{MOST_KEPT} broken copies.*delete"):
        set_aside(path, NOW)
    assert path.read_bytes() == b"one more"


def test_what_cannot_be_renamed_is_an_error_with_the_path(path: Path) -> None:
    with pytest.raises(StoreError, match=r"greylist\.sqlite3: cannot be set aside: No such file"):
        set_aside(path, NOW)


def test_the_example_in_the_docstring_is_true() -> None:
    result = doctest.testmod(sys.modules[set_aside.__module__])
    assert result.attempted
    assert not result.failed
