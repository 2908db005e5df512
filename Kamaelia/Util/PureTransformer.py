"""
Apply a function to each message
================================
What goes out is what the function returns for what came in; a None is not sent. The function is an
argument, or the method ``processMessage`` of a subclass. It should do nothing else: then it can be
tested, and reused, without any component.

Example Usage
-------------
In capitals, and without empty lines::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.PureTransformer import PureTransformer


    class Shout(PureTransformer):
        def processMessage(self, message):
            return message.upper()


    lines = ["hello\\n", "\\n", "world\\n"]
    not_empty = PureTransformer(lambda line: line if line.strip() else None)
    Pipeline(DataSource(lines), not_empty, Shout(), ConsoleEchoer()).run()

It prints::

    HELLO
    WORLD

An exception of the function is one of the component. Unlike the original's it ends on both kinds of
shutdown, hands on the message that it was told with, and lets other control messages through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from Kamaelia.Util.MessageLoop import MessageLoop


class PureTransformer(MessageLoop):
    """PureTransformer(function=None) -> sends function(message) for each message, unless that is
    None."""

    Inboxes = {
        "inbox": "object: the function is applied to it",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "object: what the function returned, unless that was None",
        "signal": "the shutdown that came in",
    }

    def __init__(
        self, function: Callable[[Any], object] | None = None, **attributes: object
    ) -> None:
        super().__init__(**attributes)
        self.function = function

    def processMessage(self, msg: Any) -> object:  # noqa: ANN401 - a subclass says what
        """For subclasses: what goes out for a message. Raises NotImplementedError if there is
        neither a function nor a method."""
        if self.function is None:
            raise NotImplementedError(
                f"{type(self).__name__} has nothing to do: give it a function, or a subclass a "
                "method processMessage(msg)"
            )
        return self.function(msg)

    def results(self, message: object) -> Iterable[object]:
        result = self.processMessage(message)
        return () if result is None else (result,)


__kamaelia_components__ = (PureTransformer,)
