"""
Nested lists of words as a line of text
=======================================
>>> line_of(["draw", ["0", "1.5"], "red ink", ""])
'draw [ 0 1.5 ] red%20ink %'
>>> tokens_of("draw [ 0 1.5 ] red%20ink %")
['draw', ['0', '1.5'], 'red ink', '']

Words stand between spaces, a list between brackets. Spaces of any kind, brackets, percent signs and
what some program takes for the end of a line are escaped within a word (see Escape.py); a percent
sign alone is the empty word, since nothing else is written like that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeAlias

from Kamaelia.Exceptions import ProtocolError
from Kamaelia.Support.Data.Escape import escape, unescape

DEEPEST = 64  # lists in lists

# What str.split() and str.splitlines() take for a space or the end of a line.
_SPACES = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
    "\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
_PLAIN = re.compile(r"[^\s\[\]%]+")

Tokens: TypeAlias = "list[str | Tokens]"


class BadTokens(ProtocolError):  # noqa: N818 - named like the neighbours
    """A line is no list of words, or a list cannot be written as a line."""


def line_of(tokens: Sequence[Any]) -> str:
    """The line, without an end. Raises TypeError for what is neither a str nor a list (or a tuple)
    of them, and BadTokens if that goes too deep."""
    if not isinstance(tokens, list | tuple):
        raise TypeError(f"a list of words is needed, not {type(tokens).__name__}")
    words: list[str] = []
    _add_words(tokens, words, 1)
    return " ".join(words)


def _add_words(tokens: Sequence[Any], words: list[str], depth: int) -> None:
    if depth > DEEPEST:
        raise BadTokens(f"more than {DEEPEST} lists in lists")
    for token in tokens:
        if isinstance(token, str):
            plain = _PLAIN.fullmatch(token)
            words.append(token if plain else escape(token, _SPACES + "[]") or "%")
        elif isinstance(token, list | tuple):
            words.append("[")
            _add_words(token, words, depth + 1)
            words.append("]")
        else:
            raise TypeError(f"a word is str, not {type(token).__name__}")


def tokens_of(line: str) -> Tokens:
    """The list that was made into the line. Raises BadTokens if none was."""
    tokens: Tokens = []
    open_lists = [tokens]
    for word in line.split():
        if word == "[":
            if len(open_lists) >= DEEPEST:
                raise BadTokens(f"more than {DEEPEST} lists in lists")
            inner: Tokens = []
            open_lists[-1].append(inner)
            open_lists.append(inner)
        elif word == "]":
            open_lists.pop()
            if not open_lists:
                raise BadTokens("a list ends that has not begun")
        else:
            open_lists[-1].append(_word(word))
    if len(open_lists) > 1:
        raise BadTokens("a list has no end")
    return tokens


def _word(word: str) -> str:
    if "[" in word or "]" in word:
        raise BadTokens(f"a bracket within the word {word!r}")
    try:
        return "" if word == "%" else unescape(word)
    except ValueError as error:
        raise BadTokens(f"the word {word!r}: {error}") from error
