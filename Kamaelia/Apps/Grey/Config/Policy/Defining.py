"""
Statements that define something
================================
Lists and look-ups that rules call by name, and what is needed for them: gathered here, and given to
the rules as Core.Access.Definitions.

Example Usage
-------------
>>> from Kamaelia.Apps.Grey.Config.Policy.Policy import read
>>> read('dnsrbl "dyn" dyn.bl.example 127.0.0.10/31\\n').definitions.dnsrbls["dyn"].zone
'dyn.bl.example'
"""
# ruff: noqa: ANN401 - what something is made of differs with its kind

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from Kamaelia.Apps.Grey.Config.Grammar import Other
from Kamaelia.Apps.Grey.Config.Policy.Clauses import Clauses, Names
from Kamaelia.Apps.Grey.Config.Policy.ClauseTable import CLAUSES
from Kamaelia.Apps.Grey.Config.Policy.Lists import ListDef, Named, read_items
from Kamaelia.Apps.Grey.Config.Policy.Operands import Operands
from Kamaelia.Apps.Grey.Config.Policy.Syntax import Items
from Kamaelia.Apps.Grey.Config.Policy.Tokens import Token, network
from Kamaelia.Apps.Grey.Config.Problem import Report, shown
from Kamaelia.Apps.Grey.Core.Access.Definitions import (
    Definitions,
    DnsrblZone,
    LdapCheckDef,
    LdapConf,
    MacroTest,
    RateLimit,
    UrlCheckDef,
)

FLAGS = ("unbracket", "domainexact", "multiracl", "fixldapcheck")


class Defining:
    """Defining(report, operands, names, clauses, strict) -> gathers definitions."""

    def __init__(
        self, report: Report, operands: Operands, names: Names, clauses: Clauses, strict: bool
    ) -> None:
        self._report = report
        self._operands = operands
        self._names = names
        self._clauses = clauses
        self._strict = strict
        self._single: dict[str, Any] = {}
        self._flags: set[str] = set()

    def take(self, statement: Other) -> None:
        """Take a statement whose row has no `field`."""
        word = statement.keyword
        if word in FLAGS:
            self._flags.add(word)
        elif word == "extendedregex":
            self._operands.extended = True
        elif word in _NAMED:
            before = len(self._report.problems)
            value = _NAMED[word](self, statement.parts)
            broken = value is None or len(self._report.problems) > before
            self._define(word, statement.parts[0], value, broken)
        else:
            value = _SINGLE[word](self, statement.parts)
            if value is not None:
                self._single[word] = value

    def definitions(self) -> Definitions:
        """All that the file defines."""

        def named(kind: str) -> dict[str, Any]:
            found = self._names.of[kind].items()
            return {name: thing.value for name, thing in found if not thing.broken}

        return Definitions(
            dnsrbls=named("dnsrbl"),
            ratelimits=named("ratelimit"),
            macros=named("sm_macro"),
            urlchecks=named("urlcheck"),
            ldapchecks=named("ldapcheck"),
            flags=frozenset(self._flags),
            **self._single,
        )

    def _define(self, kind: str, token: Token, value: Any, broken: bool) -> None:
        self._operands.text(token)
        known = self._names.of[kind]
        if first := known.get(token.text):
            self._names.again.add(token.text)
            line = self._report.place(first.token.at)[0]
            message = f"{kind} {shown(token.text)} is defined on line {line} already"
            if self._strict:
                self._report.add_at(token.at, message, "keep one of the two")
            else:
                self._report.warn_at(
                    token.at, message, "keep one of them: this one counts from here on"
                )
        known[token.text] = Named(token, value, broken=broken)

    # ---- what has a name

    def _list(self, parts: Sequence[Any]) -> ListDef | None:
        kind: Token = parts[1]
        items: Items = parts[2]
        tokens = tuple(items.words(CLAUSES[kind.text].shape))
        if not tokens:
            cure = "write its items between { and }"
            self._report.add_at(items.at - 1, "this list is empty", cure)
            return None
        found = ListDef(kind.text, read_items(kind.text, tokens, self._operands))
        if kind.text == "urlcheck":
            for token in found.items:
                self._names.find("urlcheck", token)
        else:
            found.made = self._clauses.operand_of(found)
        return found

    def _dnsrbl(self, parts: Sequence[Token]) -> DnsrblZone | None:
        zone = self._operands.name(parts[1])
        answers = self._operands.network(parts[2:])
        if zone is None or answers is None:
            return None
        if answers.version != 4:
            cure = "write one such as 127.0.0.2"
            self._operands.wrong(parts[2], "such lists answer with IPv4 addresses", cure)
            return None
        return DnsrblZone(zone.strip("."), answers)

    def _macro(self, parts: Sequence[Token]) -> MacroTest | None:
        macro = parts[1].text.removeprefix("{").removesuffix("}")
        test = parts[2]
        if not macro:
            self._operands.wrong(parts[1], "the macro has no name", 'write it like "{verify}"')
            return None
        if test.kind == "unset":
            return MacroTest(macro)
        if test.kind == "regex":
            return MacroTest(macro, expression=self._operands.expression(test, lines=False))
        return MacroTest(macro, value=self._operands.text(test))

    def _rate(self, parts: Sequence[Token]) -> RateLimit | None:
        _, counts, limit, _, period, *key = parts
        most = self._operands.number(limit)
        seconds = self._operands.seconds(period)
        if most is None or seconds is None:
            return None
        if seconds <= 0:
            self._operands.wrong(period, "no time has so few seconds", "write it like 10 / 1m")
            return None
        if not key:
            return RateLimit(counts.text, most, seconds)
        template = self._operands.text(key[1])
        return None if template is None else RateLimit(counts.text, most, seconds, template)

    def _urlcheck(self, parts: Sequence[Token]) -> UrlCheckDef | None:
        url = self._operands.text(parts[1])
        count = self._operands.number(parts[2])
        words = {token.text for token in parts[3:]}
        for token in parts[3:]:
            if token.text == "fork":
                self._report.warn_at(
                    token.at, "fork says nothing: a look-up never stops the others", "take it away"
                )
        if url is None or count is None:
            return None
        if not url.lower().startswith(("http://", "https://")):
            cure = "write one that begins with http:// or https://"
            self._operands.wrong(parts[1], f"{shown(url)} is not offered", cure)
            return None
        return UrlCheckDef(
            url,
            max(1, count),
            postmsg="postmsg" in words,
            getprop="getprop" in words,
            clear="clear" in words,
            noencode="noencode" in words,
        )

    def _ldapcheck(self, parts: Sequence[Token]) -> LdapCheckDef | None:
        url = self._operands.text(parts[1])
        words = {token.text for token in parts[2:]}
        if url is None:
            return None
        return LdapCheckDef(url, "clear" in words, "domatch" in words, "noescape" in words)

    # ---- what is there once

    def _ldapconf(self, parts: Sequence[Token]) -> LdapConf | None:
        words = {
            token.text: parts[place + 1]
            for place, token in enumerate(parts)
            if token.kind == "choice"
        }
        uri = self._operands.text(parts[0])
        seconds = self._operands.seconds(words["timeout"]) if "timeout" in words else 5
        if uri is None or seconds is None:
            return None
        login = [words[name].text if name in words else "" for name in ("binddn", "bindpw")]
        return LdapConf(uri, seconds, *login)

    def _stat(self, parts: Sequence[Token]) -> tuple[str, str] | None:
        target, form = self._operands.text(parts[0]), self._operands.said(parts[1])
        if target is None or form is None:
            return None
        if not target.lstrip(">|").strip() or target[0] not in ">|":
            cure = 'write ">>file", ">file" or "|command"'
            self._operands.wrong(parts[0], f"{shown(target)} is nothing to write to", cure)
            return None
        return target, form

    def _local(self, parts: Sequence[Token]) -> str | None:
        found = self._operands.network(parts)
        return None if found is None else str(network(parts[0].text).network_address)

    def _transport(self, parts: Sequence[Token]) -> tuple[str, str] | None:
        where = self._operands.text(parts[1])
        return None if where is None else (parts[0].text, where)

    def _tarpit(self, parts: Sequence[Token]) -> int | None:
        seconds = self._operands.seconds(parts[0])
        return None if seconds is None or seconds < 0 else seconds

    def _first_text(self, parts: Sequence[Token]) -> str | None:
        return self._operands.text(parts[0])


_NAMED: Mapping[str, Callable[[Defining, Sequence[Any]], Any]] = {
    "list": Defining._list,
    "dnsrbl": Defining._dnsrbl,
    "sm_macro": Defining._macro,
    "ratelimit": Defining._rate,
    "urlcheck": Defining._urlcheck,
    "ldapcheck": Defining._ldapcheck,
}
_SINGLE: Mapping[str, Callable[[Defining, Sequence[Any]], Any]] = {
    "ldapconf": Defining._ldapconf,
    "geoipdb": Defining._first_text,
    "geoipv6db": Defining._first_text,
    "p0fsock": Defining._first_text,
    "spamdsock": Defining._transport,
    "localaddr": Defining._local,
    "maxpeek": lambda made, parts: made._operands.number(parts[0]),
    "tarpit": Defining._tarpit,
    "tarpit_scope": lambda _, parts: "session" if parts[0].text == "session" else "command",
    "stat": Defining._stat,
}
