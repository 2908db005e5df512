"""
Why a message was not delayed, as X-Greylist says it
====================================================
The kinds of clauses that held in the rule that let a message in, or the kind of what else let it
in, become the words of milter-greylist, in its order.

>>> reasons(("spf", "addr"), "12")
'Sender IP whitelisted, Sender passed SPF test'
>>> reasons(("time", "tarpit 20"), "night")
'Message whitelisted by tarpit 20s, ACL night matched'
>>> reasons((), "12")
'ACL 12 matched'
"""

from collections.abc import Iterable

# Order and words are an interface: mail filters of users look for them. Kinds that no clause has
# are what lets a message in before any rule is asked.
_TEXTS = (
    (("domain",), "Sender DNS name whitelisted"),
    (("addr",), "Sender IP whitelisted"),
    (("from", "rawfrom"), "Sender e-mail whitelisted"),
    (("auth",), "Sender succeeded SMTP AUTH"),
    (("access-map",), "Message whitelisted by Sendmail access database"),
    (("drac",), "Message whitelisted by DRAC access database"),
    (("spf",), "Sender passed SPF test"),
    (("dkim",), "Sender passed DKIM test"),
    (("non-ip",), "Message not sent from an IPv4 neither IPv6 address"),
    (("tls",), "Sender succeeded STARTTLS authentication"),
    (("rcpt",), "Recipient e-mail whitelisted"),
    (("autowhite",), "IP, sender and recipient auto-whitelisted"),
    (("dnsrbl",), "Sender IP whitelisted by DNSRBL"),
    (("mx",), "Sender IP whitelisted by MX"),
    (("urlcheck",), "URL check passed"),
    (("default",), "Default is to whitelist mail"),
)
_KNOWN = frozenset(kind for kinds, _ in _TEXTS for kind in kinds)
_TARPIT = "tarpit "


def reasons(kinds: Iterable[str], rule_name: str) -> str:
    """kinds: as in Ruling.kinds (a tarpit is `tarpit 20`, with its seconds), or "access-map",
    "drac", "non-ip", "autowhite". Any other, or none: "ACL ... matched"."""
    given = set(kinds)
    parts = [text for names, text in _TEXTS if not given.isdisjoint(names)]
    tarpits = sorted(kind for kind in given if kind.startswith(_TARPIT))
    parts.extend(f"Message whitelisted by tarpit {kind.removeprefix(_TARPIT)}s" for kind in tarpits)
    if not parts or given - _KNOWN - set(tarpits):
        parts.append(f"ACL {rule_name} matched")
    return ", ".join(parts)
