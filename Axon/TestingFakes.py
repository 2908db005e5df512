"""
Components that play a part
===========================
A component knows nobody, so in a test its neighbours need not be the real ones: ``Scripted`` is any
neighbour, and plays the steps it was given. ``Unreliable`` is a bad line between two neighbours; a
seed decides which messages it loses, doubles or delays. Both are ordinary components and stand in
a Pipeline or a Graphline where the real thing would.

Example Usage
-------------
A mail server that answers too late, for a client that gives up after a minute::

    server = Scripted(
        Send(b"220 ready"),
        Expect(b"EHLO client", within=5),
        Wait(61),
        Send(b"250 hello"),
        Stay(),
    )
    with harness(Pipeline(Client(), server)) as h:
        h.expect_end(within=120)

A line that loses every tenth message and delays each by up to a second::

    Pipeline(Sender(), Unreliable(seed=3, lose=0.1, delay=1.0), Receiver())
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, assert_never

from Axon.AdaptiveCommsComponent import AdaptiveCommsComponent
from Axon.Component import component
from Axon.Ipc import shutdownMicroprocess
from Axon.TestingMatchers import anything, describe, matches, show


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message, when the receiver has room."""

    message: Any
    box: str = "outbox"


@dataclass(frozen=True, slots=True)
class Expect:
    """Wait for the next message, and fail if it is another, or if none comes within so many
    seconds (None: wait for ever)."""

    expected: Any = anything
    box: str = "inbox"
    within: float | None = None


@dataclass(frozen=True, slots=True)
class Nothing:
    """Fail if a message comes during so many seconds."""

    during: float
    box: str = "inbox"


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for so many seconds; messages stay where they are."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Fail:
    """Raise this, as a component with a defect would."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class Stay:
    """Stay until told to stop (and pass that on)."""


Step = Send | Expect | Nothing | Wait | Fail | Stay


class ScriptError(AssertionError):
    """A Scripted component was not sent what its script says."""


class Scripted(AdaptiveCommsComponent):
    """Scripted(*steps) -> plays them in turn, then ends; it has whatever boxes the steps name.

    ``received`` lists the messages it took, ``step`` says how far it came. When an expectation is
    not met it raises ScriptError, which ends the run."""

    Inboxes = {"inbox": "object: what Expect waits for", "control": "the shutdown: ends Stay"}
    Outboxes = {"outbox": "object: what Send sends", "signal": "the shutdown that ended Stay"}

    def __init__(self, *steps: Step) -> None:
        super().__init__()
        self.steps = steps
        self.step = 0
        self.received: list[Any] = []
        for one in steps:
            if isinstance(one, Send) and one.box not in self.outboxes:
                self.addOutbox(one.box)
            elif isinstance(one, Expect | Nothing) and one.box not in self.inboxes:
                self.addInbox(one.box)

    def main(self) -> Iterator[object]:
        for self.step, one in enumerate(self.steps):  # noqa: B020 - step is for the test to read
            match one:
                case Send(message, box):
                    yield from self.put(message, box)
                case Expect(expected, box, within):
                    yield from self._expect(expected, box, within)
                case Nothing(during, box):
                    yield from self._until(self.now() + during, box)
                    if self.dataReady(box):
                        raise self._wrong("nothing", box, f"came {show(self.recv(box))}")
                case Wait(seconds):
                    yield from self._until(self.now() + seconds)
                case Fail(error):
                    raise error
                case Stay():
                    yield from self._stay()
                case _:
                    assert_never(one)
        self.step = len(self.steps)

    def _expect(self, expected: object, box: str, within: float | None) -> Iterator[object]:
        yield from self._until(None if within is None else self.now() + within, box)
        if not self.dataReady(box):
            raise self._wrong(describe(expected), box, f"nothing came within {within} s")
        message = self.recv(box)
        self.received.append(message)
        if not matches(expected, message):
            raise self._wrong(describe(expected), box, f"came {show(message)}")

    def _until(self, deadline: float | None, box: str | None = None) -> Iterator[object]:
        """Sleep until the deadline, or until something lies in the box."""
        while box is None or not self.dataReady(box):
            left = None if deadline is None else deadline - self.now()
            if left is not None and left <= 0:
                return
            self.pause(left)
            yield 1

    def _stay(self) -> Iterator[object]:
        while not self.told_to_stop():
            self.pause()
            yield 1

    def _wrong(self, expected: str, box: str, came: str) -> ScriptError:
        return ScriptError(
            f"step {self.step} of {self.name} expected {expected} in {box!r}: {came}"
        )


class Unreliable(component):
    """Unreliable(seed=0, lose=0.0, double=0.0, delay=0.0) -> hands messages on, badly.

    lose and double are chances from 0 to 1 for each message, delay the most seconds that one is
    held up. Those with a shorter delay overtake others, unless ``in_order``. producerFinished is
    handed on after every message. ``lost`` and ``doubled`` list what was done to whom."""

    Inboxes = {"inbox": "object: anything", "control": "the shutdown: handed on after the rest"}
    Outboxes = {"outbox": "object: what was not lost", "signal": "the shutdown that came in"}

    in_order = False

    def __init__(
        self, seed: int = 0, lose: float = 0.0, double: float = 0.0, delay: float = 0.0, **argd: Any
    ) -> None:
        super().__init__(**argd)
        self.lose, self.double, self.delay = lose, double, delay
        self.lost: list[Any] = []
        self.doubled: list[Any] = []
        self._random = Random(seed)  # noqa: S311 - the same faults each time
        self._held: list[tuple[float, int, Any]] = []  # when it is due, its number, the message
        self._number = 0

    def main(self) -> Iterator[object]:
        stop: object = None
        while True:
            for message in self.Inbox("inbox"):
                self._take(message)
            stop = stop or self.told_to_stop()
            if isinstance(stop, shutdownMicroprocess):
                return
            while self._held and self._held[0][0] <= self.now():
                yield from self.put(self._held.pop(0)[2])
            if self.dataReady() or (not stop and self.dataReady("control")):
                continue  # it came while put() had to wait
            if stop and not self._held:
                return
            self.pause(self._held[0][0] - self.now() if self._held else None)
            yield 1

    def _take(self, message: object) -> None:
        if self._random.random() < self.lose:
            self.lost.append(message)
            return
        self._hold(message)
        if self._random.random() < self.double:
            self.doubled.append(message)
            self._hold(message)

    def _hold(self, message: object) -> None:
        due = self.now() + self._random.random() * self.delay
        if self.in_order and self._held:
            due = max(due, self._held[-1][0])
        self._number += 1
        self._held.append((due, self._number, message))
        self._held.sort(key=lambda held: held[:2])
