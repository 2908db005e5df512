"""
All rules, made ready to be asked
=================================
For each stage the rules in the order of the file, an index to find those that can be for a subject,
and each rule with its clauses in the order in which they are asked: what is known at once comes
before what has to be looked up, so that nobody is asked about a client that the rule is not for.
Nothing is moved across a clause that does something (`in_place`): what it does is done exactly when
all that stands before it in the file holds.

>>> rules = RuleSet([], Definitions())
>>> len(rules), rules.stage(Stage.RCPT).order
(0, ())
"""

from collections.abc import Iterable
from dataclasses import dataclass

from Kamaelia.Apps.Grey.Core.Access.Definitions import Definitions
from Kamaelia.Apps.Grey.Core.Access.Matching import Literals
from Kamaelia.Apps.Grey.Core.Access.Questions import Question
from Kamaelia.Apps.Grey.Core.Access.Rates import Rates
from Kamaelia.Apps.Grey.Core.Access.Rule import Clause, Extras, Rule, Stage
from Kamaelia.Apps.Grey.Core.Access.RuleIndex import RuleIndex, literal_key
from Kamaelia.Apps.Grey.Core.Access.Site import Site
from Kamaelia.Apps.Grey.Core.Access.Subject import Subject
from Kamaelia.Apps.Grey.Core.Access.Substitute import Template, template

_READS_CONTENT = frozenset({"body", "header"})


@dataclass(frozen=True, slots=True, eq=False)
class ReadyRule:
    """clauses: as they are asked. said: what the rule wants to be said, where it has %-codes. asks:
    there is a clause, besides one for the client's name that the rule is found by, or a text that
    may have a question. plain: no clause and no text has one, nor does what another one does
    change its answer, nor does any of them do anything."""

    rule: Rule
    clauses: tuple[Clause, ...]
    key: Literals | None
    said: tuple[Template, ...]
    asks: bool
    plain: bool

    def questions(self, subject: Subject) -> list[Question]:
        """What its texts need to be expanded."""
        return [question for text in self.said for question in text.questions(subject)]


class StageRules:
    """The rules of one stage."""

    __slots__ = ("_asking", "_plain_name", "_some_ask", "index", "order")

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.order = tuple(map(ready, rules))
        self.index = RuleIndex([rule.key for rule in self.order])
        named = self.index.named
        self._some_ask = any(rule.asks for rule in self.order)
        self._asking = [place for place in named if self.order[place].asks]
        self._plain_name = next((place for place in named if not self.order[place].asks), None)

    def never_asks(self, subject: Subject) -> bool:
        """Whether no rule has a question about that subject, so that nobody need look for one."""
        if self._some_ask:
            return False
        return not self.index.named or not self.index.waits_for_name(subject)

    def worth_asking(self, subject: Subject) -> tuple[list[int], int | None]:
        """For `wanted`: rules that are for this subject, or may be and have something to ask; and
        where the first stands for which only the client's name has to be known."""
        places = self.index.candidates(subject, with_named=False)
        if not self.index.named or not self.index.waits_for_name(subject):
            return places, None
        return sorted([*places, *self._asking]) if self._asking else places, self._plain_name


class RuleSet:
    """RuleSet(rules, definitions, site=..., on_failure="ignore", rates=None)

    on_failure: "ignore" (a rule that depends on a look-up that failed does not match) or "defer"
    (nobody can tell, so come back). rates: those of the rule set before, which go on counting."""

    def __init__(
        self,
        rules: Iterable[Rule],
        definitions: Definitions,
        *,
        site: Site | None = None,
        on_failure: str = "ignore",
        rates: Rates | None = None,
    ) -> None:
        self.rules = tuple(rules)
        self.definitions = definitions
        self.site = Site() if site is None else site
        self.rates = Rates() if rates is None else rates
        self.defers = on_failure == "defer"
        self.kinds = frozenset(clause.kind for rule in self.rules for clause in rule.clauses)
        self._stages = {
            stage: StageRules(rule for rule in self.rules if rule.stage is stage) for stage in Stage
        }

    def __len__(self) -> int:
        return len(self.rules)

    def stage(self, stage: Stage) -> StageRules:
        return self._stages[stage]

    def reads_content(self) -> bool:
        """Whether any rule looks into the message."""
        return not self.kinds.isdisjoint(_READS_CONTENT)


def ready(rule: Rule) -> ReadyRule:
    clauses = _in_order(rule.clauses)
    said = tuple(template(text) for text in _texts(rule.extras) if "%" in text)
    key = _key(clauses)
    asks = bool(said) or any(_may_ask(clause, key) for clause in clauses)
    plain = not said and not any(_waits(clause) or clause.acts for clause in clauses)
    return ReadyRule(rule, clauses, key, said, asks, plain)


def _in_order(clauses: tuple[Clause, ...]) -> tuple[Clause, ...]:
    ordered: list[Clause] = []
    segment: list[Clause] = []
    for clause in clauses:
        if not clause.in_place:
            segment.append(clause)
            continue
        ordered += sorted(segment, key=_waits)
        ordered.append(clause)
        segment = []
    return (*ordered, *sorted(segment, key=_waits))


def _waits(clause: Clause) -> bool:
    return clause.depends or not _knows(clause)


def _knows(clause: Clause) -> bool:
    """It never has a question, whatever it is asked about."""
    return type(clause).questions is Clause.questions


def _key(clauses: tuple[Clause, ...]) -> Literals | None:
    """What the rule is found by: by its name last, which may have to be looked up."""
    found: Literals | None = None
    for clause in clauses:
        if clause.in_place:
            break
        key = literal_key(clause)
        if key is not None and (found is None or _is_name(found)):
            found = key
        if not _knows(clause):
            break  # what stands behind it is not reached before its answer
    return found


def _is_name(key: Literals) -> bool:
    return key.of.startswith("domain")


def _may_ask(clause: Clause, key: Literals | None) -> bool:
    by_name = key is not None and _is_name(key) and clause.kind == "domain"
    return not by_name and not _knows(clause)


def _texts(extras: Extras) -> Iterable[str]:
    yield from (extras.msg, extras.report, extras.addfooter, extras.subjtag)
    for header, _ in extras.addheaders:
        yield header
