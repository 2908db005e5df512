"""What the tests of Config.Policy share: reading a text, and comparing rules."""

from typing import Any

from Kamaelia.Apps.Grey.Config.Grammar import Other, statements
from Kamaelia.Apps.Grey.Config.Policy.Policy import PolicyReader, PolicyResult
from Kamaelia.Apps.Grey.Config.Problem import Report
from Kamaelia.Apps.Grey.Core.Access.Rule import Clause, Rule


def gathered(text: str, strict: bool = False) -> tuple[PolicyResult, Report]:
    """Read a text, whatever is wrong with it."""
    report = Report("f", text)
    reader = PolicyReader(report, strict)
    for statement in statements(report, (), reader.table):
        if isinstance(statement, Other):
            reader.take(statement)
    return reader.finish(), report


def problems(text: str, strict: bool = False) -> list[tuple[int, int, str]]:
    """Place and message of each; every one of them has a cure."""
    _, report = gathered(text, strict)
    assert all(problem.cure for problem in report.problems)
    return [(one.line, one.column, one.message) for one in report.problems]


def warnings(text: str) -> list[tuple[int, str]]:
    """Line and message of each, in a file without problems."""
    _, report = gathered(text)
    assert report.problems == []
    return [(one.line, one.message) for one in report.warnings]


def good(text: str) -> PolicyResult:
    """Read a text without problems."""
    result, report = gathered(text)
    assert [str(problem) for problem in report.problems] == []
    return result


def inside(clause: Clause) -> tuple[Any, ...]:
    """All that a clause was made of, to compare it by."""
    names = {name for kind in type(clause).__mro__ for name in getattr(kind, "__slots__", ())}
    values = {name: getattr(clause, name, None) for name in names}
    return type(clause), repr(sorted((name, _plain(value)) for name, value in values.items()))


def _plain(value: object) -> str:
    if hasattr(value, "__slots__") and not hasattr(value, "__dataclass_fields__"):
        names = [name for name in value.__slots__ if name not in ("_answers", "_compiled")]
        return repr({name: _plain(getattr(value, name, None)) for name in names})
    return repr(sorted(value, key=str)) if isinstance(value, set | frozenset) else repr(value)


def same(one: Rule, other: Rule) -> bool:
    """Two rules mean the same, wherever they stand."""
    return [inside(clause) for clause in one.clauses] == [
        inside(clause) for clause in other.clauses
    ] and (one.stage, one.action, one.extras, one.is_default, one.source) == (
        other.stage,
        other.action,
        other.extras,
        other.is_default,
        other.source,
    )
