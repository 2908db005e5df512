"""
Step 9: a server
================
When nobody is awake the scheduler asks the operating system to sleep until bytes have come, or can
be sent, and then wakes whoever has asked for that. So one thread serves any number of clients, and
costs nothing while they are silent. A Connection makes a component of a socket; a Server makes one
for each client, and beside it a component that speaks the protocol.

    python Examples/MiniAxon/step9_server.py
"""

import select
import socket
from contextlib import suppress

import step8_full_box as step8
from step8_full_box import component, producerFinished, shutdownMicroprocess, stops_at_once


class scheduler(step8.scheduler):
    """Gives turns; when nobody is awake it waits for the sockets in readers and writers."""

    def __init__(self):
        super().__init__()
        self.readers = {}  # socket -> who wants to know that something can be read
        self.writers = {}  # socket -> who wants to know that there is room again

    def runThreads(self):
        super().runThreads()
        while self.readers or self.writers:
            readable, writable, _ = select.select(self.readers, self.writers, [])
            for sock in readable:
                self.readers.pop(sock).unpause()
            for sock in writable:
                self.writers.pop(sock).unpause()
            super().runThreads()


class Connection(component):
    """Connection(sock) -> bytes for the peer in, bytes from the peer out."""

    def __init__(self, sock):
        super().__init__()
        self.sock = sock
        self.unsent = b""
        sock.setblocking(False)  # from now on a call that would have to wait is an error

    def main(self):
        with suppress(OSError):  # the peer may be gone at any time: then nothing is left to do
            yield from self.talk()
        self.scheduler.readers.pop(self.sock, None)
        self.scheduler.writers.pop(self.sock, None)
        self.sock.close()

    def talk(self):
        reading = writing = True
        while not stops_at_once(self.told_to_stop()):
            all_sent = self.write()
            if writing and all_sent and self.told_to_stop():
                writing = False
                self.sock.shutdown(socket.SHUT_WR)  # tells the peer that this was all
            reading = reading and self.read()
            if not reading and not writing:
                return
            self.pause()
            yield 1

    def write(self):
        """Send what waits, as far as the socket takes it; true if that was all."""
        try:
            while self.unsent or self.dataReady():
                self.unsent = self.unsent or self.recv()
                self.unsent = self.unsent[self.sock.send(self.unsent) :]
        except BlockingIOError:
            self.scheduler.writers[self.sock] = self
        return not self.unsent

    def read(self):
        """Pass on what has come, while there is room; false once the peer has said its last."""
        try:
            while not self.outboxes["outbox"].isFull():
                data = self.sock.recv(65536)
                if not data:
                    self.send(producerFinished(self), "signal")
                    return False
                self.send(data)
        except BlockingIOError:
            self.scheduler.readers[self.sock] = self
        return True


class Server(component):
    """Server(protocol) -> for each client that connects, a component made by protocol()."""

    def __init__(self, protocol):
        super().__init__()
        self.protocol = protocol
        self.listener = socket.create_server(("127.0.0.1", 0))  # port 0: any that is free
        self.listener.setblocking(False)
        self.address = self.listener.getsockname()

    def main(self):
        while True:
            with suppress(BlockingIOError):  # raised when nobody waits any more
                while True:
                    serve(self.scheduler, Connection(self.listener.accept()[0]), self.protocol())
            if self.told_to_stop():
                break
            self.scheduler.readers[self.listener] = self
            self.pause()
            yield 1
        self.scheduler.readers.pop(self.listener, None)
        self.listener.close()


def serve(engine, connection, protocol):
    """Link the two in a circle, four messages each way at most, and start them."""
    for one, other in ((connection, protocol), (protocol, connection)):
        one.link((one, "outbox"), (other, "inbox"), pipewidth=4)
        one.link((one, "signal"), (other, "control"))
        one.activate(engine)


class Greeter(component):
    """Greeter() -> says hello, and hangs up."""

    def main(self):
        yield from self.put(b"hello from the server")


class Caller(component):
    """Caller() -> listens until the other one has hung up."""

    def main(self):
        while not self.told_to_stop():
            self.pause()
            yield 1
        for data in self.Inbox():
            print("a caller hears:", data.decode())


if __name__ == "__main__":
    engine = scheduler()
    server = Server(Greeter).activate(engine)
    for _ in range(3):
        serve(engine, Connection(socket.create_connection(server.address)), Caller())
    server.inboxes["control"].append(producerFinished())  # no more callers than these
    engine.runThreads()
