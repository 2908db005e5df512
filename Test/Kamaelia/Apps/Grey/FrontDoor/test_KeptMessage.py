"""Messages in memory and in files, and the room that they have."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.FrontDoor.KeptMessage import KeptMessage, MessageRoom, NoRoomError

SLICES = st.lists(st.binary(max_size=400), max_size=20)


@settings(max_examples=50)
@given(slices=SLICES, in_memory=st.integers(0, 3_000), start=st.integers(0, 9_000))
def test_what_was_put_in_comes_out(slices: list[bytes], in_memory: int, start: int) -> None:
    room = MessageRoom(memory=2_000, total=10_000)
    message = KeptMessage(room, in_memory)
    for piece in slices:
        message.add(piece)
    whole = b"".join(slices)
    assert message.size == len(whole)
    assert b"".join(message.pieces(start)) == whole[start:]
    assert message.beginning(start) == whole[:start]
    assert room.total == 10_000 - len(whole)
    assert room.memory == 2_000 - (0 if message.is_in_file else len(whole))
    message.close()
    message.close()
    assert (room.memory, room.total) == (2_000, 10_000)


def test_a_large_message_is_in_a_file_that_nobody_else_sees() -> None:
    message = KeptMessage(MessageRoom(), in_memory=10)
    message.add(b"x" * 9)
    assert (message.is_in_file, message.fileno()) == (False, None)
    message.add(b"y" * 200_000)
    descriptor = message.fileno()
    assert descriptor is not None
    assert os.fstat(descriptor).st_nlink == 0
    assert os.fstat(descriptor).st_size == 200_009
    assert max(map(len, message.pieces())) == 65_536
    message.close()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(descriptor)


def test_when_memory_is_full_even_small_ones_go_to_files() -> None:
    room = MessageRoom(memory=100)
    first, second = KeptMessage(room), KeptMessage(room)
    first.add(b"x" * 60)
    second.add(b"x" * 60)
    assert (first.is_in_file, second.is_in_file) == (False, True)
    first.close()
    second.close()
    assert room.memory == 100


def test_all_together_have_a_limit() -> None:
    room = MessageRoom(total=100)
    first, second = KeptMessage(room), KeptMessage(room)
    first.add(b"x" * 60)
    second.add(b"x" * 40)
    with pytest.raises(NoRoomError):
        second.add(b"x")
    first.close()
    second.add(b"x")


def test_a_file_that_was_cut_is_an_error_and_not_the_end() -> None:
    message = KeptMessage(MessageRoom(), in_memory=0)
    message.add(b"x" * 100)
    descriptor = message.fileno()
    assert descriptor is not None
    os.ftruncate(descriptor, 50)
    with pytest.raises(OSError, match="too short"):
        list(message.pieces())
    message.close()


def test_one_owner_leaves_room_for_the_others_and_gives_all_of_it_back() -> None:
    room = MessageRoom(total=1_000, share=250)
    mine = [KeptMessage(room, owner="192.0.2.7/32") for _ in range(3)]
    mine[0].add(b"x" * 200)
    mine[1].add(b"x" * 50)
    with pytest.raises(NoRoomError):
        mine[2].add(b"x")
    other = KeptMessage(room, owner="192.0.2.8/32")
    other.add(b"x" * 250)
    assert room.total == 500
    mine[0].close()
    mine[2].add(b"x" * 200)
    for message in (*mine, other):
        message.close()
        message.close()
    assert room.total == 1_000
    assert room.has("192.0.2.7/32", 250)
    assert not room.has("192.0.2.7/32", 251)
