"""
What the tests of MX sync share: whole machines in one process, each on a loopback address of its
own, with a decider's decisions made by hand and a store in a dict.

    world.run(...)            see Test/Kamaelia/network.py: real sockets, time in the test's hand
    site = Site(world, clock, 3)
    site[0].attempt()         a sender tries there; its peers are told
    yield from site.settled() until nobody has anything more to say
"""

import socket
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from Axon.AtOnce import act_at_once
from Axon.Component import component
from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Core.Decide import with_triplet
from Kamaelia.Apps.Grey.Core.Merge import merge
from Kamaelia.Apps.Grey.Core.Normalise import triplet_of as key_of
from Kamaelia.Apps.Grey.Core.PeerNews import State, state_of
from Kamaelia.Apps.Grey.Core.Rules import Rules
from Kamaelia.Apps.Grey.Core.Types import (
    Answer,
    Attempt,
    Decided,
    Decision,
    Forget,
    Policy,
    Query,
    Record,
    Remember,
    Triplet,
)
from Kamaelia.Apps.Grey.Sync.SyncService import SyncService
from Kamaelia.Apps.Grey.Sync.SyncSettings import SyncSettings
from Kamaelia.Chassis.ConnectedServer import ServerCore
from Test.Kamaelia.network import Script, World

EPOCH = 1_795_290_000
CLIENT, SENDER, RECIPIENT = "192.0.2.30", "s@example.org", "r@example.net"
POLICY = Policy(delay_seconds=60, window_seconds=24 * 3600, pass_seconds=36 * 24 * 3600)


def no_names(name: str) -> list[str]:
    raise OSError(f"{name} is not known")


def triplet_of(address: str, sender: str, recipient: str) -> Triplet:
    """As the lead's: the key under a policy."""
    return key_of(attempt_of(address, sender, recipient), POLICY)


def attempt_of(client: str = CLIENT, sender: str = SENDER, recipient: str = RECIPIENT) -> Attempt:
    local, _, domain = recipient.rpartition("@")
    return Attempt(client, "mx", sender, recipient, "k3f9", local, domain, mta=True)


class DictStore(component):
    """A StoreService as far as its boxes go. failing: it cannot say; slow: it says so later."""

    Inboxes = {"inbox": "Query, Remember or Forget: acted on at once", "control": "a shutdown"}

    def __init__(self) -> None:
        super().__init__()
        self.records: dict[Triplet, Record] = {}
        self.failing = self.slow = False
        self.asked: deque[Query] = deque()
        self.heard: list[Remember | Forget] = []
        act_at_once(self, "inbox", self._take)

    def _take(self, request: Query | Remember | Forget) -> None:
        match request:
            case Query():
                self.asked.append(request)
                if not self.slow:
                    self.answer()
            case Remember(triplet, record):
                self.heard.append(request)
                known = self.records.get(triplet)
                self.records[triplet] = record if known is None else merge(known, record)
            case Forget(network):
                self.heard.append(request)
                for triplet in [each for each in self.records if each.network == network]:
                    del self.records[triplet]

    def answer(self) -> None:
        """To all who have asked."""
        while self.asked:
            query = self.asked.popleft()
            addressee, boxname = query.reply_to
            answer = Answer(query.triplet, self.records.get(query.triplet), failed=self.failing)
            box = addressee.inboxes.get(boxname)
            if box is not None:
                box.deliver(answer)

    def main(self) -> Iterator[object]:
        while not self.told_to_stop():
            self.pause()
            yield 1


class Machine:
    """One mail exchanger: its store, its sync service and the port on which peers call it."""

    def __init__(
        self,
        world: World,
        clock: Callable[[], float],
        host: str,
        port: int,
        peers: tuple[tuple[str, float], ...] = (),
        look_up: Callable[[str], list[str]] = no_names,
        listening: bool = True,
        queue_limit: int = 1024,
        policy: Policy = POLICY,
    ) -> None:
        self.world, self.clock, self.host, self.port = world, clock, host, port
        self.rules = Rules(policy)
        self.store = DictStore()
        self.settings = SyncSettings(peers, port, host, port, host, queue_limit)
        self.service = SyncService(
            self.settings,
            self.store,
            triplet_of,
            clock,
            policy.delay_seconds,
            policy.lifetimes,
            look_up=look_up,
        )
        self.server: ServerCore | None = None
        world.run(self.store, self.service)
        if listening:
            self.listen()

    def listen(self) -> None:
        self.server = ServerCore(
            protocol=self.service.protocol,
            host=self.host,
            port=self.port,
            socketOptions=(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1),
        )
        self.world.run(self.server)
        self.port = self.server.address[1]

    def go_away(self) -> Script:
        """Nobody can call it any more."""
        assert self.server is not None
        server, self.server = self.server, None
        server.stop()
        yield from self.world.until(server._isStopped)
        yield from self.world.settle()

    def attempt(
        self, client: str = CLIENT, sender: str = SENDER, recipient: str = RECIPIENT
    ) -> Decision:
        """A sender tries here."""
        attempt = attempt_of(client, sender, recipient)
        triplet = self.rules.triplet_of(attempt)
        known = self.store.records.get(triplet)
        decision = with_triplet(triplet, known, self.rules, int(self.clock()))
        if decision.record is not None:
            self.store._take(Remember(triplet, decision.record))
        self.say(Decided(attempt, decision, self.clock()))
        return decision

    def say(self, decided: Decided) -> None:
        self.service.inboxes["inbox"].deliver(decided)

    def state(
        self, client: str = CLIENT, sender: str = SENDER, recipient: str = RECIPIENT
    ) -> State | None:
        record = self.store.records.get(triplet_of(client, sender, recipient))
        return None if record is None else state_of(record)

    @property
    def queued(self) -> int:
        return sum(peer.queued for peer in self.service.status())


class Site:
    """Some machines that all know each other, on 127.77.0.1, .2 and so on."""

    def __init__(self, world: World, clock: FakeClock, count: int, **settings: object) -> None:
        self.world, self.clock = world, clock
        hosts = [f"127.77.0.{number}" for number in range(1, count + 1)]
        port = free_port(hosts)
        everybody = tuple((host, 3.0) for host in hosts)  # itself, too: one file for all
        self.machines = [
            Machine(world, self.now, host, port, everybody, **settings)  # type: ignore[arg-type]
            for host in hosts
        ]

    def __getitem__(self, at: int) -> Machine:
        return self.machines[at]

    def now(self) -> float:
        """Seconds since the epoch, by the test's clock."""
        return EPOCH + self.clock()

    def settled(self) -> Script:
        yield from self.world.settle()  # it has been heard
        yield from self.world.until(lambda: not any(each.queued for each in self.machines))
        yield from self.world.settle()

    def states(self, *of: str) -> set[State | None]:
        return {each.state(*of) for each in self.machines}


def free_port(hosts: list[str]) -> int:
    """One that is free on all of them."""
    for _ in range(50):
        sockets = []
        try:
            port = 0
            for host in hosts:
                sock = socket.socket()
                sockets.append(sock)
                sock.bind((host, port))
                port = sock.getsockname()[1]
        except OSError:
            continue
        finally:
            for sock in sockets:
                with suppress(OSError):
                    sock.close()
        return port
    raise OSError("no port is free on all of them")


def names_of(table: Mapping[str, list[str]]) -> Callable[[str], list[str]]:
    """A look-up for `look_up`; names that are not in the table are not known."""

    def look_up(name: str) -> list[str]:
        if name not in table:
            raise OSError(f"{name} is not known")
        return table[name]

    return look_up
