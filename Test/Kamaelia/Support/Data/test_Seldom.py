"""What is said once in a while: for each thing by itself, and only so many are remembered."""

from Kamaelia.Support.Data.Seldom import Seldom


def test_each_thing_is_said_at_once_and_then_when_its_time_has_passed() -> None:
    seldom = Seldom(60.0)
    assert seldom.is_due("a", 100.0)
    assert not seldom.is_due("a", 159.9)
    assert seldom.is_due("b", 159.9)
    assert seldom.is_due("a", 160.0)
    assert not seldom.is_due("a", 219.9)  # counted from the last time that it was said
    assert not seldom.is_due("b", 219.8)


def test_too_many_things_are_forgotten_rather_than_kept() -> None:
    seldom = Seldom(60.0, most=2)
    assert [seldom.is_due(thing, 0.0) for thing in "abab"] == [True, True, False, False]
    assert [seldom.is_due(thing, 60.0) for thing in "ab"] == [True, True]  # no third one
    assert not seldom.is_due("a", 61.0)
    assert [seldom.is_due(thing, 61.0) for thing in "cac"] == [True, True, False]
    assert len(seldom._next) == 2
