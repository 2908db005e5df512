"""Questions to HTTP servers: real ones on loopback, in the test's scheduler."""

import re
import ssl
from collections.abc import Callable, Generator, Iterator

import pytest
import trustme

from Axon.Component import component
from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Core.Access.Definitions import UrlCheckDef
from Kamaelia.Apps.Grey.Core.Access.Questions import LookupFailed, LookupText, UrlCheck
from Kamaelia.Apps.Grey.Lookups.Contents import Contents
from Kamaelia.Apps.Grey.Lookups.UrlChecks import UrlChecks
from Test.Kamaelia.Apps.Grey.Lookups.lookups import Asked
from Test.Kamaelia.network import Script, World

NOWHERE = ("127.0.0.1", 9)
YES = b"milterGreylistStatus: Ok\r\n"


def answer(body: bytes, head: bytes = b"200 OK", more: bytes = b"") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n%b" % (head, len(body), more, body)


class Web:
    """Web(world, *answers) -> a server; each connection gets the next answer (the last is for all
    that follow) once its request is there. None: it never says anything."""

    def __init__(
        self, world: World, *answers: bytes | None, tls: ssl.SSLContext | None = None
    ) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self.server = world.serve(self._serve, tls=tls)

    def _serve(self, **_: object) -> component:
        return _Site(self)

    @property
    def port(self) -> int:
        return int(self.server.address[1])

    def url(self, path: str = "/", scheme: str = "http", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


class _Site(component):
    def __init__(self, web: Web) -> None:
        super().__init__()
        self._web = web

    def main(self) -> Iterator[object]:
        got = b""
        while not self.told_to_stop():
            got += b"".join(self.Inbox("inbox"))
            head, end, body = got.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: *(\d+)", head)
            if end and len(body) >= int(length[1] if length else 0):
                self._web.requests.append(got)
                answers = self._web.answers
                reply = answers.pop(0) if len(answers) > 1 else answers[0]
                if reply is not None:
                    self.send(reply, "outbox")
                    return
                got = b""
            self.pause()
            yield 1


class Fixture:
    """One UrlChecks with the definition "x", and who asks it."""

    def __init__(
        self,
        world: World,
        definition: UrlCheckDef | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.contents = Contents()
        self.checks = UrlChecks(
            {"x": definition or UrlCheckDef("", 5, getprop=True)}, self.contents, tls
        )
        self.asked = Asked(world, NOWHERE, handlers={UrlCheck: self.checks})

    def __call__(self, url: str, name: str = "x") -> Generator[object, None, object]:
        return (yield from self.asked(UrlCheck(name, url)))


def played(world: World, ask: Callable[[], Generator[object, None, object]]) -> object:
    found: list[object] = []

    def script() -> Script:
        found.append((yield from ask()))

    world.play(script())
    return found[0]


def failure(found: object) -> str:
    assert isinstance(found, LookupFailed), found
    return found.reason


def test_lines_of_the_page_are_the_answer(world: World) -> None:
    web = Web(world, answer(YES + b"Colour: Red\r\n"))
    ask = Fixture(world)
    found = played(world, lambda: ask(web.url("/grey?rcpt=a%40b")))
    assert found == LookupText(True, (("miltergreyliststatus", "Ok"), ("colour", "Red")))
    assert web.requests[0].startswith(b"GET /grey?rcpt=a%40b HTTP/1.1\r\n")


def test_without_getprop_only_our_keys_are_kept(world: World) -> None:
    web = Web(world, answer(b"Colour: Red\r\nmilterGreylistCode: 550\r\n"))
    ask = Fixture(world, UrlCheckDef("", 5))
    found = played(world, lambda: ask(web.url()))
    assert found == LookupText(True, (("miltergreylistcode", "550"),))


@pytest.mark.parametrize(
    "reply",
    [
        answer(b""),
        answer(b"", b"204 No Content"),
        answer(YES, b"404 Not Found"),
        answer(YES, b"500 Internal Server Error"),
        answer(YES, b"302 Found"),  # to nowhere
        answer(b"<html>hello: world</html>"),
    ],
)
def test_an_error_page_and_an_empty_one_are_no_match(world: World, reply: bytes) -> None:
    web = Web(world, reply)
    found = played(world, lambda: Fixture(world, UrlCheckDef("", 5))(web.url()))
    assert found == LookupText(False)


@pytest.mark.parametrize(
    "reply",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        answer(b"x" * 4_097),
        b"HTTP/1.1 200 OK\r\n\r\n" + b"k: v\r\n" * 300_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000 + b"\r\n",
        b"",
    ],
)
def test_garbage_and_floods_are_failures(world: World, reply: bytes) -> None:
    web = Web(world, reply)
    assert failure(played(world, lambda: Fixture(world)(web.url())))


def test_a_redirect_is_followed_to_http_only(world: World) -> None:
    other = Web(world, answer(YES))
    place = f"Location: {other.url('/there')}\r\n".encode()
    web = Web(
        world,
        answer(b"", b"302 Found", place),
        answer(b"", b"302 Found", b"Location: file:///etc/passwd\r\n"),
        answer(b"", b"302 Found", b"Location: ldap://127.0.0.1/\r\n"),
    )
    ask = Fixture(world)

    def both() -> Generator[object, None, object]:
        ask.asked.put(*(UrlCheck("x", web.url(f"/{at}")) for at in range(3)))
        return [each.answer for each in (yield from ask.asked.found(3))]

    found = played(world, both)
    assert isinstance(found, list)
    followed = [each for each in found if isinstance(each, LookupText)]
    assert [each.matched for each in followed] == [True]
    others = [failure(each) for each in found if each not in followed]
    assert len(others) == 2
    assert all("must begin with http" in each for each in others)


def test_a_server_that_says_nothing_is_given_up(world: World, clock: FakeClock) -> None:
    web = Web(world, None)
    ask = Fixture(world)

    def waiting() -> Generator[object, None, object]:
        ask.asked.put(UrlCheck("x", web.url("/?secret")))
        yield from world.until(lambda: web.requests)
        yield from world.settle()
        clock.advance(4.9)
        yield from world.settle()
        assert not ask.asked.owner.dataReady("inbox")
        clock.advance(0.2)
        (found,) = yield from ask.asked.found()
        yield from world.until(lambda: not ask.checks._running)
        return found.answer

    assert "no answer in time" in failure(played(world, waiting))


def test_one_that_says_a_little_now_and_then_is_given_up_too(
    world: World, clock: FakeClock
) -> None:
    class Drips(component):
        def main(self) -> Iterator[object]:
            self.send(b"HTTP/1.1 200 OK\r\n\r\n", "outbox")
            while not self.told_to_stop():
                self.send(b"k: v\r\n", "outbox")
                self.pause(1.0)
                yield 1

    server = world.serve(lambda **_: Drips())
    ask = Fixture(world)

    def waiting() -> Generator[object, None, object]:
        ask.asked.put(UrlCheck("x", f"http://127.0.0.1:{server.address[1]}/"))
        while not ask.asked.owner.dataReady("inbox"):
            yield from world.settle()
            clock.advance(0.5)
        assert clock() < 1_010
        yield from world.until(lambda: not ask.checks._running)
        (found,) = yield from ask.asked.found()
        return found.answer

    assert "no answer in time" in failure(played(world, waiting))


def test_a_server_that_is_not_there_is_a_failure(world: World) -> None:
    assert "refused" in failure(played(world, lambda: Fixture(world)("http://127.0.0.1:1/")))


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ws://127.0.0.1/",
        "http://",
        "http://127.0.0.1/\r\nX-Injected: yes",
        "http://127.0.0.1/a\nb",
        "http://127.0.0.1/" + "x" * 9_000,
    ],
)
def test_what_is_no_address_is_not_fetched(world: World, url: str) -> None:
    assert failure(played(world, lambda: Fixture(world)(url)))


def test_nothing_of_the_address_gets_into_the_head(world: World) -> None:
    web = Web(world, answer(YES))
    played(world, lambda: Fixture(world)(web.url("/a b?c=é HTTP/1.0")))
    line = web.requests[0].split(b"\r\n")[0]
    assert line == b"GET /a%20b?c=%C3%A9%20HTTP/1.0 HTTP/1.1"


def test_proxies_of_the_environment_are_not_used(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1/")
    web = Web(world, answer(YES))
    found = played(world, lambda: Fixture(world)(web.url()))
    assert isinstance(found, LookupText)


def test_the_message_is_posted_as_a_file(world: World) -> None:
    web = Web(world, answer(YES))
    ask = Fixture(world)
    letter = b"Subject: x\r\n\r\n--boundary?\r\n"
    ask.contents.add(0, letter)
    found = played(world, lambda: ask.asked(UrlCheck("x", web.url(), with_message=True)))
    assert isinstance(found, LookupText)
    head, _, body = web.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST / HTTP/1.1\r\n")
    found_boundary = re.search(rb"Content-Type: multipart/form-data; boundary=([0-9a-f]+)", head)
    assert found_boundary
    part = b"\r\n\r\n" + letter + b"\r\n--" + found_boundary[1] + b"--\r\n"
    assert body.startswith(b"--" + found_boundary[1] + b"\r\nContent-Disposition: form-data;")
    assert body.endswith(part)


def test_a_message_that_is_gone_is_a_failure(world: World) -> None:
    ask = Fixture(world)
    question = UrlCheck("x", "http://127.0.0.1:1/", with_message=True)
    assert "not at hand" in failure(played(world, lambda: ask.asked(question)))


def test_a_check_that_there_is_not_is_a_failure(world: World) -> None:
    assert "no urlcheck y" in failure(
        played(world, lambda: Fixture(world)("http://127.0.0.1:1/", "y"))
    )


def test_too_many_at_once_are_failures_and_the_others_are_answered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("Kamaelia.Apps.Grey.Lookups.UrlChecks.MOST", 3)
    web = Web(world, answer(YES))
    ask = Fixture(world)

    def many() -> Generator[object, None, object]:
        ask.asked.put(*(UrlCheck("x", web.url(f"/{at}")) for at in range(10)))
        return (yield from ask.asked.found(10))

    found = played(world, many)
    assert isinstance(found, list)
    assert sum(isinstance(each.answer, LookupText) for each in found) == 3
    assert not ask.checks._running


def test_who_waits_when_it_ends_hears_of_it(world: World) -> None:
    web = Web(world, None)
    ask = Fixture(world)

    def ended() -> Generator[object, None, object]:
        ask.asked.put(UrlCheck("x", web.url()))
        yield from world.until(lambda: web.requests)
        ask.checks.close()
        (found,) = yield from ask.asked.found()
        return found.answer

    assert "stopped" in failure(played(world, ended))


class TestHttps:
    def contexts(self, names: tuple[str, ...]) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        authority = trustme.CA()
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*names).configure_cert(server)
        client = ssl.create_default_context()
        authority.configure_trust(client)
        return server, client

    def test_a_server_with_a_good_certificate_is_asked(self, world: World) -> None:
        server, client = self.contexts(("127.0.0.1",))
        web = Web(world, answer(YES), tls=server)
        found = played(world, lambda: Fixture(world, tls=client)(web.url(scheme="https")))
        assert isinstance(found, LookupText)
        assert found.matched

    def test_one_of_another_name_or_an_unknown_authority_is_not(self, world: World) -> None:
        server, client = self.contexts(("other.example",))
        web = Web(world, answer(YES), tls=server)
        asks = [Fixture(world, tls=client), Fixture(world)]

        def both() -> Generator[object, None, object]:
            first = yield from asks[0](web.url(scheme="https"))
            return [first, (yield from asks[1](web.url(scheme="https")))]

        found = played(world, both)
        assert isinstance(found, list)
        assert all("certificate" in failure(each).lower() for each in found)
        assert not web.requests
