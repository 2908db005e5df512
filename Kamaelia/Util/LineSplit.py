"""
Text or bytes into lines
========================
Takes text, or bytes, in pieces of any size and sends it line by line, without what ends the lines
(a newline, or a carriage return and a newline).

Example Usage
-------------
::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Collate import Collate
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.LineSplit import LineSplit

    pieces = ["one\\ntw", "o\\n\\nthree"]
    Pipeline(DataSource(pieces), LineSplit(), Collate(), ConsoleEchoer()).run()

It prints::

    ['one', 'two', '', 'three']

A line is put together from as many messages as it takes; what follows the last newline goes out at
the end. (The original cut each message by itself.) The first message decides between text and
bytes; the other kind is a TypeError from then on.

A line longer than ``limit`` ends the component, with a line in the log: a producer that never sends
a newline must not fill the memory.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any

from Kamaelia.Util.MessageLoop import MessageLoop

log = logging.getLogger(__name__)


class LineSplit(MessageLoop):
    """LineSplit(limit=1_048_576) -> sends what comes line by line; limit: letters or bytes."""

    Inboxes = {
        "inbox": "str | bytes: cut anywhere",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "str | bytes: a line, of the kind that came in",
        "signal": "the shutdown that came in, or producerFinished after a line that was too long",
    }

    def __init__(self, limit: int = 1_048_576, **attributes: object) -> None:
        super().__init__(**attributes)
        self.limit = limit
        self._begun: list[Any] = []  # pieces of a line that has not ended
        self._length = 0  # of those
        self._kind: type | None = None

    def results(self, message: object) -> Iterator[object]:
        if not isinstance(message, str | bytes):
            raise self.refused(message, "str or bytes")
        self._kind = self._kind or type(message)
        if not isinstance(message, self._kind):
            raise self.refused(message, f"{self._kind.__name__} only, since that came first,")
        *ended, rest = message.split("\n" if isinstance(message, str) else b"\n")  # type: ignore[arg-type]
        for piece in ended:
            if self._grew_too_long(piece):
                return
            yield from self.last_results()
        if rest:
            self._grew_too_long(rest)

    def _grew_too_long(self, piece: str | bytes) -> bool:
        """Add to the line that is being put together; True, and the end, if that is too long."""
        self._begun.append(piece)
        self._length += len(piece)
        if self._length > self.limit:
            log.warning("%s: ends at a line of more than %d letters", self.name, self.limit)
            self.over = True
        return self.over

    def last_results(self) -> Iterable[object]:
        if not self._begun:
            return ()
        line = self._begun[0][:0].join(self._begun)
        self._begun.clear()
        self._length = 0
        return (line.removesuffix("\r" if isinstance(line, str) else b"\r"),)


__kamaelia_components__ = (LineSplit,)
