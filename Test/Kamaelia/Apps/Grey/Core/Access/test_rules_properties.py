"""Any rules, any subject: the index finds what a walk through all rules finds."""

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Core.Access.Clauses import (
    Addr,
    DnsrblIn,
    Domain,
    From,
    Log,
    PropertyIs,
    Rcpt,
    SetProperty,
    UrlSays,
)
from Kamaelia.Apps.Grey.Core.Access.Definitions import Definitions, UrlCheckDef
from Kamaelia.Apps.Grey.Core.Access.Evaluate import RuleSet, wanted
from Kamaelia.Apps.Grey.Core.Access.Questions import (
    Dnsrbl,
    HostName,
    LookupFailed,
    LookupText,
    Question,
    UrlCheck,
)
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Clause, Extras, Rule, Ruling, Stage
from Kamaelia.Apps.Grey.Core.Access.Subject import Answers, Subject
from Kamaelia.Apps.Grey.Core.Networks import Networks
from Test.Kamaelia.Apps.Grey.Core.Access.subjects import rule, ruled, subject

Spec = tuple[str, str, bool]  # kind, operand, negated

CLIENTS = ["192.0.2.7", "192.0.2.200", "198.51.100.4", "2001:db8::5", "?", ""]
NETWORKS = ["192.0.2.0/24", "192.0.2.7/32", "0.0.0.0/0", "2001:db8::/32"]
NAMES = ["mx.example.net", "badexample.net", "example.net", "example.org", ""]
DOMAINS = ["example.net", "mx.example.net", "org", ".org"]
ADDRESSES = ["a@x.example", "b@x.example", "c@x.example"]
BOXES = [f"<{address}>" for address in ADDRESSES] + ["<>"]
ASKING = {"domain", "domainexact", "dnsrbl", "property"}
IN_PLACE = {"set", "log", "urlcheck"}

OPERANDS = {
    "addr": NETWORKS,
    "from": ADDRESSES,
    "rcpt": ADDRESSES,
    "domain": DOMAINS,
    "domainexact": DOMAINS,
    "dnsrbl": ["dyn", "old"],
    "property": ["1", "2"],
    "set": ["1", "2"],
    "log": ["one", "two"],
    "urlcheck": ["u"],
}
specs = st.sampled_from(sorted(OPERANDS)).flatmap(
    lambda kind: st.tuples(st.just(kind), st.sampled_from(OPERANDS[kind]), st.booleans())
)


@dataclass
class Made:
    """One rule as it is drawn, and the Rule."""

    specs: list[Spec]
    action: Action
    number: int
    rule: Rule = field(init=False)

    def __post_init__(self) -> None:
        clauses = [clause_of(spec) for spec in self.specs]
        extras = Extras(delay=self.number, msg=f"rule {self.number}")
        self.rule = rule(*clauses, action=self.action, line=self.number, extras=extras)


def clause_of(spec: Spec) -> Clause:
    kind, operand, negated = spec
    match kind:
        case "addr":
            return Addr(Networks([ip_network(operand)]), negated=negated)
        case "from":
            return From([operand], negated=negated)
        case "rcpt":
            return Rcpt([operand], negated=negated)
        case "domain" | "domainexact":
            return Domain([operand], exact=kind == "domainexact", negated=negated)
        case "dnsrbl":
            return DnsrblIn([operand], negated=negated)
        case "property":
            return PropertyIs("x", None, operand, negated=negated)
        case "set":
            return SetProperty("x", "=", operand)
        case "urlcheck":
            return UrlSays("u", UrlCheckDef("http://u/", 5), negated=negated)
    return Log(operand)


# Most rules go on, so that those behind them are reached, too.
ACTIONS = [*Action, Action.CONTINUE, Action.CONTINUE, Action.CONTINUE]
made_rules = st.lists(
    st.tuples(st.lists(specs, min_size=1, max_size=4), st.sampled_from(ACTIONS)), max_size=12
).map(lambda drawn: [Made(clauses, action, n) for n, (clauses, action) in enumerate(drawn)])


def lookups(client: str) -> st.SearchStrategy[Answers]:
    failed = st.just(LookupFailed("x"))
    texts = st.booleans().map(lambda matched: LookupText(matched=matched))
    return st.fixed_dictionaries(
        {
            HostName(client): st.sampled_from(NAMES) | failed,
            Dnsrbl("dyn", client): st.booleans() | failed,
            Dnsrbl("old", client): st.booleans() | failed,
            UrlCheck("u", "http://u/"): texts | failed,
        }
    )


class Naive:
    """The rules as the manual tells them: each clause of each rule, one after the other."""

    def __init__(self, about: Subject, answers: Answers, defers: bool) -> None:
        self.about, self.answers, self.defers = about, answers, defers
        self.value: str | None = None  # of the property
        self.log: list[str] = []

    def holds(self, spec: Spec) -> bool | None:
        """None: the look-up failed."""
        kind, operand, negated = spec
        found = self._holds(kind, operand)
        if kind in {"set", "log"}:
            return True
        return None if found is None else found is not negated

    def _holds(self, kind: str, operand: str) -> bool | None:
        client = self.about.session.client
        match kind:
            case "addr":
                try:
                    return ip_address(client) in ip_network(operand)
                except ValueError:
                    return False
            case "from":
                return self.about.mail.sender == f"<{operand}>"
            case "rcpt":
                return self.about.recipient == f"<{operand}>"
            case "domain" | "domainexact":
                return self._name_ends(operand, exact=kind == "domainexact")
            case "dnsrbl":
                answer = self.answers[Dnsrbl(operand, client)] if client else False
                return answer if isinstance(answer, bool) else None
            case "property":
                return self.value == operand
            case "urlcheck":
                text = self.answers[UrlCheck("u", "http://u/")]
                return text.matched if isinstance(text, LookupText) else None
        return True

    def _name_ends(self, operand: str, exact: bool) -> bool | None:
        name: object = self.about.session.name
        if name is None:
            client = self.about.session.client
            name = self.answers[HostName(client)] if client else ""
        if not isinstance(name, str):
            return None
        if not exact or operand.startswith("."):
            return name.endswith(operand)
        return f".{name}".endswith(f".{operand}")

    def matches(self, specs: list[Spec]) -> bool | None:
        """Known things first, up to the next clause that does something."""
        segments: list[list[Spec]] = [[]]
        for spec in specs:
            if spec[0] in IN_PLACE:
                segments.append([spec])
                segments.append([])
            else:
                segments[-1].append(spec)
        for segment in segments:
            for spec in sorted(segment, key=lambda spec: spec[0] in ASKING):
                held = self.holds(spec)
                if held is None:
                    return None if self.defers or spec[0] == "urlcheck" else False
                self.act(spec)
                if not held:
                    return False
        return True

    def act(self, spec: Spec) -> None:
        if spec[0] == "set":
            self.value = spec[1]
        elif spec[0] == "log":
            self.log.append(spec[1])

    def ruling(self, rules: list[Made]) -> tuple[Action, int | None, str, bool, list[str]]:
        msg = ""
        for made in rules:
            matched = self.matches(made.specs)
            if matched is None:
                return Action.GREYLIST, made.number, "", True, self.log
            if matched:
                msg = f"rule {made.number}"
                if made.action is not Action.CONTINUE:
                    return made.action, made.number, msg, False, self.log
        return Action.GREYLIST, None, msg, False, self.log


def told(ruling: Ruling) -> tuple[Action, int | None, str, bool, list[str]]:
    line = None if ruling.rule is None else ruling.rule.line
    return ruling.action, line, ruling.msg, bool(ruling.failed), ruling.log


def check(rules: list[Made], about: Subject, answers: Answers, defers: bool) -> None:
    """Index, trace, wanted and the walk by the manual agree."""

    def new() -> Subject:
        return subject(about.session.client, about.session.name, about.mail.sender, about.recipient)

    rule_set = RuleSet(
        [made.rule for made in rules], Definitions(), on_failure="defer" if defers else "ignore"
    )
    naive = Naive(new(), answers, defers).ruling(rules)
    asked: list[Question] = []
    foreseen = wanted(rule_set, Stage.RCPT, about)
    assert about == new()  # it has changed nothing
    assert told(ruled(rule_set, about, answers, asked=asked)) == naive
    assert set(asked) <= set(foreseen)
    assert len(foreseen) == len(set(foreseen))
    assert told(ruled(rule_set, new(), answers, trace=True)) == naive
    # And with all that is wanted found beforehand, nothing is asked.
    assert ask_first(rule_set, new(), answers) == naive


def ask_first(rules: RuleSet, about: Subject, answers: Answers) -> object:
    for question in wanted(rules, Stage.RCPT, about):
        about.answers[question] = answers[question]
    asked: list[Question] = []
    found = told(ruled(rules, about, answers, asked=asked))
    assert asked == []
    return found


@settings(max_examples=50)
@given(
    made_rules,
    st.sampled_from(CLIENTS).flatmap(lambda c: st.tuples(st.just(c), lookups(c))),
    st.sampled_from([*NAMES, None]),
    st.sampled_from(BOXES),
    st.sampled_from(BOXES[:-1]),
    st.booleans(),
)
def test_any_rules_give_what_a_walk_through_them_gives(
    rules: list[Made],
    client: tuple[str, Answers],
    name: str | None,
    sender: str,
    recipient: str,
    defers: bool,
) -> None:
    check(rules, subject(client[0], name, sender, recipient), client[1], defers)


@pytest.mark.parametrize("seed", range(4))
def test_so_do_many_rule_sets_by_lot(seed: int) -> None:
    """Many more than can be drawn above in that time; a failure says which seed."""
    lot = Random(seed)
    for _ in range(400):
        kinds = lot.sample(sorted(OPERANDS), lot.randint(2, 5))
        rules = [
            Made(
                [
                    (kind := lot.choice(kinds), lot.choice(OPERANDS[kind]), lot.random() < 0.2)
                    for _ in range(lot.randint(1, 3))
                ],
                lot.choice(ACTIONS),
                number,
            )
            for number in range(lot.randint(1, 12))
        ]
        client, failed = lot.choice(CLIENTS), LookupFailed("x")
        answers: Answers = {
            HostName(client): lot.choice([*NAMES, failed]),
            Dnsrbl("dyn", client): lot.choice([True, False, failed]),
            Dnsrbl("old", client): lot.choice([True, False, failed]),
            UrlCheck("u", "http://u/"): lot.choice([LookupText(True), LookupText(False), failed]),
        }
        about = subject(
            client, lot.choice([*NAMES, None, None]), lot.choice(BOXES), lot.choice(BOXES[:-1])
        )
        check(rules, about, answers, defers=lot.random() < 0.3)


TEXTS = st.text(max_size=30)


@given(st.lists(TEXTS, max_size=3), TEXTS, TEXTS, TEXTS, TEXTS)
def test_nothing_raises_on_any_text(
    patterns: list[str], client: str, name: str, sender: str, recipient: str
) -> None:
    clauses: list[Clause] = [
        From(patterns),
        Rcpt(patterns),
        Domain(patterns, exact=True),
        Domain(patterns, exact=False),
        *(PropertyIs(p, p, p) for p in patterns),
        *(SetProperty(p, "+=", p) for p in patterns),
    ]
    rules = [rule(clause, extras=Extras(msg=recipient)) for clause in clauses]
    ruled(RuleSet(rules, Definitions()), subject(client, name, sender, recipient))
