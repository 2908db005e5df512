"""Unique names and numbers."""

import threading

from Axon import idGen as module
from Axon.idGen import idGen, idToString, newId, numId, strId, tupleId


def test_a_later_number_is_larger_whoever_gives_it() -> None:
    first, second = idGen(), idGen()
    numbers = [first.nextId(), second.numId(), next(first), second.next(), numId()]
    assert numbers == sorted(set(numbers))


def test_text_form_ends_in_the_class_and_the_number() -> None:
    class Thing:
        """Named in the text."""

    number, text = tupleId(Thing())
    assert text == f"{__name__}.Thing_{number}"
    assert idToString(Thing, 7) == f"{__name__}.Thing_7"
    assert strId(Thing()).rpartition(".")[2].startswith("Thing_")
    assert newId(object()).startswith("builtins.object_")
    assert module.idGen.lowestAllocatedId == 0


def test_threads_never_get_the_same_number() -> None:
    lists: list[list[int]] = [[] for _ in range(4)]

    def take(into: list[int]) -> None:
        into.extend(numId() for _ in range(5_000))

    threads = [threading.Thread(target=take, args=(into,)) for into in lists]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({number for into in lists for number in into}) == 20_000
