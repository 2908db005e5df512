"""
Only the first message
======================
Hands the first message on and throws the rest away.

Example Usage
-------------
::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.FirstOnly import FirstOnly

    Pipeline(DataSource(["first", "second", "third"]), FirstOnly(), ConsoleEchoer()).run()

It prints::

    first

It goes on after the first one, until it is told to stop: what comes before it in a pipeline may
have more to do than to be heard.
"""

from __future__ import annotations

from collections.abc import Iterable

from Kamaelia.Util.MessageLoop import MessageLoop


class FirstOnly(MessageLoop):
    """FirstOnly() -> hands the first message on."""

    Inboxes = {
        "inbox": "object: all but the first are thrown away",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "object: the first one",
        "signal": "the shutdown that came in",
    }

    _had_it = False

    def results(self, message: object) -> Iterable[object]:
        if self._had_it:
            return ()
        self._had_it = True
        return (message,)


__kamaelia_components__ = (FirstOnly,)
