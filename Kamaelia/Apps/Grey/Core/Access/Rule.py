"""
One rule of greylist.conf, and what comes of it
===============================================
A `Rule` has an action, clauses that must all hold, and `Extras`: what it says of delays and words.
`Clause` is what each kind of clause is made of (Clauses*.py have them). A `Ruling` is what all
rules together say of one subject.

A clause may answer True or False at once, or give a Question whose answer it needs: it is asked
again when the answer is in the subject. `test` changes nothing, so that it can be asked ahead to
find what has to be looked up; what a clause does (set a property, count, write a line) is in `act`,
which is called once, when all clauses of its rule before it hold and its own answer is known.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar

from Kamaelia.Apps.Grey.Core.Access.Questions import LookupFailed, Question
from Kamaelia.Apps.Grey.Core.Access.Subject import Subject


class Action(Enum):
    GREYLIST = "greylist"
    WHITELIST = "whitelist"
    BLACKLIST = "blacklist"
    CONTINUE = "continue"


class Stage(Enum):
    RCPT = "rcpt"
    DATA = "data"


Outcome = bool | Question | LookupFailed


class Clause(ABC):
    """One test of a rule. negated: it stands behind `not`. text: as it stands in the file.

    acts: it has an `act`. in_place: what stands behind it in its rule is never asked before it,
    since what it does must be done, or is seen there. depends: its answer may be another one when a
    clause before it has acted. needs_answer: a failed look-up fails the decision, always."""

    __slots__ = ("depends", "negated", "text")
    kind: ClassVar[str]
    acts: ClassVar[bool] = False
    in_place: ClassVar[bool] = False
    needs_answer: ClassVar[bool] = False

    def __init__(self, text: str = "", negated: bool = False) -> None:
        self.text = text
        self.negated = negated
        self.depends = False

    @abstractmethod
    def holds(self, subject: Subject) -> Outcome:
        """Whether it holds, without regard to `negated`."""

    def test(self, subject: Subject) -> Outcome:
        """Whether it holds, `negated` regarded; a Question: that has to be known first; a
        LookupFailed: nobody can know."""
        held = self.holds(subject)
        return held is not self.negated if held is True or held is False else held

    def questions(self, subject: Subject) -> tuple[Question, ...]:
        """All that it may have to know of that subject, known or not."""
        return ()

    def groups(self, subject: Subject) -> tuple[str, ...]:
        """What the groups of its expression captured, for %g; asked when it holds."""
        return ()

    def act(self, subject: Subject) -> None:
        """What it does; nothing for most."""
        return


@dataclass(frozen=True, slots=True)
class Extras:
    """What stands behind the clauses. Times in seconds; None or "": the file is silent. msg,
    report and the others that are said to somebody are %-expanded then (Substitute.py)."""

    delay: int | None = None
    autowhite: int | None = None
    flushaddr: bool = False
    nolog: bool = False
    code: str = ""
    ecode: str = ""
    msg: str = ""
    report: str = ""
    addheaders: tuple[tuple[str, int | None], ...] = ()
    addfooter: str = ""
    subjtag: str = ""
    maxpeek: int | None = None
    tarpit_scope: str = ""  # "session" or "command"


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """name: its id, or its line as text. source: its text in the file, on one line."""

    stage: Stage
    action: Action
    clauses: tuple[Clause, ...]
    extras: Extras
    path: str
    line: int
    name: str
    source: str = ""
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class Saying:
    """What a rule wants to be said, not yet expanded. of: the field of Ruling; captures, line,
    name: of the rule, when it matched."""

    of: str
    template: str
    captures: tuple[str, ...]
    line: int
    name: str
    index: int | None = None  # of a header


@dataclass(slots=True)
class Ruling:
    """What the rules say. action CONTINUE never comes out; `rule` None: none has matched, which is
    greylist at RCPT and whitelist at DATA.

    kinds: the kinds of clauses that held in the deciding rule, for X-Greylist ("tarpit 20" has its
    seconds). failed: a look-up without which it cannot be known failed (lookup_failure = defer): a
    temporary refusal. tarpit: seconds that the reply is to be kept back, those regarded that the
    session has waited already. log: lines that `log` clauses wrote. code, ecode, msg, report,
    addheaders...: those of the deciding rule, or of continue rules before it, expanded with what
    was known then; Evaluate.say() expands them again when `subject.reply` has the rest (%R...)."""

    action: Action
    rule: Rule | None = None
    kinds: tuple[str, ...] = ()
    delay: int | None = None
    autowhite: int | None = None
    code: str = ""
    ecode: str = ""
    msg: str = ""
    report: str = ""
    addheaders: tuple[tuple[str, int | None], ...] = ()
    addfooter: str = ""
    subjtag: str = ""
    maxpeek: int | None = None
    flushaddr: bool = False
    nolog: bool = False
    tarpit: float = 0.0
    failed: str = ""
    log: list[str] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)  # "greylist.conf:12 greylist: spf fail: no"
    sayings: list[Saying] = field(default_factory=list)
