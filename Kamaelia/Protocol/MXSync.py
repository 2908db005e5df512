"""
Mail exchangers that tell each other what they know, as components
==================================================================
Thin components over the two state machines in Kamaelia.Support.Protocol.MXSync, the lines that
milter-greylist speaks on port 5252. All that the protocol says is said there; what is here is
boxes and time. An MXSyncServer is the side that is called, an MXSyncClient the one that calls.

Example Usage
-------------
The two of them, without a network in between::

    from Kamaelia.Chassis.Graphline import Graphline
    from Kamaelia.Protocol.MXSync import MXSyncClient, MXSyncServer
    from Kamaelia.Support.Protocol.MXSync.Commands import Add, Flush
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.PureTransformer import PureTransformer


    def apply(command):
        print("applies", command)
        return True


    news = [Add("192.0.2.1", "<a@b>", "<c@d>", 1795290020), Flush("192.0.2.2")]
    Graphline(
        NEWS=DataSource(news),
        CLIENT=MXSyncClient(),
        SERVER=MXSyncServer(),
        STORE=PureTransformer(apply),
        SHOW=PureTransformer(print),
        linkages={
            ("NEWS", "outbox"): ("CLIENT", "commands"),
            ("NEWS", "signal"): ("CLIENT", "control"),
            ("CLIENT", "outbox"): ("SERVER", "inbox"),
            ("SERVER", "outbox"): ("CLIENT", "inbox"),
            ("SERVER", "commands"): ("STORE", "inbox"),
            ("STORE", "outbox"): ("SERVER", "applied"),
            ("CLIENT", "outcomes"): ("SHOW", "inbox"),
            ("CLIENT", "signal"): ("SERVER", "control"),
            ("SERVER", "signal"): ("STORE", "control"),
            ("STORE", "signal"): ("SHOW", "control"),
        },
    ).run()

It prints::

    Established(version=3)
    applies Add(address='192.0.2.1', sender='<a@b>', recipient='<c@d>', date=1795290020)
    Sent(command=Add(address='192.0.2.1', sender='<a@b>', recipient='<c@d>', date=1795290020))
    applies Flush(address='192.0.2.2')
    Sent(command=Flush(address='192.0.2.2'))

In a program each is one end of a connection: an MXSyncServer is what the protocol of a ServerCore
makes, and an MXSyncClient has a TCPClient: "outbox" leads to its "inbox", "signal" to its
"control", and from there "outbox" to "inbox" and "signal" to "closed".

Rules. A command is answered when something comes to "applied", and the next one goes out then: who
acts at once on what comes from "commands" (see Axon.AtOnce) may answer within that send. Whatever
goes to "commands" of an MXSyncClient has exactly one outcome, also when the connection is lost or
it is stopped: those that it has not come to are Failed, too. What is given to one that has ended is
lost, as with every component: its owner hears "signal", and tells the next one.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from math import inf

from Axon.Component import component
from Axon.Ipc import producerFinished, stops_at_once
from Kamaelia.Support.Protocol.MXSync.SyncClient import Failed, SyncClient
from Kamaelia.Support.Protocol.MXSync.SyncServer import SyncServer
from Kamaelia.Util.Stopping import offer

log = logging.getLogger(__name__)

COMMANDS_A_TURN = 32  # then others have theirs
A_DAY = 86_400.0


class MXSyncServer(component):
    """MXSyncServer(ask=False, idle=86400, patience=60) -> one connection of a peer that calls.

    ask: say nothing before it has come to "permission" whether this peer may talk. Seconds, 0 for
    ever: idle between two commands (long, since real peers do not call again by themselves), and
    patience for what has begun: half a line, a permission, a command to be applied."""

    Inboxes = {
        "inbox": "bytes: from the peer, cut anywhere",
        "applied": "bool: for each command, whether it has been applied; if not, hang up",
        "permission": "bool: whether this peer may talk, if that is asked",
        "control": "producerFinished (the peer sends no more) or shutdownMicroprocess (finish the"
        " command under way, then close)",
    }
    Outboxes = {
        "outbox": "bytes: to the peer",
        "commands": "Command: to be applied, the next one after the answer",
        "signal": "the shutdown that came in, or producerFinished: close the connection",
    }

    woken_by_collection = False  # a send into a full box is what it waits with

    def __init__(
        self, ask: bool = False, idle: float = A_DAY, patience: float = 60.0, **attributes: object
    ) -> None:
        super().__init__(**attributes)
        self._session = SyncServer()
        self._asking = ask
        self._idle = idle or inf
        self._patience = patience or inf
        self._since = 0.0  # when the last line was answered, or what is waited for began
        self._begun = True  # the shorter time holds

    @property
    def reason(self) -> str:
        """Why it has ended the connection; "": it has not, or the peer wanted so."""
        return self._session.reason

    def main(self) -> Iterator[object]:
        session = self._session
        if not self._asking:
            session.greet()
        self._since = self.now()
        while True:
            stop = self.told_to_stop()
            self._hear_permission()
            more = yield from self._work(stops_at_once(stop))
            self._look_at_the_clock(self._flush())
            if session.closed:
                self._say_why()
                return
            if stop and not session.pending and (stops_at_once(stop) or not more):
                return
            left = self._since + (self._patience if self._begun else self._idle) - self.now()
            if left <= 0:
                log.info("%s: the peer has taken too long", self.name)
                return
            if not (more or self._ready()):
                self.pause(left if left < inf else None)
            yield 1

    def dismiss(self) -> None:
        """End it, and say that there are no peers any more."""
        self._session.dismiss()
        self.unpause()

    def _hear_permission(self) -> None:
        for granted in self.Inbox("permission"):
            if self._asking and not self._session.closed:
                self._asking = False
                if granted:
                    self._session.greet()
                else:
                    self._session.refuse()

    def _work(self, stopping: bool) -> Generator[object, None, bool]:
        """Apply what has come; returns whether there is more that can be done now."""
        session = self._session
        for _ in range(COMMANDS_A_TURN):
            self._hear_verdict()
            if stopping:
                return False
            command = session.next_command()
            if command is not None:
                self._flush()  # what was answered before
                if not (yield from offer(self, command, "commands")):
                    session.applied(False)  # nobody has it
                    return False
            elif session.pending or session.closed or self._asking or not self.dataReady("inbox"):
                return False
            else:
                session.receive_data(self.recv("inbox"))
        return True

    def _hear_verdict(self) -> None:
        for ok in self.Inbox("applied"):
            self._session.applied(bool(ok))

    def _flush(self) -> bool:
        data = self._session.data_to_send()
        if data:
            self.send(data, "outbox")
        return bool(data)

    def _look_at_the_clock(self, answered: bool) -> None:
        """Only whole lines count, else a byte now and then would do to stay for ever."""
        session = self._session
        begun = self._asking or session.pending or session.in_line
        if answered or begun is not self._begun:
            self._begun = begun
            self._since = self.now()

    def _ready(self) -> bool:
        """Whether something has come that can be worked on. What the peer sends cannot, while a
        command is being applied or nobody knows whether he may talk."""
        if self._asking or self._session.pending:
            return any(map(self.dataReady, ("applied", "permission", "control")))
        return bool(self.anyReady())

    def _say_why(self) -> None:
        if self.reason:
            log.info("%s: hangs up: %s", self.name, self.reason)


class MXSyncClient(component):
    """MXSyncClient(timeout=3, greeting=None) -> a peer that can be told.

    Seconds, 0 for ever: timeout for each answer, greeting for the connection and the first word
    (None: the same)."""

    Inboxes = {
        "inbox": "bytes: from the peer",
        "commands": "Command: to be told, one after the other",
        "closed": "producerFinished: the connection is over; its message is the reason",
        "control": "producerFinished (tell what has come, say good-bye) or shutdownMicroprocess"
        " (end)",
    }
    Outboxes = {
        "outbox": "bytes: to the peer",
        "outcomes": "Outcome: Established, then Sent, Skipped or Failed for each command; a Failed"
        " without one: the connection is over, and nothing was under way",
        "signal": "the shutdown that came in, or producerFinished: the connection is over",
    }

    def __init__(
        self, timeout: float = 3.0, greeting: float | None = None, **attributes: object
    ) -> None:
        super().__init__(**attributes)
        self._session = SyncClient()
        self._timeout = timeout or inf
        self._limit = self._timeout if greeting is None else greeting or inf
        self._since = 0.0

    @property
    def version(self) -> int:
        """What the peer speaks, 1 to 3; 0: not known yet."""
        return self._session.version

    def main(self) -> Iterator[object]:
        session = self._session
        self._since = self.now()
        while True:
            stop = self.told_to_stop()
            self._hear()
            while session.idle and self.dataReady("commands"):
                session.offer(self.recv("commands"))
            if stops_at_once(stop):
                session.fail("stopped")
            elif stop and session.under_way is None and not self.dataReady("commands"):
                session.quit()
            self._tell()
            left = self._since + self._limit - self.now() if session.waiting else inf
            if left <= 0:
                session.fail("timed out")
                self._tell()
            if session.closed or session.leaving:  # its last word is not waited for
                break
            if not self._ready():
                self.pause(left if left < inf else None)
            yield 1
        for command in self.Inbox("commands"):
            self.send(Failed(command, "the connection is over"), "outcomes")

    def _ready(self) -> bool:
        """Whether something has come that can be worked on. Commands cannot, while one is under
        way."""
        boxes = ("inbox", "closed", "control")
        return any(map(self.dataReady, boxes)) or (
            self._session.idle and bool(self.dataReady("commands"))
        )

    def _tell(self) -> None:
        session = self._session
        if data := session.data_to_send():
            self.send(data, "outbox")
            self._since = self.now()  # of the next answer
            self._limit = self._timeout
        while (outcome := session.next_outcome()) is not None:
            self.send(outcome, "outcomes")

    def _hear(self) -> None:
        for data in self.Inbox("inbox"):
            self._session.receive_data(data)
        for over in self.Inbox("closed"):
            reason = over.message if isinstance(over, producerFinished) else None
            if reason is None:
                self._session.receive_eof()
            else:
                self._session.fail(getattr(reason, "strerror", None) or str(reason))


__kamaelia_components__ = (MXSyncServer, MXSyncClient)
