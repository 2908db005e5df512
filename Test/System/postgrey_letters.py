"""
Mail that a Postfix with postgrey and one with ours are sent
============================================================
A Story is what one sender's site does: its letters and their moments, in seconds from its
beginning. `why` is empty where both must let in the same; else it is the line of
Docs/operating/from-postgrey.md that tells the difference, and they must indeed differ.

Example Usage
-------------
::

    for story in stories(shipped=False, ipv6=True):
        for letter in story.letters:
            print(story.name, letter.at, letter.client, letter.sender, letter.to)
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

HOUR, DAY = 3600, 86_400
CLIENTS = r"""# white list
listed.example
192.168.1               # three numbers
10.9.0.0/16
2001:db8:2::/48
/^mx\d+\.regex\.example$/
"""
RECIPIENTS = r"""# white list
gina@
fred@example.org
open.example
/^list-.*@lists\.example$/
"""
DOMAINS = ("example.org", "open.example", "lists.example")
USERS = (
    *("anna@example.org", "bert@example.org", "carl@example.org", "dora@example.org"),
    *("fred@example.org", "gina@example.org", "postmaster@example.org", "abuse@example.org"),
    *("anna@open.example", "list-7@lists.example", "x-list-7@lists.example"),
)
BERT, CARL, NOBODY = "bert@example.org", "carl@example.org", "nobody-here@example.org"


@dataclass(frozen=True, slots=True)
class Letter:
    """client, name: empty for the story's own address, and for none; login: who has logged in."""

    at: int
    sender: str = "a@sender.example"
    to: tuple[str, ...] = (BERT,)
    client: str = ""
    name: str = ""
    unconfirmed: str = ""  # the name that the client's address has, and that is not its
    login: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """why: the difference that is expected, "" for none."""

    name: str
    letters: tuple[Letter, ...]
    why: str = ""


def stories(*, shipped: bool, ipv6: bool) -> Iterator[Story]:
    """shipped: postgrey's own lists are read, too; ipv6: Postfix takes such addresses here."""
    found = [*_times(), *_senders(), *_recipients(), *_networks(ipv6), *_lists(shipped, ipv6)]
    for number, story in enumerate([*found, *_known_clients(), *_differences()]):
        own = f"100.64.{number}.9"
        letters = (replace(each, client=each.client or own) for each in story.letters)
        yield Story(story.name, tuple(letters), story.why)


def _twice(letter: Letter, then: Letter | None = None) -> tuple[Letter, Letter]:
    return (letter, replace(then or letter, at=letter.at + 400))


def _at(*moments: int) -> tuple[Letter, ...]:
    return tuple(map(Letter, moments))


def _times() -> Iterator[Story]:
    yield Story("retries", _at(0, 0, 10, 299, 300, 301, DAY))
    yield Story("the window's last second", _at(0, 2 * DAY))
    yield Story("too late", _at(0, 2 * DAY + 1, 2 * DAY + 301))


def _senders() -> Iterator[Story]:
    for first, then in (
        ("bounce-123-x@list.example", "bounce-456-x@list.example"),
        ("bounces+bob=q.example@list.example", "bounces+al=w.example@list.example"),
        ("prvs=1234abcdef=anna@x.example", "prvs=0987fedcba=anna@x.example"),
        ("a+1@x.example", "a+2@x.example"),
        ("Anna@X.example", "anna@x.example"),
        ('"a b"@x.example', '"a b"@x.example'),
        ("", ""),
        ("anna@x.example", "hanna@x.example"),
    ):
        yield Story(f"from <{first}>, <{then}>", _twice(Letter(0, first), Letter(0, then)))
    yield Story("logged in", _twice(Letter(0, login="joe")))


def _recipients() -> Iterator[Story]:
    both, known = (BERT, CARL), (CARL, BERT)
    yield Story("two recipients", _twice(Letter(0, to=both)))
    one_waits = (Letter(0, to=(BERT,)), Letter(300, to=both), Letter(600, to=known))
    yield Story("one of two has to wait", one_waits)
    yield Story("one of two is unknown", _twice(Letter(0, to=(BERT, NOBODY))))
    yield Story("one of two is on a list", _twice(Letter(0, to=("gina@example.org", BERT))))
    yield Story("unknown", _twice(Letter(0, to=(NOBODY,))))
    yield Story("not ours", (Letter(0, to=("anna@elsewhere.example", BERT)),))
    yield Story("capitals", _twice(Letter(0, to=("BERT@Example.ORG",)), Letter(0)))


def _networks(ipv6: bool) -> Iterator[Story]:
    pairs = [("203.0.113.1", "203.0.113.254"), ("203.0.114.1", "203.0.115.1")]
    if ipv6:
        pairs += [("2001:db8:9:0:0:0:0:1", "2001:db8:9:0:0:0:ffff:1")]
        pairs += [("2001:db8:7:0:0:0:0:1", "2001:db8:7:1:0:0:0:1")]
    for first, then in pairs:
        yield Story(f"{first}, {then}", _twice(Letter(0, client=first), Letter(0, client=then)))


def _lists(shipped: bool, ipv6: bool) -> Iterator[Story]:
    names = ["listed.example", "mx.LISTED.example", "badlisted.example"]
    names += ["mx1.regex.example", "mx.regex.example"]
    addresses = ["192.168.1.200", "192.168.10.1", "10.9.200.1", "10.10.0.1"]
    to = ["gina@example.org", "gina+x@example.org", "fred+x@example.org", "anna@open.example"]
    to += ["list-7@lists.example", "x-list-7@lists.example"]
    if shipped:
        names += ["mx.gnu.org", "ms-smtp-1.rr.com", "xgnu.org"]
        addresses += ["193.77.153.67", "193.77.153.68"]
        to += ["postmaster@example.org", "ABUSE@example.org"]
    if ipv6:
        addresses += ["2001:db8:2:77:0:0:0:1", "2001:db8:3:0:0:0:0:1"]
    for name in names:
        yield Story(f"client {name}", (Letter(0, name=name),))
    yield Story("an unconfirmed name", (Letter(0, unconfirmed="mx.listed.example"),))
    for address in addresses:
        yield Story(f"client {address}", (Letter(0, client=address),))
    for recipient in to:
        yield Story(f"to {recipient}", (Letter(0, to=(recipient,)),))


def _known_clients() -> Iterator[Story]:
    letters = _new_senders(["198.18.1.5"] * 5)
    late = [Letter(12 * HOUR + i, f"{who}@late.example") for i, who in enumerate("ab")]
    yield Story("known after five", (*letters, *(replace(x, client="198.18.1.5") for x in late)))


def _new_senders(clients: list[str]) -> tuple[Letter, ...]:
    """From each client a letter of another sender, and its retry."""
    found: list[Letter] = []
    for number, client in enumerate(clients):
        sender = f"{chr(97 + number)}@new.example"
        found += _twice(Letter(number * 2 * HOUR, sender, client=client))
    return tuple(found)


def _differences() -> Iterator[Story]:
    numbers = (Letter(0, "12345@qq.example"), Letter(0, "54321@qq.example"))
    yield Story("senders of numbers", _twice(*numbers), "senders")
    tagged = (Letter(0, to=("dora+1@example.org",)), Letter(0, to=("dora+2@example.org",)))
    yield Story("recipient with extensions", _twice(*tagged), "extensions")
    neighbours = [f"198.18.5.{number}" for number in range(1, 7)]
    yield Story("neighbours", _new_senders(neighbours), "clients")
