r"""
Rules that do not do what they look like
========================================
A file may be well formed and still not mean what its author thinks. This says so, in warnings: a
rule behind one that takes all there is, a rule that contradicts itself, a list that no rule asks
for.

Example Usage
-------------
>>> from Kamaelia.Apps.Grey.Config.Policy.Policy import PolicyReader
>>> from Kamaelia.Apps.Grey.Config.Grammar import statements
>>> text = "racl whitelist addr 10.0.0.0/8\nracl blacklist addr 10.1.0.0/16 from a@b.c\n"
>>> report = Report("f", text)
>>> reader = PolicyReader(report)
>>> for statement in statements(report, (), reader.table): reader.take(statement)
>>> _ = reader.finish()
>>> report.warnings[0].message
'this rule never comes to bear: line 1 decides before it'

How it works: a clause is known by a key (kind, negated, value). A rule covers a later one when each
of its keys is implied by a clause of that one: the same, or a wider network or domain. For each
rule all keys that it implies are looked up among those of earlier rules, so that ten thousand
rules take no time that grows with their square.
"""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from Kamaelia.Apps.Grey.Config.Policy.Clauses import KINDS, Names
from Kamaelia.Apps.Grey.Config.Policy.ClauseTable import VALUES
from Kamaelia.Apps.Grey.Config.Policy.Rules import Made
from Kamaelia.Apps.Grey.Config.Policy.Syntax import Item
from Kamaelia.Apps.Grey.Config.Policy.Tokens import network
from Kamaelia.Apps.Grey.Config.Problem import Report, shown
from Kamaelia.Apps.Grey.Config.Values import BadValueError
from Kamaelia.Apps.Grey.Core.Access.Definitions import Definitions
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Stage

Key = tuple[str, bool, Any]
# True, whatever comes: they do something.
_ALWAYS = frozenset({"log", "set", "rset"})
# What they say now says nothing of what they say next.
_FICKLE = frozenset({"ratelimit", "tarpit", "urlcheck", "ldapcheck", "$property", "*"})
_MOST_NEIGHBOURS = 20  # earlier rules with the same key that are compared


def lint(report: Report, made: Sequence[Made], names: Names, definitions: Definitions) -> None:
    """Warn of all that is odd."""
    defaults: dict[Stage, Made] = {}
    shadows = {stage: _Shadows(names.again) for stage in Stage}
    for one in made:
        _contradictions(report, one)
        stage = one.rule.stage
        if first := defaults.get(stage):
            message = f"this rule is never asked: line {first.rule.line} takes all there is"
            report.warn_at(one.at, message, "write it before that line, or take it away")
            continue
        if one.rule.is_default and one.rule.action is not Action.CONTINUE:
            defaults[stage] = one
        if before := shadows[stage].covering(one):
            message = f"this rule never comes to bear: line {before.rule.line} decides before it"
            report.warn_at(one.at, message, "write it before that line, or take it away")
        else:
            shadows[stage].add(one)
    _captures(report, made, definitions)
    _unasked(report, made, definitions)
    _unused(report, names)


# ---- rules behind rules


class _Shadows:
    """_Shadows(again) -> the rules so far, by one key of each. again: names of several things."""

    def __init__(self, again: set[str]) -> None:
        self._again = again
        self._rules: dict[Key, list[tuple[frozenset[Key], Made]]] = {}
        self._prefixes: dict[int, set[int]] = {4: set(), 6: set()}

    def add(self, made: Made) -> None:
        clauses = [item for item in made.items if item.word not in VALUES]
        if made.rule.action is Action.CONTINUE or made.rule.is_default:
            return
        if any(item.word in _FICKLE for item in clauses):
            return
        if any(token.text in self._again for item in clauses for token in item.operands):
            return
        keys = {_key(item) for item in clauses if item.word not in _ALWAYS}
        if not keys:
            return
        for kind, _, value in keys:
            if kind == "addr":
                self._prefixes[value.version].add(value.prefixlen)
        # The key that the fewest have: a literal rather than a word like "spf fail".
        best = min(keys, key=lambda key: (key[1], key[0] not in _LITERAL, str(key)))
        self._rules.setdefault(best, []).append((frozenset(keys), made))

    def covering(self, made: Made) -> Made | None:
        """An earlier rule that decides whatever this one could decide."""
        implied = {
            key
            for item in made.items
            if item.word not in VALUES
            for key in _implied(_key(item), self._prefixes)
        }
        for key in implied:
            for keys, earlier in self._rules.get(key, ())[:_MOST_NEIGHBOURS]:
                if keys <= implied:
                    return earlier
        return None


_LITERAL = frozenset({"addr", "from", "rawfrom", "rcpt", "domain"})


def _key(item: Item) -> Key:
    word = item.word
    if word == "addr":
        texts = [token.text for token in item.operands]
        try:
            return word, item.negated, network(*texts)
        except BadValueError:  # reported already
            return word, item.negated, None
    if word in _LITERAL and item.operands[0].kind != "regex":
        return word, item.negated, item.operands[0].text.lower()
    if word in ("spf", "dkim"):
        return word, item.negated, item.operands[0].text if item.operands else "pass"
    return word, item.negated, " ".join(token.raw for token in item.operands)


def _implied(key: Key, prefixes: dict[int, set[int]]) -> Iterator[Key]:
    """The key, and those of wider networks and domains. (Of what is negated only itself.)"""
    yield key
    kind, negated, value = key
    if negated:
        return
    if isinstance(value, IPv4Network | IPv6Network):
        for length in prefixes[value.version]:
            if length < value.prefixlen:
                yield kind, negated, value.supernet(new_prefix=length)
    elif kind == "domain" and not value.startswith("/"):
        for place, letter in enumerate(value):
            if letter == "." and place:
                yield kind, negated, value[place:]
                yield kind, negated, value[place + 1 :]


# ---- one rule against itself


_EXCLUSIVE = frozenset({"spf", "dkim"})


def _contradictions(report: Report, made: Made) -> None:
    seen: dict[Key, Item] = {}
    for item in made.items:
        if item.word in VALUES or item.word in _FICKLE or item.word in _ALWAYS:
            continue
        key = _key(item)
        for other, before in seen.items():
            if _exclude(key, other, made.rule.stage):
                message = f"{shown(before.text)} and {shown(item.text)} never hold together"
                report.warn_at(item.at, message, "take one of them away")
                break
        seen[key] = item


def _exclude(one: Key, other: Key, stage: Stage) -> bool:
    kind, negated, value = one
    if kind != other[0]:
        return False
    if negated != other[1]:
        return bool(value == other[2])
    if negated:
        return False
    if kind == "rcpt" and stage is Stage.RCPT:
        literal = not value.startswith("/") and not other[2].startswith("/")
        return literal and bool(value != other[2])
    return kind in _EXCLUSIVE and bool(value != other[2]) and "self" not in (value, other[2])


# ---- the file as a whole


def _captures(report: Report, made: Sequence[Made], definitions: Definitions) -> None:
    """A rule that reads the message, while nothing of a message is kept for it."""
    if definitions.maxpeek != 0 or any(one.rule.extras.maxpeek for one in made):
        return
    for one in made:
        kinds = {clause.kind for clause in one.rule.clauses}
        if found := sorted(kinds & {"body", "header"}):
            message = f"{found[0]} never holds: with maxpeek 0 nothing of a message is kept"
            report.warn_at(one.at, message, "write maxpeek 64k at the top of the file")


_NEEDS = (("geoip", "geoipdb"), ("p0f", "p0fsock"), ("spamd", "spamdsock"))


def _unasked(report: Report, made: Sequence[Made], definitions: Definitions) -> None:
    """A clause that nobody can answer."""
    for kind, statement in _NEEDS:
        if getattr(definitions, statement) or (kind == "geoip" and definitions.geoipv6db):
            continue
        for one in made:
            if any(clause.kind == kind for clause in one.rule.clauses):
                message = f"{kind} never holds: nobody can be asked"
                report.warn_at(one.at, message, f"say with {statement} who can, or take it away")
                break


def _unused(report: Report, names: Names) -> None:
    for kind in KINDS:
        for name, named in names.of[kind].items():
            if not named.used:
                message = f"no rule asks for the {kind} {shown(name)}"
                report.warn_at(named.token.at, message, "use it, or take it away")
