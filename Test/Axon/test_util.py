"""The helpers that the original exports (contract 3.4)."""

import sys
from collections.abc import Generator, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Axon import util
from Axon.AxonExceptions import invalidComponentInterface
from Axon.util import axonRaise, listSubset, removeAll, safeList


class Shape:
    Inboxes = {"inbox": "object: whatever", "control": "object: whatever"}
    Outboxes = ["outbox", "signal"]


@pytest.fixture
def in_production(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Set the switch, and give what logError is told."""
    told: list[object] = []
    monkeypatch.setattr(util, "production", True)
    monkeypatch.setattr(util, "logError", lambda *args: told.append(args))
    return told


def test_star_import_gives_what_older_programs_take_from_here() -> None:
    names: dict[str, object] = {}
    exec("from Axon.util import *", names)  # noqa: S102 - a function may not hold a star import
    promised = (
        "Finality axonRaise invalidComponentInterface listSubset logError next production "
        "removeAll safeList set sys testInterface vrange"
    )
    assert set(promised.split()) <= names.keys()
    assert (names["sys"], names["production"], names["set"]) == (sys, False, set)
    assert names["invalidComponentInterface"] is invalidComponentInterface


class OldStyle:
    """Has only what iterators had in Python 2."""

    def __init__(self, *items: object) -> None:
        self._items = list(items)

    def next(self) -> object:
        if not self._items:
            raise StopIteration
        return self._items.pop(0)


class BothStyles(OldStyle):
    def __iter__(self) -> Iterator[object]:
        return self

    def __next__(self) -> object:
        return self.next()


@pytest.mark.parametrize("thing", [OldStyle(1, 2), BothStyles(1, 2), iter([1, 2])])
def test_next_steps_iterators_of_every_age(thing: object) -> None:
    assert [util.next(thing), util.next(thing)] == [1, 2]
    assert util.next(thing, "none") == "none"
    with pytest.raises(StopIteration):
        util.next(thing)


def test_next_of_something_else_is_the_error_of_the_builtin() -> None:
    with pytest.raises(TypeError, match="not an iterator"):
        util.next([1])


def test_vrange_counts() -> None:
    assert list(util.vrange(2, 5)) == [2, 3, 4]


def test_axonraise_raises_with_its_arguments() -> None:
    with pytest.raises(KeyError) as caught:
        axonRaise(KeyError, "one", 2)
    assert caught.value.args == ("one", 2)


def test_axonraise_in_production_logs_instead(in_production: list[object]) -> None:
    assert axonRaise(KeyError, "one", 2) is False
    assert in_production == [(KeyError, "one", 2)]


def test_logerror_does_nothing_until_somebody_replaces_it() -> None:
    assert util.logError(KeyError, "anything") is None  # type: ignore[func-returns-value]


@given(st.lists(st.integers(0, 3)), st.integers(0, 3))
def test_removeall_leaves_the_others_in_order_and_in_place(items: list[int], item: int) -> None:
    wanted = [each for each in items if each != item]
    same = items
    removeAll(items, item)
    assert items == wanted
    assert items is same


def test_removeall_finds_what_does_not_equal_itself() -> None:
    nan = float("nan")
    items = [nan, 1.0, nan]
    removeAll(items, nan)
    assert items == [1.0]


@given(st.lists(st.integers(0, 5)), st.lists(st.integers(0, 5)))
def test_listsubset_asks_for_each_whatever_the_order_and_number(
    required: list[int], supplied: list[int]
) -> None:
    assert listSubset(required, supplied) == all(each in supplied for each in required)


@pytest.mark.parametrize("component", [Shape, Shape()], ids=["class", "instance"])
@pytest.mark.parametrize(
    "interface",
    [(["inbox"], ["outbox"]), (["control", "inbox"], ["signal", "outbox"]), ([], [])],
)
def test_testinterface_accepts_a_component_with_the_boxes(
    component: object, interface: tuple[list[str], list[str]]
) -> None:
    assert util.testInterface(component, interface) is True


@pytest.mark.parametrize(
    ("interface", "kind"),
    [
        ((["missing"], ["outbox"]), "inboxes"),
        ((["inbox"], ["missing"]), "outboxes"),
        ((["missing"], ["missing"]), "inboxes"),
    ],
)
def test_testinterface_says_which_kind_of_box_is_missing(
    interface: tuple[list[str], list[str]], kind: str
) -> None:
    with pytest.raises(invalidComponentInterface) as caught:
        util.testInterface(Shape, interface)
    assert caught.value.args == (kind, Shape, interface)


def test_testinterface_in_production_answers_false(in_production: list[object]) -> None:
    interface = (["inbox"], ["missing"])
    assert util.testInterface(Shape, interface) is False
    assert in_production == [(invalidComponentInterface, "outboxes", Shape, interface)]


@pytest.mark.parametrize(
    ("given_", "expected"),
    [(None, []), (7, []), ((), []), ([1, 2], [1, 2]), ("ab", ["a", "b"]), (iter([3]), [3])],
)
def test_safelist_makes_a_list_of_anything(given_: object, expected: list[object]) -> None:
    assert safeList(given_) == expected


def test_safelist_without_argument_is_empty_and_new_each_time() -> None:
    assert safeList() == []
    assert safeList() is not safeList()


def test_safelist_does_not_hide_an_error_of_the_iterable() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise TypeError("inside")

    with pytest.raises(TypeError, match="inside"):
        safeList(broken())


def test_finality_leaves_a_generator_through_its_clean_up() -> None:
    done = []

    def working() -> Generator[int, None, None]:
        try:
            yield 1
        finally:
            done.append("clean")

    generator = working()
    util.next(generator)
    with pytest.raises(util.Finality):
        generator.throw(util.Finality("enough"))
    assert done == ["clean"]
