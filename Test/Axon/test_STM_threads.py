"""Shared versioned values under any interleaving, and under real threads (contract 3.16, 1.3)."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Axon.STM import BusyRetry, Collection, ConcurrentUpdate, Store


def put(store: Store, **values: object) -> None:
    with store.changeset(*values) as collection:
        for key, value in values.items():
            collection[key].set(value)


# --- Against a model ---------------------------------------------------------------------------

KEYS = st.sampled_from("xyz")
STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),  # which of three clients
        st.one_of(
            st.tuples(st.just("check out"), st.sets(KEYS, min_size=1)),
            st.tuples(st.just("change"), KEYS),
            st.tuples(st.just("commit"), st.none()),
            st.tuples(st.just("commit one"), KEYS),
            st.tuples(st.just("pull"), st.none()),
        ),
    ),
    max_size=60,
)


class Model:
    """What a Store must do, in a dict: key -> (version, value)."""

    def __init__(self) -> None:
        self.store: dict[str, tuple[int, object]] = {}
        self.clients: list[dict[str, tuple[int, object]]] = [{}, {}, {}]

    def commit(self, client: dict[str, tuple[int, object]], keys: set[str]) -> bool:
        if any(self.store.get(key, (0, None))[0] != client[key][0] for key in keys):
            return False
        for key in keys:
            version, value = client[key]
            self.store[key] = client[key] = (version + 1, value)
        return True

    def pull(self, client: dict[str, tuple[int, object]]) -> set[str]:
        newer = {key for key in client if self.store.get(key, (0, None))[0] != client[key][0]}
        client.update({key: self.store[key] for key in newer})
        return newer


def committed(commit: Callable[[], None]) -> bool:
    try:
        commit()
    except ConcurrentUpdate:
        return False
    return True


def play(store: Store, model: Model, clients: list[Collection], steps: list[Any]) -> None:
    for number, (who, (action, what)) in enumerate(steps):
        mine, expected = clients[who], model.clients[who]
        match action:
            case "check out":
                clients[who] = store.using(*what)
                model.clients[who] = {key: model.store.get(key, (0, None)) for key in what}
            case "change" if what in mine:
                mine[what].set(number)
                expected[what] = (expected[what][0], number)
            case "commit":
                assert committed(mine.commit) == model.commit(expected, set(expected))
            case "commit one" if what in mine:
                assert committed(mine[what].commit) == model.commit(expected, {what})
            case "pull":
                assert set(mine.pull_updates()) == model.pull(expected)
        for real, wanted in zip(clients, model.clients, strict=True):
            assert {key: (v.version, v.value) for key, v in real.items()} == wanted


@given(STEPS)
def test_any_interleaving_of_check_outs_and_commits_agrees_with_the_model(steps: list[Any]) -> None:
    store, model = Store(), Model()
    play(store, model, [Collection(store, {}) for _ in range(3)], steps)
    at_end = {key: store.usevar(key) for key in "xyz"}
    assert {key: (value.version, value.value) for key, value in at_end.items()} == {
        key: model.store.get(key, (0, None)) for key in "xyz"
    }


# --- With real threads -------------------------------------------------------------------------


@pytest.fixture
def restless() -> Iterator[None]:
    """Switch threads as often as the interpreter can: every race that can happen should."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def together(*work: Callable[[], None]) -> None:
    """Run each in a thread, wait for all, and raise the first error of any."""
    errors: list[BaseException] = []

    def guarded(step: Callable[[], None]) -> None:
        try:
            step()
        except BaseException as error:  # noqa: BLE001 - raised below, in the thread of the test
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(step,), daemon=True) for step in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if errors:
        raise errors[0]
    assert not any(thread.is_alive() for thread in threads)


def yielding_store() -> Store:
    """Return a store whose pauses only let the other threads run."""
    return Store(sleep=lambda seconds: time.sleep(0))


PATIENT = {"retries": 1_000_000, "seconds": 60}


@pytest.mark.usefixtures("restless")
def test_transfers_between_accounts_never_change_the_sum() -> None:
    store, accounts = yielding_store(), list("abcd")
    put(store, **dict.fromkeys(accounts, 100))

    def clerk(offset: int) -> Callable[[], None]:
        def work() -> None:
            for turn in range(100):
                source, sink = accounts[(turn + offset) % 4], accounts[(turn * 3 + offset + 1) % 4]

                def transfer(values: Collection, source: str = source, sink: str = sink) -> None:
                    values[source].value -= 1
                    values[sink].value += 1

                store.atomically(transfer, source, sink, **PATIENT)

        return work

    sums = []

    def auditor() -> None:
        for _ in range(50):
            exported = store.checkout(*accounts, **PATIENT).export()
            sums.append(sum(exported.values()))

    together(clerk(0), clerk(1), clerk(2), auditor)
    assert sums == [400] * 50
    assert sum(store.export().values()) == 400
    # Every transfer of two different accounts made one new version of each.
    pairs = [((t + o) % 4, (t * 3 + o + 1) % 4) for t in range(100) for o in range(3)]
    assert sum(store.usevar(key).version for key in accounts) == 4 + sum(
        len(set(pair)) for pair in pairs
    )


@pytest.mark.usefixtures("restless")
def test_no_increment_is_lost_with_the_plain_calls_alone() -> None:
    store = Store()

    def count() -> None:
        for _ in range(100):
            while True:
                value = store.usevar("counter")
                value.set((value.value or 0) + 1)
                try:
                    value.commit()
                except (ConcurrentUpdate, BusyRetry):
                    time.sleep(0)
                else:
                    break

    together(count, count, count)
    assert repr(store.usevar("counter")) == "Value(300, 300)"


@pytest.mark.usefixtures("restless")
def test_philosophers_all_eat_and_no_fork_is_in_two_hands() -> None:
    store, meals, holders = yielding_store(), [0] * 5, [[0] for _ in range(5)]

    def philosopher(number: int) -> Callable[[], None]:
        forks = (number, (number + 1) % 5)

        def take(values: Collection) -> None:
            if any(fork.value is not None for fork in values.values()):
                raise BusyRetry("a neighbour eats")
            for fork in values.values():
                fork.set(number)

        def lay_down(values: Collection) -> None:
            assert [fork.value for fork in values.values()] == [number, number]
            for fork in values.values():
                fork.set(None)

        def dine() -> None:
            for _ in range(20):
                store.atomically(take, *forks, **PATIENT)
                for fork in forks:
                    holders[fork][0] += 1
                    assert holders[fork][0] == 1
                meals[number] += 1
                for fork in forks:
                    holders[fork][0] -= 1
                store.atomically(lay_down, *forks, **PATIENT)

        return dine

    together(*(philosopher(number) for number in range(5)))
    assert meals == [20] * 5
    assert set(store.export().values()) == {None}
