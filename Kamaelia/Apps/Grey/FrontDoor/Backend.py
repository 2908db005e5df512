"""
What is known of one real mail server
=====================================
One Backend for each server, shared by the sessions of the process (all of them run in one thread).
It is learned from every session that reaches the server, and from the probe in between.

Example Usage
-------------
What a client may be offered now::

    own = Capabilities(size=52_428_800, size_offered=True, eightbitmime=True)
    backend = Backend("127.0.0.1", 8025)
    backend.learn(Capabilities(size=10_000_000, eightbitmime=True))
    offered_by([backend], own).size  # 10_000_000
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities

_NOTHING = Capabilities()


class Backend:
    """Backend(host, port) -> address and abilities of a real mail server. `seen`: what it offered
    last, None if it was never reached."""

    __slots__ = ("host", "port", "seen")

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.seen: Capabilities | None = None

    def __str__(self) -> str:
        return f"{self.host} port {self.port}"

    @property
    def known(self) -> bool:
        """Whether it has ever been reached."""
        return self.seen is not None

    def learn(self, seen: Capabilities) -> bool:
        """Take note of what it said at EHLO just now; True if that is news."""
        news = seen != self.seen
        self.seen = seen
        return news

    def takes(self, keywords: Iterable[str]) -> bool:
        """Whether it can do what these parameters of MAIL and RCPT ask for. SIZE is nothing that it
        must know: we look after that ourselves."""
        seen = self.seen or _NOTHING
        return all(seen.takes(keyword) for keyword in keywords if keyword != "SIZE")


def offered_by(backends: Iterable[Backend], own: Capabilities) -> Capabilities:
    """What we may offer a client: what we can do, and each of the servers that its mail may go to.
    Servers that were never reached do not count; if none was, we promise nothing of theirs.

    AUTH goes to the first of them, so its mechanisms are those of that one."""
    known = [backend.seen for backend in backends if backend.seen is not None]
    first, *others = known or [_NOTHING]
    offer = Capabilities.offered(own, first)
    for seen in others:
        offer = replace(Capabilities.offered(replace(offer, auth=()), seen), auth=offer.auth)
    return offer
