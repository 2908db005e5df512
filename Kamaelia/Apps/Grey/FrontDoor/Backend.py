"""
What is known of the real mail server
=====================================
One Backend for each server, shared by the sessions of the process (all of them run in one thread).
It is learned from every session that reaches the server, and from the probe in between.

Example Usage
-------------
What a client may be offered now::

    backend = Backend("127.0.0.1", 8025)
    backend.learn(Capabilities(size=10_000_000, eightbitmime=True))
    backend.offered(size_limit=52_428_800).size  # 10_000_000
"""

from __future__ import annotations

from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities

_NOTHING = Capabilities()


class Backend:
    """Backend(host, port) -> address and abilities of the real mail server."""

    __slots__ = ("_own", "_seen", "host", "port")

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._seen: Capabilities | None = None
        self._own: dict[int, Capabilities] = {}

    @property
    def known(self) -> bool:
        """Whether it has ever been reached."""
        return self._seen is not None

    def learn(self, seen: Capabilities) -> bool:
        """Take note of what it said at EHLO just now; True if that is news."""
        news = seen != self._seen
        if news:
            self._seen = seen
            self._own.clear()
        return news

    def offered(self, size_limit: int) -> Capabilities:
        """What we may offer a client: what both of us can. Of an unknown server we promise
        nothing."""
        offer = self._own.get(size_limit)
        if offer is None:
            own = Capabilities(
                size=size_limit,
                size_offered=True,
                eightbitmime=True,
                smtputf8=True,
                dsn=True,
                pipelining=True,
                enhancedstatuscodes=True,
            )
            offer = self._own[size_limit] = Capabilities.offered(own, self._seen or _NOTHING)
        return offer
