"""Forgetting: from the next question on nothing is known, in memory, in the file, in between."""

import doctest
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Axon.Component import component
from Axon.Ipc import producerFinished
from Axon.Testing import FakeClock, virtual_scheduler
from Kamaelia.Apps.Grey.Core.Types import (
    Answer,
    Forget,
    Lifetimes,
    Query,
    Record,
    Remember,
    Triplet,
)
from Kamaelia.Apps.Grey.Store.Forgetting import Forgetting
from Kamaelia.Apps.Grey.Store.Interface import Rows, Store, StoreError
from Kamaelia.Apps.Grey.Store.Keeper import StoreKeeper
from Kamaelia.Apps.Grey.Store.Memory import MemoryStore
from Kamaelia.Apps.Grey.Store.Packing import key_of, packed
from Kamaelia.Apps.Grey.Store.Requests import Forgotten, Load, Loaded
from Kamaelia.Apps.Grey.Store.ServingMap import ServingMap
from Kamaelia.Apps.Grey.Store.Sqlite import SqliteStore
from Kamaelia.Apps.Grey.Store.StoreService import StoreService

NOW = 1_740_000_000
DAY = 24 * 3600
LIFETIMES = Lifetimes(window_seconds=DAY, pass_seconds=36 * DAY)
HERE, THERE = "192.0.2.0/24", "198.51.100.0/24"
GREY = Record.started(now=NOW)
OLD = Record(0, NOW - 90, NOW, NOW, 1, 3, NOW - 30, NOW + DAY)


def key(number: int, network: str = HERE) -> Triplet:
    return Triplet(network, f"sender{number:06}@example.net", "b@example.org")


def finish(forgetting: Forgetting) -> int:
    steps = 0
    while forgetting.has_work:
        forgetting.step()
        steps += 1
    return steps


# --- the memory by itself ---


def test_only_what_is_of_that_network_goes_and_only_once_the_file_has_none() -> None:
    records = ServingMap(10_000)
    triplets = [key(n, network) for n in range(500) for network in (HERE, THERE)]
    records.load({key_of(triplet): packed(OLD) for triplet in triplets})
    forgetting = Forgetting(records)
    assert forgetting.begin(HERE)
    assert not forgetting.has_work
    forgetting.gone(HERE)
    assert finish(forgetting) == 256
    assert len(records) == 500
    assert all(records.get(key_of(key(n, THERE))) == OLD for n in range(500))
    assert not forgetting.networks


def test_what_is_remembered_meanwhile_stays_and_what_was_before_is_not_merged_into_it() -> None:
    records = ServingMap(10_000)
    name = key_of(key(1))
    records.merge(name, OLD)
    forgetting = Forgetting(records)
    forgetting.begin(HERE)
    assert forgetting.hides(HERE, name)
    forgetting.remember(HERE, name)
    records.merge(name, GREY)
    assert not forgetting.hides(HERE, name)
    forgetting.gone(HERE)
    finish(forgetting)
    assert records.get(name) == GREY
    assert len(records) == 1


def test_once_more_in_the_middle_begins_again() -> None:
    records = ServingMap(10_000)
    first, second = key_of(key(1)), key_of(key(2))
    forgetting = Forgetting(records)
    forgetting.begin(HERE)
    forgetting.remember(HERE, first)
    records.merge(first, OLD)
    forgetting.gone(HERE)
    forgetting.step()
    assert forgetting.begin(HERE)  # what was fresh is old now
    assert forgetting.hides(HERE, first)
    forgetting.remember(HERE, second)
    records.merge(second, GREY)
    finish(forgetting)
    assert HERE in forgetting.networks  # the file has not answered the second
    assert records.get(second) == GREY
    forgetting.gone(HERE)
    finish(forgetting)
    assert records.get(first) is None
    assert records.get(second) == GREY
    assert not forgetting.networks


def test_an_answer_to_the_first_of_two_does_not_stand_for_the_second() -> None:
    forgetting = Forgetting(ServingMap(10))
    forgetting.begin(HERE)
    forgetting.remember(HERE, b"x" * 20)
    assert forgetting.begin(HERE)
    forgetting.gone(HERE)
    assert not forgetting.has_work
    forgetting.gone(HERE)
    assert forgetting.has_work
    forgetting.gone("unknown")


def test_two_networks_of_one_tag_cost_each_other_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("Kamaelia.Apps.Grey.Store.Packing.tag_of", lambda _: b"same")
    monkeypatch.setattr("Kamaelia.Apps.Grey.Store.Forgetting.tag_of", lambda _: b"same")
    records = ServingMap(10)
    forgetting = Forgetting(records)
    names = {network: key_of(key(1, network)) for network in (HERE, THERE)}
    for network, name in names.items():
        forgetting.begin(network)
        forgetting.remember(network, name)
        records.merge(name, GREY)
        forgetting.gone(network)
    assert finish(forgetting) == 512
    assert not forgetting.networks


# --- the keeper ---


class Box:
    """Nobody: the keeper does not look at whom to answer."""

    inboxes: dict[str, object] = {}


def query(triplet: Triplet) -> Query:
    return Query(triplet, (Box(), "answers"))  # type: ignore[arg-type]


class World:
    """A disk that fails when told, and the time."""

    def __init__(self) -> None:
        self.disk = MemoryStore()
        self.time = 1000.0
        self.full = False

    def keeper(self) -> StoreKeeper:
        world = self

        class Full(MemoryStore):
            def __init__(self) -> None:
                super().__init__()
                self._records = world.disk._records

            def forget(self, network: str) -> int:
                if world.full:
                    raise StoreError("/disk: full")
                return super().forget(network)

        return StoreKeeper(
            Full, LIFETIMES, clock=lambda: NOW + self.time, monotonic=lambda: self.time
        )


def test_in_one_group_what_comes_behind_it_sees_nothing_of_before(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    world.disk.merge(key(1), OLD)
    world.disk.merge(key(1, THERE), OLD)
    keeper = world.keeper()
    with caplog.at_level("INFO"):
        answers = keeper.serve(
            [
                Remember(key(2), GREY),
                query(key(1)),
                query(key(2)),
                Forget(HERE),
                query(key(1)),
                query(key(2)),
                Remember(key(1), GREY),
                query(key(1)),
                query(key(1, THERE)),
            ]
        )
    assert answers == (
        Answer(key(1), OLD),
        Answer(key(2), GREY),
        Forgotten(HERE),
        Answer(key(1)),
        Answer(key(2)),
        Answer(key(1), GREY),
        Answer(key(1, THERE), OLD),
    )
    keeper.close()
    assert dict(world.disk.scan()) == {key(1): GREY, key(1, THERE): OLD}
    assert f"2 records of '{HERE}' are forgotten" in caplog.text


def test_on_a_full_disk_it_is_not_believed_until_it_is_gone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    world.disk.merge(key(1), OLD)
    world.disk.merge(key(1, THERE), OLD)
    keeper = world.keeper()
    world.full = True
    assert keeper.serve([Forget(HERE), query(key(1))]) == (Forgotten(HERE), Answer(key(1)))
    assert keeper.serve([query(key(1)), Load(None)]) == (
        Answer(key(1)),
        Loaded({key_of(key(1, THERE)): packed(OLD)}),
    )
    keeper.serve([Remember(key(1), GREY)])
    keeper.housekeep()
    world.time += 5
    keeper.housekeep()
    assert dict(world.disk.scan())[key(1)] == OLD  # not merged with what is to go first
    assert keeper.serve([query(key(1))]) == (Answer(key(1), GREY),)
    assert "full" in caplog.text
    world.full = False
    world.time += 60
    keeper.housekeep()
    assert dict(world.disk.scan()) == {key(1): GREY, key(1, THERE): OLD}
    assert keeper.serve([query(key(1))]) == (Answer(key(1), GREY),)


def test_the_end_is_the_last_chance_for_what_is_to_be_forgotten() -> None:
    world = World()
    world.disk.merge(key(1), OLD)
    keeper = world.keeper()
    world.full = True
    keeper.serve([Forget(HERE)])
    world.full = False
    keeper.close()
    assert world.disk.count() == 0


# --- the service ---


@pytest.fixture(autouse=True)
def without_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """In virtual time each of 256 pauses would wait for the thread."""
    monkeypatch.setattr("Kamaelia.Apps.Grey.Store.StoreService.FORGET_PAUSE_SECONDS", 0.0)


class Player(component):
    """Plays a scene with a service, then ends it."""

    Inboxes = {"inbox": "object: unused", "control": "object: unused", "answers": "Answer"}

    def __init__(self, service: StoreService, scene: "Scene") -> None:
        super().__init__()
        self.service = service
        self._scene = scene

    def main(self) -> Iterator[object]:
        yield from self._scene(self)
        self.service.inboxes["control"].deliver(producerFinished(self))

    def tell(self, message: Query | Remember | Forget) -> None:
        self.service.inboxes["inbox"].deliver(message)

    def ask(self, triplet: Triplet) -> Iterator[object]:
        """The answer is in `record`."""
        self.tell(Query(triplet, (self, "answers")))
        yield from self.answer()

    def answer(self) -> Iterator[object]:
        while not self.dataReady("answers"):
            self.pause()
            yield 1
        answer = self.recv("answers")
        assert isinstance(answer, Answer)
        assert not answer.failed
        self.record = answer.record

    def until(self, condition: Callable[[], bool]) -> Iterator[object]:
        for _ in range(1000):
            if condition():
                return
            self.pause(0.5)
            yield 1
        raise AssertionError("never")


Scene = Callable[[Player], Iterator[object]]


def play(open_store: Callable[[], Store], scene: Scene, **more: bool | int) -> StoreService:
    clock = FakeClock(1000.0)
    service = StoreService(
        open_store,
        LIFETIMES,
        clock=lambda: NOW + clock(),
        **more,  # type: ignore[arg-type]
    )
    runner = virtual_scheduler(clock)
    service.activate(Scheduler=runner)
    Player(service, scene).activate(Scheduler=runner)
    runner.runThreads()
    return service


@pytest.mark.parametrize("shared", [False, True])
def test_from_the_next_question_on_nothing_is_known_and_other_networks_are(
    tmp_path: Path, shared: bool
) -> None:
    path = tmp_path / "greylist.sqlite3"
    with closing(SqliteStore(path)) as store:
        for number in range(300):
            store.merge(key(number), OLD)
            store.merge(key(number, THERE), OLD)

    def scene(player: Player) -> Iterator[object]:
        yield from player.ask(key(7))
        assert player.record == OLD
        player.tell(Forget(HERE))
        player.tell(Forget(HERE))
        yield from player.ask(key(7))
        assert player.record is None
        yield from player.ask(key(7, THERE))
        assert player.record == OLD
        player.tell(Remember(key(7), GREY))
        yield from player.ask(key(7))
        assert player.record == GREY
        yield from player.until(lambda: not player.service._forgotten)
        for number, record in ((7, GREY), (8, None)):
            yield from player.ask(key(number))
            assert player.record == record

    play(lambda: SqliteStore(path), scene, shared=shared)
    with closing(SqliteStore(path)) as store:
        left = dict(store.scan())
    assert {triplet: record for triplet, record in left.items() if triplet.network == HERE} == {
        key(7): GREY
    }
    assert len(left) == 301


def test_memory_is_emptied_of_it_also_of_what_is_not_in_the_file() -> None:
    store = MemoryStore()
    store.merge(key(1, THERE), OLD)

    def scene(player: Player) -> Iterator[object]:
        yield from player.until(lambda: player.service.complete)
        player.tell(Remember(key(1), OLD))
        store.delete(key(1))
        player.tell(Forget(HERE))
        yield from player.until(lambda: not player.service._forgotten)
        assert player.service.in_memory == 1

    play(lambda: store, scene)


def test_a_slice_of_the_file_on_its_way_does_not_bring_it_back() -> None:
    class Slow(MemoryStore):
        """Somebody has it forgotten while the first slice is being read."""

        service: StoreService
        told = False

        def load(self, after: Triplet | None, limit: int) -> tuple[Rows, Triplet | None]:
            rows = super().load(after, limit)
            if not self.told:
                self.told = True
                self.service.scheduler.call_from_thread(
                    lambda: self.service.inboxes["inbox"].deliver(Forget(HERE))
                )
            return rows

    store = Slow()
    for number in range(50):
        store.merge(key(number), OLD)

    def scene(player: Player) -> Iterator[object]:
        store.service = player.service
        yield from player.until(lambda: player.service.complete and not player.service._forgotten)
        assert player.service.in_memory == 0
        yield from player.ask(key(1))
        assert player.record is None

    play(lambda: store, scene)
    assert store.count() == 0


def test_a_question_that_was_under_way_does_not_bring_it_back() -> None:
    store = MemoryStore()
    for number in range(50):
        store.merge(key(number), OLD)

    def scene(player: Player) -> Iterator[object]:
        player.tell(Query(key(1), (player, "answers")))  # memory has nothing yet
        player.tell(Forget(HERE))
        player.tell(Query(key(2), (player, "answers")))
        yield from player.answer()
        yield from player.answer()
        assert player.record is None
        yield from player.until(lambda: not player.service._forgotten)
        yield from player.ask(key(1))
        assert player.record is None

    play(lambda: store, scene)


def test_what_is_forgotten_right_before_the_end_is_forgotten() -> None:
    store = MemoryStore()
    store.merge(key(1), OLD)

    def scene(player: Player) -> Iterator[object]:
        player.tell(Forget(HERE))
        yield 1

    play(lambda: store, scene)
    assert store.count() == 0


networks = st.sampled_from([HERE, THERE])
steps = st.lists(
    st.tuples(st.sampled_from(["remember", "forget", "gone", "step"]), networks, st.integers(0, 3)),
    max_size=40,
)


@settings(max_examples=50)
@given(steps)
def test_whatever_comes_in_whatever_order_memory_says_what_is_known(
    happenings: list[tuple[str, str, int]],
) -> None:
    records = ServingMap(1000)
    forgetting = Forgetting(records)
    known: dict[Triplet, Record] = {}
    awaited: list[str] = []

    def check() -> None:
        for network in (HERE, THERE):
            for number in range(4):
                triplet, name = key(number, network), key_of(key(number, network))
                found = None if forgetting.hides(network, name) else records.get(name)
                assert found == known.get(triplet)

    for serial, (what, network, number) in enumerate(happenings):
        triplet, name = key(number, network), key_of(key(number, network))
        if what == "remember":
            forgetting.remember(network, name)
            known[triplet] = Record.started(NOW, generation=serial)
            records.merge(name, known[triplet])
        elif what == "forget":
            known = {each: record for each, record in known.items() if each.network != network}
            if forgetting.begin(network):
                awaited.append(network)
        elif what == "gone" and network in awaited:
            awaited.remove(network)
            forgetting.gone(network)
        elif forgetting.has_work:
            for _ in range(100):
                if forgetting.has_work:
                    forgetting.step()
        check()
    for network in awaited:
        forgetting.gone(network)
    finish(forgetting)
    check()
    assert not forgetting.networks
    assert len(records) == len(known)


def test_the_example_in_the_docstring_is_true() -> None:
    result = doctest.testmod(sys.modules[Forgetting.__module__])
    assert result.attempted
    assert not result.failed
