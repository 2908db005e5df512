"""
From a parsed rule to a Rule
============================
Checks what the grammar leaves open: the order of clauses and values, what may stand in which stage
and how often. Every mistake of a rule is reported, at the word that is wrong.

Example Usage
-------------
>>> from Kamaelia.Apps.Grey.Config.Policy.Policy import read
>>> (rule,) = read('racl "a" whitelist addr 192.0.2.0/24 \\\\\\n  nolog\\n').rules
>>> rule.name, rule.line, rule.source, rule.extras.nolog
('a', 1, 'racl "a" whitelist addr 192.0.2.0/24 nolog', True)
"""
# ruff: noqa: ANN401 - what something is made of differs with its kind

import re
from dataclasses import dataclass
from typing import Any

from Kamaelia.Apps.Grey.Config.Grammar import Other
from Kamaelia.Apps.Grey.Config.Policy.Clauses import Clauses, Names
from Kamaelia.Apps.Grey.Config.Policy.ClauseTable import (
    CLAUSES,
    PROPERTY_TEST,
    REPEATED_VALUES,
    VALUES,
)
from Kamaelia.Apps.Grey.Config.Policy.Operands import Operands
from Kamaelia.Apps.Grey.Config.Policy.Syntax import Item
from Kamaelia.Apps.Grey.Config.Policy.Tokens import Token
from Kamaelia.Apps.Grey.Config.Problem import Report, shown
from Kamaelia.Apps.Grey.Core.Access.Clauses import Always
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Clause, Extras, Rule, Stage

_MOST_RULES = 100  # that one statement can stand for


@dataclass(frozen=True, slots=True)
class Made:
    """A rule with what it was made of; at: its place."""

    rule: Rule
    items: tuple[Item, ...]
    at: int


class Rules:
    """Rules(report, names, operands, clauses) -> makes rules."""

    def __init__(self, report: Report, names: Names, operands: Operands, clauses: Clauses) -> None:
        self._report = report
        self._names = names
        self._operands = operands
        self._clauses = clauses

    def rules(self, statement: Other) -> list[Made]:
        """The rule; none if it is wrong, which has been reported. A list of urlchecks makes a rule
        of each: what a server answers is for the rule that has asked."""
        found = []
        for items in self._spread(statement.parts[2:]):
            made = self._rule(statement, items)
            if made is None:
                return []
            found.append(made)
        return found

    def _spread(self, items: tuple[Item, ...]) -> list[tuple[Item, ...]]:
        spread: list[tuple[Item, ...]] = [()]
        for item in items:
            each = [item]
            if item.word == "list":
                named = self._names.of["list"].get(item.operands[0].text)
                if named and named.value.kind == "urlcheck" and named.value.items:
                    named.used = True
                    each = [
                        item._replace(word="urlcheck", operands=(token,))
                        for token in named.value.items
                    ]
            if item.negated:
                spread = [(*before, *each) for before in spread]
            else:
                spread = [(*before, one) for before in spread for one in each]
            if len(spread) > _MOST_RULES:
                self._report.add_at(item.at, "these lists are too long", "write several rules")
                return []
        return spread

    def _rule(self, statement: Other, items: tuple[Item, ...]) -> Made | None:
        before = len(self._report.problems), len(self._names.missing)
        name: Token | None = statement.parts[0]
        action: Token = statement.parts[1]
        stage = Stage.DATA if statement.keyword == "dacl" else Stage.RCPT
        if statement.keyword == "acl":
            self._check_old(name, action)
        self._check_order(items)
        self._check_items(items, stage)
        clauses = self._made_clauses(items)
        extras = self._extras(items, Action(action.text))
        if (len(self._report.problems), len(self._names.missing)) != before:
            return None
        head = [statement.keyword, *([name.raw] if name else []), action.text]
        source = " ".join([*head, *(item.text for item in items)])
        is_default = items[0].word == "default"
        return self.made(
            statement.at,
            Rule(
                stage,
                Action(action.text),
                clauses,
                extras,
                *(self._report.path, self._report.place(statement.at)[0]),
                name.text if name else "",
                source,
                is_default,
            ),
            items,
        )

    @staticmethod
    def made(at: int, rule: Rule, items: tuple[Item, ...]) -> Made:
        """Give a rule without an id its line for a name."""
        if rule.name:
            return Made(rule, items, at)
        parts = (rule.stage, rule.action, rule.clauses, rule.extras, rule.path, rule.line)
        return Made(Rule(*parts, str(rule.line), rule.source, rule.is_default), items, at)

    def legacy(self, statement: Other, action: Action) -> Made | None:
        """`from a@example.org` and its like, which are rules of one clause."""
        tokens: tuple[Token, ...] = statement.parts
        raw = "".join(token.raw for token in tokens)
        text = f"{statement.keyword} {raw}"
        item = Item(statement.keyword, False, tokens, statement.at, tokens[0].at, text)
        clause = self._clauses.clause(item)
        if clause is None:
            return None
        line = self._report.place(statement.at)[0]
        rule = Rule(
            Stage.RCPT, action, (clause,), Extras(), self._report.path, line, str(line), text
        )
        return Made(rule, (item,), statement.at)

    # ---- checks

    def _check_old(self, name: Token | None, action: Token) -> None:
        if name is not None:
            self._report.add_at(name.at, "a rule of acl has no name", "write racl for acl")
        if action.text == "continue":
            message = "a rule of acl cannot continue"
            self._report.add_at(action.at, message, "write racl for acl")

    def _check_order(self, items: tuple[Item, ...]) -> None:
        first_value: Item | None = None
        default = items[0].word == "default"
        for place, item in enumerate(items):
            if item.word in VALUES:
                first_value = first_value or item
                if place == 0:
                    message = f"a rule does not begin with {item.word}"
                    cure = "write its clauses first, or default for all there is"
                    self._report.add_at(item.at, message, cure)
            elif item.word == "default" and place:
                message = "default stands alone: all there is, and nothing more"
                self._report.add_at(item.at, message, "take it, or the clauses, away")
            elif default and place:
                message = f"{shown(item.text[:40])} after default: it takes all there is"
                self._report.add_at(item.at, message, "take default, or this clause, away")
            elif first_value and first_value is not items[0]:
                message = f"the clause {item.word} stands behind {first_value.word}"
                cure = f"write it before {first_value.word}: clauses come first"
                self._report.add_at(item.at, message, cure)
            if item.negated and (item.word in VALUES or item.word == "default"):
                message = f"{item.word} is nothing that could be negated"
                self._report.add_at(item.at, message, "take the negation away")

    def _check_items(self, items: tuple[Item, ...], stage: Stage) -> None:
        seen: set[tuple[str, bool]] = set()
        for item in items:
            word = item.word
            is_regex = bool(item.operands) and item.operands[-1].kind == "regex"
            key = (word, is_regex)
            row = CLAUSES.get(word)
            if (
                key in seen
                and (row.once if row else word in VALUES)
                and (word not in REPEATED_VALUES)
            ):
                cure = "keep one of them"
                if row and row.listed:
                    cure += f', or make a list: list "name" {word} {{ ... }}'
                self._report.add_at(item.at, f"a second {word} in this rule", cure)
            seen.add(key)
            self._check_stage(item, stage)

    def _check_stage(self, item: Item, stage: Stage) -> None:
        row = CLAUSES.get(item.word, PROPERTY_TEST)
        kind = item.word
        if kind == "list" and (named := self._names.of["list"].get(item.operands[0].text)):
            kind = named.value.kind
            row = CLAUSES[kind]
        if item.word in VALUES or stage in row.stages:
            return
        if stage is Stage.RCPT:
            message = f"{kind} is asked before there is a message"
            cure = "write dacl: its rules see the whole message"
        else:
            message = f"{kind} is asked when the message is there: that is too late"
            cure = "write racl: its rules are asked for each recipient"
        self._report.add_at(item.at, message, cure)

    # ---- making

    def _made_clauses(self, items: tuple[Item, ...]) -> tuple[Clause, ...]:
        clauses: list[Clause] = []
        for item in items:
            if item.word == "default":
                clauses.append(Always(text="default"))
            elif item.word not in VALUES and (clause := self._clauses.clause(item)):
                clauses.append(clause)
        return tuple(clauses)

    def _extras(self, items: tuple[Item, ...], action: Action) -> Extras:
        values: dict[str, Any] = {}
        headers: list[tuple[str, int | None]] = []
        for item in items:
            if item.word not in VALUES:
                continue
            if item.word == "addheader":
                text = self._operands.said(item.operands[0])
                at = self._operands.number(item.operands[-1]) if item.operands[1:] else None
                headers.append((text or "", at))
            else:
                values[item.word] = self._value(item, action)
        if headers:
            values["addheaders"] = tuple(headers)
        good = {name: value for name, value in values.items() if value is not None}
        return Extras(**good)

    def _value(self, item: Item, action: Action) -> Any:
        if not item.operands:
            return True
        (token,) = item.operands
        match item.word:
            case "delay" | "autowhite":
                seconds = self._operands.seconds(token)
                return None if seconds is None else max(0, seconds)
            case "maxpeek":
                return self._operands.number(token)
            case "tarpit_scope":
                return "session" if token.text == "session" else "command"
            case "code":
                return self._code(token, action)
            case "ecode":
                return self._pattern(token, r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", "5.7.1")
        return self._operands.said(token)

    def _code(self, token: Token, action: Action) -> str | None:
        code = self._pattern(token, r"[45][0-9][0-9]", "451")
        if code and action is Action.GREYLIST and code.startswith("5"):
            self._report.warn_at(
                token.at, "greylisting refuses for a while only: 5.. is not said", "write 451"
            )
        return code

    def _pattern(self, token: Token, pattern: str, example: str) -> str | None:
        if re.fullmatch(pattern, token.text):
            return token.text
        message = f"{shown(token.text)} is no code of a refusal"
        self._report.add_at(token.at, message, f'write one such as "{example}"')
        return None
