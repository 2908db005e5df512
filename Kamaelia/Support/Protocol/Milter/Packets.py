"""
Milter packets: a length, one byte that says what it is, a payload
==================================================================
The lowest layer of the milter protocol, the same in both directions: four bytes of length (most
significant first; the next byte counts), one byte of command or response, and the rest.

>>> packet(b"c")
b'\\x00\\x00\\x00\\x01c'
>>> reader = PacketReader()
>>> reader.receive_data(packet(b"H", b"mx.example.org\\0") + b"\\0\\0")
>>> reader.next_packet()
(b'H', b'mx.example.org\\x00')
>>> reader.next_packet() is None, reader.unread
(True, 2)

The rules. A length of zero has no command and is an error; so is one above `limit`, before anything
of it is kept. Nothing is copied twice: a chunk with thousands of packets is read where it lies, and
a packet that comes byte by byte is put together in a buffer that grows. What came is kept until it
is asked for; whoever lets it lie looks at `unread`.
"""

from struct import Struct

from Kamaelia.Exceptions import ProtocolError

PACKET_BYTES = 1 << 20  # the largest that both sides can agree on (SMFIP_MDS_1M)
Packet = tuple[bytes, bytes]

_head = Struct(">IB").unpack_from
_HEAD_BYTES = 5
_byte = tuple(bytes([number]) for number in range(256))


class MilterProtocolError(ProtocolError):
    """The other side does not speak milter, or not now. The text never repeats what came."""


def packet(command: bytes, payload: bytes = b"") -> bytes:
    """Write one packet; command is one byte."""
    return (len(payload) + 1).to_bytes(4, "big") + command + payload


class PacketReader:
    """Takes bytes in any slices and gives each packet once, as (command byte, payload).

    limit: the largest length that is taken, in bytes."""

    __slots__ = ("_at", "_data", "_limit")

    def __init__(self, limit: int = PACKET_BYTES) -> None:
        self._limit = limit
        self._data: bytes | bytearray = b""
        self._at = 0  # where the next packet begins

    def receive_data(self, data: bytes) -> None:
        """Take what has come."""
        kept, at = self._data, self._at
        if at == len(kept):
            self._data = data  # nearly always: whole packets come, and are read where they lie
        elif type(kept) is bytearray:
            del kept[:at]  # moves the beginning, not the bytes
            kept += data
        else:
            self._data = bytearray(memoryview(kept)[at:])
            self._data += data
        self._at = 0

    def next_packet(self) -> Packet | None:
        """The next packet, or None until more has come. Raises MilterProtocolError for a length
        that cannot be; after that nothing more can be read."""
        data, at = self._data, self._at
        if len(data) - at < _HEAD_BYTES:
            self._check_beginning()
            return None
        length, command = _head(data, at)
        if not 0 < length <= self._limit:
            raise MilterProtocolError(f"a packet of {length} bytes, the limit is {self._limit}")
        end = at + 4 + length
        if end > len(data):
            return None
        self._at = end
        if length == 1:
            return _byte[command], b""
        # bytes() of a slice of bytes costs no second copy.
        return _byte[command], bytes(data[at + _HEAD_BYTES : end])

    def peek(self) -> bytes:
        """The command byte of the next packet, b"" until it has begun."""
        at = self._at + 4
        return bytes(self._data[at : at + 1])

    @property
    def unread(self) -> int:
        """Bytes that came and have not been given."""
        return len(self._data) - self._at

    def _check_beginning(self) -> None:
        """A length of zero is seen as soon as it is there: no fifth byte may ever follow it."""
        beginning = self._data[self._at :]
        if len(beginning) == 4 and not any(beginning):
            raise MilterProtocolError(f"a packet of 0 bytes, the limit is {self._limit}")
        if not beginning:
            self._data, self._at = b"", 0  # a quiet session keeps no old chunk
