"""Messages that look-ups may read, while doors come and go."""

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pytest

from Kamaelia.Apps.Grey.FrontDoor.KeptMessage import KeptMessage, MessageRoom
from Kamaelia.Apps.Grey.Lookups.Contents import BEGINNING_BYTES, Contents


class InFile:
    """A message in a file that says so."""

    def __init__(self, data: bytes) -> None:
        self.file: IO[bytes] = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        self.file.write(data)
        self.size = len(data)

    def fileno(self) -> int:
        return self.file.fileno()

    def beginning(self, count: int) -> bytes:
        raise AssertionError("nobody but its owner may read it")


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_dots_that_were_stuffed_are_taken_out() -> None:
    contents = Contents()
    contents.add(1, b"..a\r\n.b\r\n...c\r\nd.\r\n")
    assert contents.read(1) == b".a\r\nb\r\n..c\r\nd.\r\n"


def test_a_file_is_read_whole_and_in_part_and_its_position_stays() -> None:
    data = os.urandom(600_000).replace(b"\r\n.", b"")
    message = InFile(b"x" + data)
    message.file.seek(7)
    contents = Contents()
    contents.add(1, message)
    assert contents.read(1) == b"x" + data
    assert contents.read(1, 100) == (b"x" + data)[:100]
    assert message.file.tell() == 7
    contents.remove(1)
    message.file.close()


def test_a_descriptor_of_ours_outlives_the_doors_and_ends_with_remove() -> None:
    before = descriptors()
    message = InFile(b"hello")
    contents = Contents()
    contents.add(1, message)
    message.file.close()
    assert contents.read(1) == b"hello"
    contents.remove(1)
    contents.remove(1)
    assert contents.read(1) is None
    assert descriptors() == before


def test_reading_while_it_is_removed_is_none_or_all_of_it() -> None:
    contents = Contents()
    data = b"y" * 3_000_000
    with ThreadPoolExecutor(4) as pool:
        for number in range(20):
            message = InFile(data)
            contents.add(number, message)
            found = [pool.submit(contents.read, number) for _ in range(8)]
            contents.remove(number)
            message.file.close()
            assert {each.result() for each in found} <= {None, data}


def test_there_is_room_for_so_many_and_no_more() -> None:
    contents = Contents(most=2)
    for number in range(3):
        contents.add(number, b"x")
    assert len(contents) == 2
    assert contents.read(2) is None
    contents.remove(0)
    contents.add(3, b"z")
    assert contents.read(3) == b"z"


def test_what_a_door_keeps_in_memory_is_at_hand_when_it_is_closed() -> None:
    message = KeptMessage(MessageRoom())
    message.add(b"Subject: x\r\n\r\n")
    message.add(b"..hello\r\n")
    contents = Contents()
    contents.add(5, message)
    message.close()
    assert contents.read(5) == b"Subject: x\r\n\r\n.hello\r\n"


def test_of_a_file_of_which_nothing_is_known_the_beginning_is_at_hand() -> None:
    class Hidden:
        size = 2 * BEGINNING_BYTES

        def beginning(self, count: int) -> bytes:
            return b"z" * count

    contents = Contents()
    contents.add(1, Hidden())
    assert contents.read(1, 1_000) == b"z" * 1_000
    with pytest.raises(OSError, match="only the beginning"):
        contents.read(1)


def test_a_file_that_shrank_is_an_error() -> None:
    message = InFile(b"hello")
    message.size = 10
    contents = Contents()
    contents.add(1, message)
    with pytest.raises(OSError, match="too short"):
        contents.read(1)
    contents.remove(1)
    message.file.close()
