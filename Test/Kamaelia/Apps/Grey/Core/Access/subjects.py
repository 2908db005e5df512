"""What the tests of the access rules are about: subjects, rules, expressions, a driver."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from Kamaelia.Apps.Grey.Core.Access.Definitions import Definitions
from Kamaelia.Apps.Grey.Core.Access.Evaluate import RuleSet, evaluate
from Kamaelia.Apps.Grey.Core.Access.Questions import LookupFailed, Question
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Clause, Extras, Rule, Ruling, Stage
from Kamaelia.Apps.Grey.Core.Access.Subject import Answers, Content, Mail, Session, Subject

CLIENT = "192.0.2.77"
SENDER = "<Joe.Doe@Example.net>"
RECIPIENT = "<anna@example.org>"


@dataclass(frozen=True)
class Re:
    """An Expression of Python's own."""

    source: str

    def search(self, text: str) -> tuple[str, ...] | None:
        found = re.search(self.source, text, re.IGNORECASE | re.MULTILINE)
        return None if found is None else tuple(group or "" for group in found.groups())


def subject(
    client: str = CLIENT,
    name: str | None = "mx.example.net",
    sender: str = SENDER,
    recipient: str = RECIPIENT,
    content: Content | None = None,
    answers: Answers | None = None,
) -> Subject:
    session = Session(client, name, helo="mx.example.net", local_address="198.51.100.1")
    made = Subject(session, Mail(sender, content=content), recipient, now=1_000_000.0)
    if content is not None:
        made.mail.recipients.append(RECIPIENT)
        made.recipient = ""
    made.answers.update(answers or {})
    return made


def message(headers: Iterable[str] = (), chunks: Iterable[str] = (), size: int = 100) -> Content:
    return Content(7, list(headers), list(chunks), size)


def rule(
    *clauses: Clause,
    action: Action = Action.WHITELIST,
    stage: Stage = Stage.RCPT,
    line: int = 1,
    name: str = "",
    extras: Extras | None = None,
) -> Rule:
    return Rule(
        stage, action, clauses, extras or Extras(), "greylist.conf", line, name or str(line)
    )


def ruled(
    rules: RuleSet | Iterable[Rule],
    about: Subject,
    answers: Answers | None = None,
    *,
    stage: Stage = Stage.RCPT,
    trace: bool = False,
    asked: list[Question] | None = None,
) -> Ruling:
    """What comes of it. Questions without an answer in `answers` fail."""
    rule_set = rules if isinstance(rules, RuleSet) else RuleSet(rules, Definitions())
    asking = evaluate(rule_set, stage, about, trace=trace)
    while True:
        try:
            question = next(asking)
        except StopIteration as end:
            ruling = end.value
            assert isinstance(ruling, Ruling)
            return ruling
        assert question not in about.answers, "asked twice"
        if asked is not None:
            asked.append(question)
        about.answers[question] = (answers or {}).get(question, LookupFailed("no such answer"))
