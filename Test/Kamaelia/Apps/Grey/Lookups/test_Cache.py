"""What is remembered, for how long, and how much of it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Lookups.Cache import Cache


def test_an_answer_is_known_until_its_time_is_over() -> None:
    cache = Cache(10)
    cache.put("question", "answer", until=60.0)
    assert cache.get("question", now=59.9) == "answer"
    assert cache.get("question", now=60.0) is None
    assert len(cache) == 0


def test_a_false_answer_is_an_answer() -> None:
    cache = Cache(10)
    cache.put("question", False, until=60.0)
    assert cache.get("question", now=0.0) is False


def test_the_newest_answer_counts() -> None:
    cache = Cache(10)
    cache.put("question", 1, until=60.0)
    cache.put("question", 2, until=10.0)
    assert (cache.get("question", 0.0), cache.get("question", 10.0)) == (2, None)


def test_what_was_asked_for_least_recently_goes_first() -> None:
    cache = Cache(2)
    cache.put("a", 1, until=60.0)
    cache.put("b", 2, until=60.0)
    cache.get("a", 0.0)
    cache.put("c", 3, until=60.0)
    assert [cache.get(name, 0.0) for name in "abc"] == [1, None, 3]


def test_without_room_nothing_is_kept() -> None:
    cache = Cache(0)
    cache.put("a", 1, until=60.0)
    assert cache.get("a", 0.0) is None


def test_clear_forgets_all() -> None:
    cache = Cache(2)
    cache.put("a", 1, until=60.0)
    cache.clear()
    assert cache.get("a", 0.0) is None


@settings(max_examples=50)
@given(st.lists(st.integers(0, 30)))
def test_it_never_holds_more_than_its_limit(questions: list[int]) -> None:
    cache = Cache(7)
    for now, question in enumerate(questions):
        cache.put(question, question, until=now + 5.0)
        assert len(cache) <= 7
        assert cache.get(question, now) == question
