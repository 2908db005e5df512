"""The client session and what comes between a server's greeting and the first mail: TLS, XCLIENT,
a PROXY header."""

import ssl

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import FakeClock
from Kamaelia.Protocol.SMTPClient import ServerAccess
from Kamaelia.Support.Protocol.SMTP.ClientCommands import GiveSender, Greet
from Kamaelia.Support.Protocol.SMTP.ClientGreeting import TLSPolicy
from Kamaelia.Support.Protocol.SMTP.Events import FailReason, Ready, SessionFailed
from Test.Kamaelia.mail_server import MAIL, PlayedServer, Using, Visit, ehlo
from Test.Kamaelia.network import Script, World
from Test.Kamaelia.tls import NAME, client_context

GO_TLS: list[bytes] = [b"220 2.0.0 go"]


def access(policy: TLSPolicy, name: str = NAME) -> ServerAccess:
    return ServerAccess(tls=policy, context=client_context, name=name)


def served_in_clear(visit: Visit, using: Using) -> Script:
    """It is ready, and what it says next can be read by everybody."""
    assert isinstance((yield from using.hear()), Ready)
    yield from visit.answer((b"MAIL FROM:<a@b>", [b"250 ok"]))
    assert (yield from using.hear_codes(1)) == [("MAIL", 250)]


@pytest.mark.parametrize("policy", [TLSPolicy.MAY, TLSPolicy.REQUIRE])
def test_mail_goes_over_tls_where_it_is_offered(world: World, policy: TLSPolicy) -> None:
    server = PlayedServer(world)

    def script() -> Script:
        using = Using(world, server.port, access=access(policy))
        using.say(MAIL)
        visit = yield from server.greet(b"STARTTLS")
        yield from visit.answer((b"STARTTLS", GO_TLS))
        yield from visit.encrypt(NAME)  # its address is not in the certificate
        assert isinstance(visit.sock, ssl.SSLSocket)
        yield from visit.answer((b"EHLO proxy.example.org", ehlo(b"SIZE 77")))
        ready = yield from using.hear()
        assert ready.capabilities.size == 77  # what was said in plain text counts for nothing
        assert not ready.capabilities.starttls
        yield from visit.answer((b"MAIL FROM:<a@b>", [b"250 ok"]))
        assert (yield from using.hear_codes(1)) == [("MAIL", 250)]
        yield from using.end(shutdownMicroprocess())

    world.play(script())


def test_without_a_policy_nobody_asks_for_tls(world: World) -> None:
    server = PlayedServer(world)

    def script() -> Script:
        using = Using(world, server.port, access=access(TLSPolicy.OFF))
        using.say(MAIL)
        visit = yield from server.greet(b"STARTTLS")
        yield from served_in_clear(visit, using)
        yield from using.end(shutdownMicroprocess())

    world.play(script())


@pytest.mark.parametrize("refusal", [None, b"454 4.7.0 not now"])
def test_may_goes_on_in_clear_if_tls_is_not_offered_or_refused(
    world: World, refusal: bytes | None
) -> None:
    server = PlayedServer(world)

    def script() -> Script:
        using = Using(world, server.port, access=access(TLSPolicy.MAY))
        using.say(MAIL)
        visit = yield from server.greet(*([] if refusal is None else [b"STARTTLS"]))
        if refusal is not None:
            yield from visit.answer((b"STARTTLS", [refusal]))
        yield from served_in_clear(visit, using)
        yield from using.end(shutdownMicroprocess())

    world.play(script())


@pytest.mark.parametrize(("refusal", "code"), [(None, None), (b"454 4.7.0 not now", 454)])
def test_require_fails_if_tls_is_not_offered_or_refused(
    world: World, refusal: bytes | None, code: int | None
) -> None:
    server = PlayedServer(world)

    def script() -> Script:
        using = Using(world, server.port, access=access(TLSPolicy.REQUIRE))
        using.say(MAIL)
        visit = yield from server.greet(*([] if refusal is None else [b"STARTTLS"]))
        if refusal is not None:
            yield from visit.answer((b"STARTTLS", [refusal]))
        failed = yield from using.hear()
        assert failed.reason is FailReason.TLS
        assert (failed.reply.code if failed.reply else None) == code
        assert (yield from visit.is_left())
        yield from using.end(producerFinished())

    world.play(script())


def shake_and_fail(visit: Visit) -> Script:
    """The client does not believe our certificate, and says so in the middle of the handshake."""
    with pytest.raises(ssl.SSLError):
        yield from visit.encrypt("somebody.else.example")


def hang_up(visit: Visit) -> Script:
    visit.sock.close()
    yield 1


def talk_plainly(visit: Visit) -> Script:
    yield from visit.world.receive(visit.sock, 1)  # it has begun its handshake
    visit.say(b"250 hello? hello?")
    yield from visit.is_left()


HANDSHAKES = [shake_and_fail, hang_up, talk_plainly]


@pytest.mark.parametrize("fail", HANDSHAKES)
def test_may_falls_back_to_clear_once_if_the_handshake_fails(
    world: World, fail: object, caplog: pytest.LogCaptureFixture
) -> None:
    server = PlayedServer(world)
    assert callable(fail)

    def script() -> Script:
        using = Using(world, server.port, access=access(TLSPolicy.MAY))
        using.say(MAIL)
        visit = yield from server.greet(b"STARTTLS")
        yield from visit.answer((b"STARTTLS", GO_TLS))
        yield from fail(visit)
        again = yield from server.greet(b"STARTTLS")
        yield from served_in_clear(again, using)  # without asking for TLS
        using.abandon()
        yield from using.hear()
        using.say(MAIL)
        third = yield from server.greet(b"STARTTLS")
        yield from third.answer((b"STARTTLS", GO_TLS))  # it is no setting for ever
        yield from using.end(shutdownMicroprocess())

    world.play(script())
    assert "no encryption with 127.0.0.1 port" in caplog.text


def test_what_is_wrong_with_a_server_is_said_once_an_hour(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    first, other = PlayedServer(world), PlayedServer(world)
    shared = access(TLSPolicy.MAY)

    def meet(server: PlayedServer) -> Script:
        using = Using(world, server.port, access=shared)
        using.say(MAIL)
        visit = yield from server.greet(b"STARTTLS")
        yield from visit.answer((b"STARTTLS", GO_TLS))
        yield from hang_up(visit)
        yield from served_in_clear((yield from server.greet(b"STARTTLS")), using)
        yield from using.end(shutdownMicroprocess())
        return sum("no encryption" in text for text in caplog.messages)

    def script() -> Script:
        assert (yield from meet(first)) == 1
        assert (yield from meet(first)) == 1
        assert (yield from meet(other)) == 2
        clock.advance(3601)
        assert (yield from meet(first)) == 3

    world.play(script())


@pytest.mark.parametrize("fail", HANDSHAKES)
def test_require_fails_if_the_handshake_fails(world: World, fail: object) -> None:
    server = PlayedServer(world)
    assert callable(fail)

    def script() -> Script:
        using = Using(world, server.port, access=access(TLSPolicy.REQUIRE))
        using.say(MAIL)
        visit = yield from server.greet(b"STARTTLS")
        yield from visit.answer((b"STARTTLS", GO_TLS))
        yield from fail(visit)
        assert (yield from using.hear()) == SessionFailed(FailReason.TLS, None)
        assert (yield from server.unwanted())
        yield from using.end(producerFinished())

    world.play(script())


def test_the_name_in_the_certificate_has_to_be_the_one_that_was_configured(world: World) -> None:
    server = PlayedServer(world)

    def script() -> Script:
        wrong = access(TLSPolicy.REQUIRE, name="other.example.org")
        using = Using(world, server.port, access=wrong)
        using.say(MAIL)
        visit = yield from server.greet(b"STARTTLS")
        yield from visit.answer((b"STARTTLS", GO_TLS))
        with pytest.raises(ssl.SSLError):
            yield from visit.encrypt(NAME)
        assert (yield from using.hear()) == SessionFailed(FailReason.TLS, None)
        yield from using.end(producerFinished())

    world.play(script())


def test_plain_text_behind_the_220_is_not_believed(world: World) -> None:
    server = PlayedServer(world)

    def script() -> Script:
        using = Using(world, server.port, access=access(TLSPolicy.MAY))
        using.say(MAIL)
        visit = yield from server.greet(b"STARTTLS")
        yield from visit.answer((b"STARTTLS", [*GO_TLS, b"250 injected"]))
        assert (yield from using.hear()) == SessionFailed(FailReason.SYNTAX, None)
        assert (yield from visit.is_left())
        yield from using.end(producerFinished())

    world.play(script())


# ---- who the server is told the client is

DESCRIPTION = {"NAME": None, "ADDR": "192.0.2.7", "PROTO": "ESMTP", "HELO": "client.example"}


def test_a_description_is_told_before_the_first_mail(world: World) -> None:
    server = PlayedServer(world)

    def script() -> Script:
        using = Using(world, server.port, description=DESCRIPTION)
        using.say(MAIL)
        visit = yield from server.greet(b"XCLIENT NAME ADDR PROTO HELO")
        heard = yield from visit.hear()
        assert heard.startswith(b"XCLIENT ")
        assert b" ADDR=192.0.2.7" in heard
        assert not using.has_heard
        visit.say(b"220 hello again")
        yield from visit.answer((b"EHLO client.example", ehlo()))
        assert isinstance((yield from using.hear()), Ready)
        yield from visit.answer((b"MAIL ", [b"250 ok"]))
        yield from using.hear_codes(1)
        # Another client's mail must not come in this one's name.
        assert not using.session.reusable
        yield from using.end(shutdownMicroprocess())

    world.play(script())


@pytest.mark.parametrize("offered", [[], [b"XCLIENT NAME"]])
def test_a_server_that_cannot_be_told_the_client_gets_no_mail(
    world: World, offered: list[bytes]
) -> None:
    server = PlayedServer(world)

    def script() -> Script:
        using = Using(world, server.port, description=DESCRIPTION)
        using.say(MAIL)
        visit = yield from server.greet(*offered)
        assert (yield from using.hear()) == SessionFailed(FailReason.XCLIENT, None)
        assert (yield from visit.is_left())
        yield from using.end(producerFinished())

    world.play(script())


def test_a_refused_description_is_a_failure_with_its_reply(world: World) -> None:
    server = PlayedServer(world)

    def script() -> Script:
        using = Using(world, server.port, description=DESCRIPTION)
        using.say(Greet())
        visit = yield from server.greet(b"XCLIENT ADDR")
        yield from visit.answer((b"XCLIENT ", [b"550 5.7.0 not you"]))
        failed = yield from using.hear()
        assert (failed.reason, failed.reply.code) == (FailReason.XCLIENT, 550)
        yield from using.end(producerFinished())

    world.play(script())


def test_the_client_is_described_under_tls(world: World) -> None:
    server = PlayedServer(world)

    def script() -> Script:
        using = Using(world, server.port, access=access(TLSPolicy.REQUIRE), description=DESCRIPTION)
        using.say(Greet())
        visit = yield from server.greet(b"STARTTLS", b"XCLIENT ADDR")
        yield from visit.answer((b"STARTTLS", GO_TLS))
        yield from visit.encrypt()
        yield from visit.answer(
            (b"EHLO proxy", ehlo(b"XCLIENT ADDR")),
            (b"XCLIENT ADDR=192.0.2.7\r\n", [b"220 hello again"]),
            (b"EHLO client.example", ehlo()),
        )
        assert isinstance((yield from using.hear()), Ready)
        yield from using.end(shutdownMicroprocess())

    world.play(script())


def test_a_preamble_comes_before_all_else_on_every_connection(world: World) -> None:
    server = PlayedServer(world)
    header = b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 25\r\n"

    def script() -> Script:
        using = Using(world, server.port, preamble=header)
        for _ in range(2):
            using.say(Greet())
            visit = yield from server.accept()
            assert (yield from visit.hear()) == header  # before the server has said a word
            visit.say(b"220 hello")
            yield from visit.answer((b"EHLO ", ehlo()))
            assert isinstance((yield from using.hear()), Ready)
            using.abandon()
            yield from using.hear()
        yield from using.end(producerFinished())

    world.play(script())


def test_what_a_server_is_not_ready_for_waits_and_goes_out_together(world: World) -> None:
    server = PlayedServer(world)

    def script() -> Script:
        using = Using(world, server.port)
        using.say([MAIL, GiveSender(MAIL.path, {})])
        visit = yield from server.greet(b"PIPELINING")
        yield from using.hear()
        assert (yield from visit.hear(2)) == b"MAIL FROM:<a@b>\r\n" * 2
        yield from using.end(shutdownMicroprocess())

    world.play(script())
