"""
The statements of milter-greylist
=================================
One row for each. `field`: the setting of Schema.Config that it sets; those without one define
something (Core.Access.Definitions) or are rules. `operands` are names of Syntax's elements.

Example Usage
-------------
>>> STATEMENTS["greylist"].field, STATEMENTS["greylist"].default
('greylist_delay', '30m')
>>> [row.keyword for row in STATEMENTS.values() if row.missing]
['drac', 'tsig', 'nsupdate']
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from Kamaelia.Apps.Grey.Config.Policy.ClauseTable import NO_NSUPDATE


@dataclass(frozen=True, slots=True)
class StatementRow:
    """usage: how to write it. default: what holds when the file is silent. missing: why it cannot
    be offered; needless: why it says nothing here."""

    keyword: str
    operands: str
    usage: str
    meaning: str
    field: str = ""
    default: str = ""
    since_3_0: bool = True
    missing: str = ""
    needless: str = ""


def _flag(keyword: str, meaning: str, field: str = "", **more: bool | str) -> StatementRow:
    return StatementRow(keyword, "", keyword, meaning, field, "off", **more)  # type: ignore[arg-type]


def _new(
    keyword: str, operands: str, usage: str, meaning: str, field: str = "", default: str = ""
) -> StatementRow:
    """A statement that 3.0 does not have."""
    return StatementRow(
        keyword, operands, f"{keyword} {usage}", meaning, field, default, since_3_0=False
    )


def _old(
    keyword: str, operands: str, usage: str, meaning: str, field: str = "", default: str = ""
) -> StatementRow:
    return StatementRow(keyword, operands, f"{keyword} {usage}", meaning, field, default)


_ACTIONS = "greylist, whitelist or blacklist"
_ROWS = (
    _old("acl", "rule", f"{_ACTIONS}, then clauses or default", "a rule for a recipient"),
    _new("racl", "rule", '["ID"] ACTION, then clauses or default', "a rule for a recipient"),
    _new("dacl", "rule", '["ID"] ACTION, then clauses or default', "a rule for a message"),
    _old("list", "list", '"NAME" KIND { ITEMS }', "a list for rules"),
    _old("addr", "network", "ADDRESS[/LENGTH]", "let clients of this network in"),
    _old("domain", "domain", "DOMAIN or /REGEX/", "let clients with such a name in"),
    _old("from", "mail", "USER@DOMAIN or /REGEX/", "let mail of this sender in"),
    _new("rawfrom", "mail", "USER@DOMAIN or /REGEX/", "the same, before the address was cleaned"),
    _old(
        "rcpt", "mail", "USER@DOMAIN or /REGEX/", "let mail for it in; with testmode: greylist it"
    ),
    _old("peer", "peer", "ADDRESS [timeout TIME]", "another machine that shares records", "peers"),
    _old("syncaddr", "listen", "* or ADDRESS [port NUMBER]", "where peers connect to", "syncaddr"),
    _old("syncsrcaddr", "listen", "* or ADDRESS", "from where peers are called", "syncsrcaddr"),
    _new("syncmaxqlen", "number", "NUMBER", "records that wait for a peer", "syncmaxqlen", "1024"),
    _old("greylist", "time", "TIME", "how long a stranger has to wait", "greylist_delay", "30m"),
    _old("autowhite", "time", "TIME", "how long who got in stays known", "pass_lifetime", "1d"),
    _old("timeout", "time", "TIME", "how long a retry is waited for", "retry_window", "5d"),
    _old("dumpfreq", "time", "TIME", "how often the dump is written", "dumpfreq", "10m"),
    _new("tarpit", "time", "TIME", "how long replies are kept back", default="off"),
    _new("tarpit_scope", "scope", "session or command", "what a tarpit keeps back", "", "session"),
    _old("subnetmatch", "cidr", "/24", "IPv4 clients that count as one", "network_prefix4", "/32"),
    _old(
        "subnetmatch6", "cidr", "/64", "IPv6 clients that count as one", "network_prefix6", "/128"
    ),
    _old("pidfile", "string", '"FILE"', "where the number of the process stands", "pid_file"),
    _old("dumpfile", "string mode", '"FILE" [MODE]', "the records as text", "dumpfile"),
    _old("socket", "string mode", '"SOCKET" [MODE]', "where an MTA connects to", "socket"),
    _old("user", "string", '"USER[:GROUP]"', "who to become", "user"),
    _new("geoipdb", "string", '"FILE"', "which country an address is in"),
    _new("geoipv6db", "string", '"FILE"', "the same for IPv6"),
    _old(
        "report", "report", "none, delays, nodelays or all", "X-Greylist headers", "report", "all"
    ),
    _new("logfac", "facility", "FACILITY", "facility of syslog", "logfac", "mail"),
    _new("stat", "string string", '">>FILE" "FORMAT"', "a line for each decision"),
    _new("maxpeek", "number", "NUMBER", "how much of a message the DATA rules see"),
    _new("localaddr", "address", "ADDRESS", "our own address"),
    StatementRow(
        *("drac", "drac", 'drac db "FILE"', "let in who has fetched mail"),
        missing="its database is of a program that nobody maintains; list the networks of your "
        "users in allowed_sender_nets, or let them log in",
    ),
    _new("p0fsock", "string", '"SOCKET"', "where p0f listens"),
    _new("spamdsock", "transport string", 'inet "HOST:PORT" or unix "PATH"', "where spamd listens"),
    _old("dnsrbl", "dnsrbl", '"NAME" ZONE ADDRESS[/LENGTH]', "a DNS list, and its yes"),
    _old("sm_macro", "macro", '"NAME" "{MACRO}" "VALUE", /REGEX/ or unset', "a test of a macro"),
    _new("ratelimit", "rate", '"NAME" rcpt 10 / 1m [key "%i"]', "how much may come"),
    _new("urlcheck", "urlcheck", '"NAME" "URL" SECONDS [OPTIONS]', "an HTTP server to ask"),
    _new("ldapconf", "ldapconf", '"URL" [timeout TIME] [binddn "DN" bindpw "PASSWORD"]', "LDAP"),
    _new("ldapcheck", "ldapcheck", '"NAME" "URL" [OPTIONS]', "a directory to ask"),
    StatementRow(
        *("tsig", "string string string", 'tsig "NAME" "ALGORITHM" "KEY"', "a key for nsupdate"),
        since_3_0=False,
        missing=NO_NSUPDATE,
    ),
    StatementRow(
        *("nsupdate", "nsupdate", 'nsupdate "NAME" { ... }', "a name in the DNS to change"),
        since_3_0=False,
        missing=NO_NSUPDATE,
    ),
    _flag("verbose", "log in detail", "verbose"),
    _flag("quiet", "do not say how long to wait", "quiet"),
    _flag("nodetach", "stay in the foreground", "nodetach"),
    _flag("noauth", "greylist clients that have logged in, too", "noauth"),
    _flag("noaccessdb", "do not regard Sendmail's access map", "noaccessdb"),
    _flag("nospf", "greylist mail that passes SPF, too", "nospf"),
    _flag("testmode", "without a rule that matches, mail passes", "testmode"),
    _flag("delayedreject", "defer bounces at the end of the message", "delayedreject"),
    _flag("lazyaw", "who got in once is known by address alone", "client_passes"),
    _flag("extendedregex", "from here on, regular expressions are extended ones"),
    _flag("unbracket", "look up the name of a client that came without", since_3_0=False),
    _flag("domainexact", "domain clauses begin where a label does", since_3_0=False),
    _flag("multiracl", "ask the rules for each recipient", since_3_0=False),
    _flag("nodrac", "do not ask DRAC", needless="DRAC is never asked here"),
    _flag("logexpired", "log what has expired", "logexpired"),
    _flag("dump_no_time_translation", "a dump without dates", "dump_no_time_translation"),
    _flag("fixldapcheck", "answers to one ldapcheck count for all", since_3_0=False),
)
STATEMENTS: Mapping[str, StatementRow] = MappingProxyType({row.keyword: row for row in _ROWS})
LEGACY = frozenset({"addr", "domain", "from", "rawfrom", "rcpt"})
