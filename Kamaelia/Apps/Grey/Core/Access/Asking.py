"""
The questions about a subject
=============================
Each question is put together in one place, so that a clause, a %-code and whoever decides without
rules mean the same look-up. None: there is nothing to ask (a client without an address, a message
without content), so the answer is known: no name, no list, no mail server.
"""

from Kamaelia.Apps.Grey.Core.Access.Patterns import bare
from Kamaelia.Apps.Grey.Core.Access.Questions import (
    Country,
    Dkim,
    HostName,
    Mx,
    P0f,
    Question,
    Spamd,
    Spf,
)
from Kamaelia.Apps.Grey.Core.Access.Subject import Subject


def name_question(subject: Subject) -> HostName | None:
    session = subject.session
    return HostName(session.client) if session.name is None and session.client else None


def host_name(subject: Subject) -> str:
    """The client's name as far as it is known: of the MTA, or of a look-up; else ""."""
    name = subject.session.name
    if name is None:
        answer = subject.answers.get(HostName(subject.session.client))
        name = answer if isinstance(answer, str) else ""
    return name


def spf_question(subject: Subject) -> Spf | None:
    return _spf(subject, subject.session.client)


def own_spf_question(subject: Subject) -> Spf | None:
    """Would a mail of that sender from our own address pass? Then anybody's does."""
    return _spf(subject, subject.session.local_address)


def _spf(subject: Subject, client: str) -> Spf | None:
    if not client:
        return None
    mail = subject.mail
    return Spf(client, subject.session.helo, bare(mail.raw_sender or mail.sender))


def mx_question(subject: Subject) -> Mx | None:
    domain = bare(subject.mail.sender).rpartition("@")[2].rstrip(".").lower()
    return Mx(domain) if domain and subject.session.client else None


def country_question(subject: Subject) -> Country | None:
    return Country(subject.session.client) if subject.session.client else None


def p0f_question(subject: Subject) -> P0f | None:
    return P0f(subject.session.client) if subject.session.client else None


def spamd_question(subject: Subject) -> Spamd | None:
    content = subject.mail.content
    return None if content is None else Spamd(content.message_id)


def dkim_question(subject: Subject) -> Dkim | None:
    content = subject.mail.content
    return None if content is None else Dkim(content.message_id)


def asked(*questions: Question | None) -> tuple[Question, ...]:
    """Those that are to be asked."""
    return tuple(question for question in questions if question is not None)
