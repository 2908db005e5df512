r"""
Lines into words
================
Makes of each line the list of its words. A word in double or single quotes may have spaces in it,
or be empty; a backslash stands for the character behind it.

Example Usage
-------------
::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Visualisation.PhysicsGraph.lines_to_tokenlists import lines_to_tokenlists

    lines = ['ADD NODE 1 "the first" randompos component', "DEL ALL"]
    Pipeline(DataSource(lines), lines_to_tokenlists(), ConsoleEchoer()).run()

It prints::

    ['ADD', 'NODE', '1', 'the first', 'randompos', 'component']['DEL', 'ALL']

Each message is one line; chunks_to_lines puts them together from what comes. The words are text;
lines may also be bytes, which are read as UTF-8: what programs and Introspectors send by TCP.

A line whose quotes do not fit together, or whose bytes are no text, is left out, with a line in the
log; so is an empty one, without.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from Kamaelia.Support.Data.QuotedWords import BadWords, words_of
from Kamaelia.Util.MessageLoop import MessageLoop

log = logging.getLogger(__name__)


class lines_to_tokenlists(MessageLoop):  # noqa: N801 - the original's name
    """lines_to_tokenlists() -> lines in, lists of their words out."""

    Inboxes = {
        "inbox": "str | bytes: a line",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "list[str]: the words of a line",
        "signal": "the shutdown that came in",
    }

    def results(self, message: object) -> Iterable[object]:
        if not isinstance(message, str | bytes):
            raise self.refused(message, "str or bytes")
        try:
            words = words_of(message if isinstance(message, str) else message.decode())
        except (BadWords, UnicodeDecodeError) as error:
            log.warning("%s: line left out: %s", self.name, error)
            return ()
        return (words,) if words else ()


__kamaelia_components__ = (lines_to_tokenlists,)
