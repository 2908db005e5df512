"""The resolver, against name servers of every character on loopback."""

import logging
import socket
from collections.abc import Generator, Iterable
from functools import partial
from pathlib import Path
from random import Random

import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from Axon.AtOnce import act_at_once
from Axon.Component import component
from Axon.Ipc import shutdownMicroprocess
from Axon.Testing import FakeClock
from Kamaelia.Internet.Resolver import Resolver
from Kamaelia.Support.Protocol.DNS.Messages import MX, Answer, Failure, Question
from Kamaelia.Support.Protocol.DNS.Settings import Server, Settings
from Test.Kamaelia.network import Script, Silent, World, taken
from Test.Kamaelia.shutdown import Ends
from Test.Kamaelia.zone_server import (
    Message,
    Replies,
    Zone,
    ZoneServer,
    failing,
    nobody_there,
    saying,
    silent,
)

SHUTDOWN = {Resolver: Ends(lambda: Resolver([("127.0.0.1", 53)]), files=True)}

ZONE = Zone(
    "example.test.",
    """\
@     300 MX    10 mail
www    60 A     192.0.2.1
www    60 A     192.0.2.2
alias  30 CNAME www
loop   30 CNAME loop2
loop2  30 CNAME loop
mail   60 AAAA  2001:db8::1
long   60 TXT   """
    + " ".join(f'"{letter * 250}"' for letter in "abcdefgh"),
)
Asked = Generator[object, None, list[Answer]]
AskedOnce = Generator[object, None, Answer]


def owner_of(world: World, resolver: Resolver, room: int | None = None) -> Silent:
    """Takes what comes out of it; its signal comes to "control"."""
    owner = Silent()
    owner.setInboxSize("inbox", room)
    owner.link((resolver, "outbox"), (owner, "inbox"))
    owner.link((resolver, "signal"), (owner, "control"))
    world.run(owner, resolver)
    return owner


def resolver_for(
    world: World, *servers: ZoneServer | Server, **settings: object
) -> tuple[Resolver, Silent]:
    addresses = [s.address if isinstance(s, ZoneServer) else s for s in servers]
    made = Resolver(addresses, Settings(**settings), random=Random(5))  # type: ignore[arg-type]
    return made, owner_of(world, made)


def put(resolver: Resolver, *questions: object) -> None:
    for question in questions:
        resolver.inboxes["inbox"].deliver(question)


def answers(world: World, owner: component, count: int) -> Asked:
    yield from world.until(lambda: len(owner.inboxes["inbox"]) >= count)
    found = list(owner.Inbox("inbox"))
    assert len(found) == count
    return found


def ask(world: World, to: tuple[Resolver, Silent], name: str, kind: str = "A") -> AskedOnce:
    resolver, owner = to
    put(resolver, Question(name, kind))
    (answer,) = yield from answers(world, owner, 1)
    return answer


class AsksOn(component):
    """Asks for the next name in the moment in which it hears an answer."""

    def __init__(self, resolver: Resolver, names: list[str]) -> None:
        super().__init__()
        self.heard: list[Answer] = []
        self._resolver, self._names = resolver, names
        act_at_once(self, "inbox", self._hear)

    def _hear(self, answer: Answer) -> None:
        self.heard.append(answer)
        if self._names:
            put(self._resolver, Question(self._names.pop(0), reply_to=(self, "inbox")))


# ---- honest servers


@pytest.mark.parametrize(
    ("name", "kind", "records", "ttl"),
    [
        ("www.example.test", "A", {"192.0.2.1", "192.0.2.2"}, 60),
        ("alias.example.test", "A", {"192.0.2.1", "192.0.2.2"}, 30),
        ("mail.example.test", "AAAA", {"2001:db8::1"}, 60),
        ("example.test", "MX", {MX(10, "mail.example.test")}, 300),
    ],
)
def test_what_is_in_the_zone_is_found(
    world: World, name: str, kind: str, records: set[object], ttl: int
) -> None:
    def script() -> Script:
        server = ZoneServer(world, ZONE)
        answer = yield from ask(world, resolver_for(world, server), name, kind)
        assert (set(answer.records), answer.ttl, answer.failure) == (records, ttl, None)
        assert server.asked == [(name + ".", kind, False)]

    world.play(script())


@pytest.mark.parametrize(
    ("name", "kind", "failure"),
    [
        ("nowhere.example.test", "A", Failure.NXDOMAIN),
        ("www.example.test", "MX", Failure.NODATA),
        ("loop.example.test", "A", Failure.BAD_REPLY),
        ("a..b", "A", Failure.BAD_NAME),
    ],
)
def test_what_is_not_there_is_said(world: World, name: str, kind: str, failure: Failure) -> None:
    def script() -> Script:
        to = resolver_for(world, ZoneServer(world, ZONE))
        answer = yield from ask(world, to, name, kind)
        assert (answer.records, answer.failure) == ((), failure)

    world.play(script())


def test_a_question_from_within_an_answer_is_not_forgotten(world: World) -> None:
    def script() -> Script:
        resolver, _ = resolver_for(world, ZoneServer(world, ZONE))
        asker = AsksOn(resolver, ["alias.example.test", "two..dots", "www.example.test"])
        put(resolver, Question("www.example.test", reply_to=(asker, "inbox")))
        yield from world.until(lambda: len(asker.heard) == 4)

    world.play(script())


def test_a_long_answer_comes_by_tcp_and_leaves_no_socket(world: World) -> None:
    def script() -> Script:
        server = ZoneServer(world, ZONE)
        answer = yield from ask(world, resolver_for(world, server), "long.example.test", "TXT")
        (text,) = answer.records
        assert text == b"".join(
            letter * 250 for letter in (b"a", b"b", b"c", b"d", b"e", b"f", b"g", b"h")
        )
        assert [by_tcp for _, _, by_tcp in server.asked] == [False, True]

    world.play(script())


def test_mixed_case_finds_the_same(world: World) -> None:
    def script() -> Script:
        server = ZoneServer(world, ZONE)
        to = resolver_for(world, server, mix_case=True)
        answer = yield from ask(world, to, "www.example.test")
        assert len(answer.records) == 2
        asked = server.queries[0].question[0].name.to_text()
        assert asked != asked.lower()

    world.play(script())


# ---- many questions


def test_a_thousand_questions_at_once_are_all_answered_few_at_a_time(world: World) -> None:
    def script() -> Script:
        names = [f"host{number}.example.test" for number in range(1000)]
        zone = Zone(
            "example.test.", "\n".join(f"host{n} 60 A 10.0.{n >> 8}.{n & 255}" for n in range(1000))
        )
        server = ZoneServer(world, zone)
        resolver, owner = resolver_for(world, server, in_flight_limit=20)
        put(resolver, *(Question(name, tag=number) for number, name in enumerate(names)))
        most = 0
        while len(owner.inboxes["inbox"]) < 1000:
            most = max(most, len(resolver._exchanges))
            yield 1
        found = {answer.question.tag: answer.records for answer in taken(owner)}  # type: ignore[attr-defined]
        assert found == {n: (f"10.0.{n >> 8}.{n & 255}",) for n in range(1000)}
        assert len(server.asked) == 1000
        assert 0 < most <= 20
        assert resolver._exchanges == {}
        assert len(set(server.clients)) > 500  # a new port each time, if not never the same again

    world.play(script())


def test_the_same_question_at_once_is_asked_once_and_then_known_until_it_expires(
    world: World, clock: FakeClock
) -> None:
    def script() -> Script:
        server = ZoneServer(world, ZONE)
        resolver, owner = resolver_for(world, server)
        put(resolver, *[Question("www.example.test")] * 5)
        assert {a.ttl for a in (yield from answers(world, owner, 5))} == {60}
        clock.advance(59.5)
        put(resolver, Question("WWW.example.test."))
        assert [a.ttl for a in (yield from answers(world, owner, 1))] == [0]
        assert len(server.asked) == 1
        clock.advance(0.5)
        put(resolver, Question("www.example.test"))
        assert [a.ttl for a in (yield from answers(world, owner, 1))] == [60]
        assert len(server.asked) == 2

    world.play(script())


def test_what_is_not_there_is_known_for_the_time_of_the_zone(
    world: World, clock: FakeClock
) -> None:
    def script() -> Script:
        server = ZoneServer(world, ZONE)
        to = resolver_for(world, server)
        for seconds, asked in ((0.0, 1), (119.0, 1), (1.0, 2)):
            clock.advance(seconds)
            answer = yield from ask(world, to, "nowhere.example.test")
            assert answer.failure is Failure.NXDOMAIN
            assert len(server.asked) == asked

    world.play(script())


def test_too_many_questions_are_told_at_once(world: World) -> None:
    def script() -> Script:
        server = ZoneServer(world, silent)
        resolver, owner = resolver_for(world, server, waiting_limit=3)
        put(resolver, *(Question(f"n{number}.test") for number in range(5)))
        found = yield from answers(world, owner, 2)
        assert [(a.question.name, a.failure) for a in found] == [
            ("n3.test", Failure.OVERLOADED),
            ("n4.test", Failure.OVERLOADED),
        ]

    world.play(script())


def test_those_that_queue_are_told_when_their_time_is_over(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        server = ZoneServer(world, silent)
        resolver, owner = resolver_for(
            world, server, in_flight_limit=1, timeout=5.0, rounds=1, patience=7.0
        )
        put(resolver, *(Question(f"{name}.test") for name in ("first", "second", "third")))
        yield from world.until(lambda: len(server.asked) == 1)
        clock.advance(5.0)
        yield from world.until(lambda: len(server.asked) == 2)
        assert [a.failure for a in (yield from answers(world, owner, 1))] == [Failure.TIMEOUT]
        clock.advance(2.0)  # nothing else is due now
        (answer,) = yield from answers(world, owner, 1)
        assert (answer.question.name, answer.failure) == ("third.test", Failure.OVERLOADED)

    world.play(script())


# ---- servers that fail


@pytest.mark.parametrize("code", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.FORMERR])
def test_after_a_server_that_cannot_say_the_next_one_is_asked(
    world: World, code: dns.rcode.Rcode
) -> None:
    def script() -> Script:
        bad, good = ZoneServer(world, failing(code)), ZoneServer(world, ZONE)
        answer = yield from ask(world, resolver_for(world, bad, good), "www.example.test")
        assert len(answer.records) == 2
        assert len(bad.asked) == (2 if code == dns.rcode.FORMERR else 1)

    world.play(script())


def test_after_one_where_nobody_listens_as_well(world: World) -> None:
    def script() -> Script:
        to = resolver_for(world, nobody_there(world), ZoneServer(world, ZONE))
        answer = yield from ask(world, to, "www.example.test")
        assert len(answer.records) == 2

    world.play(script())


def test_if_nobody_listens_anywhere_that_is_said(world: World) -> None:
    def script() -> Script:
        to = resolver_for(world, nobody_there(world), nobody_there(world))
        answer = yield from ask(world, to, "www.example.test")
        assert answer.failure is Failure.UNREACHABLE

    world.play(script())


def test_a_server_that_cannot_even_be_written_to_is_unreachable(world: World) -> None:
    def script() -> Script:
        to = resolver_for(world, ("255.255.255.255", 53))  # which takes a privilege of its own
        answer = yield from ask(world, to, "www.example.test")
        assert answer.failure is Failure.UNREACHABLE

    world.play(script())


def test_a_server_may_have_an_address_of_ipv6(world: World) -> None:
    def script() -> Script:
        if not socket.has_ipv6:
            pytest.skip("no IPv6 here")
        answer = yield from ask(world, resolver_for(world, ("::1", 1)), "www.example.test")
        assert answer.failure is Failure.UNREACHABLE  # nobody listens there

    world.play(script())


def test_a_silent_server_costs_its_time_out_once(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        mute, good = ZoneServer(world, silent), ZoneServer(world, ZONE)
        to = resolver_for(world, mute, good, timeout=2.0)
        put(to[0], Question("www.example.test"))
        yield from world.until(lambda: mute.asked)
        clock.advance(1.9)
        yield from world.settle()
        assert good.asked == []
        clock.advance(0.1)
        (answer,) = yield from answers(world, to[1], 1)
        assert len(answer.records) == 2
        answer = yield from ask(world, to, "mail.example.test", "AAAA")
        assert answer.records == ("2001:db8::1",)
        assert len(mute.asked) == 1

    world.play(script())


def heard(server: ZoneServer, count: int) -> bool:
    return len(server.asked) == count


def test_silence_everywhere_ends_after_all_rounds(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        mute = ZoneServer(world, silent)
        resolver, owner = resolver_for(world, mute, timeout=2.0, rounds=3)
        put(resolver, Question("www.example.test"))
        for count in (1, 2, 3):
            yield from world.until(partial(heard, mute, count))
            assert taken(owner) == []
            clock.advance(2.0)
        (answer,) = yield from answers(world, owner, 1)
        assert answer.failure is Failure.TIMEOUT
        assert len({query.id for query in mute.queries}) == 3
        assert len(set(mute.clients)) == 3

    world.play(script())


class CutShort(ZoneServer):
    """Its streams end, or lie, after some bytes."""

    frame = staticmethod(lambda wire: wire[:5])


def test_a_tcp_server_that_does_not_go_on_runs_into_the_time_out(
    world: World, clock: FakeClock
) -> None:
    def script() -> Script:
        server = CutShort(world, ZONE)
        resolver, owner = resolver_for(world, server, rounds=1)
        put(resolver, Question("long.example.test", "TXT"))
        yield from world.until(lambda: len(server.asked) == 2)
        yield from world.settle()
        assert taken(owner) == []
        clock.advance(2.0)
        (answer,) = yield from answers(world, owner, 1)
        assert answer.failure is Failure.TIMEOUT

    world.play(script())


def test_while_a_stream_says_nothing_nobody_is_awake(real_time_world: World) -> None:
    world = real_time_world

    def script() -> Script:
        server = CutShort(world, ZONE)
        resolver, owner = resolver_for(world, server)
        put(resolver, Question("long.example.test", "TXT"))
        yield from world.until(lambda: len(server.asked) == 2)
        yield from world.settle()
        before = world.waiter.waits
        yield from world.rest(0.1)
        assert world.waiter.waits < before + 20
        assert taken(owner) == []

    world.play(script())


def truncated(query: Message, _over_tcp: bool) -> list[bytes]:
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.TC
    return [reply.to_wire()]


def test_a_tcp_server_that_closes_or_is_not_there_is_unreachable(world: World) -> None:
    def closing(query: Message, over_tcp: bool) -> list[bytes]:
        if over_tcp:
            servers[0].tcp.inboxes["control"].deliver(shutdownMicroprocess())
        return truncated(query, over_tcp) if not over_tcp else []

    servers: list[ZoneServer] = []

    def script() -> Script:
        servers.append(ZoneServer(world, closing))
        to = resolver_for(world, servers[0])
        first = yield from ask(world, to, "first.test")  # the connection is closed
        second = yield from ask(world, to, "second.test")  # there is none any more
        assert (first.failure, second.failure) == (Failure.UNREACHABLE, Failure.UNREACHABLE)

    world.play(script())


# ---- forgers


def forger(change: str) -> Replies:
    """Says something wrong first and then what is true."""

    def replies(query: Message, over_tcp: bool) -> Iterable[bytes]:
        (lie,) = saying("www.example.test. 60 IN A 6.6.6.6")(query, over_tcp)
        forged = dns.message.from_wire(lie)
        match change:
            case "number":
                forged.id ^= 0x5555
            case "question":
                forged.question[0].rdtype = dns.rdatatype.AAAA
            case "query":
                forged.flags &= ~dns.flags.QR
        return [b"\x00", forged.to_wire(), *ZONE(query, over_tcp)]

    return replies


@pytest.mark.parametrize("change", ["number", "question", "query"])
def test_forged_replies_are_not_heard_and_the_true_one_is(world: World, change: str) -> None:
    def script() -> Script:
        to = resolver_for(world, ZoneServer(world, forger(change)))
        answer = yield from ask(world, to, "www.example.test")
        assert set(answer.records) == {"192.0.2.1", "192.0.2.2"}

    world.play(script())


def test_a_perfect_reply_from_another_address_is_not_heard(world: World) -> None:
    def script() -> Script:
        held: list[bytes] = []

        def late(query: Message, over_tcp: bool) -> list[bytes]:
            held.extend(saying("www.example.test. 60 IN A 6.6.6.6")(query, over_tcp))
            return []

        server = ZoneServer(world, late)
        resolver, owner = resolver_for(world, server)
        put(resolver, Question("www.example.test"))
        yield from world.until(lambda: held)
        other = world.keep(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        other.bind(("127.0.0.1", 0))
        other.sendto(held[0], server.clients[0])
        yield from world.settle()
        assert taken(owner) == []
        server.peer.inboxes["inbox"].deliver((*server.clients[0], held[0]))  # from the right one
        (answer,) = yield from answers(world, owner, 1)
        assert answer.records == ("6.6.6.6",)

    world.play(script())


def test_a_flood_of_guesses_leads_to_tcp(world: World) -> None:
    def flood(query: Message, over_tcp: bool) -> Iterable[bytes]:
        return ZONE(query, True) if over_tcp else [bytes([n]) * 30 for n in range(100)]

    def script() -> Script:
        server = ZoneServer(world, flood)
        answer = yield from ask(world, resolver_for(world, server), "www.example.test")
        assert len(answer.records) == 2
        assert [by_tcp for _, _, by_tcp in server.asked] == [False, True]

    world.play(script())


# ---- which servers


def test_the_servers_are_those_of_the_machine_when_it_starts(world: World, tmp_path: Path) -> None:
    conf = tmp_path / "resolv.conf"
    resolver = Resolver(resolv_conf=conf)
    conf.write_text("nameserver 192.0.2.53\nnameserver 192.0.2.54\n")

    def script() -> Script:
        owner_of(world, resolver)
        yield from world.until(lambda: resolver._questions)
        assert resolver._questions is not None
        assert resolver._questions._servers.order(0.0) == (("192.0.2.53", 53), ("192.0.2.54", 53))

    world.play(script())


def test_without_a_file_it_asks_this_machine_and_says_so(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    resolver = Resolver(resolv_conf=tmp_path / "missing")

    def script() -> Script:
        owner_of(world, resolver)
        yield from world.until(lambda: resolver._questions)
        assert resolver._questions is not None
        assert resolver._questions._servers.order(0.0) == (("127.0.0.1", 53),)

    with caplog.at_level(logging.WARNING):
        world.play(script())
    assert "missing" in caplog.text


def test_a_server_must_be_an_address() -> None:
    with pytest.raises(ValueError, match=r"ns\.example\.org"):
        Resolver([("ns.example.org", 53)])
