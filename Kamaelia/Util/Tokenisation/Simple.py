"""
Lists of words as lines, and back
=================================
For programs that talk to each other in simple commands: ``["draw", ["0", "1.5"], "red ink"]`` is
the line ``draw [ 0 1.5 ] red%20ink``. How words are escaped says Kamaelia.Support.Data.TokenLine.

Example Usage
-------------
::

    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.Tokenisation.Simple import lines_to_tokenlists, tokenlists_to_lines

    commands = [["clear"], ["draw", ["0", "1.5"], "red ink"]]
    Pipeline(DataSource(commands), tokenlists_to_lines(), ConsoleEchoer()).run()
    Pipeline(DataSource(["draw [ 2 3 ] blue"]), lines_to_tokenlists(), ConsoleEchoer()).run()

It prints::

    clear
    draw [ 0 1.5 ] red%20ink
    ['draw', ['2', '3'], 'blue']

Lines are text; what comes from a socket may be given to lines_to_tokenlists() as it is, bytes in
UTF-8, but line by line: put a chunks_to_lines() before it. A line that is no list of words is left
out, with a line in the log; so is an empty one, without.
"""

from __future__ import annotations

import logging
from typing import Any

from Kamaelia.Support.Data.TokenLine import BadTokens, Tokens, line_of, tokens_of
from Kamaelia.Util.PureTransformer import PureTransformer

log = logging.getLogger(__name__)


def tokenlists_to_lines() -> PureTransformer:
    """tokenlists_to_lines() -> lists of str, and of such lists, in; str out, each one line."""
    return PureTransformer(_line)


def lines_to_tokenlists() -> PureTransformer:
    """lines_to_tokenlists() -> lines in, str or bytes; lists of str, and of such lists, out."""
    return PureTransformer(_tokens_or_none)


def _line(tokens: Any) -> str:  # noqa: ANN401 - anything may come
    try:
        return line_of(tokens) + "\n"
    except TypeError as error:
        raise TypeError(f"tokenlists_to_lines takes lists of str at 'inbox': {error}") from error


def _tokens_or_none(line: Any) -> Tokens | None:  # noqa: ANN401 - anything may come
    if not isinstance(line, str | bytes):
        raise TypeError(
            f"lines_to_tokenlists takes str or bytes at 'inbox', and {type(line).__name__} came"
        )
    try:
        return tokens_of(line if isinstance(line, str) else line.decode()) or None
    except (BadTokens, UnicodeDecodeError) as error:
        log.warning("lines_to_tokenlists: line left out: %s", error)
        return None


__kamaelia_prefabs__ = (tokenlists_to_lines, lines_to_tokenlists)
