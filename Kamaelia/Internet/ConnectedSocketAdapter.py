"""
One connected socket as a component
===================================
Bytes that arrive come out of "outbox"; bytes put into "inbox" are sent. TCPServer makes one for
each client and TCPClient one for its server; few programs make one themselves.

Example Usage
-------------
Two ends of a socket pair, one of them in a component::

    import socket

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Internet.ConnectedSocketAdapter import ConnectedSocketAdapter
    from Kamaelia.Util.OneShot import OneShot

    ours, theirs = socket.socketpair()
    Pipeline(OneShot(b"hello"), ConnectedSocketAdapter(ours)).run()
    print(theirs.recv(100))
    theirs.close()

It prints::

    b'hello'

How does it work?
-----------------
The generator hardly ever runs. Bytes are read in the call-back that reports the socket readable
and delivered there and then; the storage of the inbox is an object whose ``append`` sends at
once and keeps only what the socket would not take. So a request and its answer cost one turn of
the protocol's generator and none of this one's.

Flow control, both ways, so that memory for each connection stays bounded:

* what a slow peer does not take waits here. An inbox with a size (``inbox_limit``) refuses more
  with noSpaceInBox, and wakes the sender when there is room; and above ``write_high`` bytes nothing
  more is read from this peer, so that a protocol that only answers is held back without knowing;
* while ``read_ahead`` messages wait at the receiver, or it is full, nothing is read, and TCP holds
  the sender back.

Ending
------
On producerFinished all that waits is sent first (given up when the peer takes nothing for
``flush_timeout`` seconds), on shutdownMicroprocess it is dropped. When the peer has sent its last
byte, socketShutdown goes out of "CreatorFeedback" and what we send still reaches it, until our side
finishes too or ``half_close_timeout`` is over. In the end socketShutdown goes out of
"CreatorFeedback", if it has not yet, and shutdownCSA out of "signal". Both carry the reason: an
OSError, a text, or None after a proper end.

Any message at "makessl" turns the connection into an encrypted one: see Kamaelia.Internet.TLS.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import get_ident
from typing import Self

from Axon.AtOnce import WhenIdle, act_when_idle
from Axon.AxonExceptions import noSpaceInBox
from Axon.Box import Inbox, Outbox
from Axon.BoxTables import LazyOutboxes
from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Scheduler import scheduler
from Axon.Stages import RAN_OUT
from Axon.Timers import Timer
from Axon.Waiter import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT
from Kamaelia.Internet.SendQueue import (
    NEVER_ASLEEP,
    OPEN,
    SendQueue,
    State,
    Steps,
    send_without_delay,
    unread_bytes,
)
from Kamaelia.Internet.TLS import TLSLink, TLSRequests
from Kamaelia.Internet.TLSSocket import TLSSocket
from Kamaelia.IPC import shutdownCSA, socketShutdown

log = logging.getLogger(__name__)

# More than 64 KiB at once can cost a fresh mapping for each read: 12 microseconds instead of 1.3.
READ_BYTES = 65_536
LINGER_SECONDS = 2.0
CLOSED = State.CLOSED
NOT_TAKEN = "the peer did not take what was left to send"


class ConnectedSocketAdapter(component):
    """ConnectedSocketAdapter(listensocket, selectorService=None, crashOnBadDataToSend=False,
    noisyErrors=True).

    listensocket: a connected stream socket; it is made non-blocking, and closed in the end.
    selectorService is taken and not needed: the scheduler itself says when a socket is ready."""

    Inboxes = {
        "inbox": "bytes: to send to the peer",
        "control": "producerFinished (send what waits, then close) or shutdownMicroprocess (close)",
        "ReadReady": "object: unused; the scheduler's own wait reports the socket",
        "SendReady": "object: unused; see ReadReady",
        "makessl": "ssl.SSLContext or TLSRequest, or anything for the default of a client: go on"
        " in TLS",
    }
    Outboxes = {
        "outbox": "bytes: as they came from the peer",
        "CreatorFeedback": "socketShutdown: the peer has sent its last byte, or is gone",
        "signal": "shutdownCSA: the connection is over",
        "sslready": "TLSInfo: from now on all is encrypted",
        "_selectorSignal": "object: unused",
    }

    __slots__ = (
        *("_begun", "_deadline", "_held", "_idle", "_mask", "_peer_finished", "_queue", "_reading"),
        *("_told_creator", "addresses", "crashOnBadDataToSend", "ends_at_once", "noisyErrors"),
        *("reason", "server_hostname", "sock", "state", "tls", "undelayed", "when_gone"),
    )

    lazy_boxes = True  # most connections need four of them
    announces_end = False  # it says shutdownCSA itself
    woken_by_collection = False  # it asks how much waits at the receiver
    inbox_limit: int | None = None  # messages that may wait to be sent; then noSpaceInBox
    read_ahead = 4  # messages of up to 64 KiB that may wait at the receiver
    write_high = 262_144  # bytes waiting to be sent above which nothing more is read
    inactivity_timeout: float | None = None  # seconds without a byte either way
    flush_timeout = 30.0  # seconds
    half_close_timeout = 60.0  # seconds
    handshake_timeout = 30.0  # seconds

    def __init__(
        self,
        listensocket: socket.socket,
        selectorService: object = None,
        crashOnBadDataToSend: bool = False,
        noisyErrors: bool = True,
        **attributes: object,
    ) -> None:
        super().__init__(**attributes)
        listensocket.setblocking(False)
        self.sock: socket.socket | TLSSocket = listensocket
        self.tls: TLSLink | None = None
        self.server_hostname: str | None = None  # what a certificate of the peer must be for
        self.crashOnBadDataToSend = crashOnBadDataToSend
        self.noisyErrors = noisyErrors
        self.state = State.OPEN
        self.reason: object = None
        # Called with this component when it has ended, however it did.
        self.when_gone: Callable[[ConnectedSocketAdapter], object] | None = None
        inbox = self.inboxes["inbox"]
        inbox.q = self._queue = SendQueue(self, inbox)
        inbox.owner = NEVER_ASLEEP
        inbox.size = self.inbox_limit
        self._begun = False  # the socket has been watched since
        self._held: bytes | None = None  # read, but the receiver was full
        self._reading = True  # we want to deliver what can be read; never unless OPEN
        self._peer_finished = False
        self._told_creator = False
        self._mask = -1  # what the scheduler watches for; -1: nothing is registered
        self._idle: Timer | None = None
        self._deadline: Timer | None = None
        # (peer, port, local address, port) if whoever has made us knows them; None: ask the socket.
        self.addresses: tuple[str, int, str, int] | None = None
        # True: what comes to "control" is acted on as it comes, and not a turn later, in which the
        # peer may have closed, too, and would be read once more.
        self.ends_at_once = False
        self.undelayed = False  # True: the socket has TCP_NODELAY already

    @property
    def closed(self) -> bool:
        return self.state is State.CLOSED

    # ---- life

    def axon_box_made(self, box: Inbox | Outbox) -> None:
        """What comes to "makessl" is acted on at once."""
        if box.name == "control":
            if self.ends_at_once:
                act_when_idle(self, "control", self._handle_control).idle = (
                    self._begun and self.tls is None  # what TLS has to say in the end needs turns
                )
        elif box.name == "makessl":
            box.q = TLSRequests(self)  # type: ignore[union-attr]
            box.owner = NEVER_ASLEEP

    def activate(
        self, Scheduler: scheduler | None = None, Tracker: object = None, mainmethod: str = "main"
    ) -> Self:
        """As every component's. In the scheduler's own thread the socket is watched from now on,
        without a turn for that and without a generator: there is one turn, for the end."""
        if (
            Scheduler is not None
            and Scheduler.thread_id == get_ident()
            and self._axon_scheduler is None
            and self.state is OPEN
            and self.tls is None
            and type(self).main is ConnectedSocketAdapter.main
        ):
            self._axon_gen = Steps(self)
            self.activate_asleep(Scheduler)
            self._begin()
            return self
        return super().activate(Scheduler, Tracker, mainmethod)

    def _begin(self) -> None:
        self._begun = True
        if not self.undelayed:
            send_without_delay(self.sock)
        if self.tls is not None:
            self.tls.begin()
        self.watch()
        if self.inactivity_timeout is not None and self.scheduler:
            self._idle = self.scheduler.call_later(
                self.inactivity_timeout, lambda: self._close("inactive")
            )

    def main(self) -> Iterator[object]:
        if not self._begun and not self.closed:
            self._begin()
        while self.step():
            yield 1

    def step(self) -> bool:
        """One turn: do what we were woken for, then sleep. False: the connection is over."""
        control = dict.get(self.inboxes, "control")
        while control is not None and control.q:
            self._handle_control(control.q.popleft())
        if not self._reading and self.state is OPEN:
            self._try_reading_again()
        if self.tls is not None:
            self.tls.go_on()
        if self.state is State.CLOSED:
            return False
        self.pause()
        return True

    def _closeDownMicroprocess(self) -> object:
        # Here and not at the end of main: an end by stop() or by an exception is told as well.
        self._tell_creator()
        if self._may_lead("signal"):
            self.send(shutdownCSA(self, (self, self.sock)), "signal")
        control = dict.get(self.inboxes, "control")
        while control is not None and control.q:
            control.q.popleft()  # it may name who has our own messages: a reference cycle
        if self.when_gone is not None:
            self.when_gone(self)
            self.when_gone = None
        return super()._closeDownMicroprocess()

    def _axon_forget(self) -> None:
        super()._axon_forget()
        del self._queue.adapter  # a reference cycle, otherwise; so is the next
        self.tls = None

    def stop(self) -> None:
        """Close at once; nothing waits for a stopped component."""
        self._close(self.reason if self.reason is not None else "stopped")
        super().stop()

    def _may_lead(self, name: str) -> bool:
        outboxes = self.outboxes
        return outboxes.may_lead(name) if isinstance(outboxes, LazyOutboxes) else True

    def _handle_control(self, message: object) -> None:
        if isinstance(message, shutdownMicroprocess) or message is shutdownMicroprocess:
            self._close("shut down")
        elif isinstance(message, producerFinished) and self.state is OPEN:
            self.state = State.FLUSHING
            self._reading = False
            self._advance()
            if self.state is State.FLUSHING:  # nearly always all has gone at once
                self._limit(self.flush_timeout, NOT_TAKEN)

    # ---- TLS

    def use_tls(self, encrypted: TLSSocket) -> None:
        """Go on over the same connection, which has been given to a TLSSocket."""
        self._unwatch()
        control = dict.get(self.inboxes, "control")
        if control is not None and type(control.q) is WhenIdle:
            control.q.idle = False
        self.sock = encrypted
        self.tls = TLSLink(self, encrypted)
        if self.scheduler:
            self.tls.begin()

    def _tls_ready(self, events: int) -> None:
        if self.tls is not None:
            self.tls.ready(events)

    # ---- the socket's call-back

    def _ready(self, events: int) -> None:
        """Something can be read or written, or the connection has failed."""
        if self._idle is not None:
            self.touch()
        if events == EPOLLIN and self._reading:  # nearly always
            self._read()
            if not self._reading:
                self.watch()
            return
        if events & EPOLLOUT and self._queue.chunks:
            self._write()
        if events & (EPOLLIN | EPOLLHUP | EPOLLERR) and self.state is not State.CLOSED:
            if self._reading or self.state is not OPEN:
                self._read()
            elif not self._queue.chunks:
                # Not wanted now, yet reported: an error or a hang-up, which cannot be masked out.
                # Stop watching, or it would be reported for ever; the next wanted read finds it.
                self._unwatch()
        self._advance()

    def _write(self) -> None:
        try:
            progress = self._queue.send_some(self.sock)
        except OSError as error:
            self.fail_to_send(error)
            return
        if progress:
            self._sent_some()
        if self._queue.waiting_bytes <= self.write_high // 2 and not self._reading:
            self.unpause()

    def _sent_some(self) -> None:
        inbox = self.inboxes["inbox"]
        if inbox.waiters:
            inbox.collected()
        if self.state is State.FLUSHING:
            # A slow peer gets all of it, however long that takes; one that takes nothing does not.
            self._limit(self.flush_timeout, NOT_TAKEN)

    def _read(self) -> None:
        try:
            data = self.sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self.fail(error)
            return
        if not data:
            self._peer_has_finished()
        elif self._reading:
            self._deliver_data(data)

    def _deliver_data(self, data: bytes) -> None:
        try:
            self.send(data, "outbox")
        except noSpaceInBox:  # the send has arranged that we are woken when there is room
            self._held = data
            self._reading = False
            return
        sink = self.outboxes["outbox"].sink
        if len(sink.q) >= self.read_ahead:
            sink.wake_on_collection(self)
            self._reading = False
        elif self._queue.waiting_bytes > self.write_high:
            self._reading = False

    def _try_reading_again(self) -> None:
        """Woken while not reading: deliver what is held; read on if receiver and peer keep up."""
        if self._held is not None:
            held, self._held = self._held, None
            self._reading = True
            self._deliver_data(held)
        else:
            sink = self.outboxes["outbox"].sink
            if len(sink.q) >= self.read_ahead:
                sink.wake_on_collection(self)
            elif self._queue.waiting_bytes <= self.write_high // 2:
                self._reading = True
        self.watch()

    def _peer_has_finished(self) -> None:
        """The peer's last byte was read. It may still listen."""
        self._peer_finished = True
        self._reading = False
        if self.state is OPEN:
            self._tell_creator()
            self._limit(self.half_close_timeout, "our side did not finish after the peer had")

    # ---- moving on

    def _advance(self) -> None:
        """Go to the next state if this one has done its work; then watch for what is wanted now."""
        if (
            self.state is State.FLUSHING
            and not self._queue.chunks
            and (self.tls is None or self.tls.has_ended())
        ):
            if self._peer_finished or not unread_bytes(self.sock):
                self._close(None)
                return
            # Closing a socket in which bytes lie unread resets the connection, and the peer might
            # lose our last words to that: shut our end only and read on until it closes.
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_WR)
            self.state = State.LINGERING
            self._limit(LINGER_SECONDS, None)
        elif self.state is State.LINGERING and self._peer_finished:
            self._close(None)
            return
        self.watch()

    def watch(self) -> None:
        """Have the scheduler watch the socket for what we want of it now."""
        running = self._axon_scheduler
        if running is None or self.state is CLOSED:
            return
        mask = self._wanted() if self.tls is None else self.tls.wanted()
        if mask == self._mask:
            return
        if self._mask < 0:
            if mask:
                ready = self._ready if self.tls is None else self._tls_ready
                running.register(self.sock.fileno(), mask, ready)
                self._mask = mask
        elif mask or not self._peer_finished:
            running.modify(self.sock.fileno(), mask)
            self._mask = mask
        else:
            # With both ends shut the kernel reports a hang-up whatever we ask for.
            self._unwatch()

    def _wanted(self) -> int:
        mask = 0
        if not self._peer_finished and (self._reading or self.state is not OPEN):
            mask |= EPOLLIN
        if self._queue.chunks:
            mask |= EPOLLOUT
        return mask

    def _unwatch(self) -> None:
        if self._mask >= 0 and self._axon_scheduler is not None:
            self._axon_scheduler.unregister(self.sock.fileno())
            self._mask = -1

    # ---- the end

    def fail(self, error: OSError) -> None:
        """The connection is broken: reset, timed out, unreachable."""
        self._close(error.with_traceback(None))  # its frames would keep this component in memory

    def fail_to_send(self, error: OSError) -> None:
        """The peer takes nothing more. Why, it may have said just before, and that lies unread: a
        mail server that dislikes the beginning of a message refuses it and hangs up."""
        if self.state is OPEN and self._held is None and self.scheduler:
            with suppress(OSError, noSpaceInBox):
                for _ in range(self.read_ahead):
                    data = self.sock.recv(READ_BYTES)
                    if not data:
                        break
                    self.send(data, "outbox")
        self.fail(error)

    def _limit(self, seconds: float, reason: str | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        if self.scheduler:
            self._deadline = self.scheduler.call_later(seconds, lambda: self._close(reason))

    def touch(self) -> None:
        """A byte went over the wire: start the inactivity time again. The timer is moved, not made
        anew."""
        if self._idle is not None:
            self._idle.when = self.now() + (self.inactivity_timeout or 0.0)

    def _tell_creator(self) -> None:
        if not self._told_creator:
            self._told_creator = True
            if not self._may_lead("CreatorFeedback"):
                return
            self.send(socketShutdown(self, [self.sock, self.reason]), "CreatorFeedback")

    def _close(self, reason: object) -> None:
        if self.state is State.CLOSED:
            return
        self.state = State.CLOSED
        self._reading = False
        self.reason = reason
        self._unwatch()
        for timer in (self._idle, self._deadline):
            if timer is not None:
                timer.cancel()
        if self.tls is not None:
            self.tls.close(not self._queue.chunks and not isinstance(reason, OSError))
        self._queue.clear()
        self.sock.close()
        inbox = self.inboxes["inbox"]
        if inbox.waiters:
            inbox.collected()
        if type(self._axon_gen) is Steps:
            self._axon_gen = RAN_OUT  # the next turn finds that it is over
        self.unpause()  # main has the last word


__kamaelia_components__ = (ConnectedSocketAdapter,)
