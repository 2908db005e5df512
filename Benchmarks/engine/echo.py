"""
TCP echo, measured from outside
===============================
Starts one of echo_servers.py, pinned to one processor, and loads it from another.

    python echo.py PYTHON SYSTEM WORKLOAD SIZE SERVER_CPU SECONDS

echo            SIZE connections, each with one request of 64 bytes under way: processor time of the
                server, user and system, for each request. Rates and latencies are printed too, but
                where the server is fast they are those of this program.
idle            SIZE connections that have had one answer each: memory of the server for each.
busy_10, ...    SIZE round trips one after the other, beside 10 (100) that never pause: latency.
"""

from __future__ import annotations

import os
import random
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

from measuring import finish, percentiles, resident

SERVERS = Path(__file__).resolve().with_name("echo_servers.py")
HOST = "127.0.0.1"
REQUEST = b"x" * 64
START_SECONDS = 30
ANSWER_SECONDS = 60


def cpu_of(process: int) -> float:
    """Processor seconds of another process: Linux has a clock for each."""
    return time.clock_gettime((~process << 3) | 2)


def free_port() -> int:
    """Below those that the system gives to connections: one of them could take it meanwhile."""
    while True:
        port = random.randrange(20_000, 32_000)
        try:
            socket.create_server((HOST, port)).close()
        except OSError:
            continue
        return port


@contextmanager
def served(python: str, system: str, cpu: int, burners: int) -> Iterator[tuple[int, int]]:
    """A server that answers: its process and its port."""
    port = free_port()
    command = [python, str(SERVERS), system, str(port), str(cpu), str(burners)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        limit = perf_counter() + START_SECONDS
        while True:
            try:
                answered(connected(port)).close()
                break
            except OSError as error:
                if server.poll() is not None or perf_counter() > limit:
                    raise SystemExit(f"the server of {system} does not answer: {error}") from None
                time.sleep(0.01)
        yield server.pid, port
    finally:
        server.kill()
        server.wait()


def connected(port: int) -> socket.socket:
    client = socket.create_connection((HOST, port), ANSWER_SECONDS)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def answered(client: socket.socket) -> socket.socket:
    """Send one request and wait for the whole answer."""
    client.sendall(REQUEST)
    missing = len(REQUEST)
    while missing:
        data = client.recv(missing)
        if not data:
            raise ConnectionError("closed instead of answering")
        missing -= len(data)
    return client


class Load:
    """Load(clients) -> a closed loop: each client sends again as soon as it has its answer."""

    def __init__(self, clients: list[socket.socket]) -> None:
        self.clients = {client.fileno(): client for client in clients}
        self.missing = dict.fromkeys(self.clients, len(REQUEST))
        self.sent_at = dict.fromkeys(self.clients, perf_counter())
        self.took: list[float] = []
        self.poll = select.epoll()
        for client in clients:
            client.setblocking(False)
            self.poll.register(client, select.EPOLLIN)
            client.send(REQUEST)

    def run(self, seconds: float) -> float:
        """Seconds that it took, with at least one answer."""
        self.took.clear()
        start = now = perf_counter()
        while now < start + seconds or not self.took:
            for fd, _events in self.poll.poll(ANSWER_SECONDS):
                self._serve(fd)
            now = perf_counter()
        return now - start

    def _serve(self, fd: int) -> None:
        client = self.clients[fd]
        data = client.recv(len(REQUEST))
        if not data:
            raise SystemExit("the server has closed a connection")
        self.missing[fd] -= len(data)
        if self.missing[fd]:
            return
        now = perf_counter()
        self.took.append(now - self.sent_at[fd])
        self.missing[fd] = len(REQUEST)
        self.sent_at[fd] = now
        client.send(REQUEST)


def connect_all(port: int, number: int) -> list[socket.socket]:
    """One after the other, each with an answer: no queue of connections overflows."""
    return [answered(connected(port)) for _ in range(number)]


def echo(process: int, port: int, connections: int, seconds: float) -> dict[str, float]:
    load = Load(connect_all(port, connections))
    load.run(seconds / 4)  # warm
    before = cpu_of(process)
    took = load.run(seconds)
    used, requests = cpu_of(process) - before, len(load.took)
    rate = {"cpu_us": used / requests * 1e6, "per_second": requests / took}
    return rate | percentiles(load.took)


def idle(process: int, port: int, connections: int) -> dict[str, float]:
    kept = connect_all(port, 10)  # what is made once for all
    before = resident(process)
    kept += connect_all(port, connections)
    return {"bytes": (resident(process) - before) / connections}


def busy(port: int, round_trips: int) -> dict[str, float]:
    took = []
    with connected(port) as client:
        answered(client)
        for _ in range(round_trips):
            start = perf_counter()
            answered(client)
            took.append(perf_counter() - start)
    return percentiles(took)


def main() -> None:
    python, system, workload, size, server_cpu, seconds = sys.argv[1:]
    others = os.sched_getaffinity(0) - {int(server_cpu)}
    kind, _, number = workload.partition("_")
    burners = int(number) if kind == "busy" else 0
    with served(python, system, int(server_cpu), burners) as (process, port):
        os.sched_setaffinity(0, others or {int(server_cpu)})
        if kind == "busy":
            metrics = busy(port, int(size))
        elif kind == "idle":
            metrics = idle(process, port, int(size))
        else:
            metrics = echo(process, port, int(size), float(seconds))
    finish(**metrics)  # not earlier: it leaves at once, and the server would stay


if __name__ == "__main__":
    main()
