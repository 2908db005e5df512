"""
Throw everything away
=====================
For the end of a pipeline whose results nobody wants, as when a producer is measured. An outbox that
is linked to nothing discards its messages too; this component is for where a shutdown must get
through.

Example Usage
-------------
Nothing is printed::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.NullSink import nullSinkComponent

    Pipeline(DataSource(range(1000)), nullSinkComponent()).run()
"""

from __future__ import annotations

from collections.abc import Iterable

from Kamaelia.Util.MessageLoop import MessageLoop
from Kamaelia.Util.Stopping import EndsOnAnyControl


class nullSinkComponent(EndsOnAnyControl, MessageLoop):
    """nullSinkComponent() -> takes messages, keeps none, ends on any control message."""

    Inboxes = {
        "inbox": "object: discarded",
        "control": "the shutdown: any message here ends it",
    }
    Outboxes = {
        "outbox": "object: never sent",
        "signal": "the shutdown that came in, and whatever else came to control",
    }

    def results(self, message: object) -> Iterable[object]:
        return ()


__kamaelia_components__ = (nullSinkComponent,)
