"""MaxSizePacketiser: nothing is lost, joined or too long."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Axon.Ipc import producerFinished
from Axon.Testing import drive, harness
from Kamaelia.Protocol.Packetise import MaxSizePacketiser
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {MaxSizePacketiser: Ends(MaxSizePacketiser)}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=20), max_size=5), st.integers(1, 9))
def test_each_message_is_cut_by_itself(messages: list[bytes], size: int) -> None:
    out = drive(MaxSizePacketiser(size), inbox=messages, control=[producerFinished()])["outbox"]
    assert out == [one[at : at + size] for one in messages for at in range(0, len(one), size)]


def test_text_and_bytes_stay_what_they_are() -> None:
    out = drive(MaxSizePacketiser(2), inbox=["abc", b"def", ""])["outbox"]
    assert out == ["ab", "c", b"de", b"f"]


def test_a_thousand_unless_it_is_said_otherwise() -> None:
    out = drive(MaxSizePacketiser(), inbox=[b"x" * 2001])["outbox"]
    assert [len(packet) for packet in out] == [1000, 1000, 1]


def test_packets_wait_for_room() -> None:
    with harness(MaxSizePacketiser(1)) as h:
        h.limit(1)
        h.put("abc")
        h.put(producerFinished(), "control")
        h.settle()
        h.not_ended()
        for packet in "abc":
            h.expect("outbox", packet)
        h.expect_end()


@pytest.mark.parametrize("message", [1, None, ["a"], bytearray(b"x")])
def test_what_is_neither_text_nor_bytes_is_a_type_error(message: object) -> None:
    with pytest.raises(TypeError, match="MaxSizePacketiser takes str or bytes at 'inbox'"):
        drive(MaxSizePacketiser(), inbox=[message])


def test_packets_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="maxsize=0"):
        MaxSizePacketiser(0)
