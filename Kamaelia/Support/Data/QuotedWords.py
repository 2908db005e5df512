r"""
Words of a line, some in quotes
===============================
>>> words_of('''ADD NODE 1 "the first" '' "say \\"hello\\""''')
['ADD', 'NODE', '1', 'the first', '', 'say "hello"']
>>> quoted('say "hello"')
'"say \\"hello\\""'

Words stand between spaces. One in double or single quotes may have spaces in it, and be empty. A
backslash, in quotes or not, stands for the character behind it, whichever that is.
"""

from __future__ import annotations

import re

from Kamaelia.Exceptions import ProtocolError

# No two alternatives begin alike, so the time that a line takes grows only with its length.
_WORD = re.compile(
    r"""\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|((?:[^\s"'\\]|\\.)+))(?=\s|\Z)""", re.DOTALL
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SPACES = re.compile(r"\s*\Z")


class BadWords(ProtocolError):  # noqa: N818 - named like the neighbours
    """The quotes or the backslashes of a line do not fit together."""


def words_of(line: str) -> list[str]:
    """Its words. Raises BadWords for a quote that has no partner or stands within a word, and for a
    backslash at the end."""
    words = []
    at = 0
    while not _SPACES.match(line, at):
        found = _WORD.match(line, at)
        if found is None:
            raise BadWords(f"no word and no closed quotes at {at}: {line[at : at + 40]!r}")
        words.append(_ESCAPED.sub(r"\1", found[found.lastindex or 0]))
        at = found.end()
    return words


def quoted(word: str) -> str:
    """The word in double quotes, for a line that words_of() is to read."""
    return '"' + re.sub(r'(["\\])', r"\\\1", word) + '"'
