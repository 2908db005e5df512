"""The networks of the big senders, day after day, against a name server on loopback."""

from ipaddress import ip_network
from pathlib import Path
from random import Random

import pytest

from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Lookups.BigSenders import BigSenders, BigSendersList
from Kamaelia.Apps.Grey.Lookups.BigSendersFile import Fetched, read, write
from Kamaelia.Internet.Resolver import Resolver
from Kamaelia.Support.Protocol.DNS.Settings import Settings
from Test.Kamaelia.network import Script, Silent, World
from Test.Kamaelia.shutdown import Ends
from Test.Kamaelia.zone_server import Replies, Zone, ZoneServer, failing

SHUTDOWN = {BigSenders: Ends(lambda: BigSenders((), Silent()))}

EPOCH = 1_795_348_800.0
DAY = 86_400.0
# Nothing is remembered by the resolver, so that each day asks anew.
RESOLVING = Settings(timeout=1.0, rounds=1, patience=1.0, cache_limit=0)
ZONE = Zone(
    "test.",
    'a 60 TXT "v=spf1 ip4:192.0.2.0/24 include:b.test -all"\nb 60 TXT "v=spf1 ip6:2001:db8::/32"\n',
)


class Watched:
    """BigSenders over a name server whose replies the test may change; wall-clock time is the fake
    clock's and EPOCH."""

    def __init__(
        self,
        world: World,
        clock: FakeClock,
        *domains: str,
        replies: Replies = ZONE,
        file: Path | None = None,
    ) -> None:
        self.world, self.owner = world, Silent()
        self.server = ZoneServer(world, replies)
        resolver = Resolver([self.server.address], RESOLVING, random=Random(5))
        began = clock()
        self.senders = BigSenders(domains, resolver, DAY, file, lambda: EPOCH + clock() - began)
        self.senders.random = Random(7)
        self.owner.link((self.senders, "outbox"), (self.owner, "inbox"))
        world.run(self.owner, resolver, self.senders)

    def next(self) -> Script:
        yield from self.world.until(self.owner.dataReady)
        found = self.owner.recv()
        assert isinstance(found, BigSendersList)
        assert not self.owner.dataReady()
        return found


def test_the_networks_come_out_with_their_origin_and_age(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        watched = Watched(world, clock, "A.test.")
        found = yield from watched.next()
        assert "192.0.2.9" in found.networks
        assert "2001:db8::9" in found.networks
        assert "198.51.100.1" not in found.networks
        assert found.origins == {
            ip_network("192.0.2.0/24"): "a.test",
            ip_network("2001:db8::/32"): "a.test",
        }
        assert found.fetched_at == {"a.test": EPOCH}

    world.play(script())


def test_they_are_fetched_again_after_about_a_day(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        watched = Watched(world, clock, "a.test")
        yield from watched.next()
        clock.advance(0.89 * DAY)
        yield from world.settle()
        assert len(watched.server.asked) == 2
        watched.server.replies = Zone("test.", 'a 60 TXT "v=spf1 ip4:198.51.100.0/24 -all"')
        clock.advance(0.22 * DAY)
        found = yield from watched.next()
        assert list(found.networks) == [ip_network("198.51.100.0/24")]
        assert found.fetched_at["a.test"] == EPOCH + 1.11 * DAY

    world.play(script())


@pytest.mark.parametrize("replies", [failing(), Zone("test.")])
def test_what_fails_keeps_its_networks_and_is_tried_within_the_hour(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture, replies: Replies
) -> None:
    def script() -> Script:
        watched = Watched(world, clock, "a.test")
        yield from watched.next()
        watched.server.replies = replies
        clock.advance(1.11 * DAY)
        yield from world.until(lambda: "it keeps its 2 networks" in caplog.text)
        assert watched.senders._lists["a.test"].networks
        assert not watched.owner.dataReady()
        watched.server.replies = ZONE
        clock.advance(3961.0)
        found = yield from watched.next()
        assert len(found.networks) == 2

    world.play(script())


def test_a_start_with_a_fresh_file_asks_nobody(
    world: World, clock: FakeClock, tmp_path: Path
) -> None:
    def script() -> Script:
        file = tmp_path / "big"
        kept = Fetched((ip_network("198.51.100.0/24"),), EPOCH - 0.5 * DAY)
        write(file, {"a.test": kept, "gone.test": kept})
        watched = Watched(world, clock, "a.test", file=file)
        found = yield from watched.next()
        assert list(found.networks) == [ip_network("198.51.100.0/24")]
        yield from world.settle()
        assert watched.server.asked == []
        clock.advance(0.61 * DAY)
        found = yield from watched.next()
        assert len(found.networks) == 2
        assert set(read(file)) == {"a.test"}
        assert read(file)["a.test"].at == EPOCH + 0.61 * DAY

    world.play(script())


@pytest.mark.parametrize("at", [EPOCH - 30 * DAY, EPOCH + 3000 * DAY])
def test_a_file_that_is_old_or_from_the_future_is_believed_for_a_day_at_most(
    world: World, clock: FakeClock, tmp_path: Path, at: float
) -> None:
    def script() -> Script:
        file = tmp_path / "big"
        write(file, {"a.test": Fetched((ip_network("198.51.100.0/24"),), at)})
        watched = Watched(world, clock, "a.test", file=file)
        yield from world.until(watched.owner.dataReady)
        if at > EPOCH:
            clock.advance(1.11 * DAY)
        yield from world.until(lambda: len(watched.owner.inboxes["inbox"]) == 2)
        assert len(list(watched.owner.Inbox())[1].networks) == 2

    world.play(script())


def test_a_file_that_cannot_be_read_or_written_is_said_and_harms_nothing(
    world: World, clock: FakeClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def script() -> Script:
        watched = Watched(world, clock, "a.test", file=tmp_path)
        found = yield from watched.next()
        assert len(found.networks) == 2

    world.play(script())
    assert "cannot be read" in caplog.text
    assert "cannot be written" in caplog.text


def test_other_domains_may_come_and_go(world: World, clock: FakeClock, tmp_path: Path) -> None:
    def script() -> Script:
        watched = Watched(world, clock, "a.test", file=tmp_path / "big")
        yield from watched.next()
        watched.senders.inboxes["inbox"].deliver(("b.test",))
        yield from world.until(lambda: len(watched.owner.inboxes["inbox"]) == 2)
        without, found = watched.owner.Inbox()
        assert len(without.networks) == 0
        assert found.origins == {ip_network("2001:db8::/32"): "b.test"}
        assert set(read(tmp_path / "big")) == {"b.test"}

    world.play(script())


def test_the_first_of_two_with_the_same_network_is_its_origin(
    world: World, clock: FakeClock
) -> None:
    def script() -> Script:
        watched = Watched(world, clock, "a.test", "b.test")
        found = yield from watched.next()
        assert found.origins[ip_network("2001:db8::/32")] == "a.test"
        assert set(found.fetched_at) == {"a.test", "b.test"}

    world.play(script())


def test_a_resolver_that_says_nothing_at_all_is_given_up(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    def script() -> Script:
        senders = BigSenders(("a.test", "b.test"), deaf := Silent(), DAY)
        world.run(deaf, senders)
        yield from world.until(lambda: len(deaf.inboxes["inbox"]) == 1)
        clock.advance(601.0)
        yield from world.until(lambda: len(deaf.inboxes["inbox"]) == 2)
        assert "a.test: no answer in time" in caplog.text

    world.play(script())
