"""An owner for server sessions: feeds slices, answers what waits, keeps what came out.

Tests like to say a whole conversation at one go, so these sessions listen to early talkers, too,
unless told to be strict.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.Events import (
    DataReceived,
    DataRequested,
    MessageFailed,
    ServerEvent,
)
from Kamaelia.Support.Protocol.SMTP.Replies import Reply
from Kamaelia.Support.Protocol.SMTP.ServerSession import ServerLimits, ServerSession

EVERYTHING = Capabilities(
    size=1_000_000,
    eightbitmime=True,
    smtputf8=True,
    dsn=True,
    pipelining=True,
    enhancedstatuscodes=True,
    size_offered=True,
)
OK = Reply.of(250, "2.0.0", "ok")
GO = Reply.of(354, "", "go ahead")


def accept(event: ServerEvent) -> Reply:
    return GO if isinstance(event, DataRequested) else OK


@dataclass
class Talk:
    """One session and all that it gave."""

    session: ServerSession
    rule: Callable[[ServerEvent], Reply] = accept
    events: list[ServerEvent] = field(default_factory=list)
    wire: bytes = b""

    def feed(self, *slices: bytes) -> "Talk":
        for piece in slices:
            self.session.receive_data(piece)
            self.drain()
        return self

    def end(self) -> "Talk":
        self.session.receive_eof()
        return self.drain()

    def drain(self) -> "Talk":
        while (event := self.session.next_event()) is not None:
            self.events.append(event)
            if self.session.waiting:
                self.session.reply(self.rule(event))
        self.wire += self.session.data_to_send()
        return self

    def fresh(self) -> bytes:
        """Give what was written since the last call."""
        wire, self.wire = self.wire, b""
        return wire

    @property
    def codes(self) -> list[int]:
        """The codes of all replies, a multi-line reply once."""
        return [int(line[:3]) for line in self.wire.splitlines() if line[3:4] == b" "]

    @property
    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    @property
    def data(self) -> bytes:
        return b"".join(e.data for e in self.events if isinstance(e, DataReceived))

    @property
    def story(self) -> list[object]:
        """The events as they are whatever the slices: data joined, that of failed messages gone."""
        story: list[object] = []
        for event in self.events:
            if isinstance(event, DataReceived) and story and isinstance(story[-1], bytes):
                story[-1] += event.data
            elif isinstance(event, DataReceived):
                story.append(event.data)
            else:
                if isinstance(event, MessageFailed) and isinstance(story[-1], bytes):
                    story.pop()
                story.append(event)
        return story


Serve = Callable[..., Talk]


@pytest.fixture(scope="session")
def serve() -> Serve:
    """Give the function that opens a session, greeted and past EHLO unless told otherwise."""

    def start(
        *slices: bytes,
        rule: Callable[[ServerEvent], Reply] = accept,
        capabilities: Capabilities = EVERYTHING,
        limits: ServerLimits | None = None,
        tag: str = "",
        hello: bytes = b"EHLO client.example\r\n",
        strict: bool = False,
        tls: bool = False,
        xclient_allowed: bool = False,
    ) -> Talk:
        limits = limits or ServerLimits()
        if not strict:
            limits = replace(limits, forbid_early_talk=False, forbid_pipelined_hello=False)
        session = ServerSession(
            "mx.example.org",
            capabilities=lambda: capabilities,
            limits=limits,
            tag=tag,
            tls=tls,
            xclient_allowed=xclient_allowed,
        )
        session.greet()
        talk = Talk(session, rule).feed(hello)
        talk.fresh()
        talk.events.clear()
        return talk.feed(*slices)

    return start
