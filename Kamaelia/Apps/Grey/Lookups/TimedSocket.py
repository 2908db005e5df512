"""
A conversation that ends in time
================================
For look-ups that block, in a thread of their own: a connection to a local socket or to a host, on
which everything together (connecting, sending, reading) takes at most so many seconds. A time limit
for each step, which is what sockets have, would let a peer that sends a byte now and then go on for
ever.

Example Usage
-------------
Ask a daemon, and read until it hangs up::

    with TimedSocket(("127.0.0.1", 783), seconds=3.0) as connection:
        connection.send(b"PING SPAMC/1.5\\r\\n\\r\\n")
        answer = connection.read_all(limit=4096)

All errors are OSErrors; TimeoutError if it took too long.
"""

import socket
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

Address = str | tuple[str, int]  # of a local socket, or host and port


class TimedSocket:
    """TimedSocket(address, seconds, clock=time.monotonic) -> a connection, made at once. Raises
    OSError."""

    def __init__(
        self, address: Address, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._deadline = clock() + seconds
        if isinstance(address, str):
            self._socket = self._connected(socket.AF_UNIX, address)
            return
        # Not create_connection: of a host with many addresses each would have all the time.
        last: OSError = OSError(f"{address[0]} has no address")
        for family, _, _, _, place in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
            try:
                self._socket = self._connected(family, place)
            except OSError as error:
                last = error
            else:
                return
        raise last

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    def _connected(self, family: int, place: str | tuple[Any, ...]) -> socket.socket:
        made = socket.socket(family, socket.SOCK_STREAM)
        try:
            made.settimeout(self._left())
            made.connect(place)
        except BaseException:
            made.close()
            raise
        return made

    def _left(self) -> float:
        left = self._deadline - self._clock()
        if left <= 0:
            raise TimeoutError("no answer in time")
        return left

    def send(self, data: bytes) -> None:
        """Send all of it. Raises OSError."""
        self._socket.settimeout(self._left())  # of sendall this is the limit of the whole
        self._socket.sendall(data)

    def end(self) -> None:
        """Say that no more will be sent. Raises OSError."""
        self._socket.shutdown(socket.SHUT_WR)

    def read_all(self, limit: int) -> bytes:
        """Read until the peer hangs up, or limit bytes are there. Raises OSError."""
        data = b""
        while len(data) < limit:
            self._socket.settimeout(self._left())
            piece = self._socket.recv(limit - len(data))
            if not piece:
                break
            data += piece
        return data
