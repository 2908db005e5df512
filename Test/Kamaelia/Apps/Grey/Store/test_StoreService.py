"""StoreService: everybody is answered, groups form, and nothing remembered is lost at the end."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, virtual_scheduler
from Kamaelia.Apps.Grey.Core.Types import Answer, Lifetimes, Query, Record, Remember, Triplet
from Kamaelia.Apps.Grey.Store.Interface import Store, StoreError
from Kamaelia.Apps.Grey.Store.Keeper import WRITE_LIMIT
from Kamaelia.Apps.Grey.Store.Memory import MemoryStore
from Kamaelia.Apps.Grey.Store.Sqlite import SqliteStore
from Kamaelia.Apps.Grey.Store.StoreService import GROUP_LIMIT, StoreService, StoreWorker

LIFETIMES = Lifetimes(window_seconds=100, pass_seconds=1000)
GREY = Record.started(now=5000)
STOPS = [producerFinished(), shutdownMicroprocess()]


def key(number: int) -> Triplet:
    return Triplet("192.0.2.0/24", f"sender{number:06}@example.net", "b@example.org")


class Mailbox:
    """An inbox of somebody, and what came into it."""

    def __init__(self) -> None:
        self.got: list[Answer] = []

    def deliver(self, message: object) -> None:
        assert isinstance(message, Answer)
        self.got.append(message)


class Somebody:
    """Asks, and has two boxes for answers."""

    def __init__(self) -> None:
        self.inboxes = {"answers": Mailbox(), "others": Mailbox()}

    def query(self, number: int, boxname: str = "answers") -> Query:
        return Query(key(number), (self, boxname))

    @property
    def got(self) -> list[Answer]:
        return self.inboxes["answers"].got


class CountingStore(MemoryStore):
    """Counts transactions, and knows whether it was closed and in which thread it was used."""

    def __init__(self) -> None:
        super().__init__()
        self.batches = 0
        self.closed = threading.Event()
        self.threads: set[int] = set()

    def open_(self) -> Store:
        self.threads.add(threading.get_ident())
        return self

    def get(self, triplet: Triplet) -> Record | None:
        self.threads.add(threading.get_ident())
        return super().get(triplet)

    @contextmanager
    def batch(self) -> Iterator[None]:
        self.batches += 1
        with super().batch():
            yield

    def close(self) -> None:
        self.threads.add(threading.get_ident())
        self.closed.set()


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


@pytest.fixture
def asker() -> Somebody:
    return Somebody()


@pytest.mark.parametrize("stop", STOPS)
def test_everybody_is_answered_and_everything_written_before_the_end(
    store: CountingStore, asker: Somebody, stop: object
) -> None:
    requests = [asker.query(1), Remember(key(1), GREY), asker.query(1), asker.query(2, "others")]
    out = drive(StoreService(store.open_, LIFETIMES), inbox=requests, control=[stop])
    assert asker.got == [Answer(key(1), GREY)] * 2  # what is known when the answer is given
    assert asker.inboxes["others"].got == [Answer(key(2))]
    assert dict(store.scan()) == {key(1): GREY}
    assert store.closed.is_set()
    assert out["signal"] == [stop]
    assert out["outbox"] == []


def test_the_store_is_opened_used_and_closed_in_one_thread_that_is_not_ours(
    store: CountingStore, asker: Somebody
) -> None:
    drive(StoreService(store.open_, LIFETIMES), inbox=[asker.query(1)], control=[STOPS[0]])
    assert len(store.threads) == 1
    assert threading.get_ident() not in store.threads


def test_under_load_many_requests_share_a_transaction(store: CountingStore) -> None:
    requests = [Remember(key(n), GREY) for n in range(5 * GROUP_LIMIT)]
    # At the time of the records: virtual time may run while the thread works, up to a sweep.
    service = StoreService(store.open_, LIFETIMES, clock=lambda: float(GREY.first_seen))
    drive(service, inbox=requests, control=[STOPS[0]])
    assert store.count() == 5 * GROUP_LIMIT
    assert 1 <= store.batches <= 5 * GROUP_LIMIT // WRITE_LIMIT + 1


def test_more_than_the_limit_is_answered_as_failed_at_once(
    store: CountingStore, asker: Somebody
) -> None:
    requests = [asker.query(n) for n in range(15)] + [Remember(key(99), GREY)]
    service = StoreService(store.open_, LIFETIMES, waiting_limit=10)
    drive(service, inbox=requests, control=[STOPS[0]])
    assert asker.got[:5] == [Answer(key(n), failed=True) for n in range(10, 15)]
    assert asker.got[5:] == [Answer(key(n)) for n in range(10)]
    assert store.count() == 0


def test_a_store_that_does_not_open_fails_queries_and_not_the_service(asker: Somebody) -> None:
    def no_store() -> Store:
        raise StoreError("/disk: not there")

    requests = [asker.query(1), Remember(key(2), GREY), asker.query(2)]
    out = drive(StoreService(no_store, LIFETIMES), inbox=requests, control=[STOPS[0]])
    assert asker.got == [Answer(key(2), GREY), Answer(key(1), failed=True)]
    assert out["signal"] == [STOPS[0]]


def test_a_request_that_comes_while_the_store_is_closing_is_answered_as_failed(
    asker: Somebody,
) -> None:
    runner = virtual_scheduler()

    class LateRequests(MemoryStore):
        def close(self) -> None:
            for late in (asker.query(7), Remember(key(7), GREY)):
                runner.call_from_thread(
                    lambda late=late: service.inboxes["inbox"].deliver(late)  # type: ignore[misc]
                )

    service = StoreService(LateRequests, LIFETIMES, shared=True)  # what memory has is not enough
    service.inboxes["control"].deliver(producerFinished())
    service.activate(Scheduler=runner)
    runner.runThreads()
    assert asker.got == [Answer(key(7), failed=True)]


def test_an_answer_for_somebody_who_has_gone_disturbs_nobody(
    store: CountingStore, asker: Somebody
) -> None:
    gone = StoreService(store.open_, LIFETIMES)
    drive(gone, control=[STOPS[0]])  # any component that has ended
    requests = [Query(key(1), (gone, "inbox")), asker.query(2)]
    drive(StoreService(store.open_, LIFETIMES), inbox=requests, control=[STOPS[0]])
    assert asker.got == [Answer(key(2))]


def test_messages_that_are_no_shutdown_do_not_stop_it(
    store: CountingStore, asker: Somebody
) -> None:
    out = drive(
        StoreService(store.open_, LIFETIMES),
        inbox=[asker.query(1)],
        control=["hello", STOPS[0]],
    )
    assert asker.got == [Answer(key(1))]
    assert out["signal"] == ["hello", STOPS[0]]


def test_requests_over_time_are_answered_as_they_come(store: CountingStore) -> None:
    """No shutdown in sight: each answer brings the next question."""
    runner = virtual_scheduler()
    service = StoreService(store.open_, LIFETIMES)

    class Curious(Mailbox):
        def deliver(self, message: object) -> None:
            super().deliver(message)
            number = len(self.got)
            if number < 50:
                service.inboxes["inbox"].deliver(Remember(key(number), GREY))
                service.inboxes["inbox"].deliver(curious.query(number))
            else:
                service.inboxes["control"].deliver(STOPS[0])

    curious = Somebody()
    curious.inboxes["answers"] = Curious()
    service.inboxes["inbox"].deliver(curious.query(0))
    service.activate(Scheduler=runner)
    runner.runThreads()
    assert [answer.record for answer in curious.got] == [None] + [GREY] * 49
    assert store.count() == 49


def test_old_records_are_swept_while_nothing_else_is_to_do() -> None:
    runner = virtual_scheduler()

    class Swept(MemoryStore):
        def expire(
            self,
            now: int,
            lifetimes: Lifetimes,
            after: Triplet | None,
            limit: int,
            greys: dict[int, int] | None = None,
            *,
            passes: bool = True,
            gone: list[tuple[Triplet, Record]] | None = None,
        ) -> tuple[int, Triplet | None]:
            swept = super().expire(now, lifetimes, after, limit, greys, passes=passes, gone=gone)
            runner.call_from_thread(lambda: worker.inboxes["control"].deliver(STOPS[0]))
            return swept

    store = Swept()
    store.merge(key(1), GREY)
    store.merge(key(2), Record.started(now=1_000_000))
    worker = StoreWorker(lambda: store, LIFETIMES, clock=lambda: 1_000_000, sweep_interval=0.0)
    worker.activate(Scheduler=runner)
    runner.runThreads()
    assert [triplet for triplet, _ in store.scan()] == [key(2)]


def test_the_worker_hands_on_what_is_no_shutdown_and_ends_with_what_is(
    store: CountingStore, asker: Somebody
) -> None:
    out = drive(
        StoreWorker(store.open_, LIFETIMES),
        inbox=[(asker.query(1), Remember(key(1), GREY)), (asker.query(1),)],
        control=["hello", STOPS[1]],
    )
    assert out["outbox"] == [(Answer(key(1)),), (Answer(key(1), GREY),)]
    assert out["signal"] == ["hello", STOPS[1]]
    assert store.closed.is_set()


def test_a_stopped_scheduler_still_gets_the_store_written_and_closed(
    store: CountingStore,
) -> None:
    runner = virtual_scheduler()
    service = StoreService(store.open_, LIFETIMES)

    class StopsAll(Mailbox):
        def deliver(self, message: object) -> None:
            runner.stop()

    somebody = Somebody()
    somebody.inboxes["answers"] = StopsAll()
    for request in (Remember(key(1), GREY), somebody.query(2)):
        service.inboxes["inbox"].deliver(request)
    service.activate(Scheduler=runner)
    runner.runThreads()
    assert store.closed.wait(10)
    assert store.count() == 1


def test_with_sqlite_what_was_remembered_is_there_for_the_next_process(
    tmp_path: Path, asker: Somebody
) -> None:
    path = tmp_path / "greylist.sqlite3"
    for _ in range(2):
        drive(
            StoreService(lambda: SqliteStore(path), LIFETIMES),
            inbox=[asker.query(1), Remember(key(1), GREY)],
            control=[STOPS[0]],
        )
    assert asker.got == [Answer(key(1), GREY)] * 2
    with closing(SqliteStore(path)) as store:
        assert store.count() == 1
