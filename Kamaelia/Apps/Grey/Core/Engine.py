"""
The whole decision
==================
One recipient's way through everything that has a say, in this order:

 1. what needs neither record nor look-up (Rules.py): allowed senders, AUTH, no relay, white lists
 2. greylist_mode = off, where no access rule has a say       pass
 3. the recipient has opted out, or has not opted in; somebody
    expects mail for it at this time. Where there are access
    rules: behind one that refuses                            pass
 4. AUTH, a verified client certificate (not if `noauth`),
    the access map of the MTA, SPF (not if `nospf`)           pass
 5. the access rules of greylist.conf                         pass, refuse, or go on to greylist
 6. greylist_mode = off                                       pass
 7. networks of the big senders, trusted lists                pass
 8. greylist_mode = suspicious and nothing is                 pass
 9. the client is known as a whole (Clients.py)               pass
10. greylisting: the record of the triplet (Decide.py)        pass or defer
11. whoever would have to wait: somebody expects this mail    pass

`Engine.decide` is a generator, for it can neither look up nor wait: it yields `Wanted` (whoever
drives it finds these answers, puts them into the subject and goes on with next()) and `Look` (the
record of a triplet comes back by send(); `STORE_FAILED` if nobody can tell), and returns the
Decision. What may be needed is wanted at once, before step 4, so that look-ups run side by side;
an answer that is missing afterwards counts as a look-up that failed.

With a `plain` policy, one without all that, nobody needs the generator: `at_once`, and
Decide.with_triplet for the rest.

>>> from Kamaelia.Apps.Grey.Core.Types import Policy, Attempt
>>> engine = Engine(Policy(allowed_domains=frozenset({"example.org"}), quiet=True))
>>> attempt = Attempt("192.0.2.7", "mx", "a@example.net", "b@example.org", "k3f9", "b",
...                   "example.org")
>>> deciding = engine.decide(attempt, now=1000)
>>> next(deciding)
Look(triplet=Triplet(network='192.0.2.0/24', sender='a@example.net', recipient='b@example.org'))
>>> try:
...     deciding.send(None)
... except StopIteration as done:
...     print(done.value.reason.value, done.value.reply)
new ('451', '4.7.1', 'Greylisting in action, please come back later')
"""

from collections.abc import Callable, Generator, Iterable
from dataclasses import replace

from Kamaelia.Apps.Grey.Core.Access.Asking import asked, spf_question
from Kamaelia.Apps.Grey.Core.Access.Evaluate import evaluate, say, wanted
from Kamaelia.Apps.Grey.Core.Access.Patterns import bare
from Kamaelia.Apps.Grey.Core.Access.Questions import Question
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Ruling, Stage
from Kamaelia.Apps.Grey.Core.Access.RuleSet import RuleSet
from Kamaelia.Apps.Grey.Core.Access.Subject import Mail, Session, Subject
from Kamaelia.Apps.Grey.Core.Combine import combine
from Kamaelia.Apps.Grey.Core.Expectations import Expectations
from Kamaelia.Apps.Grey.Core.Greylisting import Greylisting
from Kamaelia.Apps.Grey.Core.Keys import Organisation, no_organisation, questions_for, spf_passed
from Kamaelia.Apps.Grey.Core.Modes import KeyKind, Mode
from Kamaelia.Apps.Grey.Core.Networks import Networks, parsed
from Kamaelia.Apps.Grey.Core.Normalise import milter_recipient, milter_sender
from Kamaelia.Apps.Grey.Core.Replies import NOBODY_KNOWS, blacklisted, greylisted
from Kamaelia.Apps.Grey.Core.Rules import Recipients, Rules
from Kamaelia.Apps.Grey.Core.Suspicion import (
    Looks,
    is_trusted,
    looks,
    suspicion_questions,
    trust_questions,
)
from Kamaelia.Apps.Grey.Core.Tarpits import Tarpits
from Kamaelia.Apps.Grey.Core.Types import (
    Attempt,
    Decision,
    MessageAttempt,
    MessageDecision,
    Policy,
    Reason,
    Record,
    Triplet,
    Verdict,
)
from Kamaelia.Apps.Grey.Core.Wants import (
    STORE_FAILED,
    Deciding,
    DecidingMessage,
    Look,
    StoreFailed,
    Wanted,
    ask,
)

LocalFields = tuple[int, int, int, int, int]

_EXPECTED = Decision(Verdict.PASS, Reason.EXPECTED)
_WHITE_IN_ACCESS_MAP = ("WHITE", "RELAY", "OK")


class Engine:
    """Engine(policy, rules) -> `decide`, `decide_message`.

    organisation: the registered part of a host name. admit(network): whether one more stranger of
    it may be remembered (Newcomers.admit with a clock). local(now): what Subject.local is to be.
    trace: rulings say how they came about (slow).
    `expectations` and `big_senders` (networks) may be given anew while it runs. A decision that is
    EXPECTED has used one of the expectations: its driver writes them down (Expectations.text)."""

    __slots__ = (
        "_greylisting",
        "_local",
        "_never_for",
        "_only_for",
        "_plain",
        "_rules",
        "_trace",
        "at_once",
        "big_senders",
        "expectations",
        "policy",
        "ready",
        "tarpits",
    )

    def __init__(
        self,
        policy: Policy,
        rules: RuleSet | None = None,
        *,
        organisation: Organisation = no_organisation,
        admit: Callable[[str], bool] = lambda _: True,
        local: Callable[[float], LocalFields] | None = None,
        expectations: Expectations | None = None,
        big_senders: Networks | None = None,
        tarpits: Tarpits | None = None,
        trace: bool = False,
    ) -> None:
        self.policy = policy
        self.ready = Rules(policy)  # the part that needs no generator
        self.at_once: Callable[[Attempt], Decision | None] = self.ready.without_record
        self.expectations = expectations
        self.tarpits = tarpits
        self.big_senders = Networks() if big_senders is None else big_senders
        self._rules = rules if rules is not None and len(rules) else None
        self._plain = self._rules is None and _is_plain(policy)
        self._greylisting = Greylisting(self.ready, organisation, admit)
        self._local = local
        self._trace = trace
        self._only_for = Recipients(policy.greylist_only_for)
        self._never_for = Recipients(policy.never_greylist_for)

    @property
    def plain(self) -> bool:
        """An attempt without a subject may be decided by `at_once` and Decide.with_triplet."""
        return self._plain and not self.big_senders and not self.expectations

    def decide(self, attempt: Attempt, now: int) -> Deciding:
        """The decision for one recipient."""
        decision = self.at_once(attempt)
        if decision is not None:
            # Also in a dry run: to let a stranger's mail through to anywhere is no experiment.
            return decision
        subject = attempt.subject or subject_of(attempt)
        self._set_time(subject, now)
        if self.tarpits is not None:
            subject.endured = self.tarpits.endured(
                (attempt.client, attempt.sender, attempt.recipient)
            )
        decision = self._without_looking(attempt, subject, now)
        if decision is None:
            yield from ask(subject, self._questions(subject))
            decision = self._by_spf(subject)
        if decision is None:
            ruling = yield from self._ruling(Stage.RCPT, subject)
            flush = self.ready.network_of(attempt.client) if ruling and ruling.flushaddr else ""
            decision = self._refused(ruling)
            if decision is None and self._rules is not None:
                decision = self._by_recipient(attempt, now)
            decision = decision or self._by_ruling(ruling) or self._by_client(subject)
            if decision is None:
                decision = yield from self._greylisting.decide(
                    attempt.sender, attempt.recipient, subject, ruling, now
                )
            waits = decision.verdict is Verdict.DEFER and decision.reason is not Reason.RULE
            if waits and self._is_expected(attempt.recipient, now):
                return _EXPECTED  # not before: whoever gets in without it leaves it to the others
            decision = self._said(decision, subject, ruling, flush)
        return self._in_dry_run(decision)

    # --- what there is to know ---

    def _set_time(self, subject: Subject, now: int) -> None:
        subject.now = now
        if self._local is not None:
            subject.local = self._local(now)

    def _questions(self, subject: Subject) -> Iterable[Question]:
        """All that may be needed, so that it is looked up side by side."""
        policy = self.policy
        if parsed(subject.session.client) is not None:  # who has no address cannot be looked up
            if not policy.nospf:
                yield from asked(spf_question(subject))
            if policy.greylist_mode is not Mode.OFF:
                yield from trust_questions(policy, subject)
                yield from questions_for(policy, subject)
            if policy.greylist_mode is Mode.SUSPICIOUS:
                yield from suspicion_questions(policy, subject)
        if self._rules is not None:
            yield from wanted(self._rules, Stage.RCPT, subject)

    def _ruling(self, stage: Stage, subject: Subject) -> Generator[Wanted, object, Ruling | None]:
        """What the rules say; None: there are none."""
        if self._rules is None:
            return None
        asking = evaluate(self._rules, stage, subject, trace=self._trace)
        while True:  # it has an end: there are so many rules, and nothing is asked twice
            try:
                question = next(asking)
            except StopIteration as done:
                ruling: Ruling = done.value
                return ruling
            yield from ask(subject, (question,))

    # --- who decides ---

    def _without_looking(self, attempt: Attempt, subject: Subject, now: int) -> Decision | None:
        policy, session = self.policy, subject.session
        if policy.greylist_mode is Mode.OFF and self._rules is None:
            return Decision(Verdict.PASS, Reason.OFF)
        if self._rules is None:
            for_recipient = self._by_recipient(attempt, now)
            if for_recipient is not None:
                return for_recipient
        if not policy.greylist_authenticated:
            if session.auth_user:
                return Decision(Verdict.PASS, Reason.AUTHENTICATED)
            if session.tls_subject:
                return Decision(Verdict.PASS, Reason.CERTIFICATE)
        if not policy.noaccessdb and session.macros.get("greylist") in _WHITE_IN_ACCESS_MAP:
            return Decision(Verdict.PASS, Reason.ACCESS_MAP)
        return None

    def _by_recipient(self, attempt: Attempt, now: int) -> Decision | None:
        """Those who do not want to wait. A rule that refuses stands before them: that is no matter
        of waiting."""
        policy = self.policy
        if policy.greylist_only_for and not self._only_for.has(attempt):
            return Decision(Verdict.PASS, Reason.OPTED_OUT)
        if policy.never_greylist_for and self._never_for.has(attempt):
            return Decision(Verdict.PASS, Reason.OPTED_OUT)
        if self.expectations and self.expectations.is_timed(attempt.recipient, now):
            return _EXPECTED
        return None

    def _is_expected(self, recipient: str, now: int) -> bool:
        """Whether somebody waits for one mail, which this one is."""
        if not self.expectations or not self.expectations.matches(recipient, now):
            return False
        self.expectations.use(recipient, now)
        return True

    def _by_spf(self, subject: Subject) -> Decision | None:
        if self.policy.nospf or spf_passed(subject) is None:
            return None
        return Decision(Verdict.PASS, Reason.SPF_PASS)

    def _refused(self, ruling: Ruling | None) -> Decision | None:
        if ruling is None or ruling.failed or ruling.action is not Action.BLACKLIST:
            return None
        for_good = blacklisted(ruling)[0].startswith("5")
        return Decision(Verdict.REJECT if for_good else Verdict.DEFER, Reason.RULE)

    def _by_ruling(self, ruling: Ruling | None) -> Decision | None:
        if ruling is not None:
            if ruling.failed:
                return Decision(Verdict.DEFER, Reason.LOOKUP_FAILED)
            if ruling.action is Action.WHITELIST:
                return Decision(Verdict.PASS, Reason.RULE)
        if self.policy.testmode and (ruling is None or ruling.rule is None):
            return Decision(Verdict.PASS, Reason.RULE)
        if self.policy.greylist_mode is Mode.OFF:
            return Decision(Verdict.PASS, Reason.OFF)
        return None

    def _by_client(self, subject: Subject) -> Decision | None:
        if subject.session.client in self.big_senders:
            return Decision(Verdict.PASS, Reason.BIG_SENDER)
        policy = self.policy
        if policy.trusted_lists and is_trusted(policy, subject):
            return Decision(Verdict.PASS, Reason.TRUSTED_LIST)
        if policy.greylist_mode is Mode.SUSPICIOUS and looks(policy, subject) is Looks.GOOD:
            return Decision(Verdict.PASS, Reason.NOT_SUSPICIOUS)
        return None

    # --- what is said ---

    def _said(
        self, decision: Decision, subject: Subject, ruling: Ruling | None, flush: str
    ) -> Decision:
        """With the words for the client, and those of the rule, which may name times."""
        reply = self._reply(decision, ruling)
        if ruling is not None:
            subject.reply.update(_codes_of(decision, reply, ruling))
            say(ruling, subject)
            reply = self._reply(decision, ruling)
        return Decision(  # by hand: dataclasses.replace() takes ten times as long
            decision.verdict,
            decision.reason,
            decision.wait_seconds,
            decision.triplet,
            decision.record,
            decision.waited_seconds,
            ruling,
            reply,
            decision.would,
            flush,
            decision.key_kind,
            decision.also,
        )

    def _reply(self, decision: Decision, ruling: Ruling | None) -> tuple[str, str, str] | None:
        if decision.verdict is Verdict.PASS:
            return None
        if decision.reason is Reason.LOOKUP_FAILED:
            return NOBODY_KNOWS
        if decision.reason is Reason.RULE:
            return blacklisted(ruling)
        return greylisted(self.policy, ruling, decision.wait_seconds)

    def _in_dry_run(self, decision: Decision) -> Decision:
        if not self.policy.dry_run:
            return decision
        if decision.verdict is Verdict.PASS:
            if decision.ruling is not None:
                decision.ruling.tarpit = 0.0  # nobody is to wait
            return decision
        return Decision(
            Verdict.PASS,
            decision.reason,
            triplet=decision.triplet,
            record=decision.record,
            waited_seconds=decision.waited_seconds,
            would=decision,
            key_kind=decision.key_kind,
            also=decision.also,
        )

    # --- the DATA stage ---

    def decide_message(self, attempt: MessageAttempt, now: int) -> DecidingMessage:
        """What the rules of the DATA stage say of a message that is complete."""
        subject = Subject(attempt.session, attempt.mail, "", now)
        self._set_time(subject, now)
        if self._rules is not None:
            yield from ask(subject, wanted(self._rules, Stage.DATA, subject))
        ruling = yield from self._ruling(Stage.DATA, subject)
        if ruling is None:
            ruling = Ruling(Action.WHITELIST)
        decided = MessageDecision(Verdict.PASS, ruling)
        if ruling.failed:
            decided = replace(decided, verdict=Verdict.DEFER, reason=Reason.LOOKUP_FAILED)
        elif ruling.action is Action.BLACKLIST:
            refused = blacklisted(ruling)[0].startswith("5")
            decided = replace(decided, verdict=Verdict.REJECT if refused else Verdict.DEFER)
        elif ruling.action is Action.GREYLIST and self._may_greylist(attempt):
            decided = yield from self._greylist_message(decided, subject, now)
        flush = self.ready.network_of(attempt.session.client) if ruling.flushaddr else ""
        decided = self._said_of_message(replace(decided, flush=flush), subject)
        if self.policy.dry_run and decided.verdict is not Verdict.PASS:
            return MessageDecision(
                Verdict.PASS,
                Ruling(Action.WHITELIST),
                reason=decided.reason,
                records=decided.records,
                would=decided,
            )
        return decided

    def _may_greylist(self, attempt: MessageAttempt) -> bool:
        return self.policy.greylist_mode is not Mode.OFF and _let_in_by_default(attempt.ruling)

    def _greylist_message(
        self, decided: MessageDecision, subject: Subject, now: int
    ) -> DecidingMessage:
        """Each recipient has its record; the message waits for the last of them."""
        policy, mail, ruling = self.policy, subject.mail, decided.ruling
        yield from ask(subject, questions_for(policy, subject))
        sender = bare(mail.raw_sender or mail.sender)
        worst, waited = Decision(Verdict.PASS, Reason.RULE), 0
        records: list[tuple[Triplet, Record]] = []
        for recipient in mail.recipients:
            one = yield from self._greylisting.decide(sender, bare(recipient), subject, ruling, now)
            if one.verdict is Verdict.DEFER and self._is_expected(bare(recipient), now):
                one = _EXPECTED
            if one.triplet is not None and one.record is not None:
                records.append((one.triplet, one.record))
            records.extend(one.also)
            waited = max(waited, one.waited_seconds)
            worst = combine(worst, one)
        return replace(
            decided,
            verdict=worst.verdict,
            reason=worst.reason,
            wait_seconds=worst.wait_seconds,
            waited_seconds=waited,
            records=tuple(records),
        )

    def _said_of_message(self, decided: MessageDecision, subject: Subject) -> MessageDecision:
        one = Decision(
            decided.verdict,
            decided.reason,
            decided.wait_seconds,
            waited_seconds=decided.waited_seconds,
        )
        said = self._said(one, subject, decided.ruling, "")
        return replace(decided, reply=said.reply)


def subject_of(attempt: Attempt) -> Subject:
    """For an attempt whose door has none: what the attempt itself says."""
    session = Session(attempt.client, helo=attempt.helo, session_id=attempt.session)
    sender = f"<{attempt.sender}>"
    mail = Mail(milter_sender(sender), raw_sender=sender)
    return Subject(session, mail, milter_recipient(f"<{attempt.recipient}>"), now=0)


def _is_plain(policy: Policy) -> bool:
    """Whether none of the settings that need the generator is in use."""
    return (
        policy.greylist_mode is Mode.ALL
        and policy.nospf
        and (policy.key_order or (KeyKind.NETWORK,))[0] is KeyKind.NETWORK
        and not policy.client_passes
        and not policy.greylist_only_for
        and not policy.never_greylist_for
        and not policy.trusted_lists
        and not policy.testmode
        and not policy.dry_run
        and not policy.quiet
        and (policy.greylist_code, policy.greylist_ecode) == ("451", "4.7.1")
    )


def _let_in_by_default(ruling: Ruling | None) -> bool:
    """Whether the rules at RCPT let the last recipient in without having looked at it."""
    if ruling is None or ruling.action is not Action.WHITELIST:
        return False
    return ruling.rule is None or ruling.rule.is_default or not ruling.rule.clauses


def _codes_of(
    decision: Decision, reply: tuple[str, str, str] | None, ruling: Ruling
) -> dict[str, str]:
    """What Subject.reply is to have."""
    code, ecode, text = reply or ("250", "2.1.5", "Ok")
    said = {Verdict.PASS: "accept", Verdict.DEFER: "tempfail", Verdict.REJECT: "reject"}
    return {
        "Xc": code,
        "Xe": ecode,
        "Xm": text,
        "S": said[decision.verdict],
        "t": str(int(ruling.tarpit)),
        "E": str(decision.waited_seconds),
        "R": str(decision.wait_seconds),
    }


__all__ = [
    "STORE_FAILED",
    "Deciding",
    "DecidingMessage",
    "Engine",
    "Look",
    "StoreFailed",
    "Wanted",
    "subject_of",
]
