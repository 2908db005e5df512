"""Step 9: the scheduler waits for sockets, and a server serves many clients at once."""

import socket
import threading
from contextlib import ExitStack

import pytest


def echo(mine):
    class Echo(mine.component):
        def main(self):
            while self.dataReady() or not self.told_to_stop():
                while self.dataReady():
                    yield from self.put(self.recv())
                if not self.anyReady():
                    self.pause()
                yield 1

    return Echo()


class Clients:
    """Plain clients, in threads of their own, beside a server of yours."""

    def __init__(self, mine, protocol=None, engine=None):
        self.mine = mine
        self.engine = engine or mine.scheduler()
        self.server = mine.Server(protocol or (lambda: echo(mine))).activate(self.engine)
        self.heard = {}
        self.threads = []

    def call(self, name, conversation):
        """Have conversation(sock) go on in a thread; what it returns comes into heard[name]."""
        sock = socket.create_connection(self.server.address, timeout=4)

        def talk():
            with sock:
                self.heard[name] = conversation(sock)

        self.threads.append(threading.Thread(target=talk, daemon=True))

    def stop(self):
        """No more clients than those who have called already."""
        self.server.inboxes["control"].append(self.mine.producerFinished())

    def run(self, stop=True):
        """Serve those who have called, until the last has hung up."""
        if stop:
            self.stop()
        for thread in self.threads:
            thread.start()
        self.engine.runThreads()
        for thread in self.threads:
            thread.join(4)
        return self.heard


def ask(data):
    """A client that sends, says that this was all, and listens to the end."""

    def conversation(sock):
        writer = threading.Thread(target=lambda: (sock.sendall(data), sock.shutdown(1)))
        writer.start()
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
        writer.join(4)
        return answer

    return conversation


def test_a_client_gets_its_answer(mine):
    clients = Clients(mine)
    clients.call("ann", ask(b"hello"))
    assert clients.run() == {"ann": b"hello"}


def test_twenty_clients_are_served_side_by_side(mine):
    everybody_is_there = threading.Barrier(20, timeout=4)

    def conversation(sock):
        sock.sendall(b"here")
        first = sock.recv(100)
        everybody_is_there.wait()  # nobody hangs up before all have had an answer
        return first

    clients = Clients(mine)
    for number in range(20):
        clients.call(number, conversation)
    assert clients.run() == dict.fromkeys(range(20), b"here"), (
        "one client must not wait until another one has hung up"
    )


def test_clients_may_come_later(mine):
    class Once(mine.component):
        def main(self):
            while not self.dataReady():
                self.pause()
                yield 1
            data = self.recv()
            yield from self.put(data)
            if data == b"last":
                clients.stop()

    def conversation(sock):
        first = ask(b"first")(sock)
        with socket.create_connection(clients.server.address, timeout=4) as another:
            return first, ask(b"last")(another)

    clients = Clients(mine, Once)
    clients.call("ann", conversation)
    assert clients.run(stop=False) == {"ann": (b"first", b"last")}, (
        "until it is told to stop a server waits for more clients"
    )


def test_a_long_answer_arrives_whole(mine):
    class Long(mine.component):
        def main(self):
            for _ in range(256):
                yield from self.put(bytes(65536))

    clients = Clients(mine, Long)
    clients.call("ann", ask(b""))
    assert len(clients.run()["ann"]) == 256 * 65536, "what a socket does not take must wait"


def test_much_data_goes_both_ways_unharmed(mine):
    data = bytes(range(256)) * 8192
    clients = Clients(mine)
    clients.call("ann", ask(data))
    (answer,) = clients.run().values()
    assert len(answer) == len(data), "bytes are missing: what a socket did not take must be kept"
    assert answer == data


def test_two_connections_may_flood_each_other(mine):
    """Each writes two megabytes, and reads only through its Connection."""
    engine, heard = mine.scheduler(), []

    class Flood(mine.component):
        def main(self):
            size = 0
            for _ in range(32):
                yield from self.put(bytes(65536))
                size += sum(len(self.recv()) for _ in range(self.dataReady()))
            self.send(mine.producerFinished(self), "signal")
            while self.dataReady() or not self.told_to_stop():
                size += sum(len(self.recv()) for _ in range(self.dataReady()))
                if not self.anyReady():
                    self.pause()
                yield 1
            heard.append(size)

    for sock in socket.socketpair():
        mine.serve(engine, mine.Connection(sock), Flood())
    engine.runThreads()
    assert heard == [32 * 65536] * 2, (
        "while a Connection waits until it can write it must still read: the other side may wait"
        " for just that"
    )


def test_nothing_is_read_while_the_receiver_is_full(mine):
    here, there = socket.socketpair()
    with there:
        engine, receiver = mine.scheduler(), mine.component()
        connection = mine.Connection(here).activate(engine)
        receiver.link((connection, "outbox"), (receiver, "inbox"), pipewidth=1)
        there.sendall(bytes(100_000))
        size = 0
        while size < 100_000:
            engine.runThreads()  # ends, since the connection sleeps until we have taken something
            assert receiver.dataReady() == 1, "each message that is taken makes room for one"
            size += len(receiver.recv())
        connection.inboxes["control"].append(mine.shutdownMicroprocess())
        engine.runThreads()
    assert size == 100_000


def test_a_peer_that_does_not_read_fills_no_memory(mine):
    sent = []

    class Flood(mine.component):
        def main(self):
            for number in range(1000):
                yield from self.put(bytes(65536))
                sent.append(number)

    def conversation(sock):
        threading.Event().wait(0.3)
        return len(sent)

    clients = Clients(mine, Flood)
    clients.call("ann", conversation)
    assert clients.run()["ann"] < 200, "link with a pipewidth: messages pile up before the socket"


def test_a_silent_client_costs_no_turns(mine):
    class Counting(mine.scheduler):
        wakes = 0

        def wake(self, process):
            Counting.wakes += 1
            super().wake(process)

    def conversation(sock):
        sock.sendall(b"x")
        sock.recv(1)
        threading.Event().wait(0.1)  # all that there was to do is done by now
        before = Counting.wakes
        threading.Event().wait(0.2)
        return Counting.wakes - before

    clients = Clients(mine, engine=Counting())
    clients.call("ann", conversation)
    assert clients.run()["ann"] == 0, "while nothing comes nobody may be woken"


def test_who_hangs_up_in_the_middle_harms_nobody(mine):
    gone = threading.Event()

    def rude(sock):
        sock.sendall(b"x" * 100_000)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
        sock.close()
        gone.set()

    def polite(sock):
        gone.wait(4)
        return ask(b"hello")(sock)

    clients = Clients(mine)
    clients.call("rude", rude)
    clients.call("polite", polite)
    assert clients.run()["polite"] == b"hello"


def test_a_protocol_that_ends_hangs_up(mine):
    class Greeter(mine.component):
        def main(self):
            yield from self.put(b"hello, and goodbye")

    clients = Clients(mine, Greeter)
    clients.call("ann", ask(b""))
    assert clients.run() == {"ann": b"hello, and goodbye"}


def test_stop_now_hangs_up_though_the_peer_goes_on(mine):
    here, there = socket.socketpair()
    there.settimeout(4)
    with there:
        engine = mine.scheduler()
        connection = mine.Connection(here).activate(engine)
        connection.inboxes["control"].append(mine.shutdownMicroprocess())
        engine.runThreads()
        assert there.recv(10) == b"", "the socket must be closed"


def test_the_protocol_is_told_when_the_client_has_finished(mine):
    told = []

    class Listener(mine.component):
        def main(self):
            while not self.told_to_stop():
                self.pause()
                yield 1
            told.append(self.told_to_stop())

    clients = Clients(mine, Listener)
    clients.call("ann", ask(b"hello"))
    clients.run()
    assert [type(message) for message in told] == [mine.producerFinished]


def test_a_server_that_is_told_to_stop_closes_its_port(mine):
    clients = Clients(mine)
    clients.run()
    with ExitStack() as stack, pytest.raises(ConnectionRefusedError):
        stack.enter_context(socket.create_connection(clients.server.address, timeout=4))


def test_without_sockets_it_runs_as_before(mine):
    engine = mine.scheduler()
    one = mine.component().activate(engine)
    engine.runThreads()
    assert one.ended
