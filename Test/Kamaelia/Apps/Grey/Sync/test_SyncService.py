"""Machines that share what they know, in one process on loopback addresses."""

import logging
from dataclasses import replace

import pytest

from Axon.Ipc import ipc, producerFinished, shutdownMicroprocess
from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Core.PeerNews import State
from Kamaelia.Apps.Grey.Core.Types import Decided, Decision, Lifetimes, Reason, Verdict
from Kamaelia.Apps.Grey.Sync.SyncService import SyncService
from Kamaelia.Apps.Grey.Sync.SyncSettings import SyncSettings
from Test.Kamaelia.Apps.Grey.Sync.machines import (
    CLIENT,
    EPOCH,
    RECIPIENT,
    DictStore,
    Machine,
    Site,
    attempt_of,
    triplet_of,
)
from Test.Kamaelia.network import Script, World
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {
    SyncService: Ends(
        lambda: SyncService(
            SyncSettings(peers=(("192.0.2.1", 3), ("192.0.2.2", 3))),
            DictStore(),
            triplet_of,
            lambda: 0.0,
            60,
            Lifetimes(3600, 7200),
        )
    )
}


@pytest.mark.parametrize("count", [2, 3])
def test_what_one_machine_has_seen_all_know(world: World, clock: FakeClock, count: int) -> None:
    def script() -> Script:
        site = Site(world, clock, count)
        first, last = site[0], site[count - 1]
        due = EPOCH + int(clock()) + 60
        assert first.attempt().reason is Reason.NEW
        yield from site.settled()
        assert site.states() == {State(due, False)}
        clock.advance(59)
        assert last.attempt().reason is Reason.TOO_EARLY
        clock.advance(1)
        assert last.attempt().reason is Reason.RETRIED
        yield from site.settled()
        until = due + 36 * 24 * 3600
        assert site.states() == {State(until, True)}
        clock.advance(7200)
        assert first.attempt().verdict is Verdict.PASS
        yield from site.settled()
        assert site.states() == {State(until + 7200, True)}

    world.play(script())


def test_nothing_is_told_back_or_on(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        site = Site(world, clock, 3)
        site[0].attempt()
        yield from site.settled()
        sent = {each.host: [peer.sent for peer in each.service.status()] for each in site.machines}
        assert sent == {
            "127.77.0.1": [0, 1, 1],
            "127.77.0.2": [0, 0, 0],
            "127.77.0.3": [0, 0, 0],
        }

    world.play(script())


def test_we_are_no_peer_of_ours(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def script() -> Script:
        site = Site(world, clock, 2)
        site[0].attempt()
        yield from site.settled()
        site[0].attempt(sender="t@example.org")
        yield from site.settled()
        ourselves, other = site[0].service.status()
        assert (ourselves.ourselves, ourselves.queued, ourselves.sent) == (True, 0, 0)
        assert (other.ourselves, other.connected, other.version, other.sent) == (False, True, 3, 2)
        assert caplog.text.count("peer 127.77.0.1 is this machine itself") == 1

    world.play(script())


def test_a_peer_that_was_down_catches_up_by_itself(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    def script() -> Script:
        site = Site(world, clock, 2)
        here, there = site[0], site[1]
        here.attempt()
        yield from site.settled()
        yield from there.go_away()
        clock.advance(60)
        here.attempt()
        here.attempt(sender="t@example.org")
        for _ in range(6):
            yield from world.settle()
            clock.advance(5)
        assert here.queued == 2
        assert "cannot sync with peer 127.77.0.2: Connection refused (2 entries queued)" in (
            caplog.text
        )
        there.listen()
        for _ in range(9):
            yield from world.settle()
            clock.advance(10)
        yield from site.settled()
        assert len(site.states()) == len(site.states(CLIENT, "t@example.org")) == 1
        assert there.state() is not None
        assert caplog.text.count("cannot sync with peer") == 1  # in so short a time

    world.play(script())


def test_of_whom_no_line_can_say_the_address_nobody_is_told_and_that_is_said(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Told as `b_c` it would let in somebody else."""
    caplog.set_level(logging.INFO)

    def script() -> Script:
        site = Site(world, clock, 2)
        said = "peers are not told of a record whose addresses no line can say (%d since the start)"
        yield from world.settle()
        for number in range(3):
            site[0].attempt(sender=f'"b c{number}"@example.org')
        assert [text for text in caplog.messages if "no line" in text] == [said % 1]
        clock.advance(60)
        site[0].attempt(sender='"b c"@example.org')
        assert caplog.messages[-1] == said % 4
        yield from site.settled()
        assert site[1].store.records == {}

    world.play(script())


def test_a_peer_that_was_restarted_has_all_before_it_is_asked(
    world: World, clock: FakeClock
) -> None:
    def script() -> Script:
        site = Site(world, clock, 2)
        here, there = site[0], site[1]
        yield from site.settled()
        yield from there.go_away()
        there.service.stop()
        yield from world.until(there.service._isStopped)
        here.attempt()
        # After 1, 2, 4 seconds and some: the latest try was a second ago or more, the next is far.
        for _ in range(11):
            yield from world.settle()
            clock.advance(1)
        yield from world.settle()
        assert here.queued == 1
        again = Machine(world, site.now, there.host, there.port, here.settings.peers)
        yield from world.until(lambda: here.queued == 0)  # no time has passed
        assert again.state() == here.state()

    world.play(script())


def test_a_split_heals(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        site = Site(world, clock, 3)
        lonely = site[2]
        yield from lonely.go_away()
        site[0].attempt()
        clock.advance(7)
        lonely.service.reload(SyncSettings())  # it cannot call anybody either
        lonely.attempt()
        clock.advance(70)
        yield from world.settle()
        assert site[1].attempt().reason is Reason.RETRIED
        site[0].attempt(CLIENT, "t@example.org")
        lonely.listen()
        lonely.service.reload(lonely.settings)
        for _ in range(15):
            yield from world.settle()
            clock.advance(10)
        yield from site.settled()
        assert len(site.states()) == 1
        state = lonely.state()
        assert state is not None
        assert state.passed
        assert len(site.states(CLIENT, "t@example.org")) == 1

    world.play(script())


def test_a_flush_goes_to_all_and_no_further(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        site = Site(world, clock, 3)
        site[0].attempt()
        site[0].attempt("192.0.2.99", "other@example.org")
        site[0].attempt("198.51.100.1")
        yield from site.settled()
        flushing = Decision(Verdict.PASS, Reason.RULE, flush="192.0.2.0/24")
        site[0].say(Decided(attempt_of(), flushing, site.now()))
        yield from site.settled()
        for each in (site[1], site[2]):
            assert [triplet.network for triplet in each.store.records] == ["198.51.100.0/24"]
        assert [peer.sent for peer in site[1].service.status()] == [0, 0, 0]

    world.play(script())


def test_at_a_reload_peers_come_and_go_and_queues_of_those_that_stay_stay(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def script() -> Script:
        site = Site(world, clock, 3)
        here, stays, goes = site.machines
        yield from stays.go_away()
        yield from goes.go_away()
        here.service.reload(replace(here.settings, peers=((stays.host, 3.0), (goes.host, 3.0))))
        here.attempt()
        yield from world.settle()
        assert [(peer.name, peer.queued) for peer in here.service.status()] == [
            (stays.host, 1),
            (goes.host, 1),
        ]
        here.service.reload(replace(here.settings, peers=((stays.host, 5.0),)))
        assert f"peer {goes.host} is one no longer, 1 entries dropped" in caplog.messages
        assert [(peer.name, peer.queued) for peer in here.service.status()] == [(stays.host, 1)]
        stays.listen()
        goes.listen()
        here.service.reload(here.settings)
        here.attempt(sender="t@example.org")
        yield from site.settled()
        assert len(stays.store.records) == 2
        assert [triplet.sender for triplet in goes.store.records] == ["t@example.org"]

    world.play(script())


def test_at_a_reload_the_first_try_of_what_is_heard_is_told_by_the_new_delay(
    world: World, clock: FakeClock
) -> None:
    def script() -> Script:
        site = Site(world, clock, 2)
        site[1].service.reload(site[1].settings, 45)
        site[0].attempt()
        yield from site.settled()
        (record,) = site[1].store.records.values()
        assert record.due - record.first_seen == 60  # never in the future
        clock.advance(30)
        site[0].attempt(sender="t@example.org")
        site[1].service.reload(site[1].settings, 90)
        yield from site.settled()
        record = site[1].store.records[triplet_of(CLIENT, "t@example.org", RECIPIENT)]
        assert record.due - record.first_seen == 90

    world.play(script())


def test_without_peers_nothing_is_made_of_decisions(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        site = Site(world, clock, 1)
        site[0].service.reload(SyncSettings())
        site[0].attempt()
        yield from world.settle()
        assert site[0].service.telling._told == {}
        assert site[0].service.status() == []

    world.play(script())


def test_a_fault_of_ours_is_no_fault_of_who_decides(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    def script() -> Script:
        site = Site(world, clock, 2)
        yield from world.settle()
        for _ in range(3):
            site[0].say("nonsense")  # type: ignore[arg-type]
        assert caplog.messages == ["telling the peers of 'nonsense' failed"]  # once a minute
        site[0].attempt()
        yield from site.settled()
        assert site[1].state() is not None

    world.play(script())


def test_a_fault_with_one_peer_is_its_own_and_it_begins_anew(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    def script() -> Script:
        site = Site(world, clock, 3)
        here = site[0]
        here.attempt()
        yield from site.settled()
        broken = here.service._peers[site[1].host]

        def fails() -> None:
            raise ArithmeticError("a fault of ours")

        broken._give = fails  # type: ignore[method-assign]
        here.attempt(sender="t@example.org")
        yield from world.until(broken._isStopped)
        assert f"peer {site[1].host}: component" in caplog.text
        yield from world.until(lambda: site[2].state(CLIENT, "t@example.org"))
        yield from world.until(lambda: here.queued == 1)  # of the one that failed
        for _ in range(7):
            yield from world.settle()
            clock.advance(10)
        yield from site.settled()
        assert len(site.states(CLIENT, "t@example.org")) == 1

    world.play(script())


def test_a_fault_with_one_that_is_no_peer_any_more_is_only_logged(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    def script() -> Script:
        site = Site(world, clock, 2)
        yield from world.settle()
        service = site[0].service
        gone = service._peers.pop(site[1].host)
        service._failed(gone, gone, ArithmeticError("a fault of ours"))
        assert "a fault of ours" in caplog.text
        assert site[1].host not in service._peers
        assert [peer.name for peer in service.status()] == [site[0].host]
        gone.stop()

    world.play(script())


def test_a_fault_at_the_end_begins_nothing_anew(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        site = Site(world, clock, 2)
        here = site[0]
        here.attempt()
        yield from site.settled()
        broken = here.service._peers[site[1].host]

        def fails() -> None:
            raise ArithmeticError("a fault of ours")

        broken._last_word = fails  # type: ignore[method-assign]
        here.service.inboxes["control"].deliver(producerFinished())
        yield from world.until(here.service._isStopped)
        assert here.service._peers[site[1].host] is broken
        assert broken._isStopped()

    world.play(script())


@pytest.mark.parametrize("stop", [producerFinished, shutdownMicroprocess])
def test_it_ends_with_all_its_parts_whatever_peers_do(
    world: World, clock: FakeClock, stop: type[ipc]
) -> None:
    def script() -> Script:
        site = Site(world, clock, 3)
        yield from site[1].go_away()
        site[0].attempt()
        yield from world.until(lambda: site[0].queued == 1)
        service = site[0].service
        parts = [service, service.names, *service._peers.values()]
        service.inboxes["control"].deliver(stop())
        yield from world.until(lambda: all(each._isStopped() for each in parts))
        site[0].attempt(sender="t@example.org")  # nobody hears it, and nothing breaks
        assert site[2].state() is not None

    world.play(script())


def test_stopped_from_outside_it_takes_its_parts_along(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        site = Site(world, clock, 2)
        site[0].attempt()
        yield from site.settled()
        service = site[0].service
        parts = [service, service.names, *service._peers.values()]
        service.stop()
        yield from world.until(lambda: all(each._isStopped() for each in parts))

    world.play(script())
