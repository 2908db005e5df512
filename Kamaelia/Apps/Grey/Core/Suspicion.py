"""
Who looks like a mail server
============================
In mode `suspicious` greylisting is for those that do not. What a client looks like:

 - WORST: it is in one of the `suspicious_lists`; or it has no forward-confirmed name, or one that
   looks like a dial-up line's, and its HELO does not lead back to it either
 - SUSPICIOUS: one of the two only, name or HELO, is in order
 - GOOD: its name is confirmed and does not look dynamic, and its HELO is that name or leads back to
   its address

What could not be looked up speaks neither for nor against a client: a list that does not answer has
nobody in it, and without a known name nobody is GOOD, nor WORST.

The addresses to which a HELO leads are those of its mail servers, or else its own (`Mx`): some
write the domain for which they send.

>>> from Kamaelia.Apps.Grey.Core.Access.Subject import Mail
>>> session = Session("192.0.2.7", name="mx.example.net", helo="MX.example.net")
>>> looks(Policy(), Subject(session, Mail("<a@example.net>"), "<b@example.org>", now=0.0)).value
'good'
"""

from enum import Enum

from Kamaelia.Apps.Grey.Core.Access.Asking import asked, name_question
from Kamaelia.Apps.Grey.Core.Access.Definitions import DnsrblZone
from Kamaelia.Apps.Grey.Core.Access.Questions import Dnsrbl, Mx, Question
from Kamaelia.Apps.Grey.Core.Access.Subject import Session, Subject
from Kamaelia.Apps.Grey.Core.HostNames import looks_dynamic, looks_like_a_name
from Kamaelia.Apps.Grey.Core.Keys import host_name
from Kamaelia.Apps.Grey.Core.Networks import Network, parsed
from Kamaelia.Apps.Grey.Core.Types import Policy


class Looks(Enum):
    GOOD = "good"
    SUSPICIOUS = "suspicious"
    WORST = "worst"


def zones_of(policy: Policy) -> dict[str, DnsrblZone]:
    """The DNS lists of the settings by the names under which they are asked for (Dnsrbl.list_name):
    to be put beside those that greylist.conf defines for its rules."""
    rows = (*policy.suspicious_lists, *policy.trusted_lists)
    return {_name(zone, str(answers)): DnsrblZone(zone, answers) for zone, answers in rows}


def trust_questions(policy: Policy, subject: Subject) -> tuple[Question, ...]:
    """Whether the client is in a list of those that are let in."""
    return _list_questions(policy.trusted_lists, subject.session.client)


def suspicion_questions(policy: Policy, subject: Subject) -> tuple[Question, ...]:
    """What has to be known to say what a client looks like."""
    session = subject.session
    lists = _list_questions(policy.suspicious_lists, session.client)
    helo = None
    if looks_like_a_name(session.helo) and not _same_name(session.helo, host_name(subject) or ""):
        helo = _helo_question(session)
    return asked(name_question(subject), helo, *lists)


def is_trusted(policy: Policy, subject: Subject) -> bool:
    """Whether one of the trusted lists has the client."""
    return any(subject.answer(question) is True for question in trust_questions(policy, subject))


def looks(policy: Policy, subject: Subject) -> Looks:
    """What the client looks like, by what has been found out."""
    session = subject.session
    lists = _list_questions(policy.suspicious_lists, session.client)
    if any(subject.answer(question) is True for question in lists):
        return Looks.WORST
    name = host_name(subject)
    named = bool(name) and not looks_dynamic(name or "", session.client)
    if _greets_well(subject, name or ""):
        return Looks.GOOD if named else Looks.SUSPICIOUS
    return Looks.SUSPICIOUS if named or name is None else Looks.WORST


def _greets_well(subject: Subject, name: str) -> bool:
    session = subject.session
    if not looks_like_a_name(session.helo):
        return False
    if _same_name(session.helo, name):
        return True
    found = subject.answer(_helo_question(session))
    client = parsed(session.client)
    if client is None or not isinstance(found, tuple):
        return False
    return any(parsed(address) == client for address in found)


def _same_name(helo: str, name: str) -> bool:
    return bool(name) and helo.rstrip(".").lower() == name


def _helo_question(session: Session) -> Mx:
    return Mx(session.helo.rstrip(".").lower())


def _list_questions(rows: tuple[tuple[str, Network], ...], client: str) -> tuple[Dnsrbl, ...]:
    if not client:
        return ()
    return tuple(Dnsrbl(_name(zone, str(answers)), client) for zone, answers in rows)


def _name(zone: str, answers: str) -> str:
    # A list of a rule has a name without this, and may be of the same zone with other answers.
    return f"setting:{zone}:{answers}"
