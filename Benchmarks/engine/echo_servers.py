"""
TCP echo servers, one for each system
=====================================
Sends back what it gets, to any number of connections, on a port of loopback; runs until it is
ended. With burners, so many components (or tasks) that never pause run beside it.

    python echo_servers.py SYSTEM PORT PROCESSOR BURNERS
"""

from __future__ import annotations

import os
import select
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress

from measuring import burn

BACKLOG = 1024
HOST = "127.0.0.1"
READ_BYTES = 65_536


def axon(port: int, burners: int) -> None:
    """This one and the original: the same text."""
    from Axon.Component import component
    from Kamaelia.Chassis.ConnectedServer import ServerCore
    from Kamaelia.Protocol.EchoProtocol import EchoProtocol

    class Burner(component):
        def main(self) -> Iterator[object]:
            while True:
                burn()
                yield 1

    for _ in range(burners):
        Burner().activate()
    reuse = (socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    ServerCore(protocol=EchoProtocol, port=port, socketOptions=reuse).run()


def burning_tasks(burners: int) -> list[object]:
    import asyncio

    async def burner() -> None:
        while True:
            burn()
            await asyncio.sleep(0)

    return [asyncio.create_task(burner()) for _ in range(burners)]


def asyncio_protocols(port: int, burners: int) -> None:
    import asyncio

    class Echo(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            self.transport.write(data)  # type: ignore[attr-defined]

    async def serve() -> None:
        tasks = burning_tasks(burners)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Echo, HOST, port, backlog=BACKLOG)
        await server.serve_forever()
        del tasks

    asyncio.run(serve())


def asyncio_streams(port: int, burners: int) -> None:
    import asyncio

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(READ_BYTES):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve() -> None:
        tasks = burning_tasks(burners)
        server = await asyncio.start_server(echo, HOST, port, backlog=BACKLOG)
        await server.serve_forever()
        del tasks

    asyncio.run(serve())


def trio_server(port: int, burners: int) -> None:
    import trio

    async def burner() -> None:
        while True:
            burn()
            await trio.lowlevel.checkpoint()

    async def echo(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):
            while data := await stream.receive_some(READ_BYTES):
                await stream.send_all(data)

    async def serve() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(burners):
                nursery.start_soon(burner)
            await trio.serve_tcp(echo, port, host=HOST, backlog=BACKLOG)

    trio.run(serve)


def bare(port: int, burners: int) -> None:
    """epoll, recv, send: what every one of the others must do at least."""
    assert not burners
    listener = socket.create_server((HOST, port), backlog=BACKLOG)
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    clients: dict[int, socket.socket] = {}
    while True:
        for fd, _events in poll.poll():
            client = clients.get(fd)
            if client is None:
                client = listener.accept()[0]
                clients[client.fileno()] = client
                poll.register(client, select.EPOLLIN)
                continue
            data = b""
            with suppress(ConnectionError):
                data = client.recv(READ_BYTES)
                client.send(data)
            if not data:
                poll.unregister(fd)
                clients.pop(fd).close()


SERVERS = {
    "axon": axon,
    "original": axon,
    "asyncio": asyncio_protocols,
    "streams": asyncio_streams,
    "trio": trio_server,
    "bare": bare,
}


def main() -> None:
    system, port, cpu, burners = sys.argv[1:]
    os.sched_setaffinity(0, {int(cpu)})
    SERVERS[system](int(port), int(burners))


if __name__ == "__main__":
    main()
