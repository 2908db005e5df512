"""
Bytes in blocks of one size
===========================
Takes bytes in pieces of any size and sends them in blocks of ``chunksize``; what is left at the end
is sent as a shorter one.

Example Usage
-------------
::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Chunkifier import Chunkifier
    from Kamaelia.Util.Collate import Collate
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource

    pieces = [b"to be", b" or not to b", b"e"]
    Pipeline(DataSource(pieces), Chunkifier(4), Collate(), ConsoleEchoer()).run()

It prints::

    [b'to b', b'e or', b' not', b' to ', b'be']

With ``nodelay=True`` nothing is kept back: a piece goes out at once, cut into blocks if it is
longer than one. Use it where an answer may depend on what was sent so far, and the size is only
meant as a limit.

At most one block and one message are in memory. A message that is not bytes is a TypeError: which
bytes a text stands for is not this component's to guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from Kamaelia.Util.MessageLoop import MessageLoop


class Chunkifier(MessageLoop):
    """Chunkifier(chunksize=1_048_576, nodelay=False) -> the same bytes in blocks of chunksize."""

    Inboxes = {
        "inbox": "bytes: cut anywhere",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "bytes: chunksize of them, at the end (nodelay: at any time) fewer",
        "signal": "the shutdown that came in",
    }

    def __init__(
        self, chunksize: int = 1_048_576, nodelay: bool = False, **attributes: object
    ) -> None:
        if chunksize < 1:
            raise ValueError(f"Chunkifier(chunksize={chunksize!r}): a block has at least one byte")
        super().__init__(**attributes)
        self.chunksize = chunksize
        self.nodelay = nodelay
        self._kept = bytearray()  # shorter than a block

    def results(self, message: object) -> Iterator[object]:
        if not isinstance(message, bytes | bytearray | memoryview):
            raise self.refused(message, "bytes")
        data = memoryview(bytes(message))  # a copy only of what its sender might still change
        begin = 0
        if self._kept:
            begin = self.chunksize - len(self._kept)
            self._kept += data[:begin]
            if len(self._kept) < self.chunksize:
                return
            yield from self.last_results()
        for at in range(begin, len(data), self.chunksize):
            block = data[at : at + self.chunksize]
            if len(block) == self.chunksize or self.nodelay:
                yield bytes(block)
            else:
                self._kept += block

    def last_results(self) -> Iterable[object]:
        rest = bytes(self._kept)
        self._kept.clear()
        return (rest,) if rest else ()


__kamaelia_components__ = (Chunkifier,)
