"""From addresses to names of files: what is let through, and what is not."""

from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Support.Protocol.HTTP.Messages import Request
from Kamaelia.Support.Protocol.HTTP.StaticFiles import (
    Extent,
    NoSuchFile,
    RangeNotSatisfiable,
    content_type_of,
    extent_of,
    file_parts,
    folder_address,
    matches,
)


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("", ()),
        ("/", ()),
        ("a/b.html?x=../y", ("a", "b.html")),
        ("//a//./b/", ("a", "b")),
        ("caf%C3%A9", ("café",)),
        ("%2541", ("%41",)),  # decoded once
        (".well-known/security.txt", (".well-known", "security.txt")),
        ("...", None),
        ("a..b", ("a..b",)),
    ],
)
def test_an_address_names_a_file(address: str, parts: tuple[str, ...] | None) -> None:
    if parts is None:
        with pytest.raises(NoSuchFile):
            file_parts(address)
    else:
        assert file_parts(address) == parts


@pytest.mark.parametrize(
    "address",
    [
        "..",
        "../etc/passwd",
        "a/../../etc",
        "%2e%2e/etc",
        "%2E./etc",
        "..%2fetc",
        "a%2fb",
        "a%5cb",
        "a\\..\\b",
        "a%00.html",
        "a%0d%0ab",
        "%ff",
        ".git/config",
        "a/.htpasswd",
        "%2ehidden",
        "a" * 256,
    ],
)
def test_no_address_leads_out_of_the_folder_or_to_what_is_hidden(address: str) -> None:
    with pytest.raises(NoSuchFile):
        file_parts(address)


@given(st.text(max_size=30), st.booleans())
@settings(max_examples=50)
def test_whatever_the_address_no_name_is_a_way_anywhere(text: str, escaped: bool) -> None:
    try:
        parts = file_parts(quote(text, safe="/") if escaped else text)
    except (NoSuchFile, UnicodeEncodeError):
        return
    for part in parts:
        assert part not in ("", ".", "..")
        assert not {"/", "\\", "\0"} & set(part)


def test_a_folder_gets_its_slash_and_never_another_server() -> None:
    assert folder_address(Request("GET", "/a/b?c=d")) == "/a/b/?c=d"
    assert folder_address(Request("GET", "//evil.example")) == "/evil.example/"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.html", "text/html; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.JSON", "application/json; charset=utf-8"),
        ("a.svg", "image/svg+xml; charset=utf-8"),
        ("a.png", "image/png"),
        ("a.tar.gz", "application/octet-stream"),
        ("README", "application/octet-stream"),
        ("http:x", "application/octet-stream"),
    ],
)
def test_the_type_follows_from_the_name(name: str, kind: str) -> None:
    assert content_type_of(name) == kind


@pytest.mark.parametrize(
    ("header", "extent"),
    [
        ("bytes=0-3", Extent(0, 4)),
        ("bytes=4-", Extent(4, 6)),
        ("bytes=-3", Extent(7, 3)),
        ("bytes=-99", Extent(0, 10)),
        ("bytes=8-99", Extent(8, 2)),
        ("Bytes = 0-0", Extent(0, 1)),
        ("bytes=5-2", None),
        ("bytes=0-1,4-5", None),
        ("bytes=-", None),
        ("bytes=x-3", None),
        ("bytes=\u0663-", None),
        ("bytes=1" + "0" * 30 + "-", None),
        ("bytes=3", None),
        ("lines=0-3", None),
    ],
)
def test_a_range_is_part_of_a_file_of_ten_bytes(header: str, extent: Extent | None) -> None:
    assert extent_of(header, 10) == extent


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0)])
def test_a_range_outside_of_the_file_is_refused(header: str, size: int) -> None:
    with pytest.raises(RangeNotSatisfiable):
        extent_of(header, size)


def test_a_tag_is_found_in_a_condition() -> None:
    assert matches('W/"a", "b"', '"a"')
    assert matches("*", '"a"')
    assert not matches('"c"', '"a"')
