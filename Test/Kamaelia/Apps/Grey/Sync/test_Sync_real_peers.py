"""Together with a milter-greylist, and with the greylister's own store and decider."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from Axon.Component import component
from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Core.Types import Decided, Decision, Lifetimes, Reason, Verdict
from Kamaelia.Apps.Grey.GreylistDecider import GreylistDecider
from Kamaelia.Apps.Grey.Store.Memory import MemoryStore
from Kamaelia.Apps.Grey.Store.StoreService import StoreService
from Kamaelia.Apps.Grey.Sync.SyncService import SyncService
from Kamaelia.Apps.Grey.Sync.SyncSettings import SyncSettings
from Kamaelia.Chassis.ConnectedServer import ServerCore
from Test.Kamaelia.Apps.Grey.Sync.machines import (
    CLIENT,
    EPOCH,
    POLICY,
    RECIPIENT,
    SENDER,
    Machine,
    attempt_of,
    free_port,
    triplet_of,
)
from Test.Kamaelia.network import Script, Silent, World
from Test.Kamaelia.Protocol.mx_peer import RealPeer

HERE, THERE = "127.77.3.1", "127.77.3.2"
FROM, TO = f"<{SENDER}>", f"<{RECIPIENT}>"
DAY = 24 * 3600


class Neighbours:
    """Ours and a milter-greylist, which know each other."""

    def __init__(self, world: World, clock: FakeClock, stack: ExitStack, version: int = 3) -> None:
        self.world, self.clock = world, clock
        port = free_port([HERE, THERE])
        self.theirs = stack.enter_context(
            RealPeer((THERE, port), [HERE], version=version, delay=60, clock=self.now, source=THERE)
        )
        self.ours = Machine(world, self.now, HERE, port, ((THERE, 3.0),))
        self.theirs.calls((HERE, port))

    def now(self) -> float:
        return EPOCH + self.clock()

    def told(self) -> Script:
        """All that we had to say has been said."""
        yield from self.world.settle()  # it has been heard
        yield from self.world.until(lambda: not self.ours.queued)
        yield from self.world.settle()

    def entries(self) -> list[tuple[int, bool]]:
        return [(entry.date, entry.auto) for entry in self.theirs.knows(CLIENT, FROM, TO)]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def test_what_we_decide_a_milter_greylist_knows(
    world: World, clock: FakeClock, stack: ExitStack
) -> None:
    def script() -> Script:
        both = Neighbours(world, clock, stack)
        due = int(both.now()) + 60
        both.ours.attempt()
        yield from both.told()
        assert both.entries() == [(due, False)]
        clock.advance(70)
        both.ours.attempt("192.0.2.31")  # from next door: they know the first address only
        yield from both.told()
        until = due + 10 + 36 * DAY
        assert both.entries() == [(until, True)]
        clock.advance(DAY)
        both.ours.attempt()
        yield from both.told()
        assert both.entries() == [(until + DAY, True)]

    world.play(script())


def test_what_a_milter_greylist_decides_we_know(
    world: World, clock: FakeClock, stack: ExitStack
) -> None:
    def script() -> Script:
        both = Neighbours(world, clock, stack)
        assert not both.theirs.mail(CLIENT, FROM, TO)
        yield from world.until(both.ours.state)
        clock.advance(70)
        assert both.ours.attempt().reason is Reason.RETRIED
        yield from both.told()
        assert both.theirs.mail(CLIENT, FROM, TO)  # known there by now, and renewed for a day
        yield from world.settle()
        state = both.ours.state()
        assert state is not None
        assert state.time > both.now() + 35 * DAY  # their day does not shorten our pass
        assert both.theirs.heard.count("vers3") == 1

    world.play(script())


def test_a_milter_greylist_that_sends_its_news_in_the_wrong_order_is_understood(
    world: World, clock: FakeClock, stack: ExitStack
) -> None:
    def script() -> Script:
        both = Neighbours(world, clock, stack)
        yield from both.ours.go_away()
        assert not both.theirs.mail(CLIENT, FROM, TO)
        yield from world.until(lambda: both.theirs.peers[0].failures)
        clock.advance(70)
        assert both.theirs.mail(CLIENT, FROM, TO)
        yield from world.until(lambda: both.theirs.peers[0].failures >= 2)
        both.ours.listen()
        both.theirs.mail("198.51.100.1", FROM, TO)  # only what is new makes it call
        yield from world.until(lambda: not both.theirs.peers[0].stack)
        yield from world.until(lambda: len(both.ours.store.records) == 2)
        assert [line.split()[0] for line in both.theirs.said if "192.0.2" in line][-2:] == [
            "del2",
            "add",
        ]
        state = both.ours.state()
        assert state is not None
        assert state.passed
        assert both.ours.attempt().verdict is Verdict.PASS

    world.play(script())


def test_after_our_restart_a_renewal_is_whole_news(
    world: World, clock: FakeClock, stack: ExitStack
) -> None:
    def script() -> Script:
        both = Neighbours(world, clock, stack)
        both.ours.attempt()
        clock.advance(70)
        both.ours.attempt()
        yield from both.told()
        both.theirs.store.clear()
        both.ours.service.telling._told.clear()
        clock.advance(DAY)
        both.ours.attempt()
        yield from both.told()
        assert both.entries() == [(int(both.now()) + 36 * DAY, True)]

    world.play(script())


@pytest.mark.parametrize("version", [1, 2])
def test_older_ones_are_told_what_they_understand(
    world: World, clock: FakeClock, stack: ExitStack, version: int
) -> None:
    def script() -> Script:
        both = Neighbours(world, clock, stack, version)
        both.ours.attempt()
        clock.advance(70)
        both.ours.attempt()
        both.ours.say(Decided(attempt_of(), _FLUSH, both.now()))
        yield from both.told()
        (entry,) = both.entries()
        assert entry[1]
        assert (entry[0] > both.now() + 2 * DAY) is (version == 2)
        assert both.ours.service.status()[0].version == version

    world.play(script())


_FLUSH = Decision(Verdict.PASS, Reason.RULE, flush="192.0.2.0/24")


def test_a_flush_comes_back_from_a_milter_greylist_once(
    world: World, clock: FakeClock, stack: ExitStack
) -> None:
    def script() -> Script:
        both = Neighbours(world, clock, stack)
        both.ours.attempt()
        yield from both.told()
        both.ours.say(Decided(attempt_of(), _FLUSH, both.now()))
        yield from both.told()
        assert both.entries() == []
        yield from world.until(lambda: not both.ours.store.records)
        assert both.ours.service.status()[0].sent == 2

    world.play(script())


def test_with_two_of_ours_and_a_milter_greylist_nothing_goes_round(
    world: World, clock: FakeClock, stack: ExitStack
) -> None:
    third = "127.77.3.3"

    def now() -> float:
        return EPOCH + clock()

    def script() -> Script:
        port = free_port([HERE, THERE, third])
        real = stack.enter_context(
            RealPeer((THERE, port), [HERE, third], delay=60, clock=now, source=THERE)
        )
        everybody = tuple((host, 3.0) for host in (HERE, THERE, third))
        one, two = (Machine(world, now, host, port, everybody) for host in (HERE, third))
        real.calls((HERE, port))
        real.calls((third, port))

        def told() -> Script:
            yield from world.settle()
            yield from world.until(lambda: not (one.queued or two.queued))
            yield from world.settle()

        one.attempt()
        yield from told()
        clock.advance(70)
        two.attempt()
        yield from told()
        assert one.state() == two.state()
        assert [(entry.date, entry.auto) for entry in real.knows(CLIENT, FROM, TO)] == [
            (int(now()) + 36 * DAY, True)
        ]
        one.say(Decided(attempt_of(), _FLUSH, now()))
        one.store.records.clear()
        yield from told()
        flush = f"flush addr {CLIENT}"
        yield from world.until(lambda: real.said.count(flush) == 2)
        yield from told()
        assert [*one.store.records, *two.store.records, *real.store] == []
        sent = [sum(peer.sent for peer in each.service.status()) for each in (one, two)]
        assert sent == [4, 2]  # an add and a flush to both; a del2 to both; nothing told on
        assert real.heard.count(flush) == 1

    world.play(script())


# ---- with all that is our own


class Whole:
    """A machine with the greylister's own store and decider."""

    def __init__(self, world: World, clock: FakeClock, host: str, other: str, port: int) -> None:
        self.client = Silent()
        self.store = StoreService(MemoryStore, POLICY.lifetimes, clock=lambda: EPOCH + clock())
        self.decider = GreylistDecider(POLICY, self.store, lambda: EPOCH + clock())
        settings = SyncSettings(((other, 3.0),), port, host, port, host)
        self.sync = SyncService(
            settings, self.store, triplet_of, lambda: EPOCH + clock(), 60, Lifetimes(DAY, 36 * DAY)
        )
        self.sync.link((self.decider, "log"), (self.sync, "inbox"))
        server = ServerCore(protocol=self.sync.protocol, host=host, port=port)
        self.parts: list[component] = [self.client, self.store, self.decider, self.sync, server]
        world.run(*self.parts)

    def attempt(self) -> Reason:
        attempt = attempt_of()
        attempt.reply_to = (self.client, "inbox")  # type: ignore[misc]
        self.decider.inboxes["inbox"].deliver(attempt)
        decision = self.client.recv("inbox")
        assert isinstance(decision, Decision)
        return decision.reason

    def told(self) -> bool:
        return not any(peer.queued for peer in self.sync.status())


def test_two_greylisters_decide_as_one(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        port = free_port([HERE, THERE])
        one = Whole(world, clock, HERE, THERE, port)
        two = Whole(world, clock, THERE, HERE, port)
        yield from world.until(lambda: one.store.complete and two.store.complete)
        assert one.attempt() is Reason.NEW
        yield from world.until(one.told)
        clock.advance(30)
        assert two.attempt() is Reason.TOO_EARLY
        clock.advance(30)
        assert two.attempt() is Reason.RETRIED
        yield from world.until(two.told)
        assert one.attempt() is Reason.KNOWN

    world.play(script())
