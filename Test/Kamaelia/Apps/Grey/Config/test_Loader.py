"""Loader: where files are looked for, and that every failure is a ConfigError."""

import doctest
import importlib
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Config import Loader
from Kamaelia.Apps.Grey.Config.Loader import SEARCH_PATH, Config, ConfigError, find, load, loads


def test_the_search_path_is_that_of_the_original() -> None:
    places = [
        "/usr/local/etc/Kamaelia/greylist.conf",
        "/usr/local/etc/greylist.conf",
        "/etc/Kamaelia/greylist.conf",
        "/etc/greylist.conf",
        "greylist.conf",
    ]
    assert [str(path) for path in SEARCH_PATH] == places + [f"{place}.dist" for place in places]


def test_the_first_file_that_exists_is_found(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a", "b", "c", "missing/d")]
    assert find(paths) is None
    paths[0].mkdir()  # a folder is no file
    paths[2].touch()
    assert find(paths) == paths[2]
    paths[1].touch()
    assert find(paths) == paths[1]


def test_a_file_that_cannot_be_looked_at_is_not_passed_over(tmp_path: Path) -> None:
    class Locked(type(tmp_path)):  # type: ignore[misc]
        def stat(self, **_: object) -> object:  # root may look at everything: no real folder helps
            raise PermissionError(13, "Permission denied")

    locked, other = Locked(tmp_path / "a"), tmp_path / "b"
    other.touch()
    assert find([tmp_path / "missing", locked, other]) is locked


def test_a_file_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "greylist.conf"
    path.write_bytes("port = 2525\r\n# größe\r\nallowed_domains:\r\n\tgröße.example\r\n".encode())
    assert load(path) == Config(port=2525, allowed_domains=frozenset({"größe.example"}))


def test_an_empty_file_has_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "greylist.conf"
    path.touch()
    assert load(path) == Config()


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "greylist.conf"
    path.write_bytes(b"\xef\xbb\xbfport = 99999")
    with pytest.raises(ConfigError) as raised:
        load(path)
    assert [(p.line, p.column) for p in raised.value.problems] == [(1, 8)]


def problems_of(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load(path)
    return str(raised.value).replace(f"{path}", "FILE").splitlines()


def test_a_file_that_is_not_there_is_a_config_error(tmp_path: Path) -> None:
    assert problems_of(tmp_path / "none") == ["FILE: cannot be read: No such file or directory"]


def test_a_folder_is_a_config_error(tmp_path: Path) -> None:
    assert problems_of(tmp_path) == ["FILE: cannot be read: Is a directory"]


def test_a_file_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Loader.MAX_BYTES == 64 * 1024 * 1024
    monkeypatch.setattr(Loader, "MAX_BYTES", 1 << 20)
    path = tmp_path / "greylist.conf"
    path.write_bytes(b"#" * (1 << 20))
    assert load(path) == Config()
    path.write_bytes(b"#" * ((1 << 20) + 1))
    assert problems_of(path) == ["FILE: is larger than 1 MiB: is this a greylist.conf?"]


def test_a_file_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Loader, "MAX_BYTES", 1 << 20)
    assert "is larger than" in problems_of(Path("/dev/zero"))[0]


def test_bytes_that_are_not_utf8_are_reported_with_all_other_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "greylist.conf"
    path.write_bytes("# größe\n".encode("latin-1") + b"port = 99999\n# \xff and \xfe\n")
    with pytest.raises(ConfigError) as raised:
        load(path)
    assert [(p.line, p.column, p.message) for p in raised.value.problems] == [
        (1, 5, "this is not UTF-8"),
        (2, 8, '"99999" is more than 65535'),
        (3, 3, "this is not UTF-8"),
    ]


def test_a_replacement_character_in_good_utf8_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "greylist.conf"
    path.write_text("# \N{REPLACEMENT CHARACTER}\nport = 2525\n", encoding="utf-8")
    assert load(path).port == 2525


def test_a_text_is_loaded_under_its_name() -> None:
    assert loads("port = 2525").port == 2525
    with pytest.raises(ConfigError, match=r"^greylist\.conf:1:8: "):
        loads("port = x")
    with pytest.raises(ConfigError, match=r"^here:1:8: "):
        loads("port = x", "here")


@given(st.binary(max_size=80))
def test_any_bytes_are_a_config_or_a_config_error(data: bytes) -> None:
    with NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        try:
            found: Config | ConfigError = load(Path(file.name))
        except ConfigError as error:
            found = error
    assert isinstance(found, Config) or found.problems


@pytest.mark.parametrize(
    "module", ["Addresses", "Grammar", "Loader", "Problem", "Reader", "Schema", "Values"]
)
def test_the_example_in_the_docstring_is_true(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"Kamaelia.Apps.Grey.Config.{module}"))
    assert result.attempted >= 1
    assert result.failed == 0
