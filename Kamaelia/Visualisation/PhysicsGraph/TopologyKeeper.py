"""
A topology viewer without a window
==================================
Keeps a graph of nodes and links as the commands say, and answers what is asked about it: what is
behind the window of a viewer, and enough for a program that wants to know the shape of another one.
The commands are in Kamaelia.Support.Data.Topology; an Introspector says them.

Example Usage
-------------
::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Visualisation.PhysicsGraph.chunks_to_lines import chunks_to_lines
    from Kamaelia.Visualisation.PhysicsGraph.lines_to_tokenlists import lines_to_tokenlists
    from Kamaelia.Visualisation.PhysicsGraph.TopologyKeeper import TopologyKeeper

    text = '''ADD NODE 1 "a parser" randompos component
    ADD NODE 2 "a sink" randompos component
    ADD LINK 1 2
    GET_NAME NODE 2
    DEL NODE 3
    '''
    Pipeline(
        DataSource([text]),
        chunks_to_lines(),
        lines_to_tokenlists(),
        TopologyKeeper(),
        ConsoleEchoer(),
    ).run()

It prints::

    ('GET_NAME', 'NODE', 'a sink')('ERROR', "there is no node '3'")

A command that cannot be obeyed is answered with an ERROR and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from Kamaelia.Support.Data.Topology import BadCommand, Topology
from Kamaelia.Util.MessageLoop import MessageLoop


class TopologyKeeper(MessageLoop):
    """TopologyKeeper(limit=100_000) -> commands in, answers out; limit: nodes, and links."""

    Inboxes = {
        "inbox": "list[str]: the words of a command",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "tuple: an answer, TOPOLOGY, GET_NAME or ERROR, and what belongs to it",
        "signal": "the shutdown that came in",
    }

    def __init__(self, limit: int = 100_000, **attributes: object) -> None:
        super().__init__(**attributes)
        self._topology = Topology(limit)

    def results(self, message: object) -> Iterable[object]:
        if not isinstance(message, list | tuple) or not all(isinstance(w, str) for w in message):
            raise self.refused(message, "lists of str")
        try:
            answer = self._topology.obey(message)
        except BadCommand as error:
            return (("ERROR", str(error)),)
        return () if answer is None else (answer,)


__kamaelia_components__ = (TopologyKeeper,)
