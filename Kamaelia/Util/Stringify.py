"""
Messages as text
================
Sends ``str(message)`` for each message. Bytes are the exception: ``str(b"abc")`` is not the text
"abc" but a description of bytes, and never what was meant, so they are decoded if an encoding was
given and refused if not.

Example Usage
-------------
::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Collate import Collate
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.Stringify import Stringify

    messages = [1, 2.5, None, b"caf\\xc3\\xa9"]
    Pipeline(DataSource(messages), Stringify("utf-8"), Collate(), ConsoleEchoer()).run()

It prints::

    ['1', '2.5', 'None', 'café']
"""

from __future__ import annotations

from collections.abc import Iterable

from Kamaelia.Util.MessageLoop import MessageLoop


class Stringify(MessageLoop):
    """Stringify(encoding=None, errors="strict") -> sends str() of each message; encoding and errors
    are for bytes."""

    Inboxes = {
        "inbox": "object: bytes only if an encoding was given",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "str: the message as text",
        "signal": "the shutdown that came in",
    }

    def __init__(
        self, encoding: str | None = None, errors: str = "strict", **attributes: object
    ) -> None:
        super().__init__(**attributes)
        self.encoding = encoding
        self.errors = errors

    def results(self, message: object) -> Iterable[object]:
        if not isinstance(message, bytes | bytearray | memoryview):
            return (str(message),)
        if self.encoding is None:
            raise self.refused(message, "bytes only with an encoding, as in Stringify('utf-8'),")
        return (str(message, self.encoding, self.errors),)


__kamaelia_components__ = (Stringify,)
