"""Questions to p0f, over a local socket, by the layout that its README gives."""

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Core.Access.Questions import LookupFailed, P0f
from Kamaelia.Apps.Grey.Lookups.P0f import (
    KEEP_SECONDS,
    QUERY,
    REPLY,
    P0fLookup,
    packed_query,
    text_of,
)
from Test.Kamaelia.Apps.Grey.Lookups.daemons import PATIENCE, SHORT, Daemon

FOUND, UNKNOWN, BAD = 0x10, 0x20, 0x00


def reply(status: int, name: bytes = b"", flavour: bytes = b"", magic: int = 0x50304602) -> bytes:
    """As p0f's README has it, built by hand."""
    head = struct.pack("=II", magic, status)
    times = struct.pack("=III", 1_700_000_000, 1_700_000_100, 3)
    uptime = struct.pack("=IIII", 0, 0, 0, 0)
    quality = struct.pack("=hBB", 11, 0, 1)
    texts = b"".join(text.ljust(32, b"\0") for text in (name, flavour, b"", b"", b"Ethernet", b""))
    return head + times + uptime + quality + texts


def test_the_sizes_are_those_of_the_protocol() -> None:
    assert (QUERY.size, REPLY.size, len(reply(FOUND))) == (21, 232, 232)
    assert (
        packed_query("2001:db8::1")
        == struct.pack("=IB", 0x50304601, 6) + b"\x20\x01\x0d\xb8" + bytes(11) + b"\x01"
    )
    assert packed_query("192.0.2.7") == struct.pack("=IB", 0x50304601, 4) + b"\xc0\0\2\7" + bytes(
        12
    )


def test_genre_and_detail_are_the_answer(tmp_path: Path) -> None:
    path = tmp_path / "p0f"
    with Daemon(reply(FOUND, b"Linux", b"3.11 and newer"), path, size=21) as daemon:
        answer = P0fLookup(str(path), PATIENCE)(P0f("192.0.2.7"))
    assert answer == ("Linux 3.11 and newer", KEEP_SECONDS)
    assert daemon.requests == [packed_query("192.0.2.7")]


def test_a_client_that_is_not_known_yet_is_asked_for_again(tmp_path: Path) -> None:
    path = tmp_path / "p0f"
    with Daemon(reply(UNKNOWN, b"Stale"), path, size=21):
        assert P0fLookup(str(path), PATIENCE)(P0f("192.0.2.7")) == ("", 0.0)


def test_a_client_without_an_address_is_unknown_and_nobody_is_asked() -> None:
    assert P0fLookup("/nowhere", PATIENCE)(P0f("")) == ("", KEEP_SECONDS)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        reply(FOUND)[:-1],
        reply(BAD),
        reply(0x30),
        reply(FOUND, magic=0x50304601),
        b"\xff" * 232,
    ],
)
def test_what_is_no_answer_is_a_failure(tmp_path: Path, answer: bytes) -> None:
    path = tmp_path / "p0f"
    with Daemon(answer, path, size=21):
        found, _ = P0fLookup(str(path), PATIENCE)(P0f("192.0.2.7"))
    assert isinstance(found, LookupFailed)
    assert "p0f 3" in found.reason


def test_a_flood_is_read_no_further_than_an_answer_goes(tmp_path: Path) -> None:
    path = tmp_path / "p0f"
    with Daemon(reply(FOUND, b"Linux") + b"x" * 5_000_000, path, size=21):
        assert P0fLookup(str(path), PATIENCE)(P0f("192.0.2.7"))[0] == "Linux"


def test_a_daemon_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "p0f"
    with Daemon(None, path):
        found, _ = P0fLookup(str(path), SHORT)(P0f("192.0.2.7"))
    assert isinstance(found, LookupFailed)
    assert "timed out" in found.reason


def test_a_daemon_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    found, _ = P0fLookup(str(tmp_path / "none"), PATIENCE)(P0f("192.0.2.7"))
    assert isinstance(found, LookupFailed)
    assert "No such file" in found.reason


@settings(max_examples=50)
@given(st.binary(min_size=192, max_size=192))
def test_whatever_stands_in_the_texts_comes_out_clean(texts: bytes) -> None:
    text = text_of(reply(FOUND)[:40] + texts)
    assert text is not None
    assert len(text) <= 65
    assert text.isprintable()
