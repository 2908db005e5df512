"""Frames and chunks as they are written, and read from any slices."""

import doctest
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from Kamaelia.Exceptions import ProtocolError
from Kamaelia.Support.Protocol import Framing
from Kamaelia.Support.Protocol.Framing import (
    ChunkParser,
    CorruptChunk,
    CorruptFrame,
    IncompleteChunk,
    ShortFrame,
    SimpleFrame,
    Text,
    encode_chunk,
)

TAGS = st.integers(-(10**20) + 1, 10**20 - 1)


def nothing_dropped(error: ProtocolError) -> None:
    raise AssertionError(error)


def sliced(data: bytes, cuts: set[int]) -> list[bytes]:
    at = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    return [data[begin:end] for begin, end in pairwise(at)]


def test_the_examples_are_true() -> None:
    assert doctest.testmod(Framing).failed == 0


# ---- frames


@settings(max_examples=50)
@given(TAGS, st.binary(max_size=30), st.binary(max_size=5))
def test_a_frame_of_bytes_comes_back_whatever_is_behind_it(
    tag: int, data: bytes, more: bytes
) -> None:
    assert SimpleFrame.fromString(bytes(SimpleFrame(tag, data)) + more) == (tag, data)


@settings(max_examples=50)
@given(TAGS, st.text(max_size=30), st.text(max_size=5))
def test_a_frame_of_text_comes_back_whatever_is_behind_it(tag: int, data: str, more: str) -> None:
    assert SimpleFrame.fromString(str(SimpleFrame(tag, data)) + more) == (tag, data)


@settings(max_examples=50)
@given(st.binary(max_size=30))
def test_whatever_comes_it_is_a_frame_or_refused(wire: bytes) -> None:
    try:
        tag, data = SimpleFrame.fromString(b"1 " + wire)
    except ProtocolError:
        return
    assert (tag, data) == (1, wire.partition(b"\n")[2][: len(data)])


@pytest.mark.parametrize("wire", ["7 5\nhell", "7 1\n", "1 1000000000000\nshort"])
def test_a_frame_with_less_data_than_it_says_is_short(wire: str) -> None:
    for form in (wire, wire.encode()):
        with pytest.raises(ShortFrame):
            SimpleFrame.fromString(form)


@pytest.mark.parametrize(
    "wire",
    [
        "",
        "\n",
        "7 5",
        "7\n",
        "a 1\nx",
        "1 -1\n",
        "1  1\nx",
        " 1 1\nx",
        "1 1 1\nx",
        "1.0 1\nx",
        "1_0 1\nx",
        "\u0661 1\nx",
        f"{'1' * 21} 1\nx",
        f"1 {'1' * 21}\nx",
        "1 1" * 100_000,
    ],
)
def test_what_has_no_header_is_corrupt(wire: str) -> None:
    for form in (wire, wire.encode()):
        with pytest.raises(CorruptFrame) as caught:
            SimpleFrame.fromString(form)
        assert len(str(caught.value)) < 200


def test_a_frame_is_made_of_its_data_by_the_kind_of_it() -> None:
    with pytest.raises(TypeError, match=r"bytes\(frame\)"):
        str(SimpleFrame(1, b"x"))
    with pytest.raises(TypeError, match=r"str\(frame\)"):
        bytes(SimpleFrame(1, "x"))
    assert str(SimpleFrame(True, "x")) == "1 1\nx"


def test_a_tag_that_no_header_holds_is_refused() -> None:
    with pytest.raises(ValueError, match="20 digits"):
        SimpleFrame(10**20, "x")


# ---- chunks

SYNCS = st.binary(min_size=1, max_size=4).filter(
    lambda sync: bool(set(sync) - set(b"%0123456789ABCDEF"))
)


@settings(max_examples=50)
@given(SYNCS, st.lists(st.binary(max_size=12)), st.sets(st.integers(0, 200)))
def test_chunks_survive_any_slicing_of_the_stream(
    sync: bytes, data: list[bytes], cuts: set[int]
) -> None:
    wire = b"".join(encode_chunk(sync * 2 + one, sync) for one in data)  # type: ignore[misc]
    parser = ChunkParser(nothing_dropped, sync)
    out = [chunk for piece in sliced(wire, cuts) for chunk in parser.chunks(piece)]
    assert out == [sync * 2 + one for one in data[:-1]]
    assert out + list(parser.flush()) == [sync * 2 + one for one in data]


@settings(max_examples=50)
@given(SYNCS, st.lists(st.binary(max_size=6), min_size=3, max_size=3), st.integers(0, 10))
@example(b"XX", [b"", b"data", b"more"], 0)
@example(b"X4X", [b"4", b"data", b"more"], 1)
def test_a_receiver_that_comes_late_gets_nothing_wrong_and_misses_one_chunk_more_at_most(
    sync: bytes, data: list[bytes], missed: int
) -> None:
    first, *others = [encode_chunk(one, sync) for one in data]
    dropped: list[ProtocolError] = []
    parser = ChunkParser(dropped.append, sync)
    missed = min(missed, len(first) - 1) + 1
    wire = b"".join([first[missed:], *others])  # type: ignore[list-item]
    out = [*parser.chunks(wire), *parser.flush()]
    # Which one is missing cannot be said if several look like a part of the sync message.
    assert out in ([data[1:]] if not dropped else [data[1:2], data[2:]])
    assert len(dropped) <= 1


def test_a_receiver_that_comes_between_chunks_misses_none() -> None:
    wire = "".join(str(encode_chunk(word)) for word in ("", "XX", "data"))
    parser = ChunkParser(nothing_dropped)
    assert [*parser.chunks("late" + wire), *parser.flush()] == ["", "XX", "data"]


@pytest.mark.parametrize("sync", ["<é>", "<é>".encode()])
def test_text_and_bytes_use_the_same_sync_message(sync: Text) -> None:
    assert encode_chunk("a", sync) == "<é>a"
    assert encode_chunk(b"a", sync) == "<é>a".encode()
    assert list(ChunkParser(nothing_dropped, sync).chunks("<é>a<é>")) == ["a"]
    assert list(ChunkParser(nothing_dropped, sync).chunks("<é>a<é>".encode())) == [b"a"]


def test_before_anything_came_there_is_nothing_to_flush() -> None:
    assert list(ChunkParser(nothing_dropped).flush()) == []


def test_flush_gives_what_there_is_once_and_leaves_out_the_rest() -> None:
    parser = ChunkParser(nothing_dropped, "<>")
    assert list(parser.chunks("<>on")) == []
    assert list(parser.flush()) == ["on"]
    assert list(parser.flush()) == []
    assert list(parser.chunks("e<>two<>")) == ["two"]


def test_flush_in_the_middle_of_a_sync_message_does_not_break_it() -> None:
    parser = ChunkParser(nothing_dropped, "<==>")
    assert list(parser.chunks("<==>one<=")) == []
    assert list(parser.flush()) == ["one"]
    assert list(parser.chunks("=>two<==>")) == ["two"]


def test_flush_takes_for_data_what_may_be_data() -> None:
    parser = ChunkParser(nothing_dropped, "4<>")
    assert list(parser.chunks("4<>one4")) == []
    assert list(parser.flush()) == ["one4"]


def test_a_chunk_without_data_is_one() -> None:
    parser = ChunkParser(nothing_dropped, "X")
    assert [*parser.chunks("XX"), *parser.flush()] == ["", ""]


@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_chunk_that_is_too_long_is_left_out_and_the_next_one_is_not(size: int) -> None:
    dropped: list[ProtocolError] = []
    parser = ChunkParser(dropped.append, "<>", limit=5)
    wire = "<>12345<>123456<>1<>"
    out: list[Text] = []
    for at in range(0, len(wire), size):
        out.extend(parser.chunks(wire[at : at + size]))
    assert out == ["12345", "1"]
    assert [type(error) for error in dropped] == [IncompleteChunk]


def test_what_never_has_a_sync_message_is_not_kept() -> None:
    parser = ChunkParser(nothing_dropped, "<>")
    for _ in range(1000):
        assert list(parser.chunks("x" * 1000)) == []
    kept = [value for value in vars(parser).values() if isinstance(value, str | list)]
    assert sum(len(value) for value in kept) < 10


def test_a_chunk_with_wrong_escapes_is_left_out() -> None:
    dropped: list[ProtocolError] = []
    parser = ChunkParser(dropped.append, "<>")
    assert list(parser.chunks("<>a%4<>b<>%FF<>c<>")) == ["b", "c"]
    assert [type(error) for error in dropped] == [CorruptChunk, CorruptChunk]


@pytest.mark.parametrize("sync", ["", b"", "%", "25", b"%2F"])
def test_a_sync_message_that_could_be_data_is_refused(sync: Text) -> None:
    with pytest.raises(ValueError, match="sync message"):
        ChunkParser(nothing_dropped, sync)


def test_slices_without_data_do_not_pile_up() -> None:
    parser = ChunkParser(nothing_dropped, "<>")
    for slice_ in ["<>a", *[""] * 1000]:
        assert list(parser.chunks(slice_)) == []
    kept = [value for value in vars(parser).values() if isinstance(value, str | list)]
    assert sum(len(value) for value in kept) < 10
    assert list(parser.chunks("b<>")) == ["ab"]
