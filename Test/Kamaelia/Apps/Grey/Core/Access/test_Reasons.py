"""The words of X-Greylist."""

from Kamaelia.Apps.Grey.Core.Access.Reasons import reasons

ALL = (
    "tarpit 20", "default", "urlcheck", "mx", "dnsrbl", "autowhite", "rcpt", "tls", "non-ip",
    "dkim", "spf", "drac", "access-map", "auth", "from", "addr", "domain", "time",
)  # fmt: skip


def test_the_order_and_the_words_are_those_of_milter_greylist() -> None:
    assert reasons(ALL, "7").split(", ") == [
        "Sender DNS name whitelisted",
        "Sender IP whitelisted",
        "Sender e-mail whitelisted",
        "Sender succeeded SMTP AUTH",
        "Message whitelisted by Sendmail access database",
        "Message whitelisted by DRAC access database",
        "Sender passed SPF test",
        "Sender passed DKIM test",
        "Message not sent from an IPv4 neither IPv6 address",
        "Sender succeeded STARTTLS authentication",
        "Recipient e-mail whitelisted",
        "IP",
        "sender and recipient auto-whitelisted",
        "Sender IP whitelisted by DNSRBL",
        "Sender IP whitelisted by MX",
        "URL check passed",
        "Default is to whitelist mail",
        "Message whitelisted by tarpit 20s",
        "ACL 7 matched",
    ]


def test_nolog_and_negated_clauses_are_a_matched_rule() -> None:
    assert reasons(("addr", "nolog"), "own") == "Sender IP whitelisted, ACL own matched"
    assert reasons(("not addr",), "own") == "ACL own matched"


def test_rawfrom_is_a_sender() -> None:
    assert reasons(("rawfrom", "from"), "1") == "Sender e-mail whitelisted"
