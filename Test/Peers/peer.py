"""
What the mail servers of the tests have in common
=================================================
Each is a Program that takes mail on a free port of loopback for the USERS of its domain, and shows
what it delivered and what waits in its queue::

    with Exim(folder) as exim:
        assert exim.mailbox("anna") == []

As a client, with `relay_to`, it hands mail for everybody else to a port of loopback::

    with Exim(folder, domain="example.net", relay_to=grey.address[1]) as exim:
        ...
        exim.flush()  # try again now
"""

from pathlib import Path
from typing import Self

from Test.Peers.world import World
from Test.System.postfix_server import USERS
from Test.System.processes import (
    Program,
    free_port,
    is_running,
    takes_connections,
    wait_until,
)

NOT_KNOWN = "nobody-here"
__all__ = ["NOT_KNOWN", "USERS", "Peer"]


class Peer(Program):
    """Peer(name, folder, domain) -> a mail server in a World of its own; subclasses say which."""

    def __init__(self, name: str, folder: Path, domain: str) -> None:
        super().__init__(name, folder)
        self.domain = domain
        self.port = free_port()
        self.world: World

    def __enter__(self) -> Self:
        self.world = self.furnish()
        try:
            return super().__enter__()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        try:
            super().__exit__()
        finally:
            self.world.remove()

    def furnish(self) -> World:
        """Make its world, with all but the configuration."""
        raise NotImplementedError

    def wait_till_it_listens(self) -> None:
        def listens() -> bool:
            if not is_running(self.pid):
                raise RuntimeError(f"{self.output.name}: it ended:\n{self.said()}")
            return takes_connections(self.port)

        wait_until(self.output.name, listens)

    def mailbox(self, user: str) -> list[bytes]:
        """The messages that were delivered to the user, with the server's own header lines."""
        new = self.world.path(f"/mail/{user}/new")
        return [path.read_bytes() for path in sorted(new.iterdir())] if new.exists() else []

    def queued(self) -> int:
        """How many messages wait in its queue."""
        raise NotImplementedError

    def flush(self) -> None:
        """Have it try again, now, all that waits."""
        raise NotImplementedError
