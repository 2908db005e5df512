"""
XML in slices, events out
=========================
>>> reader = XmlReader()
>>> list(reader.events("<to><be lang='en'>or n"))
[('document',), ('element', 'to', {}), ('element', 'be', {'lang': 'en'})]
>>> list(reader.events("ot</be></to>"))
[('chars', 'or not'), ('/element', 'be'), ('/element', 'to')]
>>> list(reader.end())
[('/document',)]

The standard library's expat reads; here is what it leaves open. The events are the same however the
stream is sliced: text comes whole, or if it is long, in pieces of `TEXT_PIECE` characters. Comments
and processing instructions are left out; names are given as they are written, prefix and all.

Against documents that are made to do harm:

* A document type declaration may name a definition elsewhere, which is not read, but may hold none
  itself: so there are no entities that grow when they are expanded.
* What must be kept is limited: a tag, a comment, and the names of the elements that are open to
  ``limit`` bytes, how deep elements stand in each other, and how many different names there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.parsers import expat  # expansion, the known danger, is refused below

from Kamaelia.Exceptions import ProtocolError

TEXT_PIECE = 65_536  # characters
DEEPEST = 1_000  # elements
MOST_NAMES = 10_000  # of elements and attributes, different ones: expat keeps each

XmlEvent = tuple[str] | tuple[str, str] | tuple[str, str, dict[str, str]]


class XmlError(ProtocolError):
    """The stream is no XML, or more than is taken."""


class XmlReader:
    """XmlReader(limit=1_048_576) -> takes slices of one document, all str or all bytes."""

    def __init__(self, limit: int = 1_048_576) -> None:
        self._limit = limit
        self._events: list[XmlEvent] = []
        self._text: list[str] = []
        self._text_length = 0
        self._open: list[str] = []  # names of elements
        self._open_length = 0
        self._names: dict[str, None] = {}  # all that there were
        self._names_length = 0
        self._unread = 0  # bytes since expat last said something: it keeps them
        self._begun = False
        # Without intern=None it would keep all names a second time.
        self._parser = parser = expat.ParserCreate(intern=None)
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._chars
        parser.CommentHandler = parser.ProcessingInstructionHandler = self._left_out
        parser.StartDoctypeDeclHandler = self._doctype
        parser.SkippedEntityHandler = self._entity

    def events(self, slice_: str | bytes) -> Iterator[XmlEvent]:
        """What this slice makes known. Raises XmlError, after what stands before the error, but
        for the text in which it is: how much of that expat tells depends on the slices."""
        if slice_:
            yield from self._parse(slice_, False)

    def end(self) -> Iterator[XmlEvent]:
        """What is known when nothing more comes; nothing, if nothing came. Raises XmlError."""
        if self._begun:
            yield from self._parse(b"", True)

    def _parse(self, slice_: str | bytes, last: bool) -> Iterator[XmlEvent]:
        if not self._begun:
            self._begun = True
            self._events.append(("document",))
        self._unread += len(slice_)
        error: Exception | None = None
        try:
            self._parser.Parse(slice_, last)
            # Twice: an expat from 2.6 on looks at a tag again only when that has doubled.
            self._check(self._unread <= 2 * self._limit, f"a tag of more than {self._limit} bytes")
        except XmlError as problem:
            error = problem
        except (expat.ExpatError, ValueError, LookupError) as problem:
            # The latter two are about encodings.
            error = XmlError(str(problem))
        events, self._events = self._events, []
        yield from events
        if error:
            raise error
        if last:
            yield ("/document",)

    def _check(self, good: bool, problem: str) -> None:
        if not good:
            raise XmlError(f"{problem}: line {self._parser.CurrentLineNumber}")

    # ---- what expat says

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._end_text()
        self._open.append(name)
        self._open_length += len(name)
        self._check(len(self._open) <= DEEPEST, f"more than {DEEPEST} elements in each other")
        self._check(self._open_length <= self._limit, f"names of more than {self._limit}")
        size = len(name) + sum(len(key) + len(value) for key, value in attributes.items())
        self._check(size <= self._limit, f"a tag of more than {self._limit}")
        for known in (name, *attributes):
            self._note_name(known)
        self._events.append(("element", name, attributes))

    def _note_name(self, name: str) -> None:
        if name not in self._names:
            self._names[name] = None
            self._names_length += len(name)
            self._check(len(self._names) <= MOST_NAMES, f"more than {MOST_NAMES} different names")
            self._check(self._names_length <= self._limit, f"names of more than {self._limit}")

    def _end(self, name: str) -> None:
        self._end_text()
        self._open_length -= len(self._open.pop())
        self._events.append(("/element", name))

    def _chars(self, text: str) -> None:
        self._unread = 0
        while text:
            piece = text[: TEXT_PIECE - self._text_length]
            text = text[len(piece) :]
            self._text.append(piece)
            self._text_length += len(piece)
            if self._text_length == TEXT_PIECE:
                self._end_text()

    def _end_text(self) -> None:
        self._unread = 0
        if self._text:
            self._events.append(("chars", "".join(self._text)))
            self._text.clear()
            self._text_length = 0

    def _left_out(self, *_: object) -> None:
        self._unread = 0

    def _doctype(self, _: str, system: object, public: object, has_subset: int) -> None:
        self._unread = 0
        self._check(not has_subset, "a document type definition within the document")

    def _entity(self, name: str, _: bool) -> None:
        self._check(False, f"an entity {name!r} that is not declared")
