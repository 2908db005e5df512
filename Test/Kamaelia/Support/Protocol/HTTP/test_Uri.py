"""Addresses: the original's splitUri, and the strict Url of the clients."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Support.Protocol.HTTP.Uri import LONGEST_URL, Url, UrlError, shown, split_uri


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("/a?b=c", {"raw-uri": "/a?b=c", "uri-protocol": "", "uri-server": ""}),
        ("example.org", {"raw-uri": "/", "uri-protocol": "", "uri-server": "example.org"}),
        (
            "http://ann:secret@example.org:81/x",
            {
                "raw-uri": "/x",
                "uri-protocol": "http",
                "uri-server": "example.org",
                "uri-port": "81",
                "uri-username": "ann",
                "uri-password": "secret",
            },
        ),
        (
            "http://ann@example.org",
            {
                "raw-uri": "/",
                "uri-protocol": "http",
                "uri-server": "example.org",
                "uri-username": "ann",
            },
        ),
        ("http://[::1]/", {"raw-uri": "/", "uri-protocol": "http", "uri-server": "[::1]"}),
        (
            "http://[::1]:80/",
            {"raw-uri": "/", "uri-protocol": "http", "uri-server": "[::1]", "uri-port": "80"},
        ),
    ],
)
def test_an_address_is_taken_apart_as_in_the_original(address: str, parts: dict[str, str]) -> None:
    assert split_uri(address) == parts


@given(st.text())
@settings(max_examples=50)
def test_any_text_can_be_taken_apart(text: str) -> None:
    assert isinstance(split_uri(text)["raw-uri"], str)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("http://x", "/"),
        (" http://x/a b ", "/a%20b"),
        ("http://x/%41%2f", "/%41%2f"),
        ("http://x?q=ü", "/?q=%C3%BC"),
        ("http://x/a#b", "/a"),
        ("http://x/a?", "/a"),
    ],
)
def test_what_is_asked_for_is_ascii_without_spaces(text: str, target: str) -> None:
    assert Url.parse(text).target == target


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.org",
        "ftp://example.org/",
        "http:///path",
        "http://exa mple.org/",
        "http://exämple.org/",
        "http://x:port/",
        "http://x:99999/",
        "http://[::1/",
        "http://x/a\r\nSet-Cookie: a=b",
        "http://x/\0",
        "http://x/" + "a" * LONGEST_URL,
    ],
)
def test_what_cannot_be_fetched_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(UrlError):
        Url.parse(text)


@given(st.text(max_size=60))
@settings(max_examples=50)
def test_no_text_brings_a_control_character_into_a_request(text: str) -> None:
    try:
        url = Url.parse("http://example.org/" + text)
    except UrlError:
        return
    assert url.target.isascii()
    assert url.target.isprintable()
    assert " " not in url.target


def test_ports_follow_from_the_scheme_and_the_usual_one_is_not_said() -> None:
    assert Url.parse("https://x/").authority == "x"
    assert Url.parse("https://x:444/").authority == "x:444"
    assert Url.parse("http://[::1]:8080/").authority == "[::1]:8080"
    assert Url.parse("wss://x/").secure
    assert not Url.parse("ws://x/").secure


def test_a_user_in_the_address_becomes_a_header_and_never_shows() -> None:
    url = Url.parse("http://ann%40home:se%3Acret@x/")
    assert url.user == "ann@home:se:cret"
    assert url.authorization == "Basic YW5uQGhvbWU6c2U6Y3JldA=="
    assert str(url) == "http://x/"
    assert Url.parse("http://ann@x/").user == "ann:"
    assert Url.parse("http://x/").authorization is None


def test_a_redirect_is_taken_from_where_one_is() -> None:
    here = Url.parse("https://example.org:8443/a/b?q")
    assert str(here.join("c")) == "https://example.org:8443/a/c"
    assert str(here.join("//other/x")) == "https://other/x"
    assert here.join("http://ann:x@other/").user == "ann:x"
    assert here.origin == ("https", "example.org", 8443)
    with pytest.raises(UrlError):
        here.join("/a\nb")
    with pytest.raises(UrlError):
        here.join("javascript:alert(1)")


@pytest.mark.parametrize(
    "address",
    [
        "http://ann:secret@h/\r\nx",
        "ftp://ann:secret@h/",
        "http://ann:secret@h:99999/",
        "http://ann:secret@h\u2100/",
        "//a:secret@",
    ],
)
def test_what_is_said_of_an_address_is_one_line_without_a_password(address: str) -> None:
    assert "secret" not in shown(address)
    assert shown(address).isprintable()
    with pytest.raises(UrlError) as caught:
        Url.parse(address)
    assert "secret" not in str(caught.value)
    assert str(caught.value).isprintable()


def test_no_more_of_an_address_is_said_than_a_line_has_room_for() -> None:
    assert len(shown("x" * 10_000)) == 200


def test_a_redirect_to_brackets_without_an_address_is_an_error() -> None:
    with pytest.raises(UrlError, match="no host and port"):
        Url.parse("http://a/").join("//]?a//:ptth")
