"""
Apply several functions, one after the other
============================================
The same as a Pipeline of PureTransformers, in one component: each function gets what the one before
it returned. As soon as one returns None, nothing is sent and the rest is not called.

Example Usage
-------------
The length of each name, as a line of text::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.SequentialTransformer import SequentialTransformer

    lengths = SequentialTransformer(str.strip, len, "{}\\n".format)
    Pipeline(DataSource([" Anna", "Bartholomew "]), lengths, ConsoleEchoer()).run()

It prints::

    4
    11

Without any function it hands messages on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from Kamaelia.Util.PureTransformer import PureTransformer


class SequentialTransformer(PureTransformer):
    """SequentialTransformer(*functions) -> sends the last function's result for each message."""

    Inboxes = {
        "inbox": "object: the first function is applied to it",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "object: what the last function returned, if none returned None",
        "signal": "the shutdown that came in",
    }

    def __init__(self, *functions: Callable[[Any], object], **attributes: object) -> None:
        super().__init__(None, **attributes)
        self.functions = functions

    def processMessage(self, msg: object) -> object:
        for function in self.functions:
            msg = function(msg)
            if msg is None:
                break
        return msg


__kamaelia_components__ = (SequentialTransformer,)
