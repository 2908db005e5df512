"""
XML into events
===============
Takes a document in pieces and says what stands in it, in order: ``("document",)``, ``("element",
name, attributes)``, ``("chars", text)``, ``("/element", name)`` and at the end ``("/document",)``.

Example Usage
-------------
::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.PureTransformer import PureTransformer
    from Kamaelia.XML.SimpleXMLParser import SimpleXMLParser

    document = ["<list><item id='1'>ap", "ple</item>", "</list>"]
    each_on_a_line = PureTransformer(lambda event: f"{event}\\n")
    Pipeline(DataSource(document), SimpleXMLParser(), each_on_a_line, ConsoleEchoer()).run()

It prints::

    ('document',)
    ('element', 'list', {})
    ('element', 'item', {'id': '1'})
    ('chars', 'apple')
    ('/element', 'item')
    ('/element', 'list')
    ('/document',)

The pieces are str, or bytes in the encoding that the document names; what comes first decides, and
the other kind is a TypeError from then on. How it is sliced makes no difference to the events.

A document that is no XML, or that is made to do harm (Kamaelia.Support.Data.XmlEvents says what is
refused), ends the component: the last event is ``("error", text)`` in place of ``("/document",)``,
and there is a line in the log. (What the original did then, nobody wrote down.)
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from Kamaelia.Support.Data.XmlEvents import XmlError, XmlEvent, XmlReader
from Kamaelia.Util.MessageLoop import MessageLoop

log = logging.getLogger(__name__)


class SimpleXMLParser(MessageLoop):
    """SimpleXMLParser(limit=1_048_576) -> a document in, events out; limit: bytes of a tag."""

    Inboxes = {
        "inbox": "str | bytes: a document, cut anywhere",
        "control": "producerFinished (that was all of it) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "tuple: an event, named by the first item",
        "signal": "the shutdown that came in, or producerFinished after an error",
    }

    def __init__(self, limit: int = 1_048_576, **attributes: object) -> None:
        super().__init__(**attributes)
        self._reader = XmlReader(limit)
        self._kind: type | None = None

    def results(self, message: object) -> Iterator[XmlEvent]:
        if not isinstance(message, str | bytes):
            raise self.refused(message, "str or bytes")
        self._kind = self._kind or type(message)
        if not isinstance(message, self._kind):
            raise self.refused(message, f"{self._kind.__name__} only, since that came first,")
        return self._or_error(self._reader.events(message))

    def last_results(self) -> Iterator[XmlEvent]:
        return self._or_error(self._reader.end())

    def _or_error(self, events: Iterator[XmlEvent]) -> Iterator[XmlEvent]:
        try:
            yield from events
        except XmlError as error:
            log.warning("%s: ends at an error in the document: %s", self.name, error)
            self.over = True
            yield ("error", str(error))


__kamaelia_components__ = (SimpleXMLParser,)
