"""
The grammar of milter-greylist's statements
===========================================
Made of the rows of ClauseTable and StatementTable: an element for each statement, which gives a
Grammar.Other whose parts are Tokens, `Item`s of a rule, or the `Items` of a list.

Example Usage
-------------
>>> from Kamaelia.Apps.Grey.Config.Grammar import statements
>>> from Kamaelia.Apps.Grey.Config.Problem import Report
>>> report = Report("f", 'racl "a" greylist not from a@example.net delay 1h # why\\n')
>>> (found,) = statements(report, [], table())
>>> found.keyword, found.parts[0].text, [item.text for item in found.parts[2:]]
('racl', 'a', ['not from a@example.net', 'delay 1h'])

A rule is one element that goes from word to word by the table and never back: what is wrong is
said of the very word, whatever else a rule might have had in its place.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

import pyparsing as pp

from Kamaelia.Apps.Grey.Config.Grammar import Other, did_you_mean
from Kamaelia.Apps.Grey.Config.Policy.ClauseTable import CLAUSES, COLON, LIST_KINDS, VALUES, Shape
from Kamaelia.Apps.Grey.Config.Policy.StatementTable import STATEMENTS, StatementRow
from Kamaelia.Apps.Grey.Config.Policy.Tokens import (
    BLANKS,
    PATTERNS,
    Choice,
    Mistake,
    Piece,
    Token,
    value_of,
)
from Kamaelia.Apps.Grey.Config.Problem import shown
from Kamaelia.Apps.Grey.Config.Values import FACILITIES

ITEM_WORDS = (*CLAUSES, *VALUES, "default")


class Item(NamedTuple):
    """A clause, a value, or `default` of a rule. word: its keyword, "$property" or "*". text: all
    of it, with one blank between its words. at: where it begins; operand_at: its operand."""

    word: str
    negated: bool
    operands: tuple[Token, ...]
    at: int
    operand_at: int
    text: str


class Items(NamedTuple):
    """What stands between the braces of a list; its words depend on its kind (see `words`)."""

    text: str
    at: int

    def words(self, shape: Shape) -> Iterator[Token]:
        """The items; what does not belong into a list of that shape has the kind "odd"."""
        for found in _LIST_TOKENS[shape].finditer(self.text):
            kind = found.lastgroup or ""
            raw = found[kind]
            yield Token(kind, value_of(kind, raw), self.at + found.start(kind), raw)


# ---- the operands


_STRING = Piece("a text in quotes", 'write it like "text"', "string")
_ADDRESS = Piece("an IP address", "write it in numbers, such as 192.0.2.1", "address")
_CIDR = Piece("the length of a prefix", "write it like /24", "cidr")
_DOMAIN = Piece("a domain or /expression/", "write it like example.org", "regex", "word")
_MAIL = Piece(
    "a mail address or /expression/",
    "write it like anna@example.org or /@example/",
    "regex",
    "email",
)
_TEXT = Piece(
    "a text in quotes or /expression/", 'write it like "text" or /te.t/', "string", "regex"
)
_CONTENT = Piece(
    *("a text in quotes, /expression/ or $property", 'write it like "text" or /te.t/'),
    *("string", "regex", "property"),
)
_NUMBER = Piece("a number", "write it like 10 or 64k", "number")
_DURATION = Piece("a time", "write it like 90s, 30m, 2h or 5d", "duration")
_PROPERTY = Piece("a $property", "write it like $score", "property")
_OPERATOR = Piece("a comparison", "write one of == != < > <= >=", "operator")
_SIGN = Piece("an assignment", "write one of = += -=", "sign")
_AMOUNT = Piece("a number or $property", "write it like 10 or $score", "number", "property")
_ANY = Piece("a value", 'write it like "text", 10 or $name', "string", "number", "property")
_NOTHING = pp.Empty().set_whitespace_chars(BLANKS)
_RESULTS = ("pass", "fail", "softfail", "neutral", "unknown", "error", "none")
_SCOPE = Choice("what it is for", "session", "command", "comand")
_SLASH = Piece("a slash", "write it like 10 / 1m", "slash")
_OPEN = Piece("a brace", "write it like { ... }", "open")
_CLOSE = Piece("a closing brace", "end it with }", "close")
_STAR_OR_ADDRESS = Piece("* or an IP address", "write * for any", "star", "address")
_MACRO_TEST = Piece(
    *("a text in quotes, /expression/ or unset", 'write it like "text", /te.t/ or unset'),
    *("string", "regex", "unset"),
)
_WORD = Piece("a name", "write it like example.org", "word")


def _word(text: str) -> pp.ParserElement:
    return Choice(shown(text), text)


SHAPES: Mapping[Shape, pp.ParserElement] = MappingProxyType(
    {
        Shape.NOTHING: _NOTHING,
        Shape.NETWORK: _ADDRESS + pp.Opt(_CIDR),
        Shape.DOMAIN: _DOMAIN,
        Shape.MAIL: _MAIL,
        Shape.TEXT: _TEXT,
        Shape.CONTENT: _CONTENT,
        Shape.NAME: _STRING,
        Shape.STRING: _STRING,
        Shape.COMPARE: _OPERATOR + _AMOUNT,
        Shape.MAY_COMPARE: pp.Opt(_OPERATOR + _AMOUNT),
        Shape.SPF: pp.Opt(Choice("a result", *_RESULTS, "self")),
        Shape.DKIM: pp.Opt(Choice("a result", *_RESULTS)),
        Shape.PREFIX: _CIDR,
        Shape.CRONTAB: _STRING,
        Shape.DURATION: _DURATION,
        Shape.ASSIGN: _PROPERTY + _SIGN + _ANY,
        Shape.PROPERTY: _TEXT | _OPERATOR + _AMOUNT,
        Shape.GLOB: _PROPERTY + _STRING,
        Shape.NUMBER: _NUMBER,
        Shape.HEADER: _STRING + pp.Opt(Piece("a comma", "", "comma") + _NUMBER),
        Shape.SCOPE: _SCOPE,
    }
)
_ROWS: tuple[tuple[str, Shape], ...] = (
    *((word, row.shape) for word, row in CLAUSES.items()),
    *((word, row.shape) for word, row in VALUES.items()),
)
_KINDS = {
    **{word: SHAPES[shape] for word, shape in _ROWS},
    "default": _NOTHING,
    "$property": SHAPES[Shape.PROPERTY],
    "*": SHAPES[Shape.GLOB],
}
_USAGES = {
    **{word: f"{word} {shape.value}" for word, shape in _ROWS},
    "default": "default",
    "$property": f"$name {Shape.PROPERTY.value}",
    "*": f"* {Shape.GLOB.value}",
}


_WHOLE_STRING = re.compile(PATTERNS["string"]).match


def _parsed(
    element: pp.ParserElement, text: str, loc: int, usage: str, actions: bool
) -> tuple[int, tuple[Any, ...]]:
    """Parse, or say of the place that nothing else will do there."""
    try:
        end, tokens = element._parse(text, loc, actions)
    except Mistake:
        raise
    except pp.ParseBaseException as error:
        cure = getattr(error.parser_element, "cure", "") or f"write it like: {usage}"
        at = _behind_blanks(text, error.loc)
        message = str(error.msg)
        if text.startswith('"', at) and not _WHOLE_STRING(text, at):
            message, cure = "this text has no closing quote", 'end it with " on the same line'
        elif text.startswith("/", at) and "expression" in message:
            message, cure = "this expression has no closing slash", "end it with / on the same line"
        raise Mistake(text, at, message, cure) from None
    return end, tuple(tokens)


def _behind_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] in BLANKS:
        at += 1
    return at


# ---- rules


_ITEM = re.compile(
    r"""[ \t\r]*+(?P<not>(?:(?P<negation>(?:not|no)(?![\w.@-])|!)[ \t\r]*+)*+)
        (?P<item>(?P<word>[A-Za-z][A-Za-z0-9_]*)(?![\w.@-])(?P<colon>:?)
          | (?=\$)(?P<property>\$[-_A-Za-z0-9]*[_A-Za-z0-9])
          | (?P<star>\*))""",
    re.VERBOSE | re.IGNORECASE,
)


class RuleBody(pp.ParserElement):
    """What stands behind the action of a rule: clauses and values, to the end of the line."""

    def __init__(self) -> None:
        super().__init__()
        self.set_whitespace_chars(BLANKS)
        self.set_name("clauses")
        for element in _KINDS.values():
            element.streamline()

    def _generateDefaultName(self) -> str:  # noqa: N802 - pyparsing's hook
        return "clauses"

    def parseImpl(  # noqa: N802 - pyparsing's hook
        self, instring: str, loc: int, do_actions: bool = True
    ) -> tuple[int, list[Item]]:
        items: list[Item] = []
        while True:
            at = _behind_blanks(instring, loc)
            if at >= len(instring) or instring[at] == "\n":
                break
            loc, item = self._item(instring, at, do_actions)
            items.append(item)
        if not items:
            raise Mistake(
                instring, at, "the rule says nothing", "add clauses, or default for all there is"
            )
        return loc, items

    def _item(self, text: str, at: int, actions: bool) -> tuple[int, Item]:
        match = _ITEM.match(text, at)
        if match is None:
            raise self._no_item(text, at)
        word, operand = match["word"], match.end()
        name = "*" if match["star"] else "$property" if match["property"] else word.lower()
        start = match.start("item")
        if name not in _KINDS:
            cure = did_you_mean(name, ITEM_WORDS) or "write a clause such as addr, from or rcpt"
            raise Mistake(text, start, f"unknown clause {shown(word)}", cure)
        if match["colon"] and name not in COLON:
            raise Mistake(text, operand - 1, f"no colon stands behind {name}", "take it away")
        end, operands = self._operands(name, text, operand, actions)
        head = match["property"] or name
        negations = len(re.findall(r"not|no|!", match["not"], re.IGNORECASE))
        words = ["not"] * bool(negations) + [head, *(token.raw for token in operands)]
        if operands and operands[-1].kind == "cidr" and name == "addr":
            words[-2:] = ["".join(words[-2:])]
        if match["property"]:
            raw = match["property"]
            operands = (Token("property", raw, start, raw), *operands)
        if negations > 1:
            raise Mistake(
                text, at, "several negations of one clause", "write not once, or not at all"
            )
        item = Item(
            name, bool(negations), operands, at, _behind_blanks(text, operand), " ".join(words)
        )
        return end, item

    @staticmethod
    def _operands(name: str, text: str, loc: int, actions: bool) -> tuple[int, tuple[Token, ...]]:
        at = _behind_blanks(text, loc)
        if text.startswith("{", at):
            raise Mistake(
                text,
                at,
                "a rule cannot have a list in its middle",
                f'name it, on a line of its own before: list "name" {name} {{ ... }}; '
                'and write here: list "name"',
            )
        return _parsed(_KINDS[name], text, loc, _USAGES[name], actions)

    @staticmethod
    def _no_item(text: str, at: int) -> Mistake:
        negation = re.compile(r"(?:not|no|!)[ \t\r]*", re.IGNORECASE).match(text, at)
        if negation:
            behind = negation.end()
            if behind >= len(text) or text[behind] == "\n":
                cure = "write the clause behind it, or take it away"
                return Mistake(text, at, "there is nothing behind this negation", cure)
            at = behind
        word = re.compile(r"[^\s]{1,60}").match(text, at)
        found = shown(word[0] if word else text[at : at + 1])
        cure = "write a clause such as addr, from or rcpt, with its operand behind it"
        return Mistake(text, at, f"expected a clause, found {found}", cure)


# ---- lists


_ODD = r'(?P<odd>"(?:\\.|[^"\\\n])*"|[^\s}]+)'
_ITEM_KINDS = {
    Shape.NETWORK: ("address", "cidr"),
    Shape.DOMAIN: ("regex", "word"),
    Shape.MAIL: ("regex", "email"),
    Shape.TEXT: ("string", "regex"),
    Shape.CONTENT: ("string", "regex"),
    Shape.NAME: ("string",),
    Shape.CRONTAB: ("string",),
}


def _list_tokens(kinds: tuple[str, ...]) -> re.Pattern[str]:
    known = "|".join(f"(?P<{kind}>{PATTERNS[kind]})" for kind in kinds)
    return re.compile(rf"[ \t\r]*+(?:{known}|{_ODD})")


_LIST_TOKENS = {shape: _list_tokens(kinds) for shape, kinds in _ITEM_KINDS.items()}
_LIST_BODY = re.compile(
    r"""[ \t\r]*+\{(?P<items>(?:
          "(?:\\.|[^"\\\n])*+" | (?<![\w.+=-])/(?:\\.|[^/\\\n])++/ | [^{}"\n]
        )*+)\}""",
    re.VERBOSE,
)


class ListBody(pp.ParserElement):
    """{ items }: one element, however many there are."""

    def __init__(self) -> None:
        super().__init__()
        self.set_whitespace_chars(BLANKS)
        self.set_name("{ items }")

    def _generateDefaultName(self) -> str:  # noqa: N802 - pyparsing's hook
        return "{ items }"

    def parseImpl(  # noqa: N802 - pyparsing's hook
        self, instring: str, loc: int, do_actions: bool = True
    ) -> tuple[int, list[Items]]:
        match = _LIST_BODY.match(instring, loc)
        if match is None:
            if instring.startswith("{", loc):
                cure = "end it with }; { and } stand nowhere else in a list"
                raise Mistake(instring, loc, "this list has no end", cure)
            raise Mistake(instring, loc, "expected {", "write it like { item item }")
        return match.end(), [Items(match["items"], match.start("items"))]


# ---- statements


_ACTION = Choice("an action", "greylist", "whitelist", "blacklist", "continue")


class _Colon(pp.ParserElement):
    """The colon that some words may have behind them."""

    def __init__(self) -> None:
        super().__init__()
        self.set_whitespace_chars("")
        self.set_name("a colon")

    def _generateDefaultName(self) -> str:  # noqa: N802 - pyparsing's hook
        return "a colon"

    def parseImpl(  # noqa: N802 - pyparsing's hook
        self, instring: str, loc: int, do_actions: bool = True
    ) -> tuple[int, list[Token]]:
        return loc + instring.startswith(":", loc), []


def _options(*words: str) -> pp.ParserElement:
    return pp.ZeroOrMore(Choice("an option", *words))


def _operands() -> Mapping[str, Callable[[], pp.ParserElement]]:
    """The elements of which StatementTable's `operands` speak."""
    words = ("servers", "rname", "rvalue", "ttl", "class", "type", "tsig")
    block_word = Choice("a word of nsupdate", *words)
    block_value = Piece("a value", 'write it like "text" or 10', "string", "number", "duration")
    return {
        "rule": lambda: pp.Opt(_STRING, default=None) + _ACTION + _Colon() + RuleBody(),
        "list": lambda: _STRING + Choice("a kind of list", *LIST_KINDS) + ListBody(),
        "network": lambda: SHAPES[Shape.NETWORK],
        "domain": lambda: _DOMAIN,
        "mail": lambda: _MAIL,
        "peer": lambda: (
            Piece("an address or a name", "write it like 192.0.2.1", "address", "word")
            + pp.Opt(_word("timeout") + _DURATION)
        ),
        "listen": lambda: _STAR_OR_ADDRESS + pp.Opt(_word("port") + _NUMBER),
        "number": lambda: _NUMBER,
        "time": lambda: _DURATION,
        "scope": lambda: _SCOPE,
        "cidr": lambda: _CIDR,
        "string": lambda: _STRING,
        "mode": lambda: pp.Opt(_NUMBER),
        "report": lambda: Choice("which mail", "none", "delays", "nodelays", "all"),
        "facility": lambda: Choice("a facility", *FACILITIES),
        "address": lambda: _ADDRESS,
        "drac": lambda: _word("db") + _STRING,
        "transport": lambda: Choice("inet or unix", "inet", "unix"),
        "dnsrbl": lambda: _STRING + _WORD + _ADDRESS + pp.Opt(_CIDR),
        "macro": lambda: _STRING + _STRING + _MACRO_TEST,
        "rate": lambda: (
            _STRING
            + Choice("what is counted", "rcpt", "session", "data")
            + _NUMBER
            + _SLASH
            + _DURATION
            + pp.Opt(_word("key") + _STRING)
        ),
        "urlcheck": lambda: (
            _STRING
            + _STRING
            + _NUMBER
            + _options("postmsg", "getprop", "clear", "noencode", "fork")
        ),
        "ldapconf": lambda: (
            _STRING
            + pp.Opt(_word("timeout") + _DURATION)
            + pp.Opt(_word("binddn") + _STRING + _word("bindpw") + _STRING)
        ),
        "ldapcheck": lambda: _STRING + _STRING + _options("clear", "domatch", "noescape"),
        "nsupdate": lambda: _STRING + _OPEN + pp.ZeroOrMore(block_word + block_value) + _CLOSE,
    }


_KEYWORD = re.compile(r"[ \t\r]*([A-Za-z0-9_]+)(:?)")


class StatementElement(pp.ParserElement):
    """StatementElement(row, body) -> an Other."""

    def __init__(self, row: StatementRow, body: pp.ParserElement | None) -> None:
        super().__init__()
        self._row = row
        self._body = body
        self.set_whitespace_chars(BLANKS)
        self.set_name(row.keyword)

    def _generateDefaultName(self) -> str:  # noqa: N802 - pyparsing's hook
        return self._row.keyword

    def streamline(self) -> pp.ParserElement:
        if self._body is not None:
            self._body.streamline()
        return super().streamline()

    def parseImpl(  # noqa: N802 - pyparsing's hook
        self, instring: str, loc: int, do_actions: bool = True
    ) -> tuple[int, list[Other]]:
        match = _KEYWORD.match(instring, loc)
        if match is None:  # pragma: no cover - the table's word is there
            raise pp.ParseException(instring, loc, f"expected {self.name}", self)
        row, end, parts = self._row, match.end(), ()
        if match[2] and row.keyword not in COLON:
            at = match.start(2)
            raise Mistake(instring, at, f"no colon stands behind {row.keyword}", "take it away")
        if self._body is not None:
            end, parts = _parsed(self._body, instring, end, row.usage, do_actions)
        at = _behind_blanks(instring, end)
        if at < len(instring) and instring[at] != "\n":
            word = re.compile(r"\S{1,60}").match(instring, at)
            message = f"unexpected {shown(word[0] if word else '')} behind {row.keyword}"
            cure = f"write it like: {row.usage}; one statement a line"
            raise Mistake(instring, at, message, cure)
        return end, [Other(row.keyword, match.start(1), end, parts)]


@cache
def table() -> Mapping[str, pp.ParserElement]:
    """For Grammar.statements: the first word -> its element."""
    operands = _operands()
    made: dict[str, pp.ParserElement] = {}
    for row in STATEMENTS.values():
        body: pp.ParserElement | None = None
        for name in row.operands.split():
            body = operands[name]() if body is None else body + operands[name]()
        made[row.keyword] = StatementElement(row, body)
    return MappingProxyType(made)
