r"""
Postgrey's white lists
======================
The files whitelist_clients and whitelist_recipients of postgrey are read as they are, and become
rules that stand before all others. Case does not matter; # begins a comment anywhere in a line.

    clients      example.net        that name and all below it; `unknown`: who has no name
                 192.0.2.7          an address, of IPv6, too
                 192.168.1          the first three numbers of an address
                 10.9.0.0/16        a network
                 /^mx\d+\.x\.net$/  an expression for the name, as Perl writes it
    recipients   example.org        all of that domain, and of all below it
                 anna@              of all domains, and anna+anything@
                 anna@example.org   she, and anna+anything@example.org
                 /^list-.*@/        an expression for the whole address

Example Usage
-------------
>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as folder:
...     path = Path(folder, "whitelist_clients")
...     _ = path.write_text("example.net\n10.9.0.0/16\n172.16\n")
...     odd = []
...     [rule.name for rule in rules_from([path], [], odd)], odd[0].message
(['whitelist_clients:1', 'whitelist_clients:2'], '"172.16" fits no client, neither here nor there')

Rules. What postgrey passes over, or what fits nobody there, is a warning here. A file that cannot
be read is a problem, and so is an expression that cannot be had: the white list would be smaller
than its author thinks. A name, an address, and an expression with a fixed end is a rule of its own,
found by an index however many there are, and the log has its line. Other expressions are one rule
together; and so are all lines about recipients of one file, of which there are few.
"""

import re
import stat
from collections.abc import Callable, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import ClassVar

from Kamaelia.Apps.Grey.Config.Policy.Expressions import BadExpressionError
from Kamaelia.Apps.Grey.Config.PostgreyPatterns import ending, expression, together
from Kamaelia.Apps.Grey.Config.Problem import OS_ERROR, ConfigError, Problem, Report, shown
from Kamaelia.Apps.Grey.Core.Access.Asking import host_name
from Kamaelia.Apps.Grey.Core.Access.ClausesOfSession import Addr, Domain
from Kamaelia.Apps.Grey.Core.Access.Definitions import Expression
from Kamaelia.Apps.Grey.Core.Access.Matching import Literals
from Kamaelia.Apps.Grey.Core.Access.Patterns import LONGEST_TEXT, Text, bare, fold, search
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Clause, Extras, Outcome, Rule, Stage
from Kamaelia.Apps.Grey.Core.Access.Subject import Subject
from Kamaelia.Apps.Grey.Core.Networks import Network, Networks

MOST_BYTES = 16 << 20
NAMELESS = "unknown"  # what Postfix calls a client that has no name
_NOTHING = Extras()
_EXPRESSION = re.compile(r"/(\S+)/").fullmatch
_NUMBERS = re.compile(r"[0-9]+(\.[0-9]+)*\.?(/[0-9.]*)?", re.ASCII).fullmatch
_NAME = re.compile(r"(?!\.)[^\s/*:@]+").fullmatch
_LOCAL = re.compile(r"[^\s@/*<>\"][^\s@*<>\"]*@").fullmatch
_ADDRESS = re.compile(r"[^\s@/*<>\"][^\s@*<>\"]*@(?!\.)[^\s@/*<>]+").fullmatch


def rules_from(
    clients: Sequence[Path], recipients: Sequence[Path], warnings: list[Problem] | None = None
) -> tuple[Rule, ...]:
    """Whitelist rules of the RCPT stage. Raises ConfigError with all problems of all files; what is
    odd but harmless goes into `warnings`."""
    rules: list[Rule] = []
    problems: list[Problem] = []
    for kind, paths, read in (
        ("clients", clients, _read_clients),
        ("recipients", recipients, _read_recipients),
    ):
        for path in dict.fromkeys(paths):
            found, report = _read(kind, path, read)
            rules += found
            problems += report.problems
            if warnings is not None:
                warnings += report.warnings
    if problems:
        raise ConfigError(problems)
    return tuple(rules)


def _read(
    kind: str, path: Path, read: Callable[["_File"], list[Rule]]
) -> tuple[list[Rule], Report]:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise OSError(0, "it is no file")  # noqa: TRY301 - a pipe may never say a word
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        report = Report(str(path), "")
        cure = f"postgrey_whitelist_{kind} names it: let it be a file that this program may read"
        report.add(0, 0, f"cannot be read: {error.strerror}", cure, OS_ERROR)
        return [], report
    report = Report(str(path), data.decode("utf-8", "backslashreplace"))
    if len(data) > MOST_BYTES:
        report.add(0, 0, f"is larger than {MOST_BYTES >> 20} MiB: is this a white list?")
        return [], report
    try:
        return read(_File(path, report)), report
    except ConfigError:  # so many problems that it has given up; they are in the report
        return [], report


class _File:
    """One file: its lines, and what is said of them."""

    def __init__(self, path: Path, report: Report) -> None:
        self.path = path
        self._report = report
        self.lines: list[tuple[int, str]] = []
        for number, line in enumerate(report.text.split("\n"), 1):
            text = line.partition("#")[0].strip()
            if text:
                self.lines.append((number, text))

    def rule(self, number: int, clause: Clause, name: str = "") -> Rule:
        name = f"{self.path.name}:{name or number}"
        path, source = str(self.path), clause.text
        return Rule(Stage.RCPT, Action.WHITELIST, (clause,), _NOTHING, path, number, name, source)

    def odd(self, number: int, message: str, cure: str) -> None:
        self._report.warn(number, 1, message, cure)

    def expression(self, number: int, source: str) -> Expression | None:
        try:
            return expression(source)
        except BadExpressionError as error:
            message = f"{shown(source)} cannot be had as an expression: {error}"
            self._report.add(number, 2, message, error.cure)
            return None


# --- clients ---


class NamePattern(Domain):
    """The client's name, or `unknown`, has one of the expressions in it. ends: what a name must end
    with for that; "": nobody can tell."""

    __slots__ = ("_ends",)

    def __init__(self, expressions: Sequence[Expression], ends: str = "", *, text: str) -> None:
        super().__init__(expressions, exact=False, text=text)
        self._ends = ends

    def holds(self, subject: Subject) -> Outcome:
        outcome = super().holds(subject)
        if outcome is not False or host_name(subject):
            return outcome
        return search(self._expressions, NAMELESS) is not None

    def literals(self) -> Literals | None:
        return Literals("domain", frozenset((self._ends,))) if self._ends else None


def _read_clients(file: _File) -> list[Rule]:
    rules: list[Rule] = []
    rest: list[tuple[int, str]] = []  # expressions that no index finds
    for number, text in file.lines:
        if found := _EXPRESSION(text):
            source = found[1]
            compiled = file.expression(number, source)
            ends = ending(source)
            if compiled is None:
                continue
            if ends and not NAMELESS.endswith(ends):
                clause = NamePattern((compiled,), ends, text=text)
                rules.append(file.rule(number, clause))
            else:
                rest.append((number, source))
        elif text.lower() == NAMELESS:
            rest.append((number, rf"(?:^|\.){NAMELESS}$"))
        elif (network := _network(text)) is not None:
            rules.append(file.rule(number, Addr(Networks((network,)), text=text)))
        elif _NUMBERS(text) is None and _NAME(text) is not None:
            rules.append(file.rule(number, Domain((Text(text),), exact=True, text=text)))
        else:
            file.odd(number, _fits_nobody(text, "client"), _client_cure(text))
    return [*rules, *_all_together(file, rest)]


def _all_together(file: _File, found: Sequence[tuple[int, str]]) -> list[Rule]:
    """One rule for all of these expressions."""
    if not found:
        return []
    patterns = tuple(together([source for _, source in found]))
    first, last = found[0][0], found[-1][0]
    name = f"{first}-{last}" if last > first else ""
    return [file.rule(first, NamePattern(patterns, text=f"{len(found)} expressions"), name)]


def _network(text: str) -> Network | None:
    """An address, a network (bits behind the prefix do not matter), or three numbers."""
    if not text[0].isdigit() and ":" not in text:
        return None  # a name, most often
    numbers, slash, prefix = text.partition("/")
    if ":" not in numbers:
        parts = numbers.split(".")
        if len(parts) not in (3, 4) or (slash and len(parts) == 3):
            return None
        if not all(part.isascii() and part.isdigit() and len(part) < 4 for part in parts):
            return None
        numbers = ".".join(str(int(part)) for part in (*parts, "0")[:4])
        if len(parts) == 3:
            slash, prefix = "/", "24"
    if slash and not (prefix.isascii() and prefix.isdigit()):
        return None
    try:
        return ip_network(f"{numbers}{slash}{prefix}", strict=False)
    except ValueError:
        return None


def _fits_nobody(text: str, who: str) -> str:
    return f"{shown(text)} fits no {who}, neither here nor there"


def _client_cure(text: str) -> str:
    if any(map(str.isspace, text)):
        return "write one name, address or /expression/ a line"
    if text.startswith((".", "*.")):
        return f"write {text.lstrip('.*')}: it stands for all below it, too"
    if text.startswith("/"):
        return "write an expression like /text/, without options behind it"
    if _NUMBERS(text) is not None:
        return "write an address, its first three numbers, or a network such as 192.0.2.0/24"
    return "write a host name, an address, a network such as 192.0.2.0/24, or an /expression/"


# --- recipients ---


class RecipientIn(Clause):
    """The recipient is in one of the domains, or below; or is one of the addresses, or has one of
    the local parts, each with or without an extension behind +; or an expression is in it."""

    __slots__ = ("_addresses", "_domains", "_expressions", "_locals")
    kind: ClassVar[str] = "rcpt"

    def __init__(
        self,
        domains: frozenset[str],
        local_parts: frozenset[str],
        addresses: frozenset[str],
        expressions: Sequence[Expression],
        *,
        text: str = "",
    ) -> None:
        super().__init__(text)
        self._domains, self._locals, self._addresses = domains, local_parts, addresses
        self._expressions = tuple(expressions)

    def holds(self, subject: Subject) -> bool:
        address = fold(bare(subject.recipient)[:LONGEST_TEXT])
        local, at, domain = address.rpartition("@")
        if at and (self._has_domain(domain) or self._has_local(local, domain)):
            return True
        return bool(self._expressions) and search(self._expressions, address) is not None

    def _has_domain(self, domain: str) -> bool:
        while domain not in self._domains:
            _, dot, domain = domain.partition(".")
            if not dot:
                return False
        return True

    def _has_local(self, local: str, domain: str) -> bool:
        end = len(local)
        while end > 0:
            name = local[:end]
            if name in self._locals or f"{name}@{domain}" in self._addresses:
                return True
            end = local.rfind("+", 0, min(end, len(local) - 1))
        return False


def _read_recipients(file: _File) -> list[Rule]:
    domains: set[str] = set()
    local_parts: set[str] = set()
    addresses: set[str] = set()
    sources: list[str] = []
    for number, text in file.lines:
        folded = fold(text)
        if found := _EXPRESSION(text):
            if file.expression(number, found[1]) is not None:
                sources.append(found[1])
        elif not text.isascii():  # addresses are compared with what is not ASCII left out
            file.odd(number, f"{shown(text)} fits no recipient", "write an /expression/ with dots")
        elif _LOCAL(folded):
            local_parts.add(folded.removesuffix("@"))
        elif _ADDRESS(folded):
            addresses.add(folded)
        elif _NAME(folded) or (folded.startswith("[") and folded.endswith("]")):
            domains.add(folded)
        else:
            file.odd(number, _fits_nobody(text, "recipient"), _recipient_cure(text))
    if not (domains or local_parts or addresses or sources):
        return []
    clause = RecipientIn(
        frozenset(domains),
        frozenset(local_parts),
        frozenset(addresses),
        tuple(together(sources)),
        text=file.path.name,
    )
    first, last = file.lines[0][0], file.lines[-1][0]
    return [file.rule(first, clause, f"{first}-{last}" if last > first else "")]


def _recipient_cure(text: str) -> str:
    if any(map(str.isspace, text)):
        return "write one address, domain, name@ or /expression/ a line"
    if text.startswith((".", "*.", "@", "*@")):
        return f"write {text.lstrip('.*@')}: it stands for the domain and all below it"
    if text.startswith("/"):
        return "write an expression like /text/, without options behind it"
    return "write a domain, name@, an address, or an /expression/"
