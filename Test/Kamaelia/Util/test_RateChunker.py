"""RateChunker: chunks of whole quanta, and nothing lost."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.Util.RateChunker import RateChunker
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {RateChunker: Ends(lambda: RateChunker(100, 1, 10))}


def chunks(chunker: RateChunker, *pieces: object) -> list[bytes]:
    return drive(chunker, inbox=pieces, control=[producerFinished()])["outbox"]


def test_chunks_have_the_size_of_a_chunks_time() -> None:
    assert chunks(RateChunker(100, 1, 25), b"0123456789") == [b"0123", b"4567", b"89"]


def test_sizes_that_are_no_whole_quanta_are_made_up_for_later() -> None:
    sizes = [len(chunk) for chunk in chunks(RateChunker(10, 2, 4), bytes(40))]
    assert sizes == [2, 2, 2, 4] * 4


@settings(max_examples=50, deadline=None)
@given(
    pieces=st.lists(st.binary(max_size=40), max_size=10),
    quantum=st.integers(1, 4),
    quanta=st.integers(4, 12),
)
def test_any_slicing_gives_the_same_chunks(pieces: list[bytes], quantum: int, quanta: int) -> None:
    whole = b"".join(pieces)
    rate = quantum * quanta / 4
    sliced = chunks(RateChunker(rate, quantum, 1), *pieces)
    assert b"".join(sliced) == whole
    assert sliced == chunks(RateChunker(rate, quantum, 1), whole)
    assert all(len(chunk) % quantum == 0 for chunk in sliced[:-1])


def test_bytearrays_and_memoryviews_are_bytes() -> None:
    assert chunks(RateChunker(2, 1, 1), bytearray(b"ab"), memoryview(b"cd")) == [b"ab", b"cd"]


def test_text_is_refused_with_the_name_of_the_box() -> None:
    with pytest.raises(TypeError, match="RateChunker takes bytes at 'inbox', and 'text' came"):
        chunks(RateChunker(2, 1, 1), "text")


@pytest.mark.parametrize("arguments", [(1, 2, 1), (1, 1, 2), (1, 0, 1), (1, 1, 0), (-1, 1, 1)])
def test_chunks_of_less_than_a_quantum_are_refused(arguments: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="quantum"):
        RateChunker(*arguments)


@pytest.mark.parametrize("chunkrate", [0.7, 1.1, 29.97])
@pytest.mark.parametrize("quantum", [1, 3, 6])
def test_at_exactly_a_quantum_a_chunk_none_is_empty(quantum: int, chunkrate: float) -> None:
    sent = chunks(RateChunker(quantum * chunkrate, quantum, chunkrate), bytes(100 * quantum))
    assert sent == [bytes(quantum)] * 100


def test_a_full_receiver_is_waited_for_and_nothing_is_lost() -> None:
    with harness(RateChunker(2, 1, 1)) as h:
        h.limit(1)
        h.put_all([b"abc", b"def"])
        h.put(producerFinished(), "control")
        h.expect_all("outbox", [b"ab", b"cd", b"ef"])
        h.expect_end()


@pytest.mark.parametrize("room", [0, 1])
def test_a_shutdown_microprocess_ends_the_wait(room: int) -> None:
    with harness(RateChunker(2, 1, 1)) as h:
        h.limit(room)
        h.put(b"abcdef")
        h.settle()
        stop = shutdownMicroprocess()
        h.finish(stop)
        assert h.take("signal") == [stop]


def test_two_chunkers_keep_their_own_rest() -> None:
    one, other = RateChunker(2, 1, 1), RateChunker(2, 1, 1)
    with harness(one, other) as h:
        h.put(b"a", (one, "inbox"))
        h.put(b"b", (other, "inbox"))
        h.put(b"c", (one, "inbox"))
        h.expect((one, "outbox"), b"ac")
        h.expect_nothing((other, "outbox"))
