"""A server that is not there, for the tests of the HTTP clients."""

from collections.abc import Iterator

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess

OK = b"HTTP/1.1 200 OK\r\n"


def ok(body: bytes) -> bytes:
    return OK + b"Content-Length: %d\r\n\r\n" % len(body) + body


def redirect(location: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} Go\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


class Network:
    """Network(*answers) -> stands for TCPClient: each connection gives the next answer once it has
    been asked. An answer is bytes, a list of pieces, or the exception why there is none; a list may
    end with why the connection broke; None: nothing ever comes."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.connections: list[FarEnd] = []

    def __call__(self, host: str, port: int, **options: object) -> "FarEnd":
        made = FarEnd(host, port, self.answers.pop(0), options)
        self.connections.append(made)
        return made

    @property
    def requests(self) -> list[bytes]:
        return [each.got for each in self.connections]


class FarEnd(component):
    """One connection."""

    def __init__(self, host: str, port: int, answer: object, options: dict[str, object]) -> None:
        super().__init__()
        self.setInboxSize("inbox", 4 if options.get("inbox_limit") else None)
        self.host, self.port, self.options = host, port, options
        self.answer = answer
        self.got = b""
        self.told: object = None

    def main(self) -> Iterator[object]:
        if not isinstance(self.answer, OSError):
            while b"\r\n\r\n" not in self.got:
                if self._gone():
                    return
                self.got += b"".join(self.Inbox("inbox"))
                self.pause()
                yield 1
        pieces = self.answer if isinstance(self.answer, list) else [self.answer]
        reason: object = None
        for piece in pieces:
            if isinstance(piece, bytes):
                yield from self.put(piece, "outbox")
            else:
                reason = piece
        while self.answer is None and not self._gone():
            self.got += b"".join(self.Inbox("inbox"))
            self.pause()
            yield 1
        self.send(producerFinished(self, reason), "signal")
        while not self._gone():
            self.got += b"".join(self.Inbox("inbox"))
            self.pause()
            yield 1

    def _gone(self) -> bool:
        self.told = self.told_to_stop()
        return isinstance(self.told, shutdownMicroprocess)
