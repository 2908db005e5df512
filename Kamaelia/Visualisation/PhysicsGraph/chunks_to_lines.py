"""
Chunks into lines
=================
Puts lines together from text or bytes that come in pieces of any size. Carriage returns are left
out wherever they stand.

Example Usage
-------------
::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Collate import Collate
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Visualisation.PhysicsGraph.chunks_to_lines import chunks_to_lines

    pieces = [b"ADD NO", b"DE 1\\r", b"\\nDEL ALL\\r\\n", b"GET"]
    Pipeline(DataSource(pieces), chunks_to_lines(), Collate(), ConsoleEchoer()).run()

It prints::

    [b'ADD NODE 1', b'DEL ALL', b'GET']

It is a LineSplit under the name, and with the treatment of carriage returns, that programs for
topology viewers use. The lines are of the kind, str or bytes, that the first piece was of; the
other kind is a TypeError from then on. A line longer than ``limit`` ends it, with a line in the
log. (The original took bytes only and had no limit.)
"""

from __future__ import annotations

from collections.abc import Iterable

from Kamaelia.Util.LineSplit import LineSplit


class chunks_to_lines(LineSplit):  # noqa: N801 - the original's name
    """chunks_to_lines(limit=1_048_576) -> what comes line by line, without what ends a line."""

    Inboxes = {
        "inbox": "str | bytes: cut anywhere",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "str | bytes: a line, of the kind that came in",
        "signal": "the shutdown that came in, or producerFinished after a line that was too long",
    }

    def last_results(self) -> Iterable[object]:
        return [
            line.replace("\r", "") if isinstance(line, str) else line.replace(b"\r", b"")
            for line in super().last_results()
            if isinstance(line, str | bytes)
        ]


__kamaelia_components__ = (chunks_to_lines,)
