r"""
What milter-greylist would refuse
=================================
We take more than it does: a last line without its newline, CR LF, `delay 900`, lists over several
lines. Whoever shares a file with a milter-greylist 4.6 wants to hear of it: in strict mode all of
that is a problem.

Example Usage
-------------
>>> from Kamaelia.Apps.Grey.Config.Policy.Policy import read
>>> read("racl greylist default delay 900", strict=True)
Traceback (most recent call last):
...
Kamaelia.Apps.Grey.Config.Problem.ConfigError: greylist.conf:1:29: "900" has no unit
    racl greylist default delay 900
                                ^
    milter-greylist 4.6 wants one: write 900s
greylist.conf:1:32: the last line does not end
    racl greylist default delay 900
                                   ^
    milter-greylist 4.6 wants a newline behind it
"""
# ruff: noqa: ANN401 - what something is made of differs with its kind

import re
from collections.abc import Iterator
from typing import Any

from Kamaelia.Apps.Grey.Config.Grammar import Other
from Kamaelia.Apps.Grey.Config.Policy.ClauseTable import CLAUSES, VALUES
from Kamaelia.Apps.Grey.Config.Policy.StatementTable import STATEMENTS
from Kamaelia.Apps.Grey.Config.Policy.Syntax import Item, Items
from Kamaelia.Apps.Grey.Config.Policy.Tokens import Token
from Kamaelia.Apps.Grey.Config.Problem import Report, shown

_WHO = "milter-greylist 4.6"
_KEYWORDS = frozenset(
    (
        *CLAUSES,
        *VALUES,
        *STATEMENTS,
        *[
            "default",
            "not",
            "no",
            "port",
            "timeout",
            "session",
            "data",
            "key",
            "unset",
            "inet",
            "unix",
            "all",
            "none",
            "delays",
        ],
        *[
            "nodelays",
            "pass",
            "fail",
            "softfail",
            "neutral",
            "unknown",
            "error",
            "self",
            "clear",
            "getprop",
            "postmsg",
        ],
        *["whitelist", "blacklist", "continue", "noencode", "fork", "domatch", "noescape"],
    )
)
# Behind one of these it takes /.../ for an expression, until the end of the line.
_EXPRESSIVE = frozenset(
    [
        "helo",
        "from",
        "rawfrom",
        "rcpt",
        "auth",
        "tls",
        "domain",
        "header",
        "body",
        "p0f",
        "sm_macro",
        "$property",
    ]
)
_IN_BRACES = re.compile(r'"(?:\\.|[^"\\\n])*"|\\[^\n]*\n|(\n)|#[^\n]*')


def check_file(report: Report) -> None:
    """Report what concerns lines, whatever stands on them."""
    text = report.text
    carriage = text.find("\r")
    if carriage >= 0:
        message = "this line ends with CR LF"
        report.add_at(carriage, message, f"{_WHO} wants LF alone, on all lines")
    if text and not text.endswith("\n"):
        message = "the last line does not end"
        report.add_at(len(text), message, f"{_WHO} wants a newline behind it")


def check_statement(report: Report, statement: Other) -> None:
    """Report what it would not take of this statement."""
    keyword, parts = statement.keyword, statement.parts
    for token in _tokens(parts):
        _check_token(report, token)
    if keyword == "tarpit_scope" and parts[0].text == "command":
        _check_scope(report, parts[0])
    if keyword == "ratelimit":
        _check_rate(report, parts)
    if keyword == "list":
        _check_list(report, statement)
    if keyword in ("acl", "racl", "dacl"):
        _check_rule(report, parts)


def _tokens(parts: Any) -> Iterator[Token]:
    for part in parts:
        if isinstance(part, Token):
            yield part
        elif isinstance(part, Item):
            yield from part.operands
        elif isinstance(part, Items):
            yield from part.words(CLAUSES[parts[1].text].shape)


def _check_token(report: Report, token: Token) -> None:
    if token.kind == "address" and ":" in token.text and "." in token.text:
        report.add_at(
            token.at,
            f"{shown(token.text)} is an IPv4 address in the form of IPv6",
            f"{_WHO} does not know this form: write the IPv4 address",
        )
    elif token.kind == "word" and token.text.lower() in _KEYWORDS:
        report.add_at(
            token.at,
            f"{shown(token.text)} is a word of the language",
            f"{_WHO} cannot take it for a name",
        )
    elif token.kind in ("word", "email") and not token.text.isascii():
        message = f"{shown(token.text)} is not ASCII"
        report.add_at(token.at, message, f"{_WHO} takes such letters in texts only")


def _check_scope(report: Report, token: Token) -> None:
    if token.text == "command":
        cure = f"{_WHO} has a slip of the pen there and takes only: comand"
        report.add_at(token.at, "it does not know this word", cure)


def _check_rate(report: Report, parts: tuple[Token, ...]) -> None:
    _, counts, _, slash, period, *key = parts
    if period.at == slash.end:
        message = "there is no blank behind the slash"
        report.add_at(slash.at, message, f"{_WHO} wants blanks around it: 10 / 1m")
    if counts.text == "rcpt" and key and "/" in key[1].text:
        cure = f"{_WHO} takes what stands between the two slashes for an expression: count session"
        report.add_at(key[1].at, "there is a slash in this key", cure)


def _check_list(report: Report, statement: Other) -> None:
    kind, items = statement.parts[1], statement.parts[2]
    if kind.text == "time":
        report.add_at(kind.at, "this is a list of times", f"{_WHO} cannot have any")
    for match in _IN_BRACES.finditer(report.text, items.at, statement.end):
        if match[1]:
            cure = f"{_WHO} wants a backslash at the end of each line of a list"
            report.add_at(match.start(1), "the line ends within the list", cure)
            return


def _check_rule(report: Report, parts: tuple[Any, ...]) -> None:
    cidr: Token | None = None
    expressive = False
    for item in parts[2:]:
        slashes = [token for token in item.operands if "/" in token.raw]
        if cidr is not None and slashes:
            cure = f"{_WHO} takes what begins there for an expression: write addr before the others"
            report.add_at(cidr.at, "there is a / on this line before this prefix", cure)
            cidr = None
        expressive = expressive or item.word in _EXPRESSIVE
        if item.operands and item.operands[-1].kind == "cidr" and expressive:
            cidr = item.operands[-1]
        if item.word == "rawfrom":
            report.add_at(item.at, "this is a clause rawfrom", f"{_WHO} has it in lists only")
        if item.word == "tarpit_scope":
            _check_scope(report, item.operands[0])
        if item.word in ("delay", "autowhite") and item.operands[0].text[-1:].isdigit():
            token = item.operands[0]
            cure = f"{_WHO} wants one: write {token.text}s"
            report.add_at(token.at, f"{shown(token.text)} has no unit", cure)
        if item.word == "*" and item is not parts[2]:
            report.add_at(item.at, "* stands behind another clause", f"{_WHO} takes it first only")
