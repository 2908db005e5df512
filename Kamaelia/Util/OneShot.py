"""
Send one message
================
A OneShot sends its message as soon as it runs, a TriggeredOneShot when the first message comes in.
Both end then, and say so with a producerFinished, so what comes after them ends too.

Example Usage
-------------
::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.OneShot import OneShot, TriggeredOneShot

    Pipeline(OneShot("anything"), TriggeredOneShot("bang!"), ConsoleEchoer()).run()

It prints::

    bang!
"""

from __future__ import annotations

from collections.abc import Iterator

from Kamaelia.Util.DataSource import DataSource
from Kamaelia.Util.Stopping import arrival


class OneShot(DataSource):
    """OneShot(msg=None) -> sends msg, then producerFinished."""

    Outboxes = {
        "outbox": "object: msg, once",
        "signal": "the shutdown that came in, else producerFinished",
    }

    def __init__(self, msg: object = None, **attributes: object) -> None:
        super().__init__([msg], **attributes)


class TriggeredOneShot(OneShot):
    """TriggeredOneShot(msg=None) -> waits for any message, sends msg, then producerFinished."""

    Inboxes = {
        "inbox": "object: the first one is the trigger, what it is does not matter",
        "control": "the shutdown: producerFinished is too late once the trigger is there",
    }
    Outboxes = {
        "outbox": "object: msg, once",
        "signal": "the shutdown that came in, else producerFinished",
    }

    def main(self) -> Iterator[object]:
        if (yield from arrival(self)):
            yield from super().main()


__kamaelia_components__ = (OneShot, TriggeredOneShot)
