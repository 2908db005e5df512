"""
Being watched
=============
The part of a scheduler that tells instruments what happens (Axon.Instruments). Everything in here
is arranged so that a scheduler without instruments pays nothing:

* steps are seen by putting a generator around the turns of a slice;
* wake-ups are seen by giving those who fall asleep another function to be woken with;
* messages are seen by exchanging the functions that move them (Axon.Observation).

Example Usage
-------------
::

    scheduler.run.add_instrument(SlowTurns(limit=0.02))
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

from Axon.Box import Inbox, Outbox
from Axon.Instruments import Instrument
from Axon.Microprocess import microprocess
from Axon.Observation import TAP
from Axon.Storage import holder_of

Wake = Callable[[microprocess], None]

log = logging.getLogger(__name__)


class Watched(microprocess):
    """What a scheduler needs to be watched."""

    __slots__ = ("_append", "_instruments", "_ready", "_to_wake", "_to_wake_timed", "threads")

    _append: Wake
    _ready: list[microprocess]
    threads: dict[microprocess, None]

    def __init__(self) -> None:
        super().__init__()
        self._instruments: tuple[Instrument, ...] = ()
        # Two functions that do the same: which one it is tells whether the sleeper set a time-out.
        self._to_wake: Wake = self._append
        self._to_wake_timed: Wake = self._ready.append

    def add_instrument(self, instrument: Instrument) -> None:
        """Tell it from now on what happens in this scheduler. One that raises is taken off."""
        if not self._instruments:
            TAP.open(self._tell_message)
            self._set_wake(self._seen_waking, self._seen_waking_timed)
        self._instruments = (*self._instruments, instrument)

    def remove_instrument(self, instrument: Instrument) -> None:
        self._instruments = tuple(one for one in self._instruments if one is not instrument)
        if not self._instruments:
            TAP.close(self._tell_message)
            self._set_wake(self._append, self._ready.append)

    def _set_wake(self, to_wake: Wake, to_wake_timed: Wake) -> None:
        before, self._to_wake, self._to_wake_timed = self._to_wake_timed, to_wake, to_wake_timed
        for process in self.threads:
            if process.asleep:
                process._asleep = to_wake_timed if process._asleep is before else to_wake

    def _tell_message(self, message: Any, outbox: Outbox | None, inbox: Inbox | None) -> None:
        for box in (outbox, inbox):
            if box is not None and getattr(holder_of(box), "_axon_scheduler", None) is self:
                self._tell("message", message, outbox, inbox)
                return

    def _tell(self, what: str, *about: Any) -> None:
        """Call a method of each instrument. One that fails is taken off: it was only looking."""
        for instrument in self._instruments:
            try:
                getattr(instrument, what)(*about)
            except Exception:
                log.exception("instrument %r has failed and is taken off", instrument)
                self.remove_instrument(instrument)

    def _seen_waking(self, process: microprocess) -> None:
        self._append(process)
        self._tell("woken", process)

    def _seen_waking_timed(self, process: microprocess) -> None:
        self._seen_waking(process)

    def _seen(self, turns: Iterator[microprocess]) -> Iterator[microprocess]:
        """The same turns, told of: this goes on where it stopped when a step is over."""
        for process in turns:
            self._tell("before_step", process)
            try:
                yield process
            finally:
                self._tell("after_step", process)
                if process.asleep:
                    self._tell("paused", process)
