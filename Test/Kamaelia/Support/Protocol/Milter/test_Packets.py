"""Packets: framing, in any slicing."""

from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Exceptions import ProtocolError
from Kamaelia.Support.Protocol.Milter.Packets import (
    MilterProtocolError,
    Packet,
    PacketReader,
    packet,
)

LARGE = packet(b"B", b"x" * 1_000_000)


def read(reader: PacketReader) -> list[Packet]:
    found = []
    while (each := reader.next_packet()) is not None:
        found.append(each)
    return found


def test_a_length_counts_the_command() -> None:
    assert packet(b"c") == b"\0\0\0\1c"
    assert packet(b"y", b"451 no\0") == b"\0\0\0\x08y451 no\0"


@settings(max_examples=50, deadline=None)
@given(
    packets=st.lists(st.tuples(st.sampled_from([b"B", b"c", b"\0"]), st.binary(max_size=40))),
    sizes=st.lists(st.integers(1, 30), min_size=1),
)
def test_packets_survive_any_slicing(packets: list[Packet], sizes: list[int]) -> None:
    wire = b"".join(packet(*each) for each in packets)
    reader, found = PacketReader(), []
    turn = 0
    while wire:
        size = sizes[turn % len(sizes)]
        reader.receive_data(wire[:size])
        wire, turn = wire[size:], turn + 1
        if turn % 2:  # some slices pile up before they are read
            found += read(reader)
    found += read(reader)
    assert found == packets
    assert reader.unread == 0
    assert all(type(payload) is bytes for _, payload in found)


@pytest.mark.parametrize("head", [b"\0\0\0\0", b"\0\0\0\0Q", b"\0\x10\0\1Q", b"\xff\xff\xff\xffQ"])
def test_a_length_that_cannot_be_is_an_error(head: bytes) -> None:
    reader = PacketReader()
    reader.receive_data(packet(b"H", b"x\0") + head)
    assert reader.next_packet() == (b"H", b"x\0")
    with pytest.raises(MilterProtocolError) as caught:
        reader.next_packet()
    assert isinstance(caught.value, ProtocolError)


def test_the_largest_packet_is_taken_and_a_limit_can_be_set() -> None:
    reader = PacketReader(limit=5)
    reader.receive_data(packet(b"B", b"1234") + packet(b"B", b"12345"))
    assert reader.next_packet() == (b"B", b"1234")
    with pytest.raises(MilterProtocolError, match="6 bytes, the limit is 5"):
        reader.next_packet()


def test_the_next_command_can_be_seen_before_its_packet_is_whole() -> None:
    reader = PacketReader()
    assert reader.peek() == b""
    reader.receive_data(packet(b"A") + b"\0\0\0\2")
    assert reader.peek() == b"A"
    assert read(reader) == [(b"A", b"")]
    assert reader.peek() == b""
    reader.receive_data(b"H")
    assert (reader.peek(), reader.next_packet()) == (b"H", None)
    reader.receive_data(b"x")
    assert reader.next_packet() == (b"H", b"x")


@pytest.mark.parametrize(
    ("wire", "size"),
    [
        (packet(b"H", b"x\0") * 40_000, 320_000),  # thousands in one chunk
        (packet(b"H", b"x\0") * 40_000 + b"\0", 319_999),  # and one of them cut
        (LARGE, 8),  # one, a few bytes at a time
        (packet(b"H", b"x\0") * 20_000, 7),
    ],
)
def test_no_slicing_costs_more_than_the_bytes(wire: bytes, size: int) -> None:
    begin = process_time()
    reader, count = PacketReader(), 0
    for at in range(0, len(wire), size):
        reader.receive_data(wire[at : at + size])
        count += len(read(reader))
    assert count == (1 if wire is LARGE else wire.count(b"H"))
    # A copy of the rest for each packet or byte would be gigabytes: many times this.
    assert process_time() - begin < 3.0
