"""
Statements + table of settings -> Config
========================================
Checks every statement against its row of Schema's table and reports every mistake at the word
that is wrong. Nothing is raised for one: reading goes on, so that one run finds all of them.
Statements of milter-greylist are Policy's; what they set counts as if `key = value` had.

Example Usage
-------------
>>> report = Report("greylist.conf", "port = 25\\nprot = 26\\n")
>>> config = configure(report)
>>> config.port, [problem.cure for problem in report.problems]
(25, ['did you mean "port"?'])
"""

from collections.abc import Sequence
from typing import Any

from Kamaelia.Apps.Grey.Config.Contradictions import contradictions
from Kamaelia.Apps.Grey.Config.Grammar import (
    Assignment,
    Block,
    Other,
    Word,
    did_you_mean,
    statements,
)
from Kamaelia.Apps.Grey.Config.Policy.Policy import PolicyReader, PolicyResult
from Kamaelia.Apps.Grey.Config.Policy.StatementTable import STATEMENTS
from Kamaelia.Apps.Grey.Config.Problem import Report, shown
from Kamaelia.Apps.Grey.Config.Schema import SETTINGS, Config
from Kamaelia.Apps.Grey.Config.Setting import Kind, One, Rows, Setting
from Kamaelia.Apps.Grey.Config.Values import BadValueError


def configure(report: Report, strict: bool = False) -> Config:
    """Read the report's text. The Config is only good when the report has no problems. strict:
    what milter-greylist 4.6 would refuse is a problem, too."""
    reader = _Reader(report)
    policy = PolicyReader(report, strict)
    for statement in statements(report, SETTINGS, policy.table):
        if isinstance(statement, Other):
            policy.take(statement)
        else:
            reader.take(statement)
    return reader.config(policy.finish(reader.values))


class _Reader:
    def __init__(self, report: Report) -> None:
        self._report = report
        self._places: dict[str, Word] = {}  # what the file sets, and where
        self.values: dict[str, Any] = {}

    def take(self, statement: Assignment | Block) -> None:
        key = statement.key
        setting = SETTINGS.get(key.text)
        if setting is None:
            known = STATEMENTS.get(key.text)
            cure = f"write it like {known.usage}" if known else did_you_mean(key.text, SETTINGS)
            self._wrong(key, f"unknown setting {shown(key.text)}", cure)
            return
        if first := self._places.get(key.text):
            message = f"{shown(key.text)} is set on line {first.line} already"
            self._wrong(key, message, "keep one of the two")
            return
        self._places[key.text] = statement.value if isinstance(statement, Assignment) else key
        if isinstance(setting.shape, One):
            self._take_one(setting, setting.shape, statement)
        else:
            self._take_rows(setting, setting.shape, statement)

    def config(self, policy: PolicyResult) -> Config:
        self._take_policy(policy)
        config = Config(**self.values)
        if not config.listens and "port" in self.values:
            at = self._places["port"]
            message = "this opens no door: there is one for a mail server, and listen is not set"
            self._report.warn(at.line, at.column, message, "set listen, or take this line away")
        for names, message, cure in contradictions(config):
            # The defaults do not contradict each other, so one of the names is in the file. Where
            # one was refused and reported, its default says nothing about what was meant.
            named = [name for name in names if name in self._places]
            if all(name in self.values for name in named):
                # None is: a statement that is no setting goes ill with a default.
                place = self._places[named[0]] if named else Word("", 0, 0)
                self._wrong(place, message, cure)
        return config

    def _take_policy(self, policy: PolicyResult) -> None:
        for name, offset in policy.places.items():
            if first := self._places.get(name):
                message = f"{shown(name)} is set on line {first.line} already"
                self._report.add_at(offset, message, "keep one of the two")
            else:
                self._places[name] = Word(name, *self._report.place(offset))
        self.values.update(policy.values)
        self.values["access_rules"] = policy.rules
        self.values["definitions"] = policy.definitions

    def _take_one(self, setting: Setting, shape: One[Any], statement: Assignment | Block) -> None:
        if isinstance(statement, Block):
            cure = f'write "{setting.name} = " and the value on the same line'
            self._wrong(statement.key, f"{shown(setting.name)} takes one value, not a list", cure)
            return
        word = statement.value
        if not word.text and not shape.may_be_empty:
            self._wrong(word, f"{shown(setting.name)} has no value", f"write {shape}")
            return
        found = self._value(shape.kind, word)
        if found:
            self.values[setting.name] = found[0]

    def _take_rows(self, setting: Setting, shape: Rows[Any], statement: Assignment | Block) -> None:
        if isinstance(statement, Assignment):
            rows: Sequence[tuple[Word, ...]] = [statement.words] if statement.words else []
            place, may_be_empty = statement.value, shape.may_be_empty
        else:
            # A head without rows is more often a slip than the wish to have none.
            rows, place, may_be_empty = statement.rows, statement.key, False
        if not rows and not may_be_empty:
            cure = f'write one value a line, indented, below "{setting.name}:"'
            if shape.may_be_empty:
                cure += f'; or "{setting.name} =" for none'
            self._wrong(place, f"the list {shown(setting.name)} is empty", cure)
            return
        read = [self._row(setting, shape, row) for row in rows]
        whole = [row for row in read if row is not None]
        if len(whole) == len(read):
            self.values[setting.name] = shape.collect(whole)

    def _row(self, setting: Setting, shape: Rows[Any], words: tuple[Word, ...]) -> list[Any] | None:
        if len(words) != len(shape.columns):
            self._wrong_length(setting, shape, words)
            return None
        kinds = shape.columns.values()
        found = [self._value(kind, word) for kind, word in zip(kinds, words, strict=True)]
        whole = [value[0] for value in found if value]
        return whole if len(whole) == len(found) else None

    def _wrong_length(self, setting: Setting, shape: Rows[Any], words: tuple[Word, ...]) -> None:
        count = len(shape.columns)
        names = f" ({', '.join(shape.columns)})" if count > 1 else ""
        cure = f'write one row a line, indented, below "{setting.name}:"'
        if any(word.text == "=" for word in words):
            cure = "an indented line belongs to the list above it: begin a setting in column 1"
        message = f"expected {count} word{'s' * (count > 1)}{names}, found {len(words)}"
        self._wrong(words[count] if len(words) > count else words[0], message, cure)

    def _value(self, kind: Kind[Any], word: Word) -> tuple[Any] | None:
        """Read one word: a tuple of one value (which may be None), or None with a report."""
        if not word.text.isprintable():
            message = f"{shown(word.text)} has characters that cannot be printed"
            self._wrong(word, message, "type the value again by hand")
            return None
        try:
            return (kind(word.text),)
        except BadValueError as error:
            self._wrong(word, str(error), error.cure)
            return None

    def _wrong(self, word: Word, message: str, cure: str) -> None:
        self._report.add(word.line, word.column, message, cure)
