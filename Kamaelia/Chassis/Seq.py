"""
Components one after another
============================
A Seq runs the first of its members until that has ended, then the second, and so on, each in its
own place: its "inbox" and "outbox" are those of the member that runs now. A text among them is
printed when its turn comes.

Example Usage
-------------
Two steps, with a word about each::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Chassis.Seq import Seq
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.OneShot import OneShot

    Seq(
        "the first step",
        Pipeline(OneShot("hello\\n"), ConsoleEchoer()),
        "the second step",
        Pipeline(OneShot("and goodbye\\n"), ConsoleEchoer()),
        "done",
    ).run()

It prints::

    the first step
    hello
    the second step
    and goodbye
    done

Rules:

* It ends after its last member, and sends a producerFinished then. What a member says at its
  "signal" goes nowhere: its end is not that of the Seq.
* Messages at "control" go to the member that runs now (the original read none, so that nothing
  could stop it).
* A producerFinished says that nothing more will come in, not that what comes after is not to be
  done: the Seq goes on, and each later member is told when it starts.
* A shutdownMicroprocess ends it: the member that runs is told (one without a "control" is stopped),
  no other begins, and when that member has ended the message is handed on.
* What comes to "inbox" between two members waits for the second.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from Axon.Component import component
from Axon.Ipc import is_shutdown, producerFinished, stops_at_once
from Kamaelia.Chassis.Pipeline import MembersMixin


class Seq(MembersMixin, component):
    """Seq(*sequence, **attributes) -> runs the components of the sequence one after the other, and
    prints its texts.

    Raises TypeError for what is neither, ValueError for a component that is there twice, KeyError
    for one without "inbox" and "outbox"."""

    Inboxes = {
        "inbox": "object: handed to the member that runs",
        "control": "the shutdown: every message here is handed to the member that runs",
    }
    Outboxes = {
        "outbox": "object: what the member that runs sends",
        "signal": "the shutdown that came in, else a producerFinished after the last member",
    }

    announces_end = True

    def __init__(self, *sequence: component | str, **attributes: object) -> None:
        members: set[component] = set()
        for place, step in enumerate(sequence, 1):
            if isinstance(step, str):
                continue
            if not isinstance(step, component):
                raise TypeError(
                    f"Seq takes component instances and texts; argument {place}: {step!r}"
                )
            if step in members:
                raise ValueError(f"Seq runs a component once; argument {place}: {step.name} again")
            members.add(step)
        super().__init__(**attributes)
        self.sequence = sequence
        self._told: object = None  # the shutdown that came in
        self._kept: list[object] = []  # other messages, that came when no member ran

    def main(self) -> Iterator[object]:
        for step in self.sequence:
            for message in self.Inbox("control"):
                if not self._note(message):
                    self._kept.append(message)
            if stops_at_once(self._told):
                break
            if isinstance(step, str):
                sys.stdout.write(f"{step}\n")
                sys.stdout.flush()  # the next step may take as long as it likes
            else:
                yield self._start_in_place(step)
                yield from self._attend(step)
        yield from self.put(self._told or producerFinished(self), "signal")

    def _attend(self, member: component) -> Iterator[object]:
        """Hand messages on to a member until it has ended."""
        waiting, self._kept = self._kept, []
        if self._told is not None:
            waiting.append(self._told)
        for message in waiting:
            yield from self._tell(member, message)
        while not member._isStopped():
            for message in self.Inbox("control"):
                self._note(message)
                yield from self._tell(member, message)
            if not member._isStopped():  # to tell it may have taken turns
                self.pause()  # until a message comes, or it ends
            yield 1
        self.removeChild(member)

    def _note(self, message: object) -> bool:
        """Remember a shutdown; False if it is none."""
        if is_shutdown(message) and not stops_at_once(self._told):
            self._told = message
        return is_shutdown(message)


__kamaelia_components__ = (Seq,)
