"""
A server that says everything again, and somebody who talks to it: both in one program.

    python Examples/Servers/client_and_server.py

The server is the two lines that make one, with a port that the system chooses. The other end is a
ring: what the Talker says goes to the TCPClient, and what that hears comes back to the Talker.
"""

from collections.abc import Iterator

from Axon.Component import component
from Axon.Ipc import producerFinished
from Kamaelia.Chassis.ConnectedServer import ServerCore
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Internet.TCPClient import TCPClient
from Kamaelia.IPC import serverShutdown
from Kamaelia.Protocol.EchoProtocol import EchoProtocol


class Talker(component):
    """Talker(*lines) -> says each line once the one before has come back, then stops the server."""

    Inboxes = {"inbox": "bytes: what comes back", "control": "producerFinished: nobody listens"}
    Outboxes = {
        "outbox": "bytes: a line",
        "signal": "producerFinished: all is said",
        "server": "serverShutdown: for the server, when all is said",
    }

    def __init__(self, *lines: str) -> None:
        super().__init__()
        self.lines = [line.encode() for line in lines]

    def main(self) -> Iterator[object]:
        for line in self.lines:
            self.send(line, "outbox")
            answer = b""
            # TCP knows bytes, not messages: an answer may come in any number of pieces.
            while len(answer) < len(line) and not self.dataReady("control"):
                if not self.anyReady():
                    self.pause()
                yield 1
                for data in self.Inbox("inbox"):
                    answer += data
            print(f"said {line.decode()!r}, heard {answer.decode()!r}")
        self.send(producerFinished(self), "signal")
        self.send(serverShutdown(self), "server")


server = ServerCore(protocol=EchoProtocol, host="127.0.0.1", port=0).activate()
host, port = server.address

talker = Talker("hello", "is anybody there?", "goodbye")
talker.link((talker, "server"), (server, "control"))
Pipeline(talker, TCPClient(host, port), circular=True).run()
print("the server is closed")
