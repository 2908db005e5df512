"""Request handlers, and the other end of a connection, for the tests of the HTTP server."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from Axon.Component import component
from Axon.Ipc import shutdownMicroprocess
from Axon.Scheduler import scheduler
from Axon.Testing import Harness
from Axon.Waiter import EpollWaiter
from Kamaelia.Chassis.ConnectedServer import ServerCore
from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Protocol.HTTP.HTTPRequestHandler import HTTPRequestHandler
from Kamaelia.Support.Protocol.HTTP.Messages import Request

HOST = b"Host: x\r\n"


def get(target: str = "/", *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    lines = "".join(f"{line}\r\n" for line in headers)
    return f"{method} {target} HTTP/{version}\r\nHost: x\r\n{lines}\r\n".encode()


def post(body: bytes, *headers: str) -> bytes:
    return get("/", f"Content-Length: {len(body)}", *headers, method="POST") + body


class Says(component):
    """Sends the given parts, each when there is room, and remembers what it was told."""

    def __init__(self, *parts: object) -> None:
        super().__init__()
        self.parts = parts
        self.told: object = None

    def main(self) -> Iterator[object]:
        for part in self.parts:
            yield from self.put(part, "outbox")
        yield 1

    def stop(self) -> None:
        self.told = self._axon_told
        super().stop()


class Echo(component):
    """Sends the body back as it comes."""

    def main(self) -> Iterator[object]:
        yield from self.put({"statuscode": 200}, "outbox")
        while True:
            stop = self.told_to_stop()
            for data in self.Inbox("inbox"):
                yield from self.put(data, "outbox")
            if stop:
                return
            if not self.anyReady():
                self.pause()
            yield 1


class Waits(component):
    """Says nothing, reads nothing, and ends when it is told that nobody wants it any more."""

    def __init__(self, *first: object) -> None:
        super().__init__()
        self.first = first
        self.heard: list[object] = []

    def main(self) -> Iterator[object]:
        for part in self.first:
            yield from self.put(part, "outbox")
        while True:
            self.heard.extend(self.Inbox("control"))
            if any(isinstance(message, shutdownMicroprocess) for message in self.heard):
                return
            self.pause()
            yield 1


class Reads(component):
    """Reads the body, and says nothing."""

    def main(self) -> Iterator[object]:
        while not self.told_to_stop():
            for _ in self.Inbox("inbox"):
                pass
            self.pause()
            yield 1


class Deaf(component):
    """Never ends by itself, whatever it is told."""

    def main(self) -> Iterator[object]:
        self.send({"data": "deaf", "complete": True}, "outbox")
        while True:
            self.pause()
            yield 1


class Fails(component):
    """Raises an exception, perhaps after a first part."""

    def __init__(self, *parts: object) -> None:
        super().__init__()
        self.parts = parts

    def main(self) -> Iterator[object]:
        for part in self.parts:
            self.send(part, "outbox")
            yield 1
        raise LocalProtocolError("on purpose")


def serving(
    factory: Callable[[Request], component] | component, **settings: object
) -> HTTPRequestHandler:
    make = factory if not isinstance(factory, component) else lambda _: factory
    return HTTPRequestHandler(make, **settings)


@contextmanager
def server_in_a_thread(protocol: Callable[..., component]) -> Iterator[str]:
    """For clients that block; gives host and port as an address has them."""
    waiter = EpollWaiter()
    runner = scheduler(waiter=waiter)
    server = ServerCore(protocol=protocol, host="127.0.0.1", port=0).activate(Scheduler=runner)
    thread = threading.Thread(target=runner.runThreads)
    thread.start()
    try:
        yield f"127.0.0.1:{server.address[1]}"
    finally:
        runner.call_from_thread(runner.stop)
        thread.join(10)
        assert not thread.is_alive()
        waiter.close()


def sent(h: Harness) -> bytes:
    """All that goes to the client before time passes."""
    pieces: list[bytes] = []
    while True:
        h.settle()
        more = h.take("outbox")
        if not more:
            return b"".join(pieces)
        pieces += more


def body_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


def status_of(answer: bytes) -> int:
    return int(answer.split()[1])
