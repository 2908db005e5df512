"""
Step 10: real components
========================
Your own core runs components of the library, and not one of their lines is changed. Their modules
begin with ``from Axon.Component import component``. Python first looks into ``sys.modules``: is a
module of that name there already? So your core is put there under Axon's names, and from then on
the library is built upon it.

    python Examples/MiniAxon/step10_real_components.py
"""

import inspect
import socket
import sys
from itertools import pairwise
from pathlib import Path

import step9_server as mine

sys.path.append(str(Path(__file__).resolve().parents[2]))  # where the library is
sys.modules["Axon"] = None  # whoever asks for anything else of Axon's gets an ImportError
sys.modules["Axon.Component"] = mine
sys.modules["Axon.Ipc"] = mine

from Kamaelia.Protocol.EchoProtocol import EchoProtocol  # noqa: E402 - the line above comes first
from Kamaelia.Util.PassThrough import PassThrough  # noqa: E402


class Speaker(mine.component):
    """Speaker(words) -> says them."""

    def __init__(self, words):
        super().__init__()
        self.words = words

    def main(self):
        for word in self.words:
            yield from self.put(word)


class Listener(mine.component):
    """Listener() -> shows what it hears, when nothing more will come."""

    def main(self):
        while not self.told_to_stop():
            self.pause()
            yield 1
        print("heard:", b"".join(self.Inbox()).decode())


def call(engine, address, words):
    """A client is a line of components: what is said goes to the server, and comes back."""
    wire = mine.Connection(socket.create_connection(address))
    line = [Speaker(words), wire, PassThrough(), Listener()]
    for one, other in pairwise(line):
        one.link((one, "outbox"), (other, "inbox"))
        one.link((one, "signal"), (other, "control"))
    for one in line:
        one.activate(engine)


if __name__ == "__main__":
    for kind in (EchoProtocol, PassThrough):
        file = "/".join(Path(inspect.getfile(kind)).parts[-3:])
        print(f"{kind.__name__} of {file} is a component of {kind.__base__.__module__}")

    engine = mine.scheduler()
    server = mine.Server(EchoProtocol).activate(engine)
    call(engine, server.address, [b"what you ", b"say ", b"comes back"])
    call(engine, server.address, [b"to each ", b"his own"])
    server.inboxes["control"].append(mine.producerFinished())
    engine.runThreads()
    print("the real Axon's scheduler was loaded:", "Axon.Scheduler" in sys.modules)
