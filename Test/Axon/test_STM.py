"""Shared versioned values (contract 3.16, additions of 6.2, examples of 1.3)."""

import inspect
import io
import textwrap
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from Axon import STM
from Axon.AxonExceptions import AxonException
from Axon.STM import (
    BusyRetry,
    Collection,
    CommitError,
    ConcurrentUpdate,
    OutOfRetriesError,
    Store,
    Value,
)


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class BusyKey:
    """A key that runs something while the store looks it up: while, then, the store is held."""

    def __init__(self) -> None:
        self.meanwhile: Callable[[], object] = lambda: None

    def __hash__(self) -> int:
        self.meanwhile()
        return 1


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Store:
    return Store(clock=clock, sleep=clock.sleep)


def put(store: Store, **values: object) -> None:
    with store.changeset(*values) as collection:
        for key, value in values.items():
            collection[key].set(value)


def versions(store: Store, *keys: str) -> list[int]:
    return [store.usevar(key).version for key in keys]


def hold(store: Store) -> tuple[threading.Thread, threading.Event]:
    """Have another thread sit inside the store until the event is set."""
    key, inside, leave = BusyKey(), threading.Event(), threading.Event()

    def stay() -> None:
        inside.set()
        leave.wait(60)

    key.meanwhile = stay  # `using` looks the key up in the store before anywhere else
    thread = threading.Thread(target=lambda: store.using(key), daemon=True)
    thread.start()
    assert inside.wait(60)
    key.meanwhile = lambda: None
    return thread, leave


@pytest.fixture
def held(store: Store) -> Iterator[Callable[[], None]]:
    """Another thread is inside the store; call the fixture to let it go."""
    thread, leave = hold(store)

    def release() -> None:
        leave.set()
        thread.join(60)

    yield release
    release()


# --- The original's interface ------------------------------------------------------------------


def test_a_new_key_is_none_at_version_0(store: Store) -> None:
    value = store.usevar("fresh")
    assert (value.value, value.version, repr(value)) == (None, 0, "Value(0, None)")


def test_a_committed_value_can_be_checked_out_changed_and_committed_again(store: Store) -> None:
    value = store.usevar("greeting")
    value.set("hello")
    value.commit()
    assert repr(store.usevar("greeting")) == repr(value) == "Value(1, 'hello')"
    value.value += " world"
    value.commit()
    assert repr(store.usevar("greeting")) == repr(value) == "Value(2, 'hello world')"


def test_nothing_is_shared_before_the_commit(store: Store) -> None:
    store.usevar("a").set(1)
    assert store.usevar("a").value is None


def test_values_are_copied_on_the_way_in_and_out(store: Store) -> None:
    mine = [[1]]
    value = store.usevar("list")
    value.set(mine)
    value.commit()
    mine[0].append(2)
    store.usevar("list").value[0].append(3)
    store.using("list")["list"].value[0].append(4)
    assert store.usevar("list").value == [[1]]


def test_a_commit_after_somebody_elses_is_refused_and_changes_nothing(store: Store) -> None:
    first, second = store.usevar("a"), store.usevar("a")
    first.set("first")
    first.commit()
    second.set("second")
    with pytest.raises(ConcurrentUpdate, match="since the check-out: 'a'") as caught:
        second.commit()
    assert caught.value.keys == ("a",)
    assert repr(store.usevar("a")) == "Value(1, 'first')"
    assert repr(second) == "Value(0, 'second')"


def test_a_collection_commits_all(store: Store) -> None:
    values = store.using("a", "b")
    assert isinstance(values, Collection)
    assert isinstance(values, dict)
    values["a"].set(1)
    values["b"].set(2)
    values.commit()
    assert store.export() == {"a": 1, "b": 2}
    values["a"].set(3)
    values.commit()
    assert store.export() == {"a": 3, "b": 2}
    assert versions(store, "a", "b") == [2, 2]


def test_a_collection_with_one_stale_value_commits_none(store: Store) -> None:
    values = store.using("a", "b", "c")
    put(store, b="theirs")
    for value in values.values():
        value.set("mine")
    with pytest.raises(ConcurrentUpdate) as caught:
        values.commit()
    assert caught.value.keys == ("b",)
    assert store.export() == {"a": None, "b": "theirs", "c": None}
    assert [value.version for value in values.values()] == [0, 0, 0]


def test_set_and_set_values_commit_what_was_checked_out(store: Store) -> None:
    a, both = store.usevar("a"), store.using("b", "c")
    a.set(1)
    both["b"].set(2)
    store.set("a", a)
    store.set_values(both)
    assert store.export() == {"a": 1, "b": 2, "c": None}


def test_set_of_a_bare_value_says_what_to_do(store: Store) -> None:
    with pytest.raises(TypeError, match=r"not a bare int: store.usevar\('a'\), set, commit"):
        store.set("a", 1)  # type: ignore[arg-type]


def test_a_clone_is_a_copy_of_the_same_version(store: Store) -> None:
    put(store, a=[1])
    value = store.usevar("a")
    twin = value.clone()
    twin.value.append(2)
    assert (repr(value), repr(twin)) == ("Value(1, [1])", "Value(1, [1, 2])")
    twin.commit()
    with pytest.raises(ConcurrentUpdate):
        value.commit()
    assert store.export("a") == {"a": [1, 2]}


def test_dump_writes_a_line_for_every_value(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    put(store, a=1, b="two\n")
    expected = "'a' : Value(1, 1)\n'b' : Value(1, 'two\\n')\n"
    store.dump()
    assert capsys.readouterr().out == expected
    stream = io.StringIO()
    store.dump(stream)
    assert stream.getvalue() == expected


def test_refusals_are_axon_exceptions_and_have_one_base() -> None:
    kinds = (ConcurrentUpdate, BusyRetry, OutOfRetriesError)
    assert all(issubclass(kind, CommitError) for kind in kinds)
    assert issubclass(CommitError, AxonException)


def test_the_complaint_about_many_long_keys_is_short(store: Store) -> None:
    keys = ["k" * 1_000 + str(number) for number in range(100)]
    values = store.using(*keys)
    put(store, **dict.fromkeys(keys, 1))
    with pytest.raises(ConcurrentUpdate) as caught:
        values.commit()
    assert len(str(caught.value)) < 300
    assert len(caught.value.keys) == 100


# --- A busy store ------------------------------------------------------------------------------


def test_while_another_thread_is_inside_nobody_waits_and_nothing_changes(
    store: Store, held: Callable[[], None]
) -> None:
    value = store.usevar("a")  # one value needs no lock
    value.set(1)
    for call in (value.commit, lambda: store.using("a"), lambda: store.snapshot(["a"])):
        with pytest.raises(BusyRetry, match="try again"):
            call()
    held()
    assert repr(store.usevar("a")) == "Value(0, None)"
    value.commit()
    assert repr(store.usevar("a")) == "Value(1, 1)"


def test_copying_happens_outside_the_lock() -> None:
    """Otherwise a copy function that uses the store would find it busy, and slow copies too."""
    looked: list[object] = []

    def copy(value: object) -> object:
        looked.append(list(shared.snapshot(["other"])))
        return value

    shared = Store(copy=copy)
    values = shared.using("a")
    values.commit()
    values.pull_updates()
    shared.export("a")
    assert looked == [["other"]] * 3


def test_a_failing_copy_changes_nothing() -> None:
    def copy(value: object) -> object:
        if value == "bad":
            raise ValueError("cannot be copied")
        return value

    store = Store(copy=copy)
    values = store.using("a", "b")
    values["a"].set("good")
    values["b"].set("bad")
    with pytest.raises(ValueError, match="cannot be copied"):
        values.commit()
    assert store.export() == {"a": None, "b": None}


def test_patient_calls_ask_a_busy_store_again(
    store: Store, clock: Clock, held: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def sleep_until_the_third(seconds: float) -> None:
        clock.sleep(seconds)
        if len(clock.slept) == 3:
            held()

    monkeypatch.setattr(store, "_sleep", sleep_until_the_third)
    assert list(store.checkout("a")) == ["a"]
    assert clock.slept[0] == 0  # only lets the others run
    assert sorted(set(clock.slept)) == clock.slept  # and then steps back further each time


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.checkout("a", retries=3),
        lambda store: store.changeset("a", retries=3).__enter__(),
        lambda store: store.atomically(lambda values: None, "a", retries=3),
    ],
    ids=["checkout", "changeset", "atomically"],
)
def test_the_limit_on_tries_ends_patience(
    store: Store, clock: Clock, call: Callable[[Store], object]
) -> None:
    with pytest.raises(
        OutOfRetriesError, match=r"refused 4 times in 0\.\d+ s; .*: another th"
    ) as e:
        call(store)
    assert isinstance(e.value.__cause__, BusyRetry)
    assert len(clock.slept) == 3


@pytest.mark.usefixtures("held")
def test_the_limit_on_seconds_ends_patience(store: Store, clock: Clock) -> None:
    with pytest.raises(OutOfRetriesError):
        store.checkout("a", retries=1_000_000, seconds=2.0)
    assert 2.0 <= clock.now < 2.01
    assert max(clock.slept) == pytest.approx(0.005)


@pytest.mark.usefixtures("held")
def test_export_is_patient_within_limits(store: Store, clock: Clock) -> None:
    with pytest.raises(OutOfRetriesError):
        store.export()
    assert 0 < clock.now < 11


# --- changeset and atomically ------------------------------------------------------------------


def test_changeset_commits_at_the_end_of_its_block(store: Store) -> None:
    with store.changeset("a", "b") as values:
        values["a"].set(1)
        assert store.export() == {"a": None, "b": None}
    assert store.export() == {"a": 1, "b": None}


def test_changeset_commits_nothing_after_an_exception(store: Store) -> None:
    def fail() -> None:
        with store.changeset("a") as values:
            values["a"].set(1)
            raise KeyError("in the block")

    with pytest.raises(KeyError):
        fail()
    assert versions(store, "a") == [0]


def test_changeset_does_not_hide_that_somebody_else_was_first(store: Store) -> None:
    runs = []

    def change() -> None:
        with store.changeset("a") as values:
            runs.append("mine")
            values["a"].set("mine")
            put(store, a="theirs")

    with pytest.raises(ConcurrentUpdate):
        change()
    assert runs == ["mine"]
    assert store.export() == {"a": "theirs"}


def test_atomically_runs_the_change_until_its_commit_succeeds(store: Store, clock: Clock) -> None:
    put(store, a=0)
    seen = []

    def add(values: Collection) -> str:
        seen.append(values["a"].value)
        if len(seen) < 3:
            put(store, a=seen[-1] + 10)  # somebody else is faster
        values["a"].value += 1
        return "done"

    assert store.atomically(add, "a") == "done"
    assert seen == [0, 10, 20]
    assert store.export() == {"a": 21}
    assert len(clock.slept) == 2


def test_atomically_tries_again_when_the_change_asks_for_it(store: Store) -> None:
    answers = iter([BusyRetry("not yet"), BusyRetry("not yet"), None])

    def change(values: Collection) -> None:
        values["a"].set("changed")
        if (answer := next(answers)) is not None:
            raise answer

    store.atomically(change, "a")
    assert repr(store.usevar("a")) == "Value(1, 'changed')"


def test_atomically_gives_up_when_others_are_always_faster(store: Store) -> None:
    def change(values: Collection) -> None:
        put(store, a=values["a"].version)

    with pytest.raises(OutOfRetriesError, match=r"refused 6 times .*: changed by") as caught:
        store.atomically(change, "a", retries=5)
    assert isinstance(caught.value.__cause__, ConcurrentUpdate)


def test_atomically_lets_any_other_exception_out_at_once(store: Store, clock: Clock) -> None:
    def change(values: Collection) -> None:
        values["a"].set(1)
        raise KeyError("of the change")

    with pytest.raises(KeyError):
        store.atomically(change, "a")
    assert versions(store, "a") == [0]
    assert clock.slept == []


def test_an_inner_transaction_that_gave_up_is_not_tried_again_by_the_outer(store: Store) -> None:
    runs = []

    def inner(values: Collection) -> None:
        runs.append("inner")
        raise BusyRetry("never")

    def outer(values: Collection) -> None:
        runs.append("outer")
        store.atomically(inner, "b", retries=1)

    with pytest.raises(OutOfRetriesError):
        store.atomically(outer, "a")
    assert runs == ["outer", "inner", "inner"]


# --- export and pull_updates -------------------------------------------------------------------


def test_export_gives_copies_of_the_bare_values(store: Store) -> None:
    put(store, a=[1], b=2)
    store.export()["a"].append("not in the store")
    assert store.export() == {"a": [1], "b": 2}
    assert store.export("b", "new") == {"b": 2, "new": None}
    values = store.using("a")
    values["a"].value.append(3)
    values.export()["a"].append("not in the collection")
    assert values.export() == {"a": [1, 3]}


def test_pull_updates_takes_what_is_newer_and_names_it(store: Store) -> None:
    put(store, a=1, b=1, c=1)
    values = store.using("a", "b", "c")
    put(store, b="theirs", c="theirs")
    values["a"].set("mine")
    values["b"].set("mine")
    assert values.pull_updates() == ["b", "c"]
    assert values.export() == {"a": "mine", "b": "theirs", "c": "theirs"}
    assert values.pull_updates() == []
    values.commit()
    assert store.export() == {"a": "mine", "b": "theirs", "c": "theirs"}


def test_pull_updates_merges_with_what_both_sides_started_from(store: Store) -> None:
    put(store, counter=10)
    mine = store.using("counter")
    mine["counter"].value += 1
    put(store, counter=15)

    def add(base: int, mine: int, theirs: int) -> int:
        return theirs + mine - base

    assert mine.pull_updates(add) == ["counter"]
    assert mine["counter"].value == 16
    put(store, counter=20)  # the base is now 15
    assert mine["counter"].pull_updates(add) is True
    assert mine["counter"].pull_updates(add) is False
    mine.commit()
    assert store.export() == {"counter": 21}


def test_after_a_commit_the_base_of_a_merge_is_what_was_committed(store: Store) -> None:
    value = store.usevar("words")
    value.set(["first"])
    value.commit()
    value.value.append("second")
    twin = value.clone()
    put(store, words=["first", "other"])
    bases = []

    def merge(base: list[str], mine: list[str], theirs: list[str]) -> list[str]:
        bases.append(base)
        return [*theirs, *mine[len(base) :]]

    assert value.pull_updates(merge)
    assert twin.pull_updates(merge)  # a clone has the same base, not its own beginning
    assert value.value == twin.value == ["first", "other", "second"]
    assert bases == [["first"], ["first"]]


def test_a_merge_cannot_alter_what_others_hold(store: Store) -> None:
    put(store, a=["base"])
    value, other = store.usevar("a"), store.usevar("a")
    put(store, a=["theirs"])
    seen = []

    def vandal(base: list[str], mine: list[str], theirs: list[str]) -> list[str]:
        seen.append([*base, *mine, *theirs])
        for each in (base, mine, theirs):
            each.clear()
        return []

    value.pull_updates(vandal)
    other.pull_updates(vandal)
    assert store.export() == {"a": ["theirs"]}
    assert seen == [["base", "base", "theirs"]] * 2


def test_a_store_of_immutable_values_can_do_without_copying() -> None:
    store = Store(copy=lambda value: value)
    thing = object()
    put(store, a=thing)
    assert store.usevar("a").value is thing


def test_a_value_may_be_made_by_hand(store: Store) -> None:
    """A program may make one itself, as for a value that another process sent."""
    value = Value(0, [1], store, "sent")
    value.commit()
    assert store.export() == {"sent": [1]}


def test_the_example_of_the_module_does_what_it_says() -> None:
    text = inspect.cleandoc(STM.__doc__ or "").partition("-------------\n")[2]
    code = "\n".join(line for line in text.splitlines() if line.startswith("    "))
    names: dict[str, Any] = {"Store": Store}
    exec(textwrap.dedent(code), names)  # noqa: S102 - our own text
    assert names["store"].export() == {"alice": 95, "bob": 5, "hello": "world"}
