"""
Daemons of the tests: one connection after the other, each answered with what the test says.

    with Daemon(b"SPAMD/1.1 0 EX_OK\\r\\n...") as daemon:
        ask(daemon.address)
    assert daemon.requests == [b"CHECK ..."]
"""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

PATIENCE = 10.0  # seconds, in real time, until something that never happens fails a test
SHORT = 0.15  # seconds that a look-up is given where nothing comes


class Daemon:
    """Daemon(answer, path=None, size=None) -> a server of a local socket, or of one on loopback.

    answer: bytes, or a function of the request; None: it never says anything. size: of a request,
    where the client does not end it."""

    def __init__(
        self,
        answer: bytes | Callable[[bytes], bytes] | None,
        path: Path | None = None,
        size: int | None = None,
    ) -> None:
        self._answer, self._size = answer, size
        self.requests: list[bytes] = []
        self._listener = socket.socket(socket.AF_INET if path is None else socket.AF_UNIX)
        self._listener.bind(("127.0.0.1", 0) if path is None else str(path))
        self._listener.listen(64)
        self._held: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE)
        for held in self._held:
            held.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(PATIENCE)
            if self._answer is None:
                self._held.append(connection)
                continue
            with connection, suppress(OSError):
                request = self._request(connection)
                self.requests.append(request)
                answer = self._answer
                connection.sendall(answer if isinstance(answer, bytes) else answer(request))

    def _request(self, connection: socket.socket) -> bytes:
        data = b""
        while self._size is None or len(data) < self._size:
            piece = connection.recv(65_536)
            if not piece:
                break
            data += piece
        return data
