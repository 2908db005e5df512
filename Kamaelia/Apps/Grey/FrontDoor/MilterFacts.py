"""
What a mail server tells its filter of a client
===============================================
Host name and address come with the connection, all the rest in macros, for which the filter has to
ask by name. Here stands which ones, and what they mean to the access rules.

>>> client_name("mx.example.net"), client_name("unknown"), client_name("[192.0.2.7]")
('mx.example.net', '', None)
>>> bare("<a@example.net>"), bare('<"a"@example.net.>'), bare("")
('a@example.net', 'a@example.net', '')
>>> session = Session("192.0.2.7", macros={"verify": "FAIL", "cert_subject": "/CN=a"})
>>> meet(session, "mx.example.net", helo="mx")
>>> session.name, session.tls_subject
('mx.example.net', '')

Rules. A certificate counts only if the mail server has verified it. Sendmail says so ({verify} is
OK), if it is asked for that macro, and names any other certificate, too. Postfix does not know
{verify}, and names only those that it has verified: its {cert_subject} is enough. The mail server's
list of macros is replaced by ours, so all that is used has to stand in one: at the stage where it
is known, and what only the rules of the configuration want at each recipient, for that is when they
look.
"""

import re
from collections.abc import Iterable

from Kamaelia.Apps.Grey.Core.Access.Subject import Session
from Kamaelia.Support.Protocol.Milter.Commands import normal_address
from Kamaelia.Support.Protocol.Milter.Negotiation import Stage
from Kamaelia.Support.Protocol.SMTP.Mailbox import mailbox

# At which stage which macro is known; without braces. Those in the second table only access rules
# want to see.
_ALWAYS: dict[Stage, tuple[str, ...]] = {
    Stage.CONNECT: ("v", "j", "if_addr", "daemon_addr"),
    Stage.HELO: ("verify", "cert_subject"),
    Stage.MAIL: ("auth_authen",),
    Stage.RCPT: ("greylist",),
}
_FOR_RULES: dict[Stage, tuple[str, ...]] = {
    Stage.CONNECT: ("_", "daemon_name", "if_name", "client_addr", "client_ptr"),
    Stage.HELO: ("tls_version", "cipher", "cipher_bits", "cert_issuer"),
    Stage.MAIL: ("i", "auth_type", "auth_ssf", "auth_author", "mail_mailer", "mail_host"),
    Stage.RCPT: ("i", "rcpt_mailer", "rcpt_host", "rcpt_addr"),
    Stage.END_OF_MESSAGE: ("i", "msg_id"),
}
MOST_MACROS = 40  # of one stage: Sendmail takes 50

_is_name = re.compile(r"[!-z|~]{1,100}").fullmatch
_VERIFIED = "OK"


def client_name(host: str) -> str | None:
    """The client's host name; "": it has none; None: the mail server has not found it out."""
    if host.startswith("["):
        return None
    return "" if host == "unknown" else host


def bare(address: str) -> str:
    """An address without its brackets, and without what its writer has put into it that means
    nothing: mail servers hand on what they heard, but deliver to whom it is for. It need not have
    had brackets: those of bounces that Postfix makes itself do not."""
    if address.startswith("<") and address.endswith(">"):
        address = address[1:-1]
    return mailbox(address)


def meet(known: Session, host: str, helo: str) -> None:
    """Tell the rules of a client, whose macros they have. host: its name, by the mail server."""
    macros = known.macros
    known.name = client_name(host)
    known.helo = helo
    known.auth_user = macros.get("auth_authen", "")
    known.tls_subject = tls_subject(
        macros.get("verify", ""), macros.get("cert_subject", ""), macros.get("v", "")
    )
    known.tls_version = macros.get("tls_version", "")
    known.local_address = local_address(macros.get("if_addr", ""), macros.get("daemon_addr", ""))


def local_address(if_addr: str, daemon_addr: str) -> str:
    """The address that the client came to: Sendmail has the first, Postfix the second."""
    return normal_address(if_addr) or normal_address(daemon_addr)


def tls_subject(verify: str, cert_subject: str, version: str = "") -> str:
    """The client's certificate, if somebody has verified it. version: the macro {v}."""
    if verify == _VERIFIED or (not verify and _is_postfix(version)):
        return cert_subject
    return ""


def macros_to_ask_for(*, for_rules: bool, more: Iterable[str] = ()) -> dict[Stage, tuple[str, ...]]:
    """The lists for the negotiation. more: what `sm_macro` of the configuration looks at, with or
    without braces; what can be no macro's name is left out."""
    stages = dict(_ALWAYS)
    if for_rules:
        for stage, names in _FOR_RULES.items():
            stages[stage] = (*stages.get(stage, ()), *names)
        own = (name.strip("{}") for name in more)
        names = (*stages[Stage.RCPT], *filter(_is_name, own))
        stages[Stage.RCPT] = tuple(dict.fromkeys(names))[:MOST_MACROS]
    return stages


def takes_progress(version: str) -> bool:
    """Whether this mail server, by its macro {v}, may be told at a recipient that it has to wait
    some more. Sendmail takes that for "yes" there; who does not say what he is may be Sendmail."""
    return _is_postfix(version)


def _is_postfix(version: str) -> bool:
    return version.startswith("Postfix")
