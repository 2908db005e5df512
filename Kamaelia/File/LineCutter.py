"""
Lines out of pieces
===================
Puts the pieces of a text together and cuts it into lines, in text or in bytes. A line longer than
the limit is cut, so what is kept never is much longer than that.

Example Usage
-------------
::

    from Kamaelia.File.LineCutter import LineCutter

    cutter = LineCutter("\\n", limit=5)
    print(cutter.feed("one\\ntw"), cutter.feed("o\\neleven"), cutter.rest())

It prints::

    ['one\\n'] ['two\\n', 'eleve'] n
"""

from __future__ import annotations

from typing import AnyStr, Generic


class LineCutter(Generic[AnyStr]):
    """LineCutter(newline, limit) -> feed() it pieces; it gives lines, each with its newline."""

    def __init__(self, newline: AnyStr, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"a line has at least 1 character, not {limit}")
        self._newline: AnyStr = newline
        self._limit = limit
        self._rest: AnyStr = newline[:0]

    def feed(self, piece: AnyStr) -> list[AnyStr]:
        """The lines that are complete now."""
        lines: list[AnyStr] = (self._rest + piece).split(self._newline)
        rest = lines.pop()
        found: list[AnyStr] = []
        for line in lines:
            found += self._cut(line + self._newline)
        found += self._cut(rest)
        self._rest = self._newline[:0] if len(found[-1]) == self._limit else found.pop()
        return found

    def rest(self) -> AnyStr:
        """What is left at the end: a last line that does not end with a newline, or nothing."""
        rest, self._rest = self._rest, self._newline[:0]
        return rest

    def _cut(self, line: AnyStr) -> list[AnyStr]:
        if len(line) <= self._limit:
            return [line]
        return [line[at : at + self._limit] for at in range(0, len(line), self._limit)]
