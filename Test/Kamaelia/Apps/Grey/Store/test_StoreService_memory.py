"""StoreService: what is answered from memory, and what is not; on one file, alone and shared."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from Axon.Component import component
from Axon.Ipc import producerFinished
from Axon.Testing import FakeClock, virtual_scheduler
from Kamaelia.Apps.Grey.Core.Types import Answer, Lifetimes, Query, Record, Remember, Triplet
from Kamaelia.Apps.Grey.Store.Interface import Rows, Store, StoreError
from Kamaelia.Apps.Grey.Store.Keeper import LOAD_SLICE
from Kamaelia.Apps.Grey.Store.Memory import MemoryStore
from Kamaelia.Apps.Grey.Store.Sqlite import SqliteStore
from Kamaelia.Apps.Grey.Store.StoreService import LOAD_AGAIN_SECONDS, StoreService
from Test.Kamaelia.shutdown import Ends

NOW = 1_740_000_000
DAY = 24 * 3600
LIFETIMES = Lifetimes(window_seconds=DAY, pass_seconds=36 * DAY)
GREY = Record.started(now=NOW)
PASSED = replace(GREY, last_seen=NOW + 60, passed_at=NOW + 60, passed=1, until=NOW + 60 + 36 * DAY)

SHUTDOWN = {StoreService: Ends(lambda: StoreService(MemoryStore, LIFETIMES))}


def key(number: int) -> Triplet:
    return Triplet("192.0.2.0/24", f"sender{number:06}@example.net", "b@example.org")


class SpiedStore(MemoryStore):
    """Notes who is asked for, and fails when it is to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Triplet] = []
        self.loads = 0
        self.broken = False

    def get(self, triplet: Triplet) -> Record | None:
        self.asked.append(triplet)
        if self.broken:
            raise StoreError("/disk: broken")
        return super().get(triplet)

    def load(self, after: Triplet | None, limit: int) -> tuple[Rows, Triplet | None]:
        self.loads += 1
        if self.broken:
            raise StoreError("/disk: broken")
        return super().load(after, limit)


class Player(component):
    """Plays a scene with a service, then ends it."""

    Inboxes = {"inbox": "object: unused", "control": "object: unused", "answers": "Answer"}

    def __init__(self, service: StoreService, scene: "Scene") -> None:
        super().__init__()
        self._service = service
        self._scene = scene

    def main(self) -> Iterator[object]:
        yield from self._scene(self)
        self._service.inboxes["control"].deliver(producerFinished(self))

    def query(self, number: int) -> None:
        self._service.inboxes["inbox"].deliver(Query(key(number), (self, "answers")))

    def remember(self, number: int, record: Record) -> None:
        self._service.inboxes["inbox"].deliver(Remember(key(number), record))

    def at_once(self, number: int) -> Record | None:
        """Ask, and take the answer that is there by then."""
        self.query(number)
        assert self.dataReady("answers"), "not answered at once"
        return self.taken(number)

    def later(self, number: int) -> Iterator[object]:
        """Ask, and wait for the answer; it is in `record`."""
        self.query(number)
        assert not self.dataReady("answers"), "answered at once"
        yield from self.awaited(number)

    def sooner_or_later(self, number: int) -> Iterator[object]:
        self.query(number)
        yield from self.awaited(number)

    def awaited(self, number: int) -> Iterator[object]:
        while not self.dataReady("answers"):
            self.pause()
            yield 1
        self.record = self.taken(number)

    def taken(self, number: int) -> Record | None:
        answer = self.recv("answers")
        assert isinstance(answer, Answer)
        assert answer.triplet == key(number)
        self.failed = answer.failed
        return answer.record

    def wait(self, seconds: float) -> Iterator[object]:
        until = self.now() + seconds
        while self.now() < until:
            self.pause(until - self.now())
            yield 1


Scene = Callable[[Player], Iterator[object]]


def play(
    open_store: Callable[[], Store],
    scene: Scene,
    *,
    memory_records: int = 1000,
    grey_records: int = 1_000_000,
    shared: bool = False,
    sweep_interval: float = 600.0,
    kind: type[StoreService] = StoreService,
) -> StoreService:
    mono = FakeClock(1000.0)
    service = kind(
        open_store,
        LIFETIMES,
        clock=lambda: NOW + 100 + mono() - 1000.0,
        sweep_interval=sweep_interval,
        memory_records=memory_records,
        grey_records=grey_records,
        shared=shared,
    )
    runner = virtual_scheduler(mono)
    service.activate(Scheduler=runner)
    Player(service, scene).activate(Scheduler=runner)
    runner.runThreads()
    return service


@pytest.fixture
def store() -> SpiedStore:
    return SpiedStore()


def test_what_is_in_memory_is_answered_in_the_moment_of_the_question(store: SpiedStore) -> None:
    store.merge(key(1), PASSED)

    def scene(player: Player) -> Iterator[object]:
        yield from player.later(5)  # the store has been read when that is answered
        assert player.record is None
        assert player.at_once(1) == PASSED
        assert player.at_once(2) is None
        player.remember(2, GREY)
        assert player.at_once(2) == GREY
        player.remember(2, replace(GREY, deferred=2))
        assert player.at_once(2) == replace(GREY, deferred=2)

    play(lambda: store, scene)
    assert store.asked == [key(5)]
    assert dict(store.scan()) == {key(1): PASSED, key(2): replace(GREY, deferred=2)}


def test_before_the_store_has_been_read_it_is_asked_and_never_denied(store: SpiedStore) -> None:
    for number in range(2000):
        store.merge(key(number), PASSED)

    def scene(player: Player) -> Iterator[object]:
        yield from player.later(1999)  # with the first slice
        assert player.record == PASSED
        assert player.at_once(400) == PASSED
        player.query(-1)  # before the first key: in a range that has been read
        assert player.taken(-1) is None
        yield from player.later(1700)
        assert player.record == PASSED
        assert player.at_once(1700) == PASSED

    play(lambda: store, scene, memory_records=10_000)


def test_reading_goes_on_until_memory_knows_all(store: SpiedStore) -> None:
    count = 3 * LOAD_SLICE + 200
    for number in range(count):
        store.merge(key(number), GREY)

    def scene(player: Player) -> Iterator[object]:
        while not service_of(player).complete:
            yield from player.wait(0.05)
        assert player.at_once(count - 1) == GREY
        assert player.at_once(count) is None

    service = play(lambda: store, scene, memory_records=10_000)
    assert service.in_memory == count
    assert store.loads == 4


def service_of(player: Player) -> StoreService:
    return player._service


def test_more_than_memory_may_hold_is_asked_of_the_store(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Row 15: many strangers more than there is room for, and those who are known still get in."""
    caplog.set_level("INFO")
    path = tmp_path / "greylist.sqlite3"
    with closing(SqliteStore(path)) as store, store.batch():
        for number in range(300):
            store.merge(key(number), PASSED)

    def scene(player: Player) -> Iterator[object]:
        yield from player.later(-1)
        for number in range(1000, 21_000):
            player.remember(number, GREY)
            assert service_of(player).in_memory <= 1000
        assert not service_of(player).complete
        for number in range(300):
            yield from player.sooner_or_later(number)
            assert player.record == PASSED
        yield from player.later(1000)  # long out of memory
        assert player.record == GREY

    play(lambda: SqliteStore(path), scene, memory_records=1000)
    assert caplog.text.count("more records than memory_records") == 1


def test_when_there_is_room_again_the_store_is_read_again(store: SpiedStore) -> None:
    for number in range(200):
        store.merge(key(number), PASSED)

    def scene(player: Player) -> Iterator[object]:
        yield from player.later(-1)
        for number in range(1000, 2000):
            player.remember(number, Record.started(NOW - 2 * DAY))
        assert not service_of(player).complete
        yield from player.wait(700)  # the sweeps make room: of memory ...
        yield from player.sooner_or_later(1001)  # ... and, once the thread is awake, of the store
        yield from player.wait(700)
        yield from player.sooner_or_later(1001)
        while not service_of(player).complete:
            yield from player.wait(0.01)
        assert player.at_once(7) == PASSED

    play(lambda: store, scene, memory_records=400)
    assert store.loads >= 2


def test_a_store_larger_than_memory_is_not_read_in_vain(store: SpiedStore) -> None:
    count = 3 * LOAD_SLICE + 200
    for number in range(count):
        store.merge(key(number), PASSED)

    def scene(player: Player) -> Iterator[object]:
        yield from player.wait(500)
        assert not service_of(player).complete
        yield from player.later(count - 50)
        assert player.record == PASSED

    service = play(lambda: store, scene, memory_records=LOAD_SLICE + 100)
    assert service.in_memory <= LOAD_SLICE + 100
    assert store.loads == 2


def test_a_store_that_cannot_be_read_is_tried_again_and_memory_serves(store: SpiedStore) -> None:
    store.merge(key(1), PASSED)
    store.broken = True

    def scene(player: Player) -> Iterator[object]:
        yield from player.later(1)
        assert player.failed
        player.remember(2, GREY)
        assert player.at_once(2) == GREY
        store.broken = False
        yield from player.wait(2 * LOAD_AGAIN_SECONDS)
        assert player.at_once(1) == PASSED

    play(lambda: store, scene)


def test_a_full_disk_is_not_noticed_by_those_who_ask(tmp_path: Path) -> None:
    """Row 21: strangers are deferred, and their retries get in, from memory."""

    class Full(SpiedStore):
        def merge_all(self, items: object) -> None:
            raise StoreError("/disk: full. Free some space")

    def scene(player: Player) -> Iterator[object]:
        yield from player.later(1)
        for number in range(100):
            player.remember(number, GREY)
        yield from player.wait(90)
        assert all(player.at_once(number) == GREY for number in range(100))

    play(Full, scene)
    assert list(tmp_path.iterdir()) == []


def test_memory_is_swept_too_and_not_after_a_jump_of_the_clock() -> None:
    store = SpiedStore()
    store.merge(key(1), Record.started(NOW - 2 * DAY))
    store.merge(key(2), GREY)

    def scene(player: Player) -> Iterator[object]:
        yield from player.later(9)
        assert service_of(player).in_memory == 2
        yield from player.wait(650)
        assert service_of(player).in_memory == 1
        assert player.at_once(2) == GREY

    play(lambda: store, scene)


def test_too_many_who_wait_are_forgotten_the_oldest_first(tmp_path: Path) -> None:
    path = tmp_path / "greylist.sqlite3"

    def scene(player: Player) -> Iterator[object]:
        yield from player.later(9999)
        for number in range(300):
            player.remember(number, Record.started(NOW - 60 * (300 - number)))
        player.remember(500, PASSED)
        yield from player.wait(5)

    play(lambda: SqliteStore(path), scene, grey_records=100)
    with closing(SqliteStore(path)) as store:
        left = [triplet for triplet, _ in store.scan()]
    assert left == [key(number) for number in (*range(200, 300), 500)]


# --- several processes on one file ---


def test_shared_only_a_pass_is_answered_from_memory(store: SpiedStore) -> None:
    store.merge(key(1), PASSED)
    store.merge(key(2), GREY)

    def scene(player: Player) -> Iterator[object]:
        yield from player.later(3)
        assert player.at_once(1) == PASSED
        yield from player.later(2)
        assert player.record == GREY
        store.merge(key(2), PASSED)  # by another process
        yield from player.later(2)
        assert player.record == PASSED
        assert player.at_once(2) == PASSED
        player.remember(4, GREY)
        yield from player.later(4)
        assert player.record == GREY

    service = play(lambda: store, scene, shared=True)
    assert not service.complete
    assert service.in_memory == 2


def test_shared_a_pass_that_is_over_is_asked_for_again(store: SpiedStore) -> None:
    over = replace(PASSED, passed_at=NOW - 37 * DAY, until=NOW - DAY)
    store.merge(key(1), over)

    def scene(player: Player) -> Iterator[object]:
        yield from player.later(1)
        assert player.record == over
        store.merge(key(1), PASSED)  # renewed by another process
        yield from player.later(1)
        assert player.record == PASSED
        assert player.at_once(1) == PASSED

    play(lambda: store, scene, shared=True)


def test_shared_two_services_on_one_file_see_each_other(tmp_path: Path) -> None:
    path = tmp_path / "greylist.sqlite3"

    def first(player: Player) -> Iterator[object]:
        yield from player.later(1)
        player.remember(1, GREY)
        yield from player.later(2)

    def second(player: Player) -> Iterator[object]:
        yield from player.later(1)
        assert player.record == GREY
        player.remember(1, PASSED)

    with closing(SqliteStore(path)):  # a third one, which keeps the journal there
        play(lambda: SqliteStore(path), first, shared=True)
        play(lambda: SqliteStore(path), second, shared=True)
    with closing(SqliteStore(path)) as store:
        assert dict(store.scan()) == {key(1): PASSED}


def test_at_the_end_nothing_keeps_it_awake_while_the_thread_works() -> None:
    """The thread goes on when the service, told to end, sleeps until it is woken."""
    asleep = threading.Event()
    pauses: list[float | None] = []

    class Watched(StoreService):
        def pause(self, timeout: float | None = None) -> None:
            if ending:
                pauses.append(timeout)
                asleep.set()
            super().pause(timeout)

    ending: list[bool] = []

    class Held(MemoryStore):
        def get(self, triplet: Triplet) -> Record | None:
            assert asleep.wait(10)
            return super().get(triplet)

    def scene(player: Player) -> Iterator[object]:
        yield from player.wait(10)
        player.query(1)
        ending.append(True)

    play(Held, scene, kind=Watched, shared=True, sweep_interval=50)
    assert set(pauses) == {None}
