"""Framer, DeFramer, DataChunker, DataDeChunker: both kinds of data, ends, limits, damage."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Axon.Component import component
from Axon.Ipc import ipc, producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Protocol import Framing
from Kamaelia.Protocol.Framing import DataChunker, DataDeChunker, DeFramer, Framer
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {
    Framer: Ends(Framer),
    DeFramer: Ends(DeFramer),
    DataChunker: Ends(DataChunker),
    DataDeChunker: Ends(DataDeChunker),
}

SYNC = "X" * 24


def test_the_names_of_the_original_are_here() -> None:
    for name in ("SimpleFrame", "CorruptFrame", "ShortFrame", "IncompleteChunk"):
        assert hasattr(Framing, name)


def test_pairs_become_frames_of_their_kind() -> None:
    out = drive(Framer(), inbox=[(1, "one"), [2, b"two"], (-3, "")])["outbox"]
    assert out == ["1 3\none", b"2 3\ntwo", "-3 0\n"]


@pytest.mark.parametrize("message", ["text", (1,), (1, 2), ("1", "x"), (1, "x", 2), None])
def test_a_framer_takes_pairs(message: object) -> None:
    with pytest.raises(TypeError, match="Framer takes pairs of int, and str or bytes, at 'inbox'"):
        drive(Framer(), inbox=[message])


def test_frames_become_pairs_and_damaged_ones_are_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    frames = ["1 3\none", "2 1000000000000\nshort", "nonsense", b"3 3\ntwo"]
    assert drive(DeFramer(), inbox=frames)["outbox"] == [(1, "one"), (3, b"two")]
    assert [record.getMessage().partition(": ")[2][:14] for record in caplog.records] == [
        "frame left out",
        "frame left out",
    ]


@pytest.mark.parametrize("kind", [DeFramer, DataChunker, DataDeChunker])
@pytest.mark.parametrize("message", [1, None, (1, "x"), bytearray(b"x")])
def test_the_others_take_text_or_bytes(kind: type[component], message: object) -> None:
    with pytest.raises(TypeError, match=f"{kind.__name__} takes str or bytes at 'inbox'"):
        drive(kind(), inbox=[message])


def test_a_chunk_begins_with_the_sync_message() -> None:
    out = drive(DataChunker(), inbox=["Xmas", b"tree"])["outbox"]
    assert out == [SYNC + "%58mas", SYNC.encode() + b"tree"]
    assert drive(DataChunker("<>"), inbox=["a<b"])["outbox"] == ["<>a%3Cb"]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-9, 10**9), st.binary(max_size=40)), min_size=1, max_size=8),
    st.integers(1, 60),
)
def test_what_is_framed_and_chunked_comes_back_from_any_slices(
    pairs: list[tuple[int, bytes]], size: int
) -> None:
    sent = drive(Pipeline(Framer(), DataChunker()), inbox=pairs, control=[producerFinished()])
    wire = b"".join(sent["outbox"])
    slices = [wire[at : at + size] for at in range(0, len(wire), size)]
    receiver = Pipeline(DataDeChunker(), DeFramer())
    assert drive(receiver, inbox=slices, control=[producerFinished()])["outbox"] == pairs


def test_all_chunks_of_a_message_go_out_at_once_and_the_last_one_when_flushed() -> None:
    with harness(DataDeChunker("<>")) as h:
        h.put("lost<>one<>two<>three")
        h.settle()
        assert h.take("outbox") == ["one", "two"]
        h.put("now", "flush")
        h.expect("outbox", "three")
        h.put("<>four")
        h.finish(producerFinished())
        assert h.take("outbox") == ["four"]


def test_what_came_before_the_flush_is_part_of_it() -> None:
    out = drive(DataDeChunker("<>"), inbox=["<>o", "ne"], flush=[1, 2])
    assert out["outbox"] == ["one"]


def test_stopped_at_once_the_last_chunk_is_not_sent() -> None:
    out = drive(DataDeChunker("<>"), inbox=["<>one"], control=[shutdownMicroprocess()])
    assert out["outbox"] == []


def test_the_two_kinds_are_not_mixed_in_a_stream() -> None:
    with pytest.raises(TypeError, match="DataDeChunker takes str only, since that came first"):
        drive(DataDeChunker("<>"), inbox=["<>one", b"<>two"])


def test_chunks_that_are_damaged_or_too_long_are_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    out = drive(DataDeChunker("<>", limit=4), inbox=["<>%%<>12345<>good<>"])
    assert out["outbox"] == ["good"]
    assert len(caplog.records) == 2


@pytest.mark.parametrize("kind", [DataChunker, DataDeChunker])
def test_a_sync_message_that_could_be_data_is_refused(kind: type[component]) -> None:
    with pytest.raises(ValueError, match="sync message '41'"):
        kind("41")


@pytest.mark.parametrize("stop", [producerFinished(), shutdownMicroprocess()])
def test_chunks_wait_for_room(stop: ipc) -> None:
    with harness(DataDeChunker("<>")) as h:
        h.limit(1)
        h.put("<>one<>two<>three")
        h.settle()
        h.put(stop, "control")
        if isinstance(stop, shutdownMicroprocess):
            h.expect_end()
            assert h.take("outbox") == ["one"]
        else:
            h.settle()
            h.not_ended()
            for chunk in ("one", "two", "three"):
                h.expect("outbox", chunk)
            h.expect_end()


def test_two_side_by_side_do_not_share_what_they_keep() -> None:
    first, second = DataDeChunker("<>"), DataDeChunker("<>")
    with harness(first, second) as h:
        h.put("<>fir", (first, "inbox"))
        h.put("<>sec", (second, "inbox"))
        h.settle()
        h.put("st<>", (first, "inbox"))
        h.put("ond<>", (second, "inbox"))
        h.expect((first, "outbox"), "first")
        h.expect((second, "outbox"), "second")


@pytest.mark.parametrize("kind", [Framer, DeFramer, DataChunker, DataDeChunker])
@pytest.mark.parametrize("stop", [producerFinished(), shutdownMicroprocess()])
def test_one_that_is_stepped_by_hand_says_itself_that_it_ends(
    kind: type[component], stop: ipc
) -> None:
    stepped, hearer = kind(), component()
    hearer.link((stepped, "signal"), (hearer, "control"))
    stepped.activate()
    stepped.inboxes["control"].deliver(stop)
    try:
        for _ in range(10):
            stepped.next()
    except StopIteration:
        pass
    assert hearer.recv("control") is stop
    stepped.stop()
