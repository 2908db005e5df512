"""Chunkifier: the same bytes in other blocks."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.Util.Chunkifier import Chunkifier
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {Chunkifier: Ends(Chunkifier)}

PIECES = st.lists(st.binary(max_size=9))


@settings(max_examples=50, deadline=None)
@given(PIECES, st.integers(1, 6))
def test_all_blocks_but_the_last_are_of_the_size_asked_for(pieces: list[bytes], size: int) -> None:
    out = drive(Chunkifier(size), inbox=pieces, control=[producerFinished()])["outbox"]
    whole = b"".join(pieces)
    assert out == [whole[at : at + size] for at in range(0, len(whole), size)]
    assert {type(block) for block in out} <= {bytes}


@settings(max_examples=50, deadline=None)
@given(PIECES, st.integers(1, 6))
def test_without_delay_each_piece_goes_out_at_once_and_no_block_is_larger(
    pieces: list[bytes], size: int
) -> None:
    out = drive(Chunkifier(size, nodelay=True), inbox=pieces)["outbox"]
    assert out == [piece[at : at + size] for piece in pieces for at in range(0, len(piece), size)]


def test_what_is_no_whole_block_is_kept_back() -> None:
    with harness(Chunkifier(4)) as h:
        h.put(b"abcde")
        h.settle()
        assert h.take("outbox") == [b"abcd"]
        h.finish(shutdownMicroprocess())
        assert h.take("outbox") == []


def test_bytes_that_the_sender_changes_later_are_not_changed_here() -> None:
    data = bytearray(b"abcdef")
    with harness(Chunkifier(4)) as h:
        h.put(data)
        h.settle()
        data[:] = b"......"
        h.put(memoryview(b"gh"))
        h.settle()
        assert h.take("outbox") == [b"abcd", b"efgh"]


def test_nor_are_those_that_wait_for_room() -> None:
    data = bytearray(b"abcd")
    with harness(Chunkifier(2)) as h:
        h.limit(1)
        h.put(data)
        h.settle()
        data[:] = b"."
        h.expect_all("outbox", [b"ab", b"cd"])


def test_blocks_wait_for_room() -> None:
    with harness(Chunkifier(2)) as h:
        h.limit(1)
        h.put_all([b"abcde"])
        h.put(producerFinished(), "control")
        h.settle()
        for block in (b"ab", b"cd", b"e"):
            h.expect("outbox", block)
        h.expect_end()


@pytest.mark.parametrize("message", ["text", 5, None])
def test_what_is_not_bytes_is_a_type_error(message: object) -> None:
    with pytest.raises(TypeError, match="Chunkifier takes bytes at 'inbox'"):
        drive(Chunkifier(), inbox=[message])


def test_a_block_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="chunksize=0"):
        Chunkifier(0)
