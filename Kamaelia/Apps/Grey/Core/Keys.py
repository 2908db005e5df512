"""
What stands for a client
========================
The big ones retry from another address than the first, often from another network: a key made of
the address never meets again. So the key of a record has the first of these that there is, in the
order of `key_order`:

 - SPF: the domain whose record said `pass`                  `spf:example.net`
 - NAME: whoever registered the forward-confirmed name       `dns:example.net`
 - NETWORK: the address, cut at network_prefix4 or 6         `192.0.2.0/24`

A name that looks like that of a dial-up line is no name here: a whole access provider would be one
client. A look-up that failed, or that says nothing, means the next kind; the network is always
there, also when the order does not name it.

SPF and name only say whose mail it is; they let nobody in. A retry still has to come.

>>> from Kamaelia.Apps.Grey.Core.Access.Subject import Mail, Session
>>> policy = Policy(key_order=(KeyKind.SPF, KeyKind.NETWORK))
>>> subject = Subject(Session("192.0.2.7", helo="mx"), Mail("<a@example.net>"), "<b@c>", now=0.0)
>>> questions_for(policy, subject)
(Spf(client='192.0.2.7', helo='mx', sender='a@example.net'),)
>>> subject.answers[questions_for(policy, subject)[0]] = SpfAnswer(SpfResult.PASS, "Example.net")
>>> key_of(policy, subject, "192.0.2.0/24", lambda name: name)
('spf:example.net', 'spf')
"""

from collections.abc import Callable

from Kamaelia.Apps.Grey.Core.Access.Asking import asked, name_question, spf_question
from Kamaelia.Apps.Grey.Core.Access.Patterns import bare
from Kamaelia.Apps.Grey.Core.Access.Questions import HostName, Question, SpfAnswer, SpfResult
from Kamaelia.Apps.Grey.Core.Access.Subject import Subject
from Kamaelia.Apps.Grey.Core.HostNames import looks_dynamic
from Kamaelia.Apps.Grey.Core.Modes import KeyKind
from Kamaelia.Apps.Grey.Core.Normalise import fold_address
from Kamaelia.Apps.Grey.Core.Types import Policy

# The registered part of a host name, "" if there is none: the public suffix list is no part of
# Core, so whoever has it gives this.
Organisation = Callable[[str], str]

_LONGEST_DOMAIN = 255


def no_organisation(_: str) -> str:
    """For who has no public suffix list: then names stand for nobody."""
    return ""


def spf_passed(subject: Subject) -> SpfAnswer | None:
    """The answer, if it is there and is `pass`."""
    question = spf_question(subject)
    answer = None if question is None else subject.answer(question)
    if isinstance(answer, SpfAnswer) and answer.result is SpfResult.PASS:
        return answer
    return None


def host_name(subject: Subject) -> str | None:
    """The forward-confirmed name of the client; "": it has none; None: nobody knows."""
    session = subject.session
    found = session.name if session.name is not None else subject.answer(HostName(session.client))
    if not isinstance(found, str):
        return None
    name = found.strip().rstrip(".").lower()
    # an MTA writes [192.0.2.7] or unknown for a client without a name
    return "" if name.startswith("[") or name == "unknown" else name[:_LONGEST_DOMAIN]


def questions_for(policy: Policy, subject: Subject) -> tuple[Question, ...]:
    """What has to be known for the key."""
    kinds: list[Question | None] = []
    for kind in policy.key_order:
        if kind is KeyKind.NETWORK:
            break  # there always is one
        kinds.append(spf_question(subject) if kind is KeyKind.SPF else name_question(subject))
    return asked(*kinds)


def key_of(
    policy: Policy, subject: Subject, network: str, organisation: Organisation
) -> tuple[str, str]:
    """What stands for the client, and which kind it is. `network`: what its address comes to."""
    for kind in policy.key_order:
        found = ""
        if kind is KeyKind.SPF:
            passed = spf_passed(subject)
            found = f"spf:{_domain_of(passed, subject)}" if passed else ""
        elif kind is KeyKind.NAME:
            found = _owner(subject, organisation)
        else:
            break
        if len(found) > len("spf:"):
            return fold_address(found), kind.value
    return network, KeyKind.NETWORK.value


def _domain_of(passed: SpfAnswer, subject: Subject) -> str:
    sender = subject.mail.raw_sender or subject.mail.sender
    domain = passed.domain or bare(sender).rpartition("@")[2] or subject.session.helo
    return domain.strip().rstrip(".")[:_LONGEST_DOMAIN]


def _owner(subject: Subject, organisation: Organisation) -> str:
    name = host_name(subject)
    if not name or looks_dynamic(name, subject.session.client):
        return ""
    return f"dns:{organisation(name)}"
