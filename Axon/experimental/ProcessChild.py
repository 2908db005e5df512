"""
The other process: where a component lives that was sent there
==============================================================
``live`` is the whole program of such a process: it is told over a wire what to run, links the
component's boxes to the wire, runs the scheduler of this process until the component has ended, and
says how it ended.

It never outlives its parent. The wire's end is the sign, whether the parent ended its own end, was
told to stop, or was killed: the scheduler here stops everybody. A component that never yields
cannot be stopped so, which is what a thread is for that waits for the same sign, gives the others
some seconds and ends the process.

Ctrl-C in a terminal reaches this process too. It is the parent's to act on, and is swallowed here:
by a function and not by "ignore", since programs started from here would inherit that.

Example Usage
-------------
Axon.experimental.Process starts it::

    Process(target=live, args=(sock,)).start()
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from Axon.AxonExceptions import AxonException
from Axon.Component import component
from Axon.experimental.ProcessPickle import unpack_component
from Axon.experimental.ProcessWire import Bridge, Kind, Wire
from Axon.Ipc import newComponent

LONGEST_TRACEBACK = 16_384  # characters; of a longer one the end, which says what happened
EXIT_ABANDONED = 70  # of a process that did not end when its parent had gone


class RemoteError(AxonException):
    """Stands for an exception of another process that cannot be put together here; ``args``: its
    type and text."""


@dataclass(frozen=True, slots=True)
class Start:
    """What the parent says first."""

    parcel: bytes  # for unpack_component
    inboxes: tuple[str, ...]
    outboxes: tuple[str, ...]
    limits: dict[str, int]  # of the inboxes to which outboxes lead over there
    window: int
    grace_seconds: float


class _Relay(Bridge):
    """_Relay(wire, start, thecomponent) -> runs the component as its child, its boxes joined to the
    wire."""

    announces_end = False

    def __init__(self, wire: Wire, start: Start, thecomponent: component) -> None:
        super().__init__(Inboxes=start.outboxes, Outboxes=start.inboxes, window=start.window)
        self.wire = wire
        self._component = thecomponent
        try:
            for name in start.outboxes:
                self.link((thecomponent, name), (self, name))
            for name in start.inboxes:
                self.link((self, name), (thecomponent, name))
        except KeyError as error:
            error.add_note(f"{thecomponent.name} lacks a box of its ProcessWrapComponent")
            raise
        for name, size in start.limits.items():
            self.setInboxSize(name, size)

    def main(self) -> Iterator[object]:
        self.wire.attach(self.scheduler, self.unpause)
        self.addChildren(self._component)
        yield newComponent(self._component)
        while self.wire.open:
            self.finishing = self._component._isStopped()
            self.exchange()
            if self.finishing and not self.take_in():
                break
            self.pause()  # until a message comes, the wire has something, or the component ends
            yield 1
        self.wire.put(Kind.ENDED)
        self.wire.flush()
        while self.wire.open and self.wire.backlog:
            self.pause()
            yield 1
        self.scheduler.stop()  # whatever it left running ends with it


def live(sock: socket.socket) -> None:
    """Be the process of one component, from the first word of the parent to its end."""
    signal.signal(signal.SIGINT, _swallow)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # blocked while we were started
    wire = Wire(sock)
    first = wire.wait_for_frame()
    if first is None:
        return  # it has changed its mind
    start: Start = pickle.loads(first.payload)  # noqa: S301 - from our parent
    threading.Thread(
        target=_end_with_parent, args=(sock.fileno(), start.grace_seconds), daemon=True
    ).start()
    relay = None
    try:
        relay = _Relay(wire, start, unpack_component(start.parcel))
        relay.run()
    except Exception as error:  # noqa: BLE001 - said to the parent, which raises it
        _report(error, wire, relay)
        wire.finish(start.grace_seconds)


def _report(error: Exception, wire: Wire, relay: _Relay | None) -> None:
    if relay is not None:
        try:
            relay.take_in()  # what it sent before it failed has been sent
        except Exception as second:  # noqa: BLE001 - the first is what the parent is told
            error.add_note(f"and then: {second}")
    wire.put(Kind.FAILED, payload=pack_failure(error))


def pack_failure(error: Exception) -> bytes:
    """The text of the traceback, and the exception if it can be rebuilt from its pickle."""
    text = "".join(traceback.format_exception(error))[-LONGEST_TRACEBACK:]
    try:
        whole = pickle.dumps(error)
        pickle.loads(whole)  # noqa: S301 - just made; one with an initialiser of its own may fail
    except Exception:  # noqa: BLE001 - whatever its pickling raises: the text remains
        whole = None
    return pickle.dumps((text, whole, type(error).__name__, str(error)))


def unpack_failure(data: bytes) -> tuple[Exception, str]:
    """(the exception, or a RemoteError in its place; the text of its traceback)."""
    text, whole, kind, words = pickle.loads(data)  # noqa: S301 - from a process of ours
    error: Any = None
    if whole is not None:
        try:
            error = pickle.loads(whole)  # noqa: S301 - the same
        except Exception:  # noqa: BLE001 - its class may not be importable here
            error = None
    if not isinstance(error, Exception):
        error = RemoteError(kind, words)
    return error, text


def _swallow(number: int, frame: FrameType | None) -> None:
    """Ctrl-C is for the parent."""


def _end_with_parent(fd: int, seconds: float) -> None:
    poller = select.poll()
    poller.register(fd, select.POLLRDHUP)
    poller.poll()
    time.sleep(seconds)
    os._exit(EXIT_ABANDONED)
