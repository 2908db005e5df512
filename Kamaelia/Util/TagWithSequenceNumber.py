"""
Number the messages
===================
Sends each message as a pair of its number and itself. What loses, doubles or reorders messages can
then be noticed behind it.

Example Usage
-------------
::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.TagWithSequenceNumber import TagWithSequenceNumber

    Pipeline(DataSource("abc"), TagWithSequenceNumber(initial=1), ConsoleEchoer()).run()

It prints::

    (1, 'a')(2, 'b')(3, 'c')
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

from Kamaelia.Util.MessageLoop import MessageLoop


class TagWithSequenceNumber(MessageLoop):
    """TagWithSequenceNumber(initial=0) -> sends (number, message), counted from initial."""

    Inboxes = {
        "inbox": "object: to be numbered",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "(int, object): its number, and what came",
        "signal": "the shutdown that came in",
    }

    def __init__(self, initial: int = 0, **attributes: object) -> None:
        super().__init__(**attributes)
        self._numbers = count(initial)

    def results(self, message: object) -> Iterable[object]:
        return ((next(self._numbers), message),)


__kamaelia_components__ = (TagWithSequenceNumber,)
