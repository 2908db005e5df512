"""
Throw everything away
=====================
For the end of a pipeline whose results nobody wants, as when a producer is measured. An outbox that
is linked to nothing discards its messages too; this component is for where a shutdown must get
through.

Example Usage
-------------
::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.NullSink import nullSinkComponent

    Pipeline(DataSource(range(1000)), nullSinkComponent()).run()
"""

from __future__ import annotations

from collections.abc import Iterator

from Axon.Component import component


class nullSinkComponent(component):
    """nullSinkComponent() -> takes messages, keeps none, ends on any control message."""

    Inboxes = {
        "inbox": "object: discarded",
        "control": "the shutdown: any message here ends it",
    }
    Outboxes = {
        "outbox": "object: never sent",
        "signal": "the shutdown that came in",
    }

    def main(self) -> Iterator[object]:
        while not self.dataReady("control"):
            for _ in self.Inbox("inbox"):
                pass
            self.pause()
            yield 1
        for message in self.Inbox("control"):
            self.send(message, "signal")


__kamaelia_components__ = (nullSinkComponent,)
