"""The journal's protocol and syslog's, at sockets of the tests' own."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Watch.Journal import JournalHandler, encoded, priority_of
from Kamaelia.Apps.Grey.Watch.Syslog import LINE_BYTES, Syslog


def record(text: str = "text", level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("grey.test", level, "/x/y.py", 7, text, None, None)


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "log"))
        made.settimeout(5)
        yield made


def decoded(data: bytes) -> dict[str, str]:
    """As the journal reads it."""
    fields = {}
    while data:
        name, _, data = data.partition(b"\n")
        if b"=" in name:
            name, _, value = name.partition(b"=")
        else:
            size = int.from_bytes(data[:8], "little")
            value, data = data[8 : 8 + size], data[8 + size + 1 :]
        fields[name.decode()] = value.decode()
    return fields


def test_an_entry_has_its_fields(listener: socket.socket, tmp_path: Path) -> None:
    handler = JournalHandler(lambda _: {"client": "192.0.2.7"}, str(tmp_path / "log"))
    handler.handle(record("greylisted\nand more", logging.WARNING))
    fields = decoded(listener.recv(65536))
    assert fields["MESSAGE"] == "greylisted\nand more"
    assert fields["PRIORITY"] == "4"
    assert fields["SYSLOG_IDENTIFIER"] == "kamaelia-grey"
    assert fields["LOGGER"] == "grey.test"
    assert fields["CODE_FILE"] == "/x/y.py"
    assert fields["CODE_LINE"] == "7"
    assert fields["GREY_CLIENT"] == "192.0.2.7"
    handler.close()


NAMES = st.from_regex(r"[A-Z][A-Z0-9_]{0,20}", fullmatch=True)


@given(st.dictionaries(NAMES, st.text(st.characters(exclude_categories=["Cs"]))))
def test_what_is_encoded_can_be_read_back(fields: dict[str, str]) -> None:
    assert decoded(encoded(fields)) == fields


def test_nobody_can_write_a_field_of_his_own() -> None:
    assert decoded(encoded({"GREY_FROM": "a\nPRIORITY=0", "bad name": "x", "": "y"})) == {
        "GREY_FROM": "a\nPRIORITY=0"
    }


def test_a_long_text_is_cut(listener: socket.socket, tmp_path: Path) -> None:
    handler = JournalHandler(address=str(tmp_path / "log"))
    handler.handle(record("x" * 1_000_000))
    assert len(decoded(listener.recv(1 << 20))["MESSAGE"]) == 32 << 10
    handler.close()


@pytest.mark.parametrize("kind", [JournalHandler, Syslog])
def test_who_does_not_listen_costs_lines_and_is_said_once(
    kind: type[JournalHandler | Syslog], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "log"
    handler = kind(address=str(path))
    for _ in range(3):
        handler.handle(record())
    assert capsys.readouterr().err.count("lines are lost for now") == 1
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as later:
        later.bind(str(path))
        later.settimeout(5)
        handler.handle(record("again"))
        assert b"again" in later.recv(65536)
    handler.close()


@pytest.mark.parametrize(
    ("level", "number"),
    [
        (logging.CRITICAL, 2),
        (logging.ERROR, 3),
        (logging.WARNING, 4),
        (logging.INFO, 6),
        (logging.DEBUG, 7),
        (1, 7),
    ],
)
def test_levels_have_the_priorities_of_syslog(level: int, number: int) -> None:
    assert priority_of(level) == number


def test_a_line_of_syslog_has_facility_and_priority(
    listener: socket.socket, tmp_path: Path
) -> None:
    handler = Syslog("local3", str(tmp_path / "log"))
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.handle(record("one\ntwo\0", logging.ERROR))
    assert listener.recv(65536).decode() == (
        f"<{19 * 8 + 3}>kamaelia-grey[{os.getpid()}]: one#012two#000"
    )
    handler.handle(record("x" * 100_000))
    assert len(listener.recv(1 << 20)) == LINE_BYTES
    handler.close()
    handler.close()
