"""
Values that go on by themselves
===============================
Sources without an end, for things that move: a size that swells and shrinks, a place that bounces
between borders, an angle that goes round. Each sends a value every ``interval_seconds`` (by default
25 in a second), and none while its receiver has no room.

Example Usage
-------------
The first angles of something that turns::

    from Axon.Ipc import shutdownMicroprocess
    from Axon.Testing import harness
    from Kamaelia.Automata.Behaviours import loopingCounter

    with harness(loopingCounter(120)) as h:
        h.expect_all("outbox", [0, 120, 240, 0, 120])
        h.put("pause", "control")
        h.expect_nothing("outbox", during=60)
        h.put("unpause", "control")
        print(h.expect("outbox"))
        h.finish(shutdownMicroprocess())

It prints::

    240

At "control" they understand the texts "shutdown", "pause" and "unpause", and both shutdown
messages; after "pause" any message at all wakes them.

The original sent a value in every turn, however fast the machine, to whoever could take it or not;
``interval_seconds=0`` is as near to that as a bounded box lets it come. Points are tuples here,
since what is sent must not change afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat

from Axon.Component import component
from Axon.Ipc import is_shutdown, producerFinished, stops_at_once

_SMALLEST, _LARGEST = 0.1, 1.0  # of a bouncingFloat
_SCALE_STEP = 0.1  # at speed 1


class _Behaviour(component):
    """Sends its values, one in each interval."""

    Inboxes = {
        "inbox": "object: wakes it after a pause, whatever it is",
        "control": "str | ipc: shutdown, pause, unpause, or the shutdown",
    }

    woken_by_collection = False  # it asks isFull()
    interval_seconds = 0.04

    _paused = False
    _stop: object = None

    def _values(self) -> Iterator[object]:
        raise NotImplementedError

    def main(self) -> Iterator[object]:
        values = self._values()
        due = self.now()
        while True:
            self._obey()
            if self._stop is not None:
                break
            if self._paused or self.outboxes["outbox"].isFull():
                self.pause()  # until a message comes, or there is room
            elif (left := due - self.now()) > 0:
                self.pause(left)
            else:
                self.send(next(values), "outbox")
                # From the time it was due, not from now: delays do not add up. But what was missed
                # while it was paused is not made up for.
                due = max(due, self.now() - self.interval_seconds) + self.interval_seconds
            yield 1
        yield from self.put(self._stop, "signal")

    def _obey(self) -> None:
        for _ in self.Inbox("inbox"):
            self._paused = False
        for message in self.Inbox("control"):
            self._paused = message == "pause"
            if message == "shutdown":
                message = producerFinished(self)
            if is_shutdown(message):
                if self._stop is None or stops_at_once(message):
                    self._stop = message
            elif message not in ("pause", "unpause"):
                self.send(message, "signal")


class bouncingFloat(_Behaviour):
    """bouncingFloat(scale_speed) -> a number between 0.1 and 1 that goes down from 1 and up again,
    by a tenth of scale_speed at a time."""

    Outboxes = {
        "outbox": "float: between 0.1 and 1",
        "signal": "the shutdown that came in, or producerFinished after the text shutdown",
    }

    def __init__(self, scale_speed: float, **attributes: object) -> None:
        super().__init__(**attributes)
        self.scale_speed = scale_speed

    def _values(self) -> Iterator[float]:
        return _bounces(_LARGEST, -_SCALE_STEP * self.scale_speed, _SMALLEST, _LARGEST)


class cartesianPingPong(_Behaviour):
    """cartesianPingPong(point, width, height, border) -> points that move from point on and bounce
    between the borders of the area.

    Raises ValueError for an area that is all border."""

    Outboxes = {
        "outbox": "(float, float): x and y",
        "signal": "the shutdown that came in, or producerFinished after the text shutdown",
    }

    pixels = 10  # in both directions, from one point to the next

    def __init__(
        self,
        point: tuple[float, float],
        width: float,
        height: float,
        border: float,
        **attributes: object,
    ) -> None:
        if min(width, height) <= 2 * border:
            raise ValueError(
                f"an area of {width} x {height} has no room within borders of {border}"
            )
        super().__init__(**attributes)
        x, y = point
        self.point = (x, y)
        self.width = width
        self.height = height
        self.border = border

    def _values(self) -> Iterator[tuple[float, float]]:
        x, y = self.point
        return zip(
            _bounces(x, self.pixels, self.border, self.width - self.border),
            _bounces(y, self.pixels, self.border, self.height - self.border),
            strict=False,
        )


class loopingCounter(_Behaviour):
    """loopingCounter(increment, modulo=360) -> 0, increment, 2 * increment, ... modulo modulo.

    Raises ValueError if modulo is 0."""

    Outboxes = {
        "outbox": "float: from 0 up to modulo",
        "signal": "the shutdown that came in, or producerFinished after the text shutdown",
    }

    def __init__(self, increment: float, modulo: float = 360, **attributes: object) -> None:
        if not modulo:
            raise ValueError("loopingCounter(modulo=0) has nowhere to turn round")
        super().__init__(**attributes)
        self.increment = increment
        self.modulo = modulo

    def _values(self) -> Iterator[float]:
        total: float = 0
        while True:
            yield total
            total = (total + self.increment) % self.modulo


class continuousIdentity(_Behaviour):
    """continuousIdentity(original) -> original, again and again."""

    Outboxes = {
        "outbox": "object: original",
        "signal": "the shutdown that came in, or producerFinished after the text shutdown",
    }

    def __init__(self, original: object, **attributes: object) -> None:
        super().__init__(**attributes)
        self.original = original

    def _values(self) -> Iterator[object]:
        return repeat(self.original)


class continuousZero(continuousIdentity):
    """continuousZero() -> 0, again and again."""

    def __init__(self, **attributes: object) -> None:
        super().__init__(0, **attributes)


class continuousOne(continuousIdentity):
    """continuousOne() -> 1, again and again."""

    def __init__(self, **attributes: object) -> None:
        super().__init__(1, **attributes)


def _bounces(place: float, step: float, low: float, high: float) -> Iterator[float]:
    """From place on, and back at either end."""
    place = min(max(place, low), high)
    while True:
        yield place
        place += step
        if not low <= place <= high:
            step = -step
            turned = 2 * (high if place > high else low) - place
            place = min(max(turned, low), high)  # a step may be longer than the way


__kamaelia_components__ = (
    bouncingFloat,
    cartesianPingPong,
    loopingCounter,
    continuousIdentity,
    continuousZero,
    continuousOne,
)
