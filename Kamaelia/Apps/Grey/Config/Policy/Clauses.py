"""
From an item of a rule to its clause
====================================
A function for each kind of clause, found by its keyword; lists go the same way as the single
operands of their kind. What a clause names (a list, a rate) must have been defined above it.

Example Usage
-------------
>>> from Kamaelia.Apps.Grey.Config.Policy.Tokens import Token
>>> from Kamaelia.Apps.Grey.Config.Problem import Report
>>> made = Clauses(Report("f", ""), Names(), Operands(Report("f", "")))
>>> token = Token("email", "a@example.org", 5, "a@example.org")
>>> made.clause(Item("from", False, (token,), 0, 5, "from a@example.org")).text
'from a@example.org'
"""
# ruff: noqa: ANN401 - what something is made of differs with its kind

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from Kamaelia.Apps.Grey.Config.Grammar import did_you_mean
from Kamaelia.Apps.Grey.Config.Policy.ClauseTable import CLAUSES
from Kamaelia.Apps.Grey.Config.Policy.Lists import ListDef, Named
from Kamaelia.Apps.Grey.Config.Policy.Operands import Operands
from Kamaelia.Apps.Grey.Config.Policy.Syntax import Item
from Kamaelia.Apps.Grey.Config.Policy.Tokens import Token, prefix
from Kamaelia.Apps.Grey.Config.Problem import Report, shown
from Kamaelia.Apps.Grey.Config.Values import BadValueError
from Kamaelia.Apps.Grey.Core.Access import Clauses as Kinds
from Kamaelia.Apps.Grey.Core.Access.Questions import SpfResult
from Kamaelia.Apps.Grey.Core.Access.Rule import Clause
from Kamaelia.Apps.Grey.Core.Access.TimeFields import TimeFields
from Kamaelia.Apps.Grey.Core.Networks import Networks

# Kinds of things that have a name -> what a message calls one of them.
KINDS = {
    "list": "list",
    "dnsrbl": "dnsrbl",
    "sm_macro": "sm_macro",
    "ratelimit": "ratelimit",
    "urlcheck": "urlcheck",
    "ldapcheck": "ldapcheck",
}


class Names:
    """All that the file has given a name to; and what was asked for and was not there."""

    def __init__(self) -> None:
        self.of: dict[str, dict[str, Named]] = {kind: {} for kind in KINDS}
        self.missing: list[tuple[str, Token]] = []
        self.again: set[str] = set()  # names that have meant several things

    def find(self, kind: str, token: Token) -> Any:
        """Its value; None: it is not there yet, or is broken; remembered for `complain`."""
        named = self.of[kind].get(token.text)
        if named is None:
            self.missing.append((kind, token))
            return None
        named.used = True
        return None if named.broken else named.value

    def complain(self, report: Report) -> None:
        """Report what was not there, with what might be meant."""
        for kind, token in self.missing:
            known = self.of[kind]
            if later := known.get(token.text):
                later.used = True
                cure = f"move line {report.place(later.token.at)[0]} before this one"
            elif guess := did_you_mean(token.text, known):
                cure = guess
                known[guess.split('"')[1]].used = True  # not unused, too
            else:
                cure = f"define it on a line before: {kind} {shown(token.text)} ..."
            report.add_at(token.at, f"there is no {KINDS[kind]} {shown(token.text)}", cure)


class Clauses:
    """Clauses(report, names, operands) -> makes clauses. used: the kinds that came up.
    domain_exact: of the statement domainexact."""

    def __init__(self, report: Report, names: Names, operands: Operands) -> None:
        self._report = report
        self._names = names
        self._operands = operands
        self.used: set[str] = set()
        self.domain_exact = False
        read = operands
        self._single: Mapping[str, Callable[[Sequence[Token]], Any]] = {
            "addr": self._network,
            "domain": lambda tokens: self._one(read.pattern(tokens[0], read.name)),
            **dict.fromkeys(
                ("from", "rawfrom", "rcpt"),
                lambda tokens: self._one(read.pattern(tokens[0], read.name)),
            ),
            **dict.fromkeys(
                ("helo", "auth", "tls", "p0f", "geoip"),
                lambda tokens: self._one(read.pattern(tokens[0], read.text)),
            ),
            **dict.fromkeys(
                ("body", "header"),
                lambda tokens: self._one(read.pattern(tokens[0], read.literal)),
            ),
            **dict.fromkeys(("dnsrbl", "sm_macro", "time"), self._listable_names),
        }

    def clause(self, item: Item) -> Clause | None:
        """The clause; None: it is wrong, which has been reported."""
        word, operands = item.word, item.operands
        self.used.add(word)
        more: dict[str, Any] = {"text": item.text, "negated": item.negated}
        row = CLAUSES.get(word)
        if row and row.missing:
            message = f"{word} is not offered: {row.missing}"
            self._report.add_at(item.at, message, "take it away")
            return None
        if word == "list":
            return self._of_list(operands[0], more)
        if word in self._single:
            operand = self._single[word](operands)
            if word in ("dnsrbl", "sm_macro", "time"):
                operand = self._resolved(word, operand)
            return None if operand is None else self._made(word, operand, more)
        return _OTHERS[word](self, operands, more)

    # ---- clauses of which there are lists

    def _made(self, kind: str, operand: Any, more: dict[str, Any]) -> Clause:
        if kind == "domain":
            return Kinds.Domain(operand, self.domain_exact, **more)
        made: Clause = _LISTABLE[kind](operand, **more)
        return made

    def _of_list(self, token: Token, more: dict[str, Any]) -> Clause | None:
        found: ListDef | None = self._names.find("list", token)
        if found is None:
            return None
        self.used.add(found.kind)
        if found.made is None:
            found.made = self.operand_of(found)
        if found.made is None:
            return None
        return self._made(found.kind, found.made, more)

    def operand_of(self, found: ListDef) -> Any:
        """What the clause of a list is made of."""
        if found.kind == "addr":
            return Networks(found.items)
        if found.kind in ("dnsrbl", "sm_macro", "time"):
            return self._resolved(found.kind, found.items)
        return found.items

    def _resolved(self, kind: str, tokens: Sequence[Token]) -> Any:
        """Names of definitions -> what the clause needs; None if one is missing."""
        if kind == "time":
            return self._times(tokens)
        found = [(token.text, self._names.find(kind, token)) for token in tokens]
        if any(value is None for _, value in found):
            return None
        return [name for name, _ in found] if kind == "dnsrbl" else found

    def _times(self, tokens: Sequence[Token]) -> list[str] | None:
        good = True
        for token in tokens:
            try:
                TimeFields.parse(token.text)
            except ValueError as error:
                cure = 'write it like "* 8-17 * * 1-5": minute, hour, day, month, weekday'
                self._report.add_at(token.at, f"{error}", cure)
                good = False
        return [token.text for token in tokens] if good else None

    def _network(self, tokens: Sequence[Token]) -> Networks | None:
        network = self._operands.network(tokens)
        return None if network is None else Networks([network])

    @staticmethod
    def _one(pattern: Any) -> list[Any] | None:
        return None if pattern is None else [pattern]

    @staticmethod
    def _listable_names(tokens: Sequence[Token]) -> Sequence[Token]:
        return tokens

    # ---- the others

    def _compare(self, kind: Any, tokens: Sequence[Token], more: dict[str, Any]) -> Clause | None:
        if not tokens:
            made: Clause = kind(None, None, **more)
            return made
        value = self._operands.amount(tokens[1])
        return None if value is None else kind(tokens[0].text, value, **more)

    def _spf(self, tokens: Sequence[Token], more: dict[str, Any]) -> Clause | None:
        word = tokens[0].text if tokens else "pass"
        if word == "self":
            return Kinds.SpfIs(frozenset({SpfResult.PASS}), wide_open=True, **more)
        return Kinds.SpfIs(frozenset({SpfResult(word)}), **more)

    def _dkim(self, tokens: Sequence[Token], more: dict[str, Any]) -> Clause | None:
        word = tokens[0].text if tokens else "pass"
        return Kinds.DkimIs(frozenset({SpfResult(word)}), **more)

    def _mx(self, tokens: Sequence[Token], more: dict[str, Any]) -> Clause | None:
        try:
            return Kinds.MxNear(prefix(tokens[0].text, 32), **more)
        except BadValueError as error:
            self._operands.wrong(tokens[0], str(error), error.cure)
            return None

    def _named(
        self, kind: str, made: Any, tokens: Sequence[Token], more: dict[str, Any]
    ) -> Clause | None:
        value = self._names.find(kind, tokens[0])
        return None if value is None else made(tokens[0].text, value, **more)

    def _log(self, tokens: Sequence[Token], more: dict[str, Any]) -> Clause | None:
        text = self._operands.text(tokens[0])
        return None if text is None else Kinds.Log(text, **more)

    def _tarpit(self, tokens: Sequence[Token], more: dict[str, Any]) -> Clause | None:
        time = self._operands.seconds(tokens[0])
        return None if time is None else Kinds.Tarpit(max(0, time), **more)

    def _set(self, fleeting: bool, tokens: Sequence[Token], more: dict[str, Any]) -> Clause | None:
        name, sign, operand = tokens
        value = self._value(operand)
        if value is None:
            return None
        return Kinds.SetProperty(name.text, sign.text, value, fleeting, **more)

    def _value(self, token: Token) -> str | int | None:
        if token.kind == "string":
            return self._operands.text(token)
        return self._operands.amount(token)

    def _property(self, tokens: Sequence[Token], more: dict[str, Any]) -> Clause | None:
        name, first, *rest = tokens
        if rest:
            value = self._operands.amount(rest[0])
            operator: str | None = first.text
        else:
            value = self._operands.pattern(first, self._operands.text)  # type: ignore[assignment]
            operator = None
        if value is None:
            return None
        return Kinds.PropertyIs(name.text, operator, value, **more)

    def _glob(self, tokens: Sequence[Token], more: dict[str, Any]) -> Clause | None:
        text = self._operands.text(tokens[1])
        return None if text is None else Kinds.PropertyGlob(tokens[0].text, text, **more)


_LISTABLE: Mapping[str, Any] = {
    "addr": Kinds.Addr,
    "from": Kinds.From,
    "rawfrom": Kinds.RawFrom,
    "rcpt": Kinds.Rcpt,
    "helo": Kinds.Helo,
    "auth": Kinds.Auth,
    "tls": Kinds.Tls,
    "p0f": Kinds.P0fIs,
    "geoip": Kinds.CountryIs,
    "body": Kinds.Body,
    "header": Kinds.Header,
    "dnsrbl": Kinds.DnsrblIn,
    "sm_macro": Kinds.MacroIs,
    "time": Kinds.TimeIs,
}
_Other = Callable[[Clauses, Sequence[Token], dict[str, Any]], Clause | None]
_OTHERS: Mapping[str, _Other] = {
    "rcptcount": lambda made, *rest: made._compare(Kinds.RcptCount, *rest),
    "msgsize": lambda made, *rest: made._compare(Kinds.MsgSize, *rest),
    "spamd": lambda made, *rest: made._compare(Kinds.SpamdIs, *rest),
    "spf": Clauses._spf,
    "dkim": Clauses._dkim,
    "mx": Clauses._mx,
    "ratelimit": lambda made, *rest: made._named("ratelimit", Kinds.RateOver, *rest),
    "urlcheck": lambda made, *rest: made._named("urlcheck", Kinds.UrlSays, *rest),
    "ldapcheck": lambda made, *rest: made._named("ldapcheck", Kinds.LdapSays, *rest),
    "log": Clauses._log,
    "tarpit": Clauses._tarpit,
    "set": lambda made, *rest: made._set(False, *rest),
    "rset": lambda made, *rest: made._set(True, *rest),
    "$property": Clauses._property,
    "*": Clauses._glob,
}
