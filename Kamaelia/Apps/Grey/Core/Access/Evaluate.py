"""
From rules and a subject to a ruling
====================================
`wanted` says what may have to be looked up, so that all of it is looked up side by side; `evaluate`
asks the rules, the first that matches decides, and what `continue` rules before it said is kept::

    rules = RuleSet(all_rules, definitions)
    wanted(rules, stage, subject)      -> list[Question]; changes nothing
    evaluate(rules, stage, subject)    -> generator: yields each Question whose answer is not in
                                          subject.answers; put it there and call next() again; it
                                          returns the Ruling
    say(ruling, subject)               expands its texts again, when subject.reply has the rest
    explain(ruling)                    -> a line for each rule, with evaluate(..., trace=True)
    peek_bytes(rules, ruling)          -> how much of the message is to be kept for DATA rules

Rules of it:

- Clauses are asked in the order of the file, but what is known before what must be looked up, and
  nothing across a clause that does something (RuleSet.py).
- A look-up that failed: the rule does not match, negated or not; or, with on_failure="defer" and
  always for urlcheck and ldapcheck, nobody can tell, and the ruling has `failed`.
- Codes, texts and headers of `continue` rules last, their delay and autowhite do not.
- What matches no rule is greylisted at RCPT, and let in at DATA.

>>> from Kamaelia.Apps.Grey.Core.Access.Clauses import Addr, From
>>> from Kamaelia.Apps.Grey.Core.Access.Definitions import Definitions
>>> from Kamaelia.Apps.Grey.Core.Access.Rule import Extras, Rule
>>> from Kamaelia.Apps.Grey.Core.Access.Subject import Mail, Session
>>> rule = Rule(Stage.RCPT, Action.BLACKLIST, (From(["a@example.net"], text="from a@example.net"),),
...             Extras(msg="No mail of %f"), "greylist.conf", 12, "12")
>>> subject = Subject(Session("192.0.2.7"), Mail("<a@example.net>"), "<b@example.org>", now=0.0)
>>> try:
...     next(evaluate(RuleSet([rule], Definitions()), Stage.RCPT, subject, trace=True))
... except StopIteration as end:
...     print(end.value.action.value, end.value.msg, explain(end.value))
blacklist No mail of a@example.net ['greylist.conf:12 blacklist: from a@example.net: yes']
"""

from bisect import bisect_left
from collections.abc import Generator

from Kamaelia.Apps.Grey.Core.Access.Asking import name_question
from Kamaelia.Apps.Grey.Core.Access.Questions import HostName, LookupFailed, Question
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Ruling, Stage
from Kamaelia.Apps.Grey.Core.Access.RuleSet import ReadyRule, RuleSet
from Kamaelia.Apps.Grey.Core.Access.Subject import Subject
from Kamaelia.Apps.Grey.Core.Access.Walk import Walk, say

__all__ = ["RuleSet", "evaluate", "explain", "peek_bytes", "say", "wanted"]

_UNANSWERED = LookupFailed("nobody has answered")


def wanted(rules: RuleSet, stage: Stage, subject: Subject) -> list[Question]:
    """All that the rules may ask of this subject, as far as it can be told without asking: up to
    the first rule that decides for sure. Not among them is what depends on other answers (an
    urlcheck with a property in its URL): `evaluate` asks for that."""
    found: dict[Question, None] = {}
    table = rules.stage(stage)
    if table.never_asks(subject):
        return []
    places, named = table.worth_asking(subject)
    name = name_question(subject)
    for place in places:
        if named is not None and place > named:
            _add(found, subject, name)
            named = None
        if _foresee(rules, table.order[place], subject, found):
            return list(found)
    if named is not None:
        _add(found, subject, name)
    return list(found)


def _add(found: dict[Question, None], subject: Subject, question: Question | None) -> None:
    if question is not None and question not in subject.answers:
        found[question] = None


def _foresee(
    rules: RuleSet, rule: ReadyRule, subject: Subject, found: dict[Question, None]
) -> bool:
    """Put into `found` what the rule may ask. True: it ends the evaluation for sure."""
    if rule.plain:
        if any(clause.test(subject) is not True for clause in rule.clauses):
            return False
        return rule.rule.action is not Action.CONTINUE
    sure = True
    for clause in rule.clauses:
        if clause.needs_answer:
            sure = False  # it may say what is to be done instead
            if clause.depends:
                continue
        for question in clause.questions(subject):
            _add(found, subject, question)
        if clause.depends:
            sure = False
            continue
        outcome = clause.test(subject)
        if outcome is False:
            return False
        if isinstance(outcome, LookupFailed):
            if not rules.defers and not clause.needs_answer:
                return False
            return sure
        sure = sure and outcome is True
    for question in rule.questions(subject):
        _add(found, subject, question)
    return sure and rule.rule.action is not Action.CONTINUE


def evaluate(
    rules: RuleSet, stage: Stage, subject: Subject, *, trace: bool = False
) -> Generator[Question, None, Ruling]:
    """Yield what has to be looked up, return the ruling. A question that is still without an answer
    when it goes on counts as a look-up that failed. trace: look at every rule, and say how each of
    its clauses went (slow)."""
    walk = Walk(rules, stage, subject, trace)
    table = rules.stage(stage)
    places = walk.places(table)
    at = 0
    while at < len(places):
        rule = table.order[places[at]]
        outcome = walk.attempt(rule)
        if outcome is not True and outcome is not False:
            if isinstance(outcome, LookupFailed):
                return walk.failed(rule, outcome)
            yield outcome
            subject.answers.setdefault(outcome, _UNANSWERED)
            if isinstance(outcome, HostName) and table.index.named:
                # The client's name is known by now: most rules for other names fall away.
                here = places[at]
                places = walk.places(table)
                at = bisect_left(places, here)
                if at == len(places) or places[at] != here:
                    walk.begin()
            continue
        if outcome and (yield from _match(walk, rule)):
            break
        at += 1
    return walk.ruling()


def _match(walk: Walk, rule: ReadyRule) -> Generator[Question, None, bool]:
    """What the rule wants to be said may have to be looked up. True: it decides."""
    for question in rule.questions(walk.subject):
        if question not in walk.subject.answers:
            yield question
            walk.subject.answers.setdefault(question, _UNANSWERED)
    return walk.match(rule)


def explain(ruling: Ruling) -> list[str]:
    """How it came to that: a line for each rule that was looked at, if a trace was asked for."""
    if not ruling.trace:
        return []
    if ruling.failed or ruling.rule is not None:
        return list(ruling.trace)
    return [*ruling.trace, f"no rule matches: {ruling.action.value}"]


def peek_bytes(rules: RuleSet, ruling: Ruling | None) -> int | None:
    """How many bytes of a message, let in by that ruling, the DATA rules may see; None: all. 0 if
    no rule looks into it."""
    if not rules.reads_content():
        return 0
    if ruling is not None and ruling.maxpeek is not None:
        return ruling.maxpeek
    return rules.definitions.maxpeek
