"""
One datagram socket as a component
==================================
What the components of UDP.py and the multicast ones have in common: a socket that the scheduler's
own wait reports, datagrams out of "outbox" as they come, and a way to send that keeps what the
kernel does not take yet.

Example Usage
-------------
The smallest kind there is, which only receives::

    import socket

    from Axon.OnMessage import MessageComponent
    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Internet.Datagrams import DatagramSocket

    receiver = DatagramSocket("127.0.0.1", 0)

    class Show(MessageComponent):
        def on_inbox(self, message):
            data, (host, port) = message
            print(data, host)
            receiver.stop()

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"hello", receiver.address)
    Pipeline(receiver, Show()).run()

It prints::

    b'hello' 127.0.0.1

How does it work?
-----------------
The socket is made and bound when the component first runs, or when somebody asks for its
``address``: a port that cannot be had is an OSError there. Datagrams are read in the call-back that
reports the socket. While the receiver is full, or has ``read_ahead`` of them waiting, nothing is
read: the kernel's buffer fills, and then datagrams are lost, as they may be anywhere on their way.

Sending does not block (the look-up of a name may, when it is first used). What the kernel refuses
for want of room stays in the inbox; give that a size with ``inbox_limit`` to hold back whoever
sends. Any other failure, such as a datagram that is too long, or a host that says that nobody
listens there, loses one datagram: it is told at "error", and in the log once for each kind. Both
ways no more than `DATAGRAMS_A_TURN` go at a time, so a flood leaves turns for others.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address

from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Ipc import stops_at_once
from Axon.Waiter import EPOLLIN, EPOLLOUT

log = logging.getLogger(__name__)

LONGEST = 65_535  # what the length field of a datagram can say
DATAGRAMS_A_TURN = 64
REMEMBERED_NAMES = 256
ANY4, ANY6 = "0.0.0.0", "::"  # noqa: S104 - compared, and the original's default

Address = tuple[str, int]  # host and port


@dataclass(frozen=True, slots=True)
class DatagramError:
    """One datagram could not be sent, or word came back that an earlier one has not arrived."""

    address: Address | None
    error: OSError | TypeError

    def __str__(self) -> str:
        place = f" to {self.address[0]} port {self.address[1]}" if self.address else ""
        return f"datagram{place}: {self.error}"


class DatagramSocket(component):
    """DatagramSocket(localaddr="0.0.0.0", localport=0) -> (data, (host, port)) of all that comes.

    localaddr: an IPv4 or IPv6 address of this machine. localport: 0 lets the system choose."""

    Inboxes = {
        "inbox": "object: unused here; to be sent in subclasses",
        "control": "producerFinished (send what waits, then end) or shutdownMicroprocess (end now)",
    }
    Outboxes = {
        "outbox": "(bytes, (str, int)): a datagram, with the host and port that it came from",
        "error": "DatagramError: what could not be sent",
        "signal": "the shutdown that came in",
    }

    woken_by_collection = False  # it asks how much waits at the receiver
    inbox_limit: int | None = None  # messages that may wait to be sent; then noSpaceInBox
    read_ahead = 100  # datagrams that may wait at the receiver
    receives = True

    def __init__(self, localaddr: str = ANY4, localport: int = 0, **attributes: object) -> None:
        super().__init__(**attributes)
        self.localaddr = localaddr
        self.localport = localport
        self.setInboxSize("inbox", self.inbox_limit)
        self.sock: socket.socket | None = None
        self._mask = 0
        self._reading = self.receives
        self._held: object = None  # read, but the receiver was full
        self._complained: set[int | None] = set()
        self._names: dict[str, str] = {}

    @property
    def address(self) -> Address:
        """(host, port) where it can be reached. Raises OSError if that cannot be had."""
        host, port, *_ = self._opened().getsockname()
        return host, port

    # ---- life

    def main(self) -> Iterator[object]:
        self._opened()
        try:
            while True:
                stop = self.told_to_stop()
                if stops_at_once(stop):
                    return
                self._take_settings()
                blocked = not self._send_what_waits()
                if stop and not self.dataReady("inbox"):
                    return
                self._read_again()
                self._watch(blocked)
                if blocked or not self.dataReady("inbox"):
                    self.pause()
                yield 1
        finally:
            self._close()

    def stop(self) -> None:
        self._close()
        super().stop()

    def _opened(self) -> socket.socket:
        if self.sock is None:
            family = socket.AF_INET6 if ":" in self.localaddr else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_DGRAM)
            try:
                sock.setblocking(False)
                self._prepare(sock)
                sock.bind((self.localaddr, self.localport))
            except OverflowError:
                sock.close()
                raise ValueError(f"{self.localport} is no port: 0 to 65535 are") from None
            except OSError as error:
                sock.close()
                where = f"{self.localaddr} port {self.localport}"
                error.strerror = f"cannot receive datagrams at {where}: {error.strerror}"
                raise
            self.sock = sock
        return self.sock

    def _prepare(self, sock: socket.socket) -> None:
        """Set options before the socket is bound."""

    def _close(self) -> None:
        sock, self.sock = self.sock, None
        if sock is None:
            return
        if self._mask and self.scheduler:
            self.scheduler.unregister(sock.fileno())
        self._mask = 0
        sock.close()

    def _watch(self, blocked: bool) -> None:
        mask = (EPOLLIN if self._reading else 0) | (EPOLLOUT if blocked else 0)
        if mask == self._mask or self.sock is None or not self.scheduler:
            return
        if self._mask == 0:
            self.scheduler.register(self.sock.fileno(), mask, self._ready)
        elif mask:
            self.scheduler.modify(self.sock.fileno(), mask)
        else:
            self.scheduler.unregister(self.sock.fileno())
        self._mask = mask

    def _ready(self, events: int) -> None:
        if events & ~EPOLLOUT and self._reading:
            self._read()
        if events & EPOLLOUT or not self._reading:
            self.unpause()  # to send on, or to stop watching

    # ---- receiving

    def _read(self) -> None:
        for _ in range(DATAGRAMS_A_TURN):
            if self.sock is None or not self._reading:
                return
            try:
                data, address = self.sock.recvfrom(LONGEST)
            except BlockingIOError:
                return
            except OSError as error:  # word of an earlier datagram: nobody listens there
                self._complain(None, error)
                continue
            self._hand_on(self._received(data, address))

    def _received(self, data: bytes, address: tuple[str, int]) -> object:
        """What goes out of "outbox" for a datagram."""
        return data, address[:2]

    def _hand_on(self, message: object) -> None:
        try:
            self.send(message, "outbox")
        except noSpaceInBox:  # the send has arranged that we are woken when there is room
            self._held = message
            self._reading = False
            return
        sink = self.outboxes["outbox"].sink
        if len(sink.q) >= self.read_ahead:
            sink.wake_on_collection(self)
            self._reading = False

    def _read_again(self) -> None:
        """Woken while not reading: go on if the receiver has caught up."""
        if self._reading or not self.receives:
            return
        if self._held is not None:
            held, self._held = self._held, None
            self._reading = True
            self._hand_on(held)
            return
        sink = self.outboxes["outbox"].sink
        if len(sink.q) < self.read_ahead:
            self._reading = True
        else:
            sink.wake_on_collection(self)

    # ---- sending

    def _take_settings(self) -> None:
        """Look into further inboxes, before what waits is sent."""

    def _addressed(self, message: object) -> tuple[object, Address]:
        """(data, (host, port)) of a message. Raises TypeError if it is no such thing."""
        raise TypeError(f"{self.name} only receives")

    def _send_what_waits(self) -> bool:
        """Send, but leave turns for others; False if the kernel took no more."""
        inbox = self.inboxes["inbox"]
        for _ in range(min(self.dataReady("inbox"), DATAGRAMS_A_TURN)):
            address: Address | None = None
            try:
                data, address = self._addressed(inbox.q[0])
                self._send_one(data, address)
            except BlockingIOError:
                return False
            except (OSError, TypeError, OverflowError) as error:
                wrong = error if isinstance(error, OSError) else TypeError(str(error))
                self._complain(address, wrong)
            self.recv("inbox")
        return True

    def _send_one(self, data: object, address: Address) -> None:
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(
                f"{self.name}: only bytes can be sent to a socket, not {type(data).__name__}"
            )
        self._opened().sendto(data, (self._number_of(address[0]), address[1]))

    def _number_of(self, host: str) -> str:
        """The address of a host. A name is looked up when it is first used, which may take its
        time: a program that cares gives addresses, or asks a Resolver."""
        with suppress(ValueError):
            ip_address(host.partition("%")[0])
            return host
        if host not in self._names:
            if len(self._names) >= REMEMBERED_NAMES:
                self._names.clear()
            family = self._opened().family
            found = socket.getaddrinfo(host, None, family, socket.SOCK_DGRAM)
            self._names[host] = str(found[0][4][0])
        return self._names[host]

    def _complain(self, address: Address | None, error: OSError | TypeError) -> None:
        told = DatagramError(address, error)
        kind = error.errno if isinstance(error, OSError) else None
        if kind not in self._complained:
            self._complained.add(kind)
            text = os.strerror(kind) if kind is not None and kind > 0 else error
            log.warning("%s: a datagram was lost (said once): %s", self.name, text)
        with suppress(noSpaceInBox):  # whoever does not read what was lost loses that too
            self.send(told, "error")


__kamaelia_components__ = (DatagramSocket,)
