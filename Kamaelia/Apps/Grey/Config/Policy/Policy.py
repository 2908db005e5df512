r"""
milter-greylist's statements, taken together
============================================
A PolicyReader gets the statements that Grammar found by its table, one at a time, and gives in the
end what they mean: settings, rules in the order in which they are asked, and what the rules use.

Example Usage
-------------
>>> found = read('list "us" addr { 192.0.2.0/24 }\nracl whitelist list "us"\ngreylist 10m\n')
>>> found.values, [rule.source for rule in found.rules]
({'greylist_delay': 600}, ['racl whitelist list "us"'])

In a reader of whole files::

    policy = PolicyReader(report)
    for statement in statements(report, SETTINGS, policy.table):
        if isinstance(statement, Other):
            policy.take(statement)
    result = policy.finish()

Rules. A statement that is wrong is reported and left out; the result is only good when the report
has no problems. What is odd but means something is a warning. `strict`: what milter-greylist 4.6
would refuse is a problem, too (see Strict).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyparsing as pp

from Kamaelia.Apps.Grey.Config.Grammar import Other, statements
from Kamaelia.Apps.Grey.Config.Policy.Clauses import Clauses, Names
from Kamaelia.Apps.Grey.Config.Policy.Defining import Defining
from Kamaelia.Apps.Grey.Config.Policy.Lint import lint
from Kamaelia.Apps.Grey.Config.Policy.Operands import Operands
from Kamaelia.Apps.Grey.Config.Policy.Rules import Made, Rules
from Kamaelia.Apps.Grey.Config.Policy.StatementTable import LEGACY, STATEMENTS
from Kamaelia.Apps.Grey.Config.Policy.Strict import check_file, check_statement
from Kamaelia.Apps.Grey.Config.Policy.Syntax import table
from Kamaelia.Apps.Grey.Config.Policy.Values import Values
from Kamaelia.Apps.Grey.Config.Problem import ConfigError, Report
from Kamaelia.Apps.Grey.Core.Access.Definitions import Definitions
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Rule

_DOMAIN_EXACT = re.compile(r"^[ \t]*domainexact(?=[\s#\\]|\Z)", re.IGNORECASE | re.MULTILINE)
_RULES = frozenset({"acl", "racl", "dacl"})


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """values: fields of Config. places: where in the text each of them was set."""

    values: dict[str, Any]
    rules: tuple[Rule, ...]
    definitions: Definitions
    places: dict[str, int] = field(default_factory=dict)


class PolicyReader:
    """PolicyReader(report, strict) -> take(statement) each, then finish()."""

    def __init__(self, report: Report, strict: bool = False) -> None:
        self._report = report
        self._strict = strict
        names = Names()
        operands = Operands(report)
        self._clauses = Clauses(report, names, operands)
        # It holds for the whole file, wherever it stands.
        self._clauses.domain_exact = _DOMAIN_EXACT.search(report.text) is not None
        self._names = names
        self._rules = Rules(report, names, operands, self._clauses)
        self._defining = Defining(report, operands, names, self._clauses, strict)
        self._values = Values(report, operands)
        self._made: list[Made] = []
        self._legacy: list[Other] = []
        self._extended: list[bool] = []
        self._operands = operands

    @property
    def table(self) -> Mapping[str, pp.ParserElement]:
        """For Grammar.statements."""
        return table()

    def take(self, statement: Other) -> None:
        """Take one statement."""
        row = STATEMENTS[statement.keyword]
        if self._strict:
            check_statement(self._report, statement)
        if row.missing:
            message = f"{row.keyword} is not offered: {row.missing}"
            self._report.add_at(statement.at, message, "take it away")
        elif row.needless:
            message = f"{row.keyword} says nothing: {row.needless}"
            self._report.warn_at(statement.at, message, "take it away")
        elif row.field:
            self._values.take(statement)
        elif row.keyword in _RULES:
            self._made += self._rules.rules(statement)
        elif row.keyword in LEGACY:
            self._legacy.append(statement)
            self._extended.append(self._operands.extended)
        else:
            self._defining.take(statement)

    def finish(self, settings: Mapping[str, Any] | None = None) -> PolicyResult:
        """What all of it means. settings: what `key = value` has set, of which testmode matters."""
        values = self._values.values
        known = {**(settings or {}), **values}
        made = [*self._old_rules(bool(known.get("testmode"))), *self._made]
        self._names.complain(self._report)
        if self._clauses.used & {"auth", "tls"}:
            values["noauth"] = True
        if "spf" in self._clauses.used:
            values["nospf"] = True
        definitions = self._defining.definitions()
        lint(self._report, made, self._names, definitions)
        if self._strict:
            check_file(self._report)
        return PolicyResult(
            values,
            tuple(one.rule for one in made),
            definitions,
            self._values.places,
        )

    def _old_rules(self, testmode: bool) -> list[Made]:
        """Lines without the name of an action stand before all rules, the last one first."""
        extended = self._operands.extended
        found: list[Made] = []
        for statement, was_extended in zip(self._legacy, self._extended, strict=True):
            self._operands.extended = was_extended
            greylists = testmode and statement.keyword == "rcpt"
            made = self._rules.legacy(statement, Action.GREYLIST if greylists else Action.WHITELIST)
            if made is not None:
                found.append(made)
        self._operands.extended = extended
        return found[::-1]


def read(text: str, name: str = "greylist.conf", strict: bool = False) -> PolicyResult:
    """Read a text that has no other statements; raise ConfigError with all its problems."""
    report = Report(name, text)
    reader = PolicyReader(report, strict)
    for statement in statements(report, (), reader.table):
        if isinstance(statement, Other):
            reader.take(statement)
        else:
            key = statement.key
            report.add(key.line, key.column, "this is no statement of milter-greylist")
    result = reader.finish()
    if report.problems:
        raise ConfigError(report.problems)
    return result
