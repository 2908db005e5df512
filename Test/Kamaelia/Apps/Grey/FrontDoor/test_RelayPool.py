"""Connections to the mail servers: lent, kept, given up; see test_SMTPProxy_backends.py for what a
client hears of it."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Axon.Component import component
from Axon.Ipc import producerFinished
from Axon.Microprocess import microprocess
from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Core.Modes import ClientInfo
from Kamaelia.Apps.Grey.FrontDoor.Backend import Backend
from Kamaelia.Apps.Grey.FrontDoor.Backends import BackendRule, Backends
from Kamaelia.Apps.Grey.FrontDoor.RelayPool import (
    KEPT_SECONDS,
    ClientFacts,
    RelayPool,
    RelaySettings,
)
from Kamaelia.Protocol.SMTPClient import SMTPClientSession
from Kamaelia.Support.Protocol.ProxyHeader import (
    LOCAL_V2,
    ProxyHeaderParser,
)
from Kamaelia.Support.Protocol.SMTP.ClientSession import ClientSession
from Kamaelia.Support.Protocol.SMTP.Xclient import encode_description, parse_xclient
from Test.Kamaelia.Apps.Grey.servers import AbleServer, free_port
from Test.Kamaelia.Apps.Grey.support import LETTER, MAIL, RCPT, Client, Grey
from Test.Kamaelia.shutdown import Ends

Server = Callable[..., AbleServer]
StartGrey = Callable[..., Grey]

FACTS = ClientFacts(("192.0.2.7", 4711), ("198.51.100.1", 25), "client.example")
SETTINGS = RelaySettings("mx.example.org")


class Desk(component):
    """Has the boxes of one."""

    Inboxes = {"inbox": "object: unused", "control": "the shutdown", "backend": "ClientEvent"}
    Outboxes = {
        "outbox": "object: unused",
        "signal": "the shutdown",
        "to_backend": "list of ClientCommand: asked",
        "abandon": "producerFinished: enough",
    }

    def main(self) -> Iterator[object]:
        yield 1


def pool_of(*rules: BackendRule, relays: RelaySettings = SETTINGS) -> RelayPool:
    backends = Backends(
        rules or (BackendRule("127.0.0.1", 1),),
        lambda rule: Backend(rule.host, rule.port),
        lambda: 0.5,
    )
    return RelayPool(backends, relays)


SHUTDOWN = {RelayPool: Ends(lambda: pool_of())}


# ---- who the client is


def preamble_of(info: ClientInfo, facts: ClientFacts | None) -> bytes:
    pool = pool_of(relays=replace(SETTINGS, client_info=info))
    return pool.new_session(pool.backends.all[0], facts)._preamble


@pytest.mark.parametrize("info", [ClientInfo.PROXY1, ClientInfo.PROXY2])
@given(
    client=st.tuples(st.ip_addresses().map(str), st.integers(0, 65_535)),
    server=st.tuples(st.ip_addresses().map(str), st.integers(0, 65_535)),
)
@settings(max_examples=50)
def test_what_a_header_says_is_read_as_it_was_meant(
    info: ClientInfo, client: tuple[str, int], server: tuple[str, int]
) -> None:
    parser = ProxyHeaderParser()
    parser.receive_data(preamble_of(info, ClientFacts(client, server)))
    assert parser.header is not None
    assert parser.header.source is not None
    assert parser.header.source[1] == client[1]
    assert parser.rest == b""


def test_without_a_client_a_header_names_nobody() -> None:
    # Postfix takes no UNKNOWN, so it is an address that no machine has.
    assert preamble_of(ClientInfo.PROXY1, None).startswith(b"PROXY TCP4 192.0.2.1 ")
    assert preamble_of(ClientInfo.PROXY2, None) == LOCAL_V2
    assert preamble_of(ClientInfo.NONE, FACTS) == b""
    assert preamble_of(ClientInfo.XCLIENT, FACTS) == b""


@given(
    host=st.ip_addresses().map(str) | st.just("fe80::1%eth0") | st.just("::ffff:192.0.2.7"),
    port=st.integers(0, 65_535),
    helo=st.text(max_size=300),
)
@settings(max_examples=50)
def test_whatever_the_client_is_it_can_be_described(host: str, port: int, helo: str) -> None:
    described = encode_description(ClientFacts((host, port), ("192.0.2.1", 25), helo).description)
    for word in described.values():
        assert b"\r" not in word
        assert b" " not in word
        assert parse_xclient(word)
    read = parse_xclient(described["PORT"])
    assert read == {"PORT": str(port) if port else None}


# ---- lent


def test_which_server_it_is_depends_on_the_domain() -> None:
    pool = pool_of(
        BackendRule("192.0.2.1", 25, 1, ("example.org",)),
        BackendRule("192.0.2.2", 25, 1, ("example.com",)),
    )
    first, second = pool.backends.all
    assert pool.same(first, "example.org")
    assert not pool.same(first, "example.com")
    assert pool.same(second, "EXAMPLE.COM")


def test_a_relay_is_counted_as_long_as_it_is_lent(
    able_server: Server, start_grey: StartGrey
) -> None:
    grey = start_grey(able_server())
    assert grey.call(lambda: grey.server.pool.lent) == 0
    clients = [grey.client().to_data() for _ in range(3)]
    assert grey.call(lambda: grey.server.pool.lent) == 3
    for client in clients:
        client.close()
    grey.until(lambda: grey.server.pool.lent == 0)
    grey.until(lambda: not grey.server.pool.children)


def test_giving_back_what_one_does_not_have_is_nothing() -> None:
    pool_of().give_back(Desk())


def test_every_server_that_was_tried_is_passed_over(
    able_server: Server, start_before: StartGrey
) -> None:
    grey = start_before((able_server(), 1, "*"), (able_server(), 2, "*"))
    pool = grey.server.pool
    first, second = pool.backends.all

    def take(tried: set[Backend]) -> Backend | None:
        desk = Desk()
        lent = pool.take(desk, "example.org", None, tried)
        pool.give_back(desk)
        return None if lent is None else lent.backend

    assert grey.call(lambda: take(set())) is first
    assert grey.call(lambda: take({first})) is second
    assert grey.call(lambda: take({first, second})) is None


def kept_one(grey: Grey) -> None:
    client = grey.client().to_data()
    assert client.deliver().startswith("250")
    assert client.ask(b"QUIT\r\n").startswith("221")
    grey.until(lambda: grey.server.pool.kept == 1)


def test_a_fresh_one_is_not_one_that_was_kept(able_server: Server, start_grey: StartGrey) -> None:
    grey = start_grey(able_server(), backend_connections_kept=2)
    kept_one(grey)
    pool = grey.server.pool

    def take(fresh: bool) -> tuple[bool, int]:
        desk = Desk()
        lent = pool.take(desk, "example.org", None, set(), fresh=fresh)
        assert lent is not None
        kept = pool.kept
        pool.give_back(desk)
        return lent.ready, kept

    assert grey.call(lambda: take(fresh=True)) == (False, 1)
    assert grey.call(lambda: take(fresh=False)) == (True, 0)


# ---- lent, and not used


def wait_seconds(grey: Grey, clock: FakeClock, seconds: int) -> None:
    for _ in range(seconds):
        clock.advance(1)
        grey.settle()


def lent(grey: Grey) -> int:
    return grey.call(lambda: grey.server.pool.lent)


def test_who_stays_after_a_mail_gives_its_relay_back_and_has_one_again_for_the_next(
    able_server: Server, start_grey: StartGrey
) -> None:
    clock = FakeClock(100.0)
    server = able_server()
    grey = start_grey(server, monotonic=clock, backend_connections_kept=2)
    client = grey.client().to_data()
    assert client.deliver().startswith("250")
    wait_seconds(grey, clock, 4)
    assert lent(grey) == 1  # the next mail mostly comes at once
    wait_seconds(grey, clock, 3)
    assert lent(grey) == 0
    assert grey.call(lambda: grey.server.pool.kept) == 1
    assert client.ask(b"NOOP\r\n").startswith("250")
    assert client.to_data().deliver().startswith("250")
    assert len(server.visits) == 1  # the same, from among those that are kept
    wait_seconds(grey, clock, 7 + int(KEPT_SECONDS) + 1)
    assert server.visit().ended.wait(15)
    assert server.visit().how == "quit"
    assert client.to_data().deliver().startswith("250")
    assert len(server.messages) == 3


@pytest.mark.parametrize("info", [ClientInfo.XCLIENT, ClientInfo.PROXY2])
def test_a_relay_that_nobody_else_can_have_is_given_back_too(
    able_server: Server, start_grey: StartGrey, info: ClientInfo
) -> None:
    clock = FakeClock(100.0)
    offer = b"250-mail.example.org\r\n250 XCLIENT NAME ADDR PORT PROTO HELO\r\n"
    server = able_server(EHLO=offer, proxy=info is ClientInfo.PROXY2)
    grey = start_grey(server, monotonic=clock, client_info=info)
    client = grey.client()
    for number in (0, 1):
        assert client.to_data().deliver().startswith("250")
        wait_seconds(grey, clock, 7)
        assert lent(grey) == 0
        assert server.visit(number).ended.wait(15)
        assert server.visit(number).how == "quit"


def test_who_is_in_the_middle_of_a_mail_keeps_its_relay(
    able_server: Server, start_grey: StartGrey
) -> None:
    clock = FakeClock(100.0)
    server = able_server()
    grey = start_grey(server, monotonic=clock)
    client = grey.client().begin()
    assert client.ask(RCPT).startswith("250")
    for step in (b"NOOP\r\n", b"DATA\r\n", LETTER + b".\r\n"):
        wait_seconds(grey, clock, 20)
        assert lent(grey) == 1
        assert client.ask(step)[:3] in ("250", "354")
    assert len(server.messages) == 1
    wait_seconds(grey, clock, 7)
    assert lent(grey) == 0


def test_who_has_a_mail_every_few_seconds_keeps_its_relay(
    able_server: Server, start_grey: StartGrey
) -> None:
    clock = FakeClock(100.0)
    server = able_server()
    grey = start_grey(server, monotonic=clock)
    client = grey.client()
    for _ in range(6):
        assert client.to_data().deliver().startswith("250")
        wait_seconds(grey, clock, 4)
    assert lent(grey) == 1
    assert len(server.visits) == 1


def test_one_whose_server_has_hung_up_is_given_back(
    able_server: Server, start_grey: StartGrey
) -> None:
    clock = FakeClock(100.0)
    server = able_server()
    grey = start_grey(server, monotonic=clock)
    client = grey.client().to_data()
    assert client.deliver().startswith("250")
    server.visit().sock.shutdown(socket.SHUT_RDWR)
    wait_seconds(grey, clock, 8)
    assert lent(grey) == 0
    assert client.to_data().deliver().startswith("250")


def test_nobody_is_asked_for_what_it_does_not_keep(
    able_server: Server, start_grey: StartGrey
) -> None:
    """A verifier's question has an end of its own."""
    clock = FakeClock(100.0)
    grey = start_grey(able_server(), monotonic=clock)
    pool, desk = grey.server.pool, Desk()
    assert grey.call(lambda: pool.take(desk, "example.org", None, set())) is not None
    wait_seconds(grey, clock, 20)
    assert lent(grey) == 1
    grey.call(lambda: pool.give_back(desk))
    wait_seconds(grey, clock, 2)
    assert grey.call(lambda: pool._sweeper) is None  # nothing to look at: nobody looks


# ---- faults of ours


def fail(*_: object) -> None:
    raise RuntimeError("a fault")


@pytest.mark.parametrize("accepted", [0, 1])
def test_a_relay_that_fails_is_a_connection_lost_and_nobody_hangs(
    able_server: Server,
    start_grey: StartGrey,
    monkeypatch: pytest.MonkeyPatch,
    accepted: int,
) -> None:
    server = able_server()
    grey = start_grey(server)
    client = grey.client().begin()
    for _ in range(accepted):
        assert client.ask(RCPT).startswith("250")
    with monkeypatch.context() as broken:
        if accepted:
            broken.setattr(ClientSession, "rcpt", fail)
        else:
            broken.setattr(SMTPClientSession, "_connect", fail)
        assert client.ask(RCPT).startswith("451 4.4.2 ")
        assert client.ask(RCPT).startswith("451 4.4.")
    assert client.ask(b"RSET\r\n").startswith("250")
    assert client.ask(MAIL).startswith("250")
    assert client.ask(RCPT).startswith("250")
    assert client.ask(b"DATA\r\n").startswith("354")
    assert client.deliver().startswith("250")
    assert len(server.messages) == 1
    assert any("a fault" in text for text in grey.log.texts)


@pytest.mark.parametrize("step", ["DATA", "DOT"])
def test_a_relay_that_fails_later_is_a_connection_lost_too(
    able_server: Server, start_grey: StartGrey, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    server = able_server()
    grey = start_grey(server)
    client = grey.client().begin()
    assert client.ask(RCPT).startswith("250")
    if step == "DOT":
        assert client.ask(b"DATA\r\n").startswith("354")
    monkeypatch.setattr(ClientSession, "end_data" if step == "DOT" else "data", fail)
    reply = client.deliver() if step == "DOT" else client.ask(b"DATA\r\n")
    assert reply.startswith("451 4.4.2 ")
    assert server.messages == []
    assert client.ask(b"NOOP\r\n").startswith("250")


def test_one_that_fails_while_it_is_kept_is_forgotten(
    able_server: Server, start_grey: StartGrey
) -> None:
    server = able_server()
    grey = start_grey(server, backend_connections_kept=2)
    kept_one(grey)

    def break_it() -> None:
        (relay,) = grey.server.pool.children
        assert isinstance(relay, SMTPClientSession)
        culprit: microprocess = relay
        grey.server.pool._relay_failed(relay, culprit, RuntimeError("a fault"))

    grey.call(break_it)
    assert grey.call(lambda: grey.server.pool.kept) == 0
    client: Client = grey.client().to_data()
    assert client.deliver().startswith("250")
    assert len(server.visits) == 2


# ---- ends


def test_told_to_end_it_waits_for_those_that_are_lent(
    able_server: Server, start_grey: StartGrey
) -> None:
    server = able_server()
    grey = start_grey(server, backend_connections_kept=2)
    kept_one(grey)
    client = grey.client().to_data()
    pool = grey.server.pool
    grey.call(lambda: pool.inboxes["control"].deliver(producerFinished()))
    grey.settle()
    assert client.deliver().startswith("250")
    assert len(server.messages) == 2
    assert client.ask(b"QUIT\r\n").startswith("221")
    grey.until(pool._isStopped)
    server.wait_for(lambda: all(visit.ended.is_set() for visit in server.visits))
    assert {visit.how for visit in server.visits} == {"quit"}


def test_a_server_that_is_down_is_told_of_once(start_grey: StartGrey) -> None:
    grey = start_grey(("127.0.0.1", free_port()))
    client = grey.client().begin()
    for _ in range(5):
        assert client.ask(RCPT).startswith("451 4.4.1 ")
    assert sum("is not used for" in text for text in grey.log.texts) == 1
