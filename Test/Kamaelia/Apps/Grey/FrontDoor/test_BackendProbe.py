"""The probe before servers that answer, refuse, lie, stall or are not there."""

import socket
from collections.abc import Callable
from functools import partial

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.FrontDoor.Backend import Backend
from Kamaelia.Apps.Grey.FrontDoor.BackendProbe import SOON, BackendProbe
from Kamaelia.Apps.Grey.FrontDoor.Backends import BackendRule, Backends
from Kamaelia.Apps.Grey.FrontDoor.RelayPool import RelayPool, RelaySettings
from Kamaelia.Protocol.SMTPClient import SMTPClientSession
from Test.Kamaelia.Apps.Grey.support import EHLO, Act, Answer, FakeServer, Gate
from Test.Kamaelia.network import Script, World

MailServer = Callable[..., FakeServer]


def start(
    world: World, address: tuple[str, int], **settings: float
) -> tuple[BackendProbe, Backend]:
    rules = [BackendRule(*address)]
    backends = Backends(rules, lambda rule: Backend(rule.host, rule.port), random=lambda: 0.0)
    (backend,) = backends.all
    # The pool only makes sessions, and is told how the server fares: for that it needs no turn.
    pool = RelayPool(backends, RelaySettings("proxy.example.org"))
    probe = BackendProbe(backend, pool, **settings)
    world.run(probe)
    return probe, backend


def size_of(backend: Backend) -> int | None:
    return backend.seen.size if backend.seen is not None else None


def visits_ended(server: FakeServer, count: int) -> bool:
    return len(server.visits) == count and server.visits[-1].ended.is_set()


def rests(world: World, probe: BackendProbe) -> Script:
    """Until it has asked, and its connection is closed: time counts from there. The server's side
    may be slow to close, it has a thread of its own."""
    yield from world.until(lambda: not probe.children)


def end(world: World, probe: BackendProbe) -> Script:
    probe.inboxes["control"].deliver(producerFinished())
    yield from world.until(probe._isStopped)


def test_it_asks_at_the_start_and_says_goodbye(
    world: World, mail_server: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    server = mail_server()

    def script() -> Script:
        probe, backend = start(world, server.address)
        yield from world.until(lambda: backend.known)
        assert size_of(backend) == 50_000_000
        yield from end(world, probe)

    world.play(script())
    visit = server.visit()
    assert visit.ended.wait(15)
    assert visit.commands == [b"EHLO proxy.example.org", b"QUIT"]
    assert "8BITMIME" in caplog.text


def test_it_asks_again_after_a_while_and_learns_what_has_changed(
    world: World, clock: FakeClock, mail_server: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    server = mail_server(EHLO=[EHLO, EHLO, b"250-mail\r\n250 SIZE 1000\r\n"])

    def script() -> Script:
        probe, backend = start(world, server.address, interval=300.0)
        yield from world.until(lambda: backend.known)
        yield from rests(world, probe)
        clock.advance(299)
        yield from world.settle()
        assert len(server.visits) == 1
        clock.advance(2)
        yield from world.until(partial(visits_ended, server, 2))
        yield from rests(world, probe)
        clock.advance(301)
        yield from world.until(lambda: size_of(backend) == 1000)
        yield from end(world, probe)

    world.play(script())
    assert len(caplog.records) == 2  # the same again is no news


@pytest.mark.parametrize(
    "answers",
    [
        {"BANNER": b"554 go away\r\n"},
        {"BANNER": b"what?\r\n"},
        {"BANNER": b"220-" + b"x" * 100_000},
        {"BANNER": b"220-more\r\n" * 10_000},
        {"BANNER": Act.DROP},
        {"BANNER": Act.RESET},
        {"EHLO": b"502 no\r\n", "HELO": b"502 no\r\n"},
        {"EHLO": Act.DROP},
        {"EHLO": b"250-a\r\n251 b\r\n"},
    ],
)
def test_trouble_is_said_once_and_its_end_once(
    world: World,
    clock: FakeClock,
    mail_server: MailServer,
    caplog: pytest.LogCaptureFixture,
    answers: dict[str, Answer],
) -> None:
    caplog.set_level("INFO")
    usual: dict[str, Answer] = {"BANNER": b"220 hi\r\n", "EHLO": EHLO, "HELO": b"250 hi\r\n"}
    server = mail_server(**{verb: [one, one, usual[verb]] for verb, one in answers.items()})

    def script() -> Script:
        probe, backend = start(world, server.address)
        for count in (1, 2):
            yield from world.until(partial(visits_ended, server, count))
            yield from rests(world, probe)
            assert not backend.known
            clock.advance(SOON + 1)  # sooner than one that can be used
        yield from world.until(lambda: backend.known)
        yield from end(world, probe)

    world.play(script())
    levels = [record.levelname for record in caplog.records]
    assert levels == ["WARNING", "INFO"]
    assert all(text.isprintable() and len(text) < 600 for text in caplog.messages)
    if answers["BANNER" if "BANNER" in answers else "EHLO"] == b"554 go away\r\n":
        assert "554 go away" in caplog.messages[0]


def fail(*_: object) -> None:
    raise RuntimeError("a fault")


@pytest.mark.parametrize("broken", ["_connect", "_receive", "_collect_output", "_say_goodbye"])
def test_a_fault_of_ours_is_one_question_without_an_answer(
    world: World,
    clock: FakeClock,
    mail_server: MailServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    broken: str,
) -> None:
    server = mail_server()
    monkeypatch.setattr(SMTPClientSession, broken, fail)

    def script() -> Script:
        probe, backend = start(world, server.address)
        yield from world.until(lambda: probe._reachable is not None)
        yield from rests(world, probe)
        monkeypatch.undo()
        clock.advance(301)
        yield from world.until(lambda: backend.known)
        yield from rests(world, probe)
        assert not probe._isStopped()
        yield from end(world, probe)

    world.play(script())
    assert sum("asking mail server" in text for text in caplog.messages) == 1


def test_what_it_offered_last_is_believed_while_it_is_away(
    world: World, clock: FakeClock, mail_server: MailServer
) -> None:
    server = mail_server()

    def script() -> Script:
        probe, backend = start(world, server.address)
        yield from world.until(lambda: backend.known)
        yield from rests(world, probe)
        server.stop_listening()
        clock.advance(301)
        yield from world.settle()
        assert backend.seen is not None
        assert backend.seen.dsn
        yield from end(world, probe)

    world.play(script())


def test_a_server_that_is_not_there_is_asked_again(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()

        def script() -> Script:
            probe, backend = start(world, address)
            yield from world.until(lambda: caplog.records)
            assert not backend.known
            free.listen()
            clock.advance(301)
            free.setblocking(False)
            connection = None
            while connection is None:
                try:
                    connection, _ = free.accept()
                except BlockingIOError:
                    yield 1
            connection.close()
            yield from end(world, probe)

        world.play(script())


@pytest.mark.parametrize("step", ["BANNER", "EHLO", "QUIT"])
def test_silence_ends_with_its_patience(
    world: World, clock: FakeClock, mail_server: MailServer, step: str
) -> None:
    gate = Gate(Act.STALL)
    server = mail_server(**{step: gate})

    def script() -> Script:
        probe, backend = start(world, server.address, patience=30.0)
        yield from world.until(gate.reached.is_set)
        gate.open()
        yield from world.settle()
        while probe.children:
            clock.advance(31)
            yield from world.settle()
        assert backend.known is (step == "QUIT")
        yield from end(world, probe)

    world.play(script())


@pytest.mark.parametrize("message", [producerFinished(), shutdownMicroprocess()])
@pytest.mark.parametrize("step", ["BANNER", "EHLO"])
def test_it_ends_at_once_when_it_is_told_to(
    world: World, mail_server: MailServer, step: str, message: object
) -> None:
    gate = Gate(Act.SILENT)
    server = mail_server(**{step: gate})

    def script() -> Script:
        probe, _ = start(world, server.address)
        yield from world.until(gate.reached.is_set)
        gate.open()
        probe.inboxes["control"].deliver("hello")  # no shutdown
        yield from world.settle()
        assert not probe._isStopped()
        probe.inboxes["control"].deliver(message)
        yield from world.until(probe._isStopped)

    world.play(script())
    assert server.visit().ended.wait(15)
