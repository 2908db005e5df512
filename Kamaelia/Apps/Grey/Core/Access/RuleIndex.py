"""
Which rules can be for this subject at all
==========================================
A site may have thousands of rules, most of them for one network, one sender, one recipient. The
index finds those by what the subject has, so that the others cost nothing; rules without such a
literal are always looked at. The order of the file is kept.

A rule is found by its first such clause before which nothing acts: were it looked at, that clause
would end it without a trace.

>>> from Kamaelia.Apps.Grey.Core.Access.ClausesOfMail import From
>>> from Kamaelia.Apps.Grey.Core.Access.Subject import Mail, Session
>>> index = RuleIndex([literal_key(From([f"u{n}@example.net"])) for n in range(5)] + [None])
>>> subject = Subject(Session("192.0.2.7"), Mail("<u3@example.net>"), "<b@example.org>", now=0.0)
>>> index.candidates(subject)
[3, 5]
"""

from collections.abc import Iterable, Sequence

from Kamaelia.Apps.Grey.Core.Access.Asking import host_name, name_question
from Kamaelia.Apps.Grey.Core.Access.ClausesOfMail import Address
from Kamaelia.Apps.Grey.Core.Access.ClausesOfSession import Addr, Domain
from Kamaelia.Apps.Grey.Core.Access.Matching import Literals
from Kamaelia.Apps.Grey.Core.Access.Patterns import bare, endings, fold
from Kamaelia.Apps.Grey.Core.Access.Rule import Clause
from Kamaelia.Apps.Grey.Core.Access.Subject import Subject
from Kamaelia.Apps.Grey.Core.Networks import Network, parsed

# A list of a hundred thousand names is found faster by asking its clause, which has a set already.
_MOST_LITERALS = 1000
_LONGEST_NAME = 1024

Places = dict[str, list[int]]


def literal_key(clause: Clause) -> Literals | None:
    """What a subject must have for this clause to hold; None: it cannot be told beforehand."""
    if clause.negated or not isinstance(clause, Addr | Address | Domain):
        return None
    if isinstance(clause, Addr):
        return clause.literals() if len(clause.networks) <= _MOST_LITERALS else None
    found = clause.literals()
    return found if found is not None and len(found.texts) <= _MOST_LITERALS else None


class RuleIndex:
    """RuleIndex(keys) -> for each subject the places of the keys that fit. A key of None always
    fits; one for a name fits as long as nobody knows the client's name."""

    def __init__(self, keys: Sequence[Literals | None]) -> None:
        self._always: list[int] = []
        self._by_text: dict[str, Places] = {"from": {}, "rawfrom": {}, "rcpt": {}}
        self._by_name: dict[str, Places] = {"domain": {}, "domainexact": {}}
        self._by_network: dict[int, dict[int, dict[int, list[int]]]] = {4: {}, 6: {}}
        self.named: list[int] = []  # found by the client's name
        for place, key in enumerate(keys):
            self._add(place, key)
        self._unnamed = sorted(self._always + self.named)
        lengths = {len(name) for name in self._by_name["domain"]}
        self._lengths = tuple(sorted(lengths))
        self._has_texts = any(self._by_text.values())

    def _add(self, place: int, key: Literals | None) -> None:
        if key is None:
            self._always.append(place)
            return
        for network in key.networks:
            self._network_places(network).append(place)
        table = self._by_text.get(key.of)
        if table is None:
            table = self._by_name.get(key.of, {})
            if key.of in self._by_name:
                self.named.append(place)
        for text in key.texts:
            table.setdefault(text, []).append(place)

    def _network_places(self, network: Network) -> list[int]:
        host_bits = network.max_prefixlen - network.prefixlen
        prefixes = self._by_network[network.version].setdefault(host_bits, {})
        return prefixes.setdefault(int(network.network_address) >> host_bits, [])

    def candidates(self, subject: Subject, *, with_named: bool = True) -> list[int]:
        """The places that may hold, in order. Those found by the client's name are among them while
        nobody knows it (and with_named)."""
        found: set[int] = set()
        self._find_network(subject.session.client, found)
        if self._has_texts:
            self._find_texts(subject, found)
        base = self._always
        if self.named:
            if not self.waits_for_name(subject):
                self._find_name(host_name(subject), found)
            elif with_named:
                base = self._unnamed
        if not found:
            return base
        found.difference_update(base)
        return sorted([*base, *found])

    def waits_for_name(self, subject: Subject) -> bool:
        """Whether nobody knows the client's name, or whether it has one."""
        question = name_question(subject)
        return question is not None and not isinstance(subject.answers.get(question), str)

    def _find_network(self, client: str, found: set[int]) -> None:
        address = parsed(client.partition("%")[0]) if len(client) < _LONGEST_NAME else None
        if address is None:
            return
        number = int(address)
        for host_bits, prefixes in self._by_network[address.version].items():
            found.update(prefixes.get(number >> host_bits, ()))

    def _find_texts(self, subject: Subject, found: set[int]) -> None:
        mail = subject.mail
        for of, texts in (
            ("from", (mail.sender,)),
            ("rawfrom", (mail.raw_sender or mail.sender,)),
            ("rcpt", (subject.recipient,) if subject.recipient else mail.recipients),
        ):
            places = self._by_text[of]
            if places:
                for text in texts:
                    found.update(places.get(fold(bare(text)), ()))

    def _find_name(self, host: str, found: set[int]) -> None:
        name = fold(host[:_LONGEST_NAME].rstrip("."))
        exact, loose = self._by_name["domainexact"], self._by_name["domain"]
        if exact:
            self._add_all(exact, endings(name), found)
        sizes = (length for length in self._lengths if length <= len(name))
        self._add_all(loose, (name[len(name) - length :] for length in sizes), found)

    @staticmethod
    def _add_all(places: Places, keys: Iterable[str], found: set[int]) -> None:
        for key in keys:
            found.update(places.get(key, ()))
