"""Who hung up in a tarpit is remembered, within limits."""

from Kamaelia.Apps.Grey.Core.Tarpits import Tarpits


def key(number: int) -> tuple[str, str, str]:
    return (f"192.0.2.{number}", "a@example.net", "b@example.org")


def test_the_longest_wait_counts() -> None:
    tarpits = Tarpits()
    for seconds in (3.0, 9.0, 5.0):
        tarpits.left(key(1), seconds)
    assert tarpits.endured(key(1)) == 9.0
    assert tarpits.endured(key(2)) is None


def test_those_that_came_first_are_forgotten_first() -> None:
    tarpits = Tarpits(most=3)
    for number in range(5):
        tarpits.left(key(number), 1.0)
    assert [tarpits.endured(key(number)) for number in range(5)] == [None, None, 1.0, 1.0, 1.0]
