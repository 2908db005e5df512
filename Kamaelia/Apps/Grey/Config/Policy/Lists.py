"""
Lists with a name
=================
`list "friends" from { anna@example.org /@example\\.net>?$/ }` is defined once and used by any
number of rules. All items of a list are of one kind; one clause stands for all of them.

Example Usage
-------------
>>> from Kamaelia.Apps.Grey.Config.Problem import Report
>>> operands = Operands(Report("f", ""))
>>> read_items("rcpt", (Token("email", "a@example.org", 0, "a@example.org"),), operands)
['a@example.org']
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from Kamaelia.Apps.Grey.Config.Policy.ClauseTable import CLAUSES, Shape
from Kamaelia.Apps.Grey.Config.Policy.Operands import Operands
from Kamaelia.Apps.Grey.Config.Policy.Tokens import Token
from Kamaelia.Apps.Grey.Config.Problem import shown


@dataclass(slots=True)
class Named:
    """Something that the file defines. used: by a rule or a list; broken: reported already."""

    token: Token
    value: Any
    used: bool = False
    broken: bool = False


@dataclass(slots=True)
class ListDef:
    """items: networks, patterns, or names of definitions with their tokens. made: the clause's
    first operand, made once for all rules."""

    kind: str
    items: list[Any] = field(default_factory=list)
    made: Any = None


_EXAMPLES = {
    Shape.NETWORK: "write addresses or networks, such as 192.0.2.0/24",
    Shape.DOMAIN: "write domains, such as example.org, or /expressions/",
    Shape.MAIL: "write mail addresses, such as anna@example.org, or /expressions/",
    Shape.TEXT: 'write texts in quotes, such as "text", or /expressions/',
    Shape.CONTENT: 'write texts in quotes, such as "text", or /expressions/',
    Shape.NAME: 'write names in quotes, such as "name"',
    Shape.CRONTAB: 'write times in quotes, such as "* 8-17 * * 1-5"',
}


def read_items(kind: str, tokens: Sequence[Token], operands: Operands) -> list[Any]:
    """The items of a list of that kind; what is wrong has been reported."""
    shape = CLAUSES[kind].shape
    good = []
    for token in tokens:
        if token.kind != "odd":
            good.append(token)
        else:
            message = f"{shown(token.raw)} does not belong into a list of kind {kind}"
            operands.wrong(token, message, _EXAMPLES[shape])
    if shape is Shape.NETWORK:
        return operands.networks(good)
    if shape in (Shape.NAME, Shape.CRONTAB):
        return good
    plain = {
        Shape.DOMAIN: operands.name,
        Shape.MAIL: operands.name,
        Shape.TEXT: operands.text,
        Shape.CONTENT: operands.literal,
    }[shape]
    found = [operands.pattern(token, plain) for token in good]
    return [pattern for pattern in found if pattern is not None]
