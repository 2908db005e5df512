"""Where redirects lead, and where they may not."""

import pytest

from Kamaelia.Support.Protocol.HTTP.Fetching import Fetch, RedirectError
from Kamaelia.Support.Protocol.HTTP.Uri import Url, UrlError

HEADERS = (("Authorization", "x"), ("cookie", "y"), ("Content-Type", "a/b"), ("X-A", "b"))


def fetch(method: str = "GET", url: str = "https://a/b", body: bytes = b"") -> Fetch:
    return Fetch(method, Url.parse(url), HEADERS, body)


@pytest.mark.parametrize(
    ("status", "method", "after"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (302, "PUT", "PUT"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (307, "POST", "POST"),
        (308, "DELETE", "DELETE"),
        (301, "GET", "GET"),
    ],
)
def test_the_method_and_the_body_after_a_redirect(status: int, method: str, after: str) -> None:
    result = fetch(method, body=b"data").redirected(status, "/c", 3)
    assert (result.method, result.url.target) == (after, "/c")
    kept = after == method
    assert result.body == (b"data" if kept else b"")
    assert (("Content-Type", "a/b") in result.headers) is kept


@pytest.mark.parametrize("location", ["https://other/", "https://a:444/", "https://b.a/"])
def test_secrets_do_not_go_to_strangers(location: str) -> None:
    result = fetch().redirected(302, location, 3)
    assert result.headers == HEADERS[2:]
    assert fetch().redirected(302, "/c", 3).headers == HEADERS


def test_the_user_in_an_address_stays_with_it() -> None:
    start = Fetch("GET", Url.parse("http://ann:x@a/"))
    assert start.all_headers == (("Authorization", "Basic YW5uOng="),)
    assert start.redirected(302, "http://b/", 3).all_headers == ()
    given = Fetch("GET", Url.parse("http://ann:x@a/"), (("authorization", "mine"),))
    assert given.all_headers == (("authorization", "mine"),)


def test_from_http_to_https_but_not_back() -> None:
    assert fetch(url="http://a/").redirected(301, "https://a/", 3).url.secure
    with pytest.raises(RedirectError, match="not secret"):
        fetch().redirected(301, "http://a/", 3)


def test_a_loop_is_noticed_and_a_post_that_becomes_a_get_is_none() -> None:
    there = fetch().redirected(302, "/c", 3)
    with pytest.raises(RedirectError, match="lead back"):
        there.redirected(302, "/b", 3)
    with pytest.raises(RedirectError, match="lead back"):
        fetch().redirected(302, "/b", 3)
    assert fetch("POST").redirected(303, "/b", 3).method == "GET"


def test_three_redirects_and_no_more() -> None:
    here = fetch()
    for number in range(3):
        here = here.redirected(302, f"/{number}", 3)
    with pytest.raises(RedirectError, match="more than 3"):
        here.redirected(302, "/x", 3)


def test_a_location_that_is_none_is_refused() -> None:
    with pytest.raises(UrlError):
        fetch().redirected(302, "mailto:x@example.org", 3)


def test_a_host_of_ones_own_does_not_go_to_strangers() -> None:
    given = Fetch("GET", Url.parse("http://a/"), (("Host", "inner"), ("X-A", "b")))
    assert given.redirected(302, "/c", 3).headers == given.headers
    assert given.redirected(302, "http://b/", 3).headers == (("X-A", "b"),)


def test_the_user_in_an_address_goes_along_on_the_same_server() -> None:
    given = Fetch("GET", Url.parse("http://ann:x@a/"))
    assert given.redirected(302, "/c", 3).all_headers == given.all_headers
    other = given.redirected(302, "http://bob:y@a/", 3)
    assert other.url.user == "bob:y"
    assert given.redirected(302, "http://a:81/", 3).all_headers == ()
