"""
Drop what was seen before
=========================
Hands a message on unless an equal one came before.

Example Usage
-------------
::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.UnseenOnly import UnseenOnly

    Pipeline(DataSource("abracadabra"), UnseenOnly(), ConsoleEchoer()).run()

It prints::

    abrcd

It remembers the last ``limit`` different messages; the one that was seen the longest time ago is
forgotten first, and if it comes again it is new. (The original never forgot, until the memory was
full.) Equal is what ``==`` calls so, 1 and 1.0 for instance; a message that cannot be looked up in
a dict, such as a list, is a TypeError.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from Kamaelia.Util.PureTransformer import PureTransformer


class UnseenOnly(PureTransformer):
    """UnseenOnly(limit=100_000) -> hands on what is not equal to one of the last limit messages."""

    Inboxes = {
        "inbox": "Hashable: what may have come before",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "Hashable: what came for the first time",
        "signal": "the shutdown that came in",
    }

    def __init__(self, limit: int = 100_000, **attributes: object) -> None:
        if limit < 1:
            raise ValueError(f"UnseenOnly(limit={limit!r}): it must remember something")
        super().__init__(None, **attributes)
        self.limit = limit
        self._seen: OrderedDict[Hashable, None] = OrderedDict()

    def processMessage(self, msg: Hashable) -> object:
        try:
            seen = msg in self._seen
        except TypeError as error:
            raise self.refused(msg, "what is hashable") from error
        self._seen[msg] = None
        self._seen.move_to_end(msg)
        if len(self._seen) > self.limit:
            self._seen.popitem(last=False)
        return None if seen else msg


__kamaelia_components__ = (UnseenOnly,)
