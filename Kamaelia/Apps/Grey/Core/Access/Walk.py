"""
One evaluation of the rules
===========================
A Walk goes through the clauses of one rule after the other, stops where an answer is missing and
goes on there, and gathers what the rules that matched have to say. Evaluate.py drives it.

>>> from Kamaelia.Apps.Grey.Core.Access.Definitions import Definitions
>>> from Kamaelia.Apps.Grey.Core.Access.Subject import Mail, Session
>>> subject = Subject(Session("192.0.2.7"), Mail("<>"), "<b@example.org>", now=0.0)
>>> Walk(RuleSet([], Definitions()), Stage.RCPT, subject, trace=False).ruling().action
<Action.GREYLIST: 'greylist'>
"""

from collections.abc import Sequence

from Kamaelia.Apps.Grey.Core.Access.Asking import name_question
from Kamaelia.Apps.Grey.Core.Access.ClausesThatAct import Tarpit
from Kamaelia.Apps.Grey.Core.Access.Questions import LookupFailed
from Kamaelia.Apps.Grey.Core.Access.Rule import (
    Action,
    Clause,
    Extras,
    Outcome,
    Rule,
    Ruling,
    Saying,
    Stage,
)
from Kamaelia.Apps.Grey.Core.Access.RuleSet import ReadyRule, RuleSet, StageRules
from Kamaelia.Apps.Grey.Core.Access.Subject import Subject
from Kamaelia.Apps.Grey.Core.Access.Substitute import clean, expand

MOST_HEADERS = 100
_MOST_CAPTURES = 99  # %g has two digits, mostly
_LONGEST_TRACE = 1000
_LIMITS = {"msg": 2000, "report": 900, "header": 2000, "subjtag": 200, "addfooter": 65_536}


class Walk:
    """Walk(rules, stage, subject, trace) -> attempt() for each rule, match() for those that match,
    ruling() at the end."""

    def __init__(self, rules: RuleSet, stage: Stage, subject: Subject, trace: bool) -> None:
        self.subject = subject
        self._rules = rules
        self._ruling = Ruling(Action.GREYLIST if stage is Stage.RCPT else Action.WHITELIST)
        self._tarpit, self._tarpit_scope = 0, ""
        self._trace = trace
        self._results: dict[int, str] = {}  # of the rule that is looked at, by place of the clause
        self._at = 0  # the clause to go on with
        if stage is Stage.RCPT:
            subject.mail.captures = []
        self._before = subject.mail.captures
        subject.site, subject.rates = rules.site, rules.rates
        subject.matched_lists, subject.lines = [], []
        subject.decided_line, subject.decided_id = 0, ""
        session, definitions = subject.session, rules.definitions
        if not session.local_address:
            session.local_address = definitions.localaddr
        if "unbracket" in definitions.flags and (session.name or "").startswith("["):
            session.name = None  # the MTA has found none; somebody else may
        self._usual_tarpit = 0
        if stage is Stage.RCPT:
            self._usual_tarpit = definitions.tarpit or 0
            subject.counted = set()
            _forget_fleeting(subject)

    def places(self, table: StageRules) -> Sequence[int]:
        """The rules to be looked at; for a trace all of them."""
        if self._trace:
            return range(len(table.order))
        failed = False
        if not self._rules.defers and table.index.named:
            question = name_question(self.subject)
            failed = (
                isinstance(self.subject.answers.get(question), LookupFailed) if question else False
            )
        return table.index.candidates(self.subject, with_named=not failed)

    def begin(self) -> None:
        """The next rule is another one."""
        self._at = 0
        if self.subject.mail.captures is not self._before:
            self.subject.mail.captures = self._before
        if self.subject.found:
            self.subject.found = {}

    def attempt(self, rule: ReadyRule) -> Outcome:
        """Whether it matches; a Question or LookupFailed: it cannot be told. Called again with the
        same rule after a question, it goes on where it was."""
        subject, clauses = self.subject, rule.clauses
        if not self._at:
            subject.rule_line, subject.rule_id = rule.rule.line, rule.rule.name
            # Most rules end at their first clause, if that can be known at once.
            if rule.plain and not self._trace and clauses and not clauses[0].test(subject):
                return False
        while self._at < len(clauses):
            clause = clauses[self._at]
            if clause.in_place or clause.depends:  # these may have a %g
                self._capture(rule.rule, clause)
            outcome = clause.test(subject)
            if outcome is not True and outcome is not False:
                if not isinstance(outcome, LookupFailed):
                    return outcome
                self._note(clause, "failed")
                if self._rules.defers or clause.needs_answer:
                    return outcome
                return self._ended(rule)
            if clause.acts:
                clause.act(subject)
            self._note(clause, "yes" if outcome else "no")
            if not outcome:
                return self._ended(rule)
            self._at += 1
        self._write_trace(rule.rule)
        return True

    def _ended(self, rule: ReadyRule) -> bool:
        self._write_trace(rule.rule)
        self.begin()
        return False

    def _capture(self, rule: Rule, end: Clause | None) -> None:
        """What the clauses before that one captured: later ones first."""
        captured: list[str] = []
        for clause in rule.clauses:
            if clause is end:
                break
            if not clause.negated:
                captured[:0] = clause.groups(self.subject)
        self.subject.mail.captures = [*captured, *self._before][:_MOST_CAPTURES]

    # --- a rule that matches ---

    def match(self, rule: ReadyRule) -> bool:
        """Take up what it says. True: it decides."""
        subject, found, extras = self.subject, self.subject.found, rule.rule.extras
        self._capture(rule.rule, None)
        action = Action(found["action"]) if "action" in found else rule.rule.action
        self._take_sayings(rule.rule, extras)
        ruling = self._ruling
        ruling.code = found.get("code") or extras.code or ruling.code
        ruling.ecode = found.get("ecode") or extras.ecode or ruling.ecode
        ruling.maxpeek = ruling.maxpeek if extras.maxpeek is None else extras.maxpeek
        ruling.flushaddr = ruling.flushaddr or extras.flushaddr or found.get("flushaddr") == "yes"
        self._take_tarpit(rule.rule)
        decides = action is not Action.CONTINUE
        if decides:
            self._decide(rule.rule, action)
        self._before = subject.mail.captures
        self.begin()
        return decides

    def _decide(self, rule: Rule, action: Action) -> None:
        found, extras, ruling = self.subject.found, rule.extras, self._ruling
        ruling.action, ruling.rule = action, rule
        ruling.delay = int(found["delay"]) if "delay" in found else extras.delay
        ruling.autowhite = int(found["autowhite"]) if "autowhite" in found else extras.autowhite
        ruling.nolog = extras.nolog or found.get("nolog") == "yes"
        kinds = [_kind(clause) for clause in rule.clauses]
        if rule.is_default:
            kinds.append("default")
        if ruling.nolog:
            kinds.append("nolog")
        ruling.kinds = tuple(dict.fromkeys(kinds))
        self.subject.decided_line, self.subject.decided_id = rule.line, rule.name

    def _take_sayings(self, rule: Rule, extras: Extras) -> None:
        found, sayings = self.subject.found, self._ruling.sayings
        captures = tuple(self.subject.mail.captures)
        for of, text in (
            ("msg", found.get("msg") or extras.msg),
            ("report", found.get("report") or extras.report),
            ("addfooter", extras.addfooter),
            ("subjtag", extras.subjtag),
        ):
            if text:
                sayings[:] = [saying for saying in sayings if saying.of != of]
                sayings.append(Saying(of, text, captures, rule.line, rule.name))
        for text, index in extras.addheaders:
            if len(sayings) < MOST_HEADERS:
                sayings.append(Saying("header", text, captures, rule.line, rule.name, index))

    def _take_tarpit(self, rule: Rule) -> None:
        seconds = [c.seconds for c in rule.clauses if isinstance(c, Tarpit) and not c.negated]
        if "tarpit" in self.subject.found:
            seconds = [int(self.subject.found["tarpit"])]
        if seconds and max(seconds) >= self._tarpit:
            self._tarpit = max(seconds)
            self._tarpit_scope = rule.extras.tarpit_scope

    # --- the end ---

    def failed(self, rule: ReadyRule, reason: LookupFailed) -> Ruling:
        """Nobody can tell: the clause that it has come to needs an answer."""
        clause = rule.clauses[self._at]
        self._write_trace(rule.rule)
        self._ruling.failed = clean(f"{clause.text or clause.kind}: {reason.reason}")[
            :_LONGEST_TRACE
        ]
        self._ruling.rule = rule.rule
        self._ruling.log = self.subject.lines
        return self._ruling

    def ruling(self) -> Ruling:
        ruling, definitions = self._ruling, self._rules.definitions
        tarpit = self._tarpit or self._usual_tarpit
        scope = self._tarpit_scope or definitions.tarpit_scope
        waited = 0.0 if scope == "command" else self.subject.session.tarpitted
        ruling.tarpit = max(0.0, tarpit - waited)
        ruling.log = self.subject.lines
        self.subject.reply.setdefault("t", str(int(ruling.tarpit)))
        say(ruling, self.subject)
        return ruling

    # --- trace ---

    def _note(self, clause: Clause, result: str) -> None:
        if self._trace:
            self._results[id(clause)] = result

    def _write_trace(self, rule: Rule) -> None:
        if not self._trace:
            return
        said = [
            f"{clause.text or clause.kind}: {self._results.get(id(clause), 'not asked')}"
            for clause in rule.clauses
        ]
        line = f"{rule.path}:{rule.line} {rule.action.value}: {'; '.join(said) or 'always'}"
        self._ruling.trace.append(clean(line)[:_LONGEST_TRACE])
        self._results = {}


def say(ruling: Ruling, subject: Subject) -> None:
    """Expand what the rules want to be said, with what is known by now. From the templates of the
    file each time: what a stranger wrote is never taken for one."""
    captures = subject.mail.captures
    line, name, recipient = subject.rule_line, subject.rule_id, subject.recipient
    headers: list[tuple[str, int | None]] = []
    for saying in ruling.sayings:
        subject.mail.captures = list(saying.captures)
        subject.rule_line, subject.rule_id = saying.line, saying.name
        # X-Greylist is read by all recipients of the message.
        subject.recipient = "" if saying.of == "report" else recipient
        limit = _LIMITS[saying.of]
        text = expand(saying.template, subject, limit=limit)
        if saying.of == "header":
            headers.append((clean(_on_one_line(text)), saying.index))
        elif saying.of == "addfooter":  # its line ends are those of the file
            ruling.addfooter = text
        else:
            setattr(ruling, saying.of, clean(_on_one_line(text)))
    ruling.addheaders = tuple(headers)
    subject.mail.captures, subject.recipient = captures, recipient
    subject.rule_line, subject.rule_id = line, name


def _on_one_line(text: str) -> str:
    return " ".join(text.split("\n")).replace("\r", "").replace("\t", " ")


def _kind(clause: Clause) -> str:
    kind = f"tarpit {clause.seconds}" if isinstance(clause, Tarpit) else clause.kind
    return f"not {kind}" if clause.negated else kind


def _forget_fleeting(subject: Subject) -> None:
    properties = subject.session.properties
    for key in [key for key, found in properties.items() if found.fleeting]:
        del properties[key]
