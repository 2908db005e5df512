"""
Limit how fast messages or bytes go
===================================
* MessageRateLimit hands messages on, so many a second at the most.
* ByteRate_RequestControl sends numbers, "so many bytes now", at the pace of a byte rate. Before a
  component that reads on request (Kamaelia.File.Reading.PromptedFileReader) it decides how fast a
  file is read. VariableByteRate_RequestControl is the same, and its rate may be changed while it
  runs, by a message.

Example Usage
-------------
Three lines, ten a second::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.RateFilter import MessageRateLimit

    lines = DataSource(["one\\n", "two\\n", "three\\n"])
    Pipeline(lines, MessageRateLimit(10, buffer=1), ConsoleEchoer()).run()

It prints::

    one
    two
    three

All of them sleep between two messages. While the receiver is full they wait; the request controls
make up for it afterwards, so that the rate is right on average.

Unlike the original's, a MessageRateLimit loses nothing when its producer finishes before the buffer
is full, and starts with less than that if its inbox has no room for more (hardlimit).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from Axon.Component import component
from Axon.Ipc import stops_at_once
from Kamaelia.Util.Stopping import offer

_HEAD_ROOM = 1.1  # a producer that is exactly as fast must not be held up more and more
_SHORTEST_STEP = 1e-5  # seconds: more messages than that nobody can hand on
_A_LITTLE = 1e-6  # three thirds of a byte are a byte; nobody sees a microsecond


def _positive(value: float, what: str) -> float:
    """The value. Raises TypeError if it is no number, ValueError if it is none that can be a rate
    or a size."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{what} must be a number, not {value!r}")
    if not (value > 0 and isfinite(value)):
        raise ValueError(f"{what} must be more than 0, not {value!r}")
    return value


class MessageRateLimit(component):
    """MessageRateLimit(messages_per_second, buffer=60, hardlimit=0) -> hands messages on, evenly.

    buffer: how many messages must be there before the first one goes. hardlimit: the size of the
    inbox, so that the producer is slowed down; 0: unlimited. The rate is exceeded by 10 %."""

    Inboxes = {
        "inbox": "object: to be handed on",
        "control": "producerFinished (hand on what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "object: what came in",
        "signal": "the shutdown that came in",
    }

    woken_by_collection = False  # it asks isFull()
    hardlimit = 0

    def __init__(self, messages_per_second: float, buffer: int = 60, **attributes: object) -> None:
        super().__init__(**attributes)
        self._interval = 1 / (_positive(messages_per_second, "messages_per_second") * _HEAD_ROOM)
        self.buffer = buffer
        if self.hardlimit > 0:
            self.setInboxSize("inbox", self.hardlimit)

    def main(self) -> Iterator[object]:
        while not (self._filled() or self.told_to_stop()):
            self.pause()
            yield 1
        due = self.now()
        while not stops_at_once(stop := self.told_to_stop()):
            begun = self.now()
            if not self.dataReady("inbox"):
                if stop:
                    return
                self.pause()
                yield 1
                due = max(due, self.now())  # what nobody sent is not made up for
            elif due - begun > _A_LITTLE:
                self.pause(due - begun)
                yield 1
            else:
                # Counted from when it was due, so that being late does not add up.
                due = max(due + self._interval, begun)
                yield from offer(self, self.recv("inbox"))
                due += self.now() - begun  # nor is what the receiver had no room for

    def _filled(self) -> bool:
        waiting, room = self.dataReady("inbox"), self.inboxes["inbox"].getSize()
        return waiting >= (self.buffer if room is None else min(self.buffer, room))


class ByteRate_RequestControl(component):  # noqa: N801 - the original's name
    """ByteRate_RequestControl(rate=100000, chunksize=None, chunkrate=None,
    allowchunkaggregation=False) -> sends numbers of bytes to be read, at the pace of rate.

    Give either the size of a chunk or how many there are a second; neither: 10 a second.
    allowchunkaggregation: when it is late, ask for several chunks in one number. Raises ValueError
    for both, for a chunk of less than a byte, and for more than 100,000 chunks a second."""

    Inboxes = {
        "inbox": "object: not read",
        "control": "the shutdown: either ends it",
    }
    Outboxes = {
        "outbox": "int: how many bytes are due now",
        "signal": "the shutdown that came in",
    }

    woken_by_collection = False  # it asks isFull()

    def __init__(
        self,
        rate: float = 100_000,
        chunksize: float | None = None,
        chunkrate: float | None = None,
        allowchunkaggregation: bool = False,
    ) -> None:
        super().__init__()
        if chunksize is not None and chunkrate is not None:
            raise ValueError(f"{type(self).__name__} takes a chunksize or a chunkrate, not both")
        # What is given stays, whatever happens to the rate; the other one follows.
        self._given_size = chunksize
        self._given_step = 1 / _positive(10 if chunkrate is None else chunkrate, "chunkrate")
        self.aggregate = allowchunkaggregation
        self.rate, self.chunksize, self.timestep = self._pace(rate)
        self.resetTiming()

    def _pace(self, rate: float) -> tuple[float, float, float]:
        """The rate, and the bytes and seconds of a chunk at that rate."""
        rate = _positive(rate, "rate")
        if self._given_size is None:
            size, step = rate * self._given_step, self._given_step
        else:
            size = _positive(self._given_size, "chunksize")
            step = size / rate
        if size < 1:
            raise ValueError(f"a chunk would have {size} bytes: fewer chunks, or a higher rate")
        if step < _SHORTEST_STEP:
            raise ValueError(
                f"there would be {1 / step:.0f} chunks a second: larger ones, or fewer"
            )
        return rate, size, step

    def main(self) -> Iterator[object]:
        self.resetTiming()
        while not self.told_to_stop():
            self._listen()
            for size in self.getChunksToSend():
                if not (yield from offer(self, size, patient=False)):
                    return
            if not self.anyReady():
                self.pause(self.nexttime - self.now())
            yield 1

    def _listen(self) -> None:
        """For subclasses: what they hear while they run."""
        for _ in self.Inbox("inbox"):
            pass  # not kept: nobody else will ever take it

    def resetTiming(self, now: float | None = None) -> None:
        """Begin anew: the first chunk is due now."""
        self.nexttime = self.now() if now is None else now
        self._carried = 0.0  # parts of a byte that are due

    def getChunksToSend(self, now: float | None = None) -> Iterator[int]:
        """The sizes of the chunks that are due by now; each is given once."""
        now = self.now() if now is None else now
        together = 0
        while now >= self.nexttime:
            self.nexttime += self.timestep
            self._carried += self.chunksize
            size = max(0, int(self._carried + _A_LITTLE))
            self._carried -= size
            together += size
            if together and not self.aggregate:
                yield together
                together = 0
        if together:
            yield together


class VariableByteRate_RequestControl(ByteRate_RequestControl):  # noqa: N801 - the original's name
    """VariableByteRate_RequestControl(rate=100000, chunksize=None, chunkrate=None,
    allowchunkaggregation=False) -> as ByteRate_RequestControl, with a rate that may be changed.

    A chunksize that is given stays as it is, and the chunks come faster or slower; else there are
    as many a second as before, and they are larger or smaller."""

    Inboxes = {
        "inbox": "float: the rate from now on, in bytes a second",
        "control": "the shutdown: either ends it",
    }

    def _listen(self) -> None:
        for rate in self.Inbox("inbox"):
            self.changeRate(rate, self.now())

    def changeRate(self, newRate: float, now: float) -> None:
        """Go on at another rate; what was due until now is what was due at the old one.

        Raises ValueError for a rate at which a chunk would have less than a byte."""
        before = self.chunksize, self.timestep
        self.rate, self.chunksize, self.timestep = self._pace(newRate)
        missing = (self.nexttime - now) / before[1]  # of the chunk that is under way
        self.nexttime = now + missing * self.timestep
        self._carried += (1 - missing) * (before[0] - self.chunksize)


__kamaelia_components__ = (
    MessageRateLimit,
    ByteRate_RequestControl,
    VariableByteRate_RequestControl,
)
