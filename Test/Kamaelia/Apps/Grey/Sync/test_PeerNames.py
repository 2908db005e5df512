"""Where peers are, without waiting for those who do not know."""

import socket
import threading

import pytest

from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Sync import PeerNames as PeerNames_module
from Kamaelia.Apps.Grey.Sync.PeerNames import (
    FRESH_SECONDS,
    MOST_ADDRESSES,
    MOST_WAITING,
    PATIENCE_SECONDS,
    STALE_SECONDS,
    Caller,
    PeerNames,
    Place,
    Where,
    Who,
    system_addresses,
)
from Test.Kamaelia.Apps.Grey.Sync.machines import names_of
from Test.Kamaelia.network import Script, Silent, World
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {PeerNames: Ends(lambda: PeerNames(("192.0.2.1",)))}


class Dns:
    """Names that move, or do not answer."""

    def __init__(self, **table: list[str] | str) -> None:
        self.table = table
        self.asked: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, name: str) -> list[str]:
        self.asked.append(name)
        self.gate.wait(10)
        found = self.table[name]
        if isinstance(found, str):
            raise OSError(found)
        return found


class Asker:
    """Asks, and waits for what comes."""

    def __init__(self, world: World, dns: Dns, *names: str) -> None:
        self.world, self.dns = world, dns
        self.names = PeerNames(names, dns)
        self.hearer = Silent()
        world.run(self.names, self.hearer)

    def ask(self, question: type[Where] | type[Who], text: str) -> None:
        self.names.inboxes["inbox"].deliver(question(text, (self.hearer, "inbox")))

    def hear(self) -> Script:
        yield from self.world.until(lambda: self.hearer.dataReady("inbox"))
        return self.hearer.recv("inbox")

    def where(self, name: str) -> Script:
        self.ask(Where, name)
        return (yield from self.hear())

    def who(self, address: str) -> Script:
        self.ask(Who, address)
        return (yield from self.hear())


def test_a_name_has_the_addresses_that_the_system_says(world: World) -> None:
    def script() -> Script:
        asker = Asker(world, Dns(mx2=["192.0.2.2", "2001:db8::2"]), "mx2")
        place = yield from asker.where("mx2")
        assert place == Place("mx2", ("192.0.2.2", "2001:db8::2"))
        assert (yield from asker.who("2001:db8::2")) == Caller("2001:db8::2", "mx2")
        assert (yield from asker.who("192.0.2.3")) == Caller("192.0.2.3", None)

    world.play(script())


def test_an_address_is_not_looked_up(world: World) -> None:
    def script() -> Script:
        asker = Asker(world, Dns(), "2001:DB8:0::2")
        place = yield from asker.where("2001:DB8:0::2")
        assert place == Place("2001:DB8:0::2", ("2001:db8::2",))
        assert (yield from asker.who("2001:db8::2")).name == "2001:DB8:0::2"
        assert asker.dns.asked == []

    world.play(script())


def test_names_that_move_are_followed_and_strangers_cost_no_look_up_each(
    world: World, clock: FakeClock
) -> None:
    def script() -> Script:
        dns = Dns(mx2=["192.0.2.2"])
        asker = Asker(world, dns, "mx2")
        for _ in range(50):
            assert (yield from asker.who("198.51.100.1")).name is None
        assert dns.asked == ["mx2"]
        dns.table["mx2"] = ["192.0.2.22"]
        clock.advance(FRESH_SECONDS)
        assert (yield from asker.who("192.0.2.2")).name is None
        assert (yield from asker.who("192.0.2.22")).name == "mx2"
        assert dns.asked == ["mx2", "mx2"]

    world.play(script())


def test_nobody_waits_for_a_name_longer_than_patience(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        dns = Dns(mx2=["192.0.2.2"], mx3=["192.0.2.3"])
        asker = Asker(world, dns, "mx2", "mx3")
        dns.gate.clear()
        asker.ask(Where, "mx2")
        asker.ask(Who, "192.0.2.3")
        yield from world.settle()
        assert not asker.hearer.dataReady("inbox")
        clock.advance(PATIENCE_SECONDS)
        heard = [(yield from asker.hear()), (yield from asker.hear())]
        assert heard == [
            Place("mx2", (), "its address could not be looked up in time"),
            Caller("192.0.2.3", None),
        ]
        asker.ask(Where, "mx2")  # its thread still asks: no second one
        assert (yield from asker.hear()).addresses == ()
        assert sorted(dns.asked) == ["mx2", "mx3"]
        dns.gate.set()
        yield from world.until(lambda: not asker.names._lookups)
        assert (yield from asker.who("192.0.2.3")).name == "mx3"

    world.play(script())


def test_while_the_dns_is_away_what_was_found_counts_for_an_hour(
    world: World, clock: FakeClock
) -> None:
    def script() -> Script:
        dns = Dns(mx2=["192.0.2.2"])
        asker = Asker(world, dns, "mx2")
        yield from asker.where("mx2")
        dns.table["mx2"] = "Temporary failure in name resolution"
        clock.advance(STALE_SECONDS)
        assert (yield from asker.who("192.0.2.2")).name == "mx2"
        clock.advance(1)
        assert (yield from asker.who("192.0.2.2")).name is None
        place = yield from asker.where("mx2")
        assert place == Place("mx2", (), "Temporary failure in name resolution")
        dns.table["mx2"] = []
        clock.advance(FRESH_SECONDS)
        assert (yield from asker.where("mx2")).error == "it has no address"

    world.play(script())


def test_who_is_a_peer_can_change(world: World) -> None:
    def script() -> Script:
        dns = Dns(mx2=["192.0.2.2"], mx3=["192.0.2.3"])
        asker = Asker(world, dns, "mx2")
        yield from asker.where("mx2")
        dns.gate.clear()
        asker.names.change(("mx3",))
        asker.ask(Where, "mx3")
        asker.names.change(("mx2",))
        assert (yield from asker.hear()).error == "it is no peer any more"
        dns.gate.set()
        yield from world.until(lambda: not asker.names._lookups)
        assert (yield from asker.where("mx3")).error == "it is no peer any more"
        assert (yield from asker.who("192.0.2.2")).name == "mx2"

    world.play(script())


def test_too_many_strangers_at_once_are_strangers_without_a_look_up(world: World) -> None:
    def script() -> Script:
        dns = Dns(mx2=["192.0.2.2"])
        asker = Asker(world, dns, "mx2")
        dns.gate.clear()
        yield from world.settle()
        for _ in range(MOST_WAITING + 1):
            asker.ask(Who, "192.0.2.2")
        assert asker.hearer.dataReady("inbox") == 1
        assert (yield from asker.hear()).name is None
        dns.gate.set()
        yield from world.until(lambda: asker.hearer.dataReady("inbox") == MOST_WAITING)
        assert {caller.name for caller in asker.hearer.Inbox("inbox")} == {"mx2"}

    world.play(script())


def test_strangers_that_wait_for_a_slow_dns_keep_no_peer_out(
    world: World, clock: FakeClock
) -> None:
    def script() -> Script:
        dns = Dns(mx2=["192.0.2.2"])
        asker = Asker(world, dns, "mx2")
        yield from asker.where("mx2")
        dns.gate.clear()
        clock.advance(FRESH_SECONDS)
        for _ in range(MOST_WAITING):
            asker.ask(Who, "198.51.100.1")
        assert not asker.hearer.dataReady("inbox")
        assert (yield from asker.who("192.0.2.2")).name == "mx2"  # as it was a moment ago
        assert (yield from asker.who("198.51.100.1")).name is None
        clock.advance(PATIENCE_SECONDS)
        dns.gate.set()
        yield from world.until(lambda: asker.hearer.dataReady("inbox") == MOST_WAITING)

    world.play(script())


def test_a_caller_hears_something_before_it_gives_up() -> None:
    assert PATIENCE_SECONDS < 3.0  # the time-out of a milter-greylist, and ours if none is set


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()])
def test_a_thread_that_cannot_be_had_is_asked_for_again_and_ends_nobody(
    world: World, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def none_left(_: threading.Thread) -> None:
        raise error

    def script() -> Script:
        asker = Asker(world, Dns(mx2=["192.0.2.2"]), "mx2")
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", none_left)
            place = yield from asker.where("mx2")
        assert place == Place("mx2", (), str(error) or "MemoryError()")
        clock.advance(FRESH_SECONDS)
        assert (yield from asker.where("mx2")).addresses == ("192.0.2.2",)

    world.play(script())


def test_a_name_has_so_many_addresses_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [(0, 0, 0, (f"192.0.2.{number % 200}", 0)) for number in range(1_000)]
    monkeypatch.setattr(PeerNames_module, "addresses_of", lambda *_: many)
    assert system_addresses("mx2") == [f"192.0.2.{number}" for number in range(MOST_ADDRESSES)]


def test_an_answer_for_somebody_who_has_ended_is_nobodys(world: World) -> None:
    def script() -> Script:
        asker = Asker(world, Dns(mx2=["192.0.2.2"]), "mx2")
        asker.names.inboxes["inbox"].deliver(Where("mx2", (asker.hearer, "no such box")))
        assert (yield from asker.where("mx2")).addresses

    world.play(script())


def test_the_end_does_not_wait_for_a_look_up(world: World) -> None:
    def script() -> Script:
        dns = Dns(mx2=["192.0.2.2"])
        asker = Asker(world, dns, "mx2")
        dns.gate.clear()
        asker.ask(Where, "mx2")
        yield from world.settle()
        asker.names.stop()
        yield from world.until(asker.names._isStopped)
        dns.gate.set()

    world.play(script())


def test_the_system_is_asked_and_its_errors_are_errors() -> None:
    assert "127.0.0.1" in system_addresses("localhost")
    with pytest.raises(socket.gaierror):
        system_addresses("x" * 70 + ".invalid")
    assert names_of({"a": ["192.0.2.1"]})("a") == ["192.0.2.1"]
