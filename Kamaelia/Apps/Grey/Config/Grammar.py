r"""
The text of greylist.conf -> statements, each with its place
============================================================
A file has two forms of statement. `key = value` sets one value. `key:` has its values on the
indented lines that follow, one row of words a line::

    port = 25                     # a comment
    serverid = "Grey # and = too" # a string keeps every character; \" and \\ inside it
    whitelisted_triples:
        # neither this comment nor the empty line below ends the block

        192.0.2.0/24  *  postmaster@example.org

What holds for both: `#` begins a comment at the start of a line and after white space; a
backslash at the end of a line joins the next line to it; tabs and CRLF are white space. As in the
first readers of this format an unquoted value ends at a second `=`, the rest is dropped. Statements
of other kinds begin with a word of a table, and look as milter-greylist has them (Config.Policy).

Example Usage
-------------
>>> report = Report("greylist.conf", "port = 25\nlisten:\n    ::\n")
>>> [statement.key.text for statement in statements(report, keys=["port", "listen"])]
['port', 'listen']

How it works: comments and joins are blanked out first, offset for offset (`masked`), so that no
rule needs to know about them and every offset stays true. One look-ahead tells the forms apart;
anything else goes by its first word through a table (`Switch`), which is where statements of
other kinds join: one row, an element whose parse action returns the statement. `Recover`
reports a statement that does not parse and goes on behind it, so one run finds every mistake.
"""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pyparsing as pp

from Kamaelia.Apps.Grey.Config.Problem import Report, shown

_BLANKS = " \t\r"  # a newline is syntax; pyparsing's process-wide default is left alone


@dataclass(frozen=True, slots=True)
class Word:
    """A piece of the file and its place."""

    text: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """`key = value`; `words` is the value once more, split at white space unless quoted."""

    key: Word
    value: Word
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """`key:` and the rows of words below it."""

    key: Word
    rows: tuple[tuple[Word, ...], ...]


@dataclass(frozen=True, slots=True)
class Other:
    """A statement of the table: its first word in lower case, where it begins and ends in the
    text, and what its rule gave."""

    keyword: str
    at: int
    end: int
    parts: tuple[Any, ...]


Statement = Assignment | Block | Other

# First word, in lower case -> the rule of a statement that is neither of the two forms above.
STATEMENTS: Mapping[str, pp.ParserElement] = MappingProxyType({})


def statements(
    report: Report,
    keys: Collection[str],
    table: Mapping[str, pp.ParserElement] = STATEMENTS,
) -> Iterator[Statement]:
    """Yield the statements of the report's text one at a time; mistakes go into the report.

    `keys` are the settings that exist, to tell a mistyped word from a mistyped statement. An
    unknown key is a well-formed statement all the same: whoever knows its meaning reports it.
    """
    forms = _Forms(report)
    explain = _Explainer(report, keys, table)
    statement = forms.assignment | forms.block | Switch(table, "a statement")
    item = (_EMPTY_LINES | Recover(statement + _LINE_END, explain)).parse_with_tabs()
    text = masked(report.text, table)
    for tokens, _, _ in item.scan_string(text, always_skip_whitespace=False):
        yield from tokens


# --- preparing the text -------------------------------------------------------------------

_MASKED = re.compile(
    r"""(?<![^\s={}])"(?:\\.|[^"\\\n])*"        # a string: kept, whatever is in it
      | ( (?<![^\s{}])\#[^\n]*                  # a comment: blanked
        | \\[ \t\r]*(?:(?<=[ \t\r])\#[^\n]*)?\n # a join with all that follows it: blanked
        )""",
    re.VERBOSE,
)


_HEAD = re.compile(
    r"""([ \t\r]*)(?:([^\W\d][\w-]*)[ \t\r]*
        (?:(?P<sign>=(?!=))|(?P<head>:[ \t\r]*(?:\#[^\n]*)?(?=\n|\Z)))?)?""",
    re.VERBOSE,
)
_FORM = re.compile(
    r"""(?:(?<![^\s={}])"(?:\\.|[^"\\\n])*+"
         | \\[ \t\r]*(?:(?<=[ \t\r])\#[^\n]*)?\n
         | (?<![^\s{}])\#[^\n]*
         | [^\n])*+\n?""",
    re.VERBOSE,
)
# In the statements of the table `#` needs no blank before it, a backslash hides whatever follows it
# on its line, and both are harmless in a "string" or /expression/. A / behind a number or an
# address begins no expression.
_IN_OTHERS = r"""
       "(?:\\.|[^"\\\n])*+"
     | (?i:mx|subnetmatch6?)[ \t]*+:?[ \t]*+/[0-9]++
     | [0-9a-fA-F:.]++(?:%\w++)?[ \t]*+/[0-9]{1,3}(?![^\s{}\#"])
     | [0-9]++[kM]?[ \t]*+/[ \t]*+-?[0-9]++[smhdw]?(?![^\s{}\#"])
     | (?<![A-Za-z0-9._+=-])/(?:\\.|[^/\\\n])++/
     | [\w.:@+=!$%&'*?^`|~,<>-]++"""
_HIDDEN = r"""
       (?:(?<=[\s{}"])|(?!\#[^\s@"]{0,323}@))\#[^\n]*+
     | \\[^\n]*+(?:\n|\Z)"""
_OTHER = re.compile(
    rf"(?:{_IN_OTHERS}|{_HIDDEN}|\{{(?:{_IN_OTHERS}|{_HIDDEN}|[^{{}}\"\\])*+\}}|[^\n])*+\n?",
    re.VERBOSE,
)
_OTHERS_MASKED = re.compile(rf"{_IN_OTHERS}|({_HIDDEN}|\n)", re.VERBOSE)


def masked(text: str, words: Collection[str] = ()) -> str:
    """Blank out comments and joins, offset for offset. `words`: with which the statements of other
    kinds begin; each of these is one line then, whose last character is a newline."""
    parts: list[str] = []
    at = 0
    in_block = False
    while at < len(text):
        head = _HEAD.match(text, at)
        indent, word, sign, block = head.group(1, 2, "sign", "head") if head else ("", "", "", "")
        is_row = in_block and bool(indent)
        is_other = bool(word) and not (sign or block or is_row) and word.lower() in words
        match = (_OTHER if is_other else _FORM).match(text, at)
        end = match.end() if match else len(text)
        line = text[at:end]
        if is_other:
            body = line.removesuffix("\n")
            parts += _OTHERS_MASKED.sub(_blanks, body), line[len(body) :]
        else:
            parts.append(_MASKED.sub(_blanks, line))
        if block and not is_row:
            in_block = True
        elif in_block and not indent and parts[-1].strip():
            in_block = False
        at = end
    return "".join(parts)


def _blanks(match: re.Match[str]) -> str:
    return " " * len(match[0]) if match[1] else match[0]


# --- the two parser elements that pyparsing lacks -----------------------------------------


class Switch(pp.ParserElement):
    """Switch(table, what) -> the rule that the next word names: one look-up, no trying."""

    _WORD = re.compile(r"[ \t\r]*([^\W\d][\w-]*)")

    def __init__(self, table: Mapping[str, pp.ParserElement], what: str) -> None:
        super().__init__()
        self._table = table
        self.set_whitespace_chars(_BLANKS)
        self.set_name(what)

    @classmethod
    def first_word(cls, text: str, offset: int) -> re.Match[str] | None:
        """Find the word that decides; group 1 is the word itself."""
        return cls._WORD.match(text, offset)

    def _generateDefaultName(self) -> str:  # noqa: N802 - pyparsing's hook
        return "a known word"

    def recurse(self) -> list[pp.ParserElement]:
        return list(self._table.values())

    def streamline(self) -> pp.ParserElement:
        for rule in self._table.values():
            rule.streamline()  # else `a - b` is never merged and loses its "no other way" mark
        return super().streamline()

    def parseImpl(self, instring: str, loc: int, do_actions: bool = True) -> Any:  # noqa: ANN401, N802 - pyparsing's hook
        word = self.first_word(instring, loc)
        rule = self._table.get(word[1].lower()) if word else None
        if rule is None:
            raise pp.ParseException(instring, loc, f"Expected {self.name}", self)
        return rule._parse(instring, loc, do_actions)


class Recover(pp.ParseElementEnhance):
    """Recover(rule, explain) -> the rule; where it fails, explain() reports and skips it."""

    def __init__(self, rule: pp.ParserElement, explain: "_Explainer") -> None:
        super().__init__(rule)
        self._rule = rule
        self._explain = explain

    def parseImpl(self, instring: str, loc: int, do_actions: bool = True) -> Any:  # noqa: ANN401, N802 - pyparsing's hook
        if loc >= len(instring):
            raise pp.ParseException(instring, loc, "Expected text", self)
        try:
            return self._rule._parse(instring, loc, do_actions)
        except pp.ParseBaseException as error:
            return self._explain(instring, loc, error), pp.ParseResults([])


# --- tokens and the two forms -------------------------------------------------------------


def _token(pattern: str, name: str) -> pp.ParserElement:
    return pp.Regex(pattern, as_match=True).set_whitespace_chars(_BLANKS).set_name(name)


def _line_token(pattern: str, name: str) -> pp.ParserElement:
    return pp.Regex(pattern).leave_whitespace().suppress().set_name(name)


_LINE_END = _line_token(r"[ \t\r]*(?:\n|\Z)", "the end of the line")
_EMPTY_LINES = _line_token(r"(?:[ \t\r]*\n)+|[ \t\r]+\Z", "empty lines")
_KEY = r"(?P<key>[^\W\d][\w-]*)[ \t\r]*"
_ROWS = r"(?:\n[ \t\r]+[^ \t\r\n][^\n]*|\n[ \t\r]*(?=\n|\Z))*"
_ROW = re.compile(r"^[ \t\r]+[^ \t\r\n].*", re.MULTILINE)
_SKIPPED_ROWS = re.compile(_ROWS)
_WORDS = re.compile(
    r"""(?P<string>"(?:\\.|[^"\\\n])*")(?![^ \t\r\n])
      | (?P<open>".*)
      | [^ \t\r\n]+""",
    re.VERBOSE,
)
_ESCAPED = re.compile(r'\\(["\\])')


class _Forms:
    """The rules of `key = value` and of `key:` with rows; their words know their places."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self.assignment = _token(_KEY + r"(?P<sign>=)(?!=)[ \t\r]*(?P<value>[^\n]*)", "key = value")
        self.assignment.set_parse_action(lambda tokens: self._assignment(tokens[0]))
        head = _KEY + r":[ \t\r]*(?=\n|\Z)"
        self.block = _token(f"{head}(?P<rows>{_ROWS})", "key: and indented lines")
        self.block.set_parse_action(lambda tokens: self._block(tokens[0]))

    def _assignment(self, match: re.Match[str]) -> list[Assignment]:
        text = match["value"]
        if not text.startswith('"'):
            text = text.partition("=")[0]
        text = text.rstrip(_BLANKS)
        words = self._words(text, match.start("value"))
        if words is None:
            return []
        quoted = text.startswith('"')
        if quoted and len(words) > 1:
            self._report.add(
                words[1].line,
                words[1].column,
                "unexpected text after a string",
                "put the whole value between the quotes",
            )
            return []
        # Where a value is missing, the caret stands right behind the sign.
        at = match.start("value") if text else match.end("sign")
        value = words[0] if quoted else self._word(text, at)
        return [Assignment(self._word(match["key"], match.start("key")), value, words)]

    def _block(self, match: re.Match[str]) -> list[Block]:
        start = match.start("rows")
        rows = [self._words(row[0], start + row.start()) for row in _ROW.finditer(match["rows"])]
        whole = tuple(row for row in rows if row is not None)
        if rows and not whole:
            return []  # every row was reported; that the block is empty is not the author's fault
        return [Block(self._word(match["key"], match.start("key")), whole)]

    def _words(self, text: str, start: int) -> tuple[Word, ...] | None:
        """Split text at white space; None when a string in it has no end, which is reported."""
        words = []
        for match in _WORDS.finditer(text):
            at = start + match.start()
            if match["open"]:
                self._report.add_at(
                    at,
                    "this string does not end with a quote and a blank",
                    r'end it with ", and write \" for a quote inside it',
                )
                return None
            is_string = match["string"] is not None
            word = _ESCAPED.sub(r"\1", match[0][1:-1]) if is_string else match[0]
            words.append(self._word(word, at))
        return tuple(words)

    def _word(self, text: str, at: int) -> Word:
        return Word(text, *self._report.place(at))


# --- telling what is wrong ----------------------------------------------------------------


class _Explainer:
    """Reports a statement that does not parse; says where reading goes on."""

    def __init__(
        self, report: Report, keys: Collection[str], table: Mapping[str, pp.ParserElement]
    ) -> None:
        self._report = report
        self._keys = keys
        self._table = table

    def __call__(self, text: str, loc: int, error: pp.ParseBaseException) -> int:
        word = Switch.first_word(text, loc)
        if word is None:
            self._odd_start(text, loc)
        elif word[1].lower() in self._table:
            # A statement whose rule began: the rule knows best what was missing, and where.
            cure = getattr(error, "cure", "")
            self._report.add_at(self._skip_blanks(text, error.loc), error.msg, cure)
        elif word[1] in self._keys:
            self._key_without_sign(text, word)
        else:
            self._unknown_word(word)
        return self._behind(text, max(loc, error.loc))

    def _odd_start(self, text: str, loc: int) -> None:
        at = self._skip_blanks(text, loc)
        message = f"a statement cannot begin with {shown(text[at])}"
        if text[at].isspace():
            self._report.add_at(at, message, "use ordinary blanks or tabs")
        else:
            self._report.add_at(at, message, 'write it like "port = 25"')

    def _key_without_sign(self, text: str, word: re.Match[str]) -> None:
        at = self._skip_blanks(text, word.end(1))
        if text.startswith(":", at) and not text.startswith("::", at):
            behind = self._skip_blanks(text, at + 1)
            cure = f'write "{word[1]} = value", or one value a line, indented, below "{word[1]}:"'
            self._report.add_at(behind, 'nothing may follow ":" on its line', cure)
        else:
            cure = f'write "{word[1]} = value"'
            self._report.add_at(at, f'expected "=" after {shown(word[1])}', cure)

    def _unknown_word(self, word: re.Match[str]) -> None:
        cure = did_you_mean(word[1], [*self._keys, *self._table])
        _, column = self._report.place(word.start(1))
        if not cure and column > 1:
            cure = 'an indented line belongs below a line like "listen:"'
        self._report.add_at(word.start(1), f"unknown word {shown(word[1])}", cure)

    @staticmethod
    def _skip_blanks(text: str, at: int) -> int:
        while at < len(text) and text[at] in _BLANKS:
            at += 1
        return at

    @staticmethod
    def _behind(text: str, at: int) -> int:
        """Find the end of the line; of its rows too when it looks like the head of a block."""
        end = text.find("\n", at)
        if end < 0:
            return len(text)
        start = text.rfind("\n", 0, end) + 1
        if text[start:end].rstrip(_BLANKS).endswith(":"):
            rows = _SKIPPED_ROWS.match(text, end)
            return rows.end() if rows else end
        return end


def did_you_mean(word: str, known: Collection[str]) -> str:
    """Suggest the known word that looks most like this one, or nothing."""
    near = difflib.get_close_matches(word.lower()[:100], known, 1)
    return f"did you mean {shown(near[0])}?" if near else ""
