r"""
The expressions of postgrey's files
===================================
They are Perl's, and so nearly RE2's: only what would need going back in the text is missing there
(look-around, references to a group), and stays an error. Case does not matter.

What a name must end with can often be told by looking at the expression; who has many of them finds
by that the few that are worth asking (see Core.Access.RuleIndex).

Example Usage
-------------
>>> expression(r"^mail\d+\.example\.net$").search("MAIL7.example.net") is not None
True
>>> ending(r"^mail\d+\.example\.net$"), ending(r"^mail\d+"), ending(r"(a|b)c.net$")
('.example.net', '', 'net')
>>> expression(r"^(?!mx)")
Traceback (most recent call last):
...
Kamaelia.Apps.Grey.Config.Policy.Expressions.BadExpressionError: invalid perl operator: (?!
"""

import re
from collections.abc import Iterator, Sequence

import re2  # type: ignore[import-untyped]

from Kamaelia.Apps.Grey.Config.Policy.Expressions import LONGEST, MEMORY, BadExpressionError

TOGETHER = 50  # expressions that are made into one
_CURE = "write it without look-around and references to groups, or put # before the line"
_PIECE = re.compile(r"\\.|\[\^?\]?(?:\\.|\[:\^?[a-z]+:\]|[^\]\\])*\]|.", re.DOTALL)
_FLAGS = re.compile(r"\(\?[a-z^-]+[):]|\\[QE]", re.IGNORECASE)  # what stands behind may mean else


class PerlExpression:
    """PerlExpression(sources) -> Core.Access.Definitions.Expression: is one of them in a text?"""

    __slots__ = ("_compiled", "source")

    def __init__(self, sources: Sequence[str]) -> None:
        self.source = "|".join(sources)
        joined = "|".join(f"(?:{_translated(source)})" for source in sources)
        if len(sources) == 1:  # as it is: )( is none, and (?:)() would be some
            joined = _translated(sources[0])
        options = re2.Options()
        options.case_sensitive = False
        options.log_errors = False
        options.max_mem = MEMORY * len(sources)
        try:
            self._compiled = re2.compile(joined.encode("utf-8", "replace"), options)
        except re2.error as error:
            said = error.args[0] if error.args else ""
            why = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
            raise BadExpressionError(why or "RE2 does not take it", cure=_CURE) from None

    def search(self, text: str) -> tuple[str, ...] | None:
        """None: none of them is in it; else (): nobody asks for the groups."""
        return None if self._compiled.search(text.encode("utf-8", "replace")) is None else ()

    def __repr__(self) -> str:
        return f"/{self.source}/"


def expression(source: str) -> PerlExpression:
    """One expression. Raises BadExpressionError."""
    if len(source) > LONGEST:
        raise BadExpressionError(f"it is longer than {LONGEST} characters", cure="split it")
    return PerlExpression((source,))


def together(sources: Sequence[str]) -> Iterator[PerlExpression]:
    """All of them in as few as may be; each of them was good on its own."""
    for start in range(0, len(sources), TOGETHER):
        some = sources[start : start + TOGETHER]
        try:
            yield PerlExpression(some)
        except BadExpressionError:  # one of them takes the next for a part of it, as \Q does
            yield from map(expression, some)


def ending(source: str) -> str:
    """What a text must end with for that expression to be in it, in small letters and without a dot
    at its end; "": nobody can tell."""
    if _FLAGS.search(source.replace("(?:", "(")) is not None:
        return ""
    pieces = _PIECE.findall(source)
    if not pieces or pieces[-1] not in ("$", r"\z", r"\Z") or _has_choice(pieces):
        return ""
    letters: list[str] = []
    for piece in reversed(pieces[:-1]):
        letter = piece[-1]
        if piece[0] == "\\":
            if letter.isalnum() or not letter.isascii():
                break
        elif not (letter == "-" or (letter.isascii() and letter.isalnum())) or len(piece) > 1:
            break
        letters.append(letter.lower())
    return "".join(reversed(letters)).rstrip(".")


def _has_choice(pieces: Sequence[str]) -> bool:
    """Whether there is a | outside of all brackets."""
    depth = 0
    for piece in pieces:
        depth += (piece == "(") - (piece == ")")
        if piece == "|" and not depth:
            return True
    return False


def _translated(source: str) -> str:
    """Perl's end of the text, which may stand before a last line break, is the end here."""
    return "".join(r"\z" if piece == r"\Z" else piece for piece in _PIECE.findall(source))
