"""Packing: what goes in comes out, and different triplets have different keys (row 16)."""

import doctest
import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Core.Merge import merge
from Kamaelia.Apps.Grey.Core.Types import Record, Triplet
from Kamaelia.Apps.Grey.Store.Packing import (
    MOST,
    has_passed,
    key_of,
    key_of_fields,
    packed,
    says_all,
    tag_of,
    unpacked,
)

texts = st.text(st.characters(), max_size=8) | st.sampled_from(["", "a@b", "1", "1,", ",", "\0"])
triplets = st.builds(Triplet, texts, texts, texts)
numbers = st.integers(0, MOST)
records = st.builds(Record, numbers, numbers, numbers, st.none() | numbers, *[numbers] * 4)
anything = st.integers(-(2**70), 2**70)
few = st.integers(0, 2)
similar = st.builds(Record, few, few, few, st.none() | few, few, few, few, few)


@settings(max_examples=50)
@given(records)
def test_a_record_comes_out_as_it_went_in(record: Record) -> None:
    assert unpacked(packed(record)) == record
    assert has_passed(packed(record)) is (record.passed_at is not None)


@settings(max_examples=50)
@given(st.builds(Record, *[anything] * 3, st.none() | anything, *[anything] * 4))
def test_what_does_not_fit_is_brought_to_the_nearest_that_does(record: Record) -> None:
    def near(number: int) -> int:
        return min(max(number, 0), MOST)

    found = unpacked(packed(record))
    assert found.first_seen == near(record.first_seen)
    assert found.passed_at == (None if record.passed_at is None else near(record.passed_at))
    assert (found.generation, found.passed) == (near(record.generation), near(record.passed))
    assert (found.due, found.until) == (near(record.due), near(record.until))


@settings(max_examples=50)
@given(triplets, triplets)
def test_two_triplets_share_a_key_only_if_they_are_one(one: Triplet, other: Triplet) -> None:
    assert len(key_of(one)) == 20
    assert key_of(one).endswith(tag_of(one.network))
    assert (key_of(one) == key_of(other)) is (one == other)
    assert key_of(one) == key_of_fields(one.network, one.sender, one.recipient)


@settings(max_examples=50)
@given(similar, similar)
def test_a_record_says_all_if_merging_gives_that_record(known: Record, record: Record) -> None:
    assert says_all(packed(known), record) is (merge(known, record) == record)


def test_each_field_can_say_less() -> None:
    known = Record(1, 50, 60, 60, 2, 2, 55, 90)
    assert says_all(packed(known), known)
    assert says_all(packed(known), Record(2, 99, 1, None, 0, 0, 99, 0))  # a later generation, whole
    for less in (
        Record(0, 50, 60, 60, 2, 2, 55, 90),
        Record(1, 51, 60, 60, 2, 2, 55, 90),
        Record(1, 50, 59, 60, 2, 2, 55, 90),
        Record(1, 50, 60, 59, 2, 2, 55, 90),
        Record(1, 50, 60, None, 2, 2, 55, 90),
        Record(1, 50, 60, 60, 1, 2, 55, 90),
        Record(1, 50, 60, 60, 2, 1, 55, 90),
        Record(1, 50, 60, 60, 2, 2, 56, 90),
        Record(1, 50, 60, 60, 2, 2, 55, 89),
    ):
        assert not says_all(packed(known), less)


def test_fields_cannot_flow_into_each_other() -> None:
    joined = [
        Triplet("n", "a@b", "c@d"),
        Triplet("n", "a@bc", "@d"),
        Triplet("na", "@b", "c@d"),
        Triplet("", "na@b", "c@d"),
        Triplet("na@bc@d", "", ""),
    ]
    assert len({key_of(triplet) for triplet in joined}) == len(joined)


def test_the_example_in_the_docstring_is_true() -> None:
    result = doctest.testmod(sys.modules[key_of.__module__])
    assert result.attempted
    assert not result.failed
