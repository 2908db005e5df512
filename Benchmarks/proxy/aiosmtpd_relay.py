"""
A rival: aiosmtpd with its Proxy handler
========================================
Started by targets.py::

    aiosmtpd_relay.py PORT BACKEND_PORT

Takes mail on the one port of loopback and gives it to the other, until it is terminated. It does
not greylist: it is what a few lines of Python with a well-known library give as a proxy.
"""

import asyncio
import logging
import sys
from functools import partial

from aiosmtpd.handlers import Proxy
from aiosmtpd.smtp import SMTP


async def serve(port: int, backend: int) -> None:
    handler = Proxy("127.0.0.1", backend)
    server = await asyncio.get_running_loop().create_server(
        partial(SMTP, handler, hostname="mx.example.org", ident="aiosmtpd"),
        "127.0.0.1",
        port,
        backlog=1024,
    )
    await server.serve_forever()


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # it would log each message; nobody reads it here
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
