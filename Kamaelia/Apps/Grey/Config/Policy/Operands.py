"""
From tokens to what clauses are made of
=======================================
Networks, patterns, expressions and numbers. Each function reports what is wrong at the token that
is wrong, gives None for it, and goes on: a file's author sees all mistakes at once.

Example Usage
-------------
>>> from Kamaelia.Apps.Grey.Config.Problem import Report
>>> report = Report("f", "addr 10.0.0.300")
>>> Operands(report).network((Token("address", "10.0.0.300", 5, "10.0.0.300"),)) is None
True
>>> report.problems[0].message
'"10.0.0.300" is no IP address'
"""

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from Kamaelia.Apps.Grey.Config.Policy.Expressions import BadExpressionError, PosixExpression
from Kamaelia.Apps.Grey.Config.Policy.Tokens import (
    LONGEST_NAME,
    LONGEST_STRING,
    Token,
    network,
    number,
    seconds,
)
from Kamaelia.Apps.Grey.Config.Problem import OS_ERROR, Report, shown
from Kamaelia.Apps.Grey.Config.Values import BadValueError
from Kamaelia.Apps.Grey.Core.Access.Patterns import Text
from Kamaelia.Apps.Grey.Core.Networks import Network

T = TypeVar("T")
Pattern = str | Text | PosixExpression
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}
_ESCAPE = re.compile(r"\\([ntr\\])")


class Operands:
    """Operands(report) -> reads tokens. `extended`: of the statement extendedregex."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self.extended = False

    def network(self, tokens: Sequence[Token]) -> Network | None:
        """An address, and the /length behind it if there is one."""
        address, *more = tokens
        try:
            network(address.text)  # so that the caret stands under what is wrong
            return network(address.text, more[0].text) if more else network(address.text)
        except BadValueError as error:
            at = address.at if str(error).endswith("IP address") else more[0].at
            self._report.add_at(at, str(error), error.cure)
            return None

    def networks(self, tokens: Sequence[Token]) -> list[Network]:
        """Those of a list; each address is made once, however many there are."""
        found = []
        last = len(tokens) - 1
        for place, token in enumerate(tokens):
            if token.kind == "cidr":
                if place == 0 or tokens[place - 1].kind != "address":
                    self._odd(token, "an address")
                continue
            if token.kind != "address":
                self._odd(token, "an address or a network")
                continue
            has_cidr = place < last and tokens[place + 1].kind == "cidr"
            try:
                found.append(network(token.text, tokens[place + 1].text if has_cidr else ""))
            except BadValueError as error:
                self._report.add_at(token.at, str(error), error.cure)
        return found

    def expression(self, token: Token, lines: bool = True) -> PosixExpression | None:
        """The regular expression in a token."""
        try:
            return PosixExpression(token.text, self.extended, lines)
        except BadExpressionError as error:
            message = f"bad regular expression {shown(token.text)}: {error}"
            cure = error.cure or "write a POSIX expression"
            at = token.at + 1 + error.at
            self._report.add_at(min(at, token.end - 1), message, cure, OS_ERROR)
            return None

    def pattern(self, token: Token, plain: Callable[[Token], Pattern | None]) -> Pattern | None:
        """An expression, or what `plain` makes of a literal."""
        return self.expression(token) if token.kind == "regex" else plain(token)

    def name(self, token: Token) -> str | None:
        """A host name or a mail address."""
        return self._limited(token, LONGEST_NAME)

    def text(self, token: Token) -> str | None:
        """A text in quotes."""
        return self._limited(token, LONGEST_STRING)

    def said(self, token: Token) -> str | None:
        """A text in quotes for somebody to read: \\n in it is the end of a line, \\t a tab."""
        text = self.text(token)
        return None if text is None else _ESCAPE.sub(lambda found: _ESCAPES[found[1]], text)

    def literal(self, token: Token) -> Text | str | None:
        """A text in quotes or a $property, where both may stand."""
        if token.kind == "property":
            return token.text
        text = self.text(token)
        return None if text is None else Text(text)

    def seconds(self, token: Token) -> int | None:
        """A time."""
        return self._read(seconds, token)

    def number(self, token: Token) -> int | None:
        """A number, maybe with k or M."""
        return self._read(number, token)

    def amount(self, token: Token) -> int | str | None:
        """A number or a $property."""
        return token.text if token.kind == "property" else self.number(token)

    def wrong(self, token: Token, message: str, cure: str) -> None:
        """Report a token."""
        self._report.add_at(token.at, message, cure)

    def _odd(self, token: Token, expected: str) -> None:
        self.wrong(
            token, f"expected {expected}, found {shown(token.raw)}", "write items of one kind"
        )

    def _read(self, read: Callable[[str], T], token: Token) -> T | None:
        try:
            return read(token.text)
        except BadValueError as error:
            self._report.add_at(token.at, str(error), error.cure)
            return None

    def _limited(self, token: Token, limit: int) -> str | None:
        if len(token.text) > limit:
            message = f"this is longer than {limit} characters"
            self._report.add_at(token.at, message, "write a shorter text")
            return None
        for place, character in enumerate(token.raw):
            if (character < " " and character != "\t") or character == "\x7f":
                message = f"{shown(character)} cannot be printed"
                self._report.add_at(token.at + place, message, "type the text again by hand")
                return None
        return token.text
