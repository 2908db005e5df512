"""What the tests of child processes share: who listens to one, feeds it, reads from it."""

import hashlib
import os
import select
from collections.abc import Iterator
from pathlib import Path

from Axon.Component import component
from Kamaelia.File.UnixProcess import UnixProcess
from Test.Kamaelia.network import Script, World


class Ear(component):
    """Hears all that a process says; takes nothing unless a test does."""

    Inboxes = {
        "inbox": "bytes: standard output",
        "error": "bytes: standard error",
        "status": "ProcessEnded: the end",
        "control": "the shutdown: that came out of signal",
    }

    def main(self) -> Script:
        while True:
            self.pause()
            yield 1

    def text(self, box: str = "inbox") -> bytes:
        return b"".join(self.Inbox(box))


def listen(process: UnixProcess, *boxes: str) -> Ear:
    ear = Ear()
    sinks = {"outbox": "inbox", "error": "error", "status": "status", "signal": "control"}
    for box in boxes or sinks:
        ear.link((process, box), (ear, sinks[box]))
    return ear


def put(process: UnixProcess, *messages: object) -> None:
    for message in messages:
        process.inboxes["inbox"].deliver(message)


def tell(process: UnixProcess, message: object) -> object:
    process.inboxes["control"].deliver(message)
    return message


def finish(world: World, process: UnixProcess, ear: Ear) -> Script:
    """Run it to its end; what it wrote, how it ended, what came out of signal."""
    world.run(ear, process)
    yield from world.until(process._isStopped)
    return ear.text(), list(ear.Inbox("status")), list(ear.Inbox("control"))


def run(process: UnixProcess) -> tuple[bytes, list[object], list[object]]:
    """The same in a world of its own."""
    world = World(None)
    ear = listen(process)
    found: list[tuple[bytes, list[object], list[object]]] = []

    def script() -> Script:
        found.append((yield from finish(world, process, ear)))

    world.play(script())
    world.close()
    return found[0]


def gone(pid: int) -> bool:
    """True once it has ended, which one that was killed does soon; init may not have collected it
    yet."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    ended = select.select([pidfd], [], [], 5.0)[0]
    os.close(pidfd)
    return bool(ended)


def runs(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state not in "ZX"


def reaped(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


class Feeder(component):
    """Sends data in pieces, as there is room, then ends."""

    def __init__(self, data: bytes, size: int) -> None:
        super().__init__()
        self.pieces = [data[at : at + size] for at in range(0, len(data), size)]

    def main(self) -> Iterator[object]:
        for piece in self.pieces:
            yield from self.put(piece)
            yield 1


class SlowReader(component):
    """Takes a message in every third of its turns."""

    def __init__(self) -> None:
        super().__init__()
        self.digest = hashlib.sha256()
        self.most = 0

    def main(self) -> Iterator[object]:
        while True:
            self.most = max(self.most, self.dataReady("inbox"))
            if self.dataReady("inbox"):
                self.digest.update(self.recv("inbox"))
            elif self.told_to_stop():
                return
            else:
                self.pause()
            for _ in range(3):
                yield 1
