"""
What postgrey and ours are asked, and where they may differ
===========================================================
A Case is a story: requests of one client to one recipient and their moments, in seconds from its
beginning. `why` is empty where both must say the same; else it is the line of
Docs/operating/from-postgrey.md that tells the difference, and they must indeed differ.
"""

from collections.abc import Iterator
from dataclasses import dataclass

HOUR, DAY = 3600, 86_400
Step = tuple[int, dict[str, str]]

CLIENTS = r"""# as postgrey's own file has them
listed.example          # and all below
UPPER.Example
   blanks.example
192.0.2.7
192.168.1
10.9.0.0/16
172.30.1.77/16
2001:db8:1::5
2001:DB8:2::/48
/^mx\d+\.regex\.example$/
/^(?:a|b)[0-9]+-out\./
/\.dyn\.(net|org)\.example$/
/nolimit/
172.16
.dot.example
"""
RECIPIENTS = r"""postmaster@
abuse@                  # both of them
open.example
Anna@Example.org
plus+tag@
/^list-.*@lists\.example$/
@nobody.example
"""
NAMES = (
    *("listed.example", "mx.listed.example", "LISTED.example", "badlisted.example"),
    *("upper.example", "mx.UPPER.example", "blanks.example", "mx1.regex.example"),
    *("MX22.regex.EXAMPLE", "xmx1.regex.example", "mx1.regex.example.net", "mx.regex.example"),
    *("a7-out.one.example", "b71-out.two.example", "c7-out.one.example", "a-out.one.example"),
    *("p1.dyn.net.example", "p2.dyn.org.example", "p1.dyn.com.example", "dyn.net.example"),
    *("nolimit", "host.nolimitation.example", "dot.example", "x.dot.example", "unknown"),
)
ADDRESSES = (
    *("192.0.2.7", "192.0.2.77", "192.168.1.200", "192.168.10.1", "192.168.2.1", "10.9.200.1"),
    *("10.10.0.1", "172.30.200.1", "172.31.1.77", "172.16.5.5", "2001:db8:1::5", "2001:db8:1::6"),
    *("2001:db8:2:77::1", "2001:db8:3::1"),
)
TO = (
    *("postmaster@one.example", "POSTMASTER@two.example", "postmaster+x@one.example"),
    *("xpostmaster@one.example", "postmaster-x@one.example", "abuse@one.example"),
    *("a@open.example", "a@sub.open.example", "a@xopen.example", "a@open.example.net"),
    *("anna@example.org", "anna+7@example.org", "anna@sub.example.org", "hanna@example.org"),
    *("plus+tag@one.example", "plus+other@one.example", "plus@one.example"),
    *("list-7@lists.example", "LIST-7@LISTS.example", "xlist-7@lists.example", "a@nobody.example"),
    *("postmaster+@one.example", "anna+@example.org"),
)
# First try and retry: are they one sender? label, first, second, reason for a difference
SENDERS = (
    ("a+1@x.example", "a+2@x.example", ""),
    ("a@x.example", "a+2@x.example", ""),
    ("Anna@X.example", "anna@x.example", ""),
    ("bounce-123@x.example", "bounce-456@x.example", ""),
    ("bounce-123-a@x.example", "bounce-456-a@x.example", ""),
    ("bounces+bob=q.example@x.example", "bounces+al=w.example@x.example", ""),
    ("prvs=1234abcdef=anna@x.example", "prvs=0987fedcba=anna@x.example", ""),
    ("prvs=anna=1234abcdef@x.example", "prvs=anna=0987fedcba@x.example", ""),
    ("anna@x.example", "prvs=0987fedcba=anna@x.example", ""),
    ("anna@x.example", "hanna@x.example", ""),
    ("anna@x.example", "anna@y.example", ""),
    ("a@x1.example", "a@x2.example", ""),
    ("a1b@x.example", "a22b@x.example", ""),
    ("news_1234@x.example", "news_99@x.example", ""),
    ("", "", ""),
    ('"a b"@x.example', '"a b"@x.example', ""),
    ("12345@qq.example", "54321@qq.example", "senders"),
    ("a-1@x.example", "a-2@x.example", "senders"),
    ("news.1234.77@x.example", "news.99.88@x.example", "senders"),
    ("bounce-1a2b3c@x.example", "bounce-9d8e7f@x.example", "senders"),
    ("bounce-1a2b3c4d-x@x.example", "bounce-9d8e7f1a-x@x.example", "senders"),
    ("list-bob=q.example@x.example", "list-al=w.example@x.example", "senders"),
    ("btv1==123abc==anna@x.example", "btv1==456def==anna@x.example", "senders"),
    ("msprvs1=123abc=anna@x.example", "msprvs1=456def=anna@x.example", "senders"),
    ("SRS0=abcd=AB=o.example=u@x.example", "SRS0=efgh=CD=o.example=u@x.example", "senders"),
    ("a=b@x.example", "c=b@x.example", "senders"),
    ("a=1@x.example", "a=2@x.example", "senders"),
)


@dataclass(frozen=True, slots=True)
class Case:
    """why: the difference that is expected, "" for none."""

    name: str
    steps: tuple[Step, ...]
    why: str = ""


def cases() -> Iterator[Case]:
    for number, case in enumerate(_cases()):
        # Each has a network and a domain of its own, unless it says otherwise.
        usual = {
            "client_address": f"100.{64 + number // 200}.{number % 200}.9",
            "recipient": f"r@q{number}.example",
        }
        steps = tuple((at, {**usual, **fields}) for at, fields in case.steps)
        yield Case(case.name, steps, case.why)


def _cases() -> Iterator[Case]:
    yield from _times()
    for name in NAMES:
        yield Case(f"name {name}", _twice(client_name=name))
    for address in ADDRESSES:
        yield Case(f"address {address}", _twice(client_address=address))
    for recipient in TO:
        yield Case(f"to {recipient}", _twice(recipient=recipient))
    for first, second, why in SENDERS:
        steps = ((0, {"sender": first}), (400, {"sender": second}))
        yield Case(f"from {first}, {second}", steps, why)
    yield from _networks()
    yield from _messages()
    yield from _known_clients()
    yield from _oddities()


def _twice(**fields: str) -> tuple[Step, ...]:
    return ((0, fields), (400, fields))


def _at(*moments: int) -> tuple[Step, ...]:
    return tuple((moment, {}) for moment in moments)


def _times() -> Iterator[Case]:
    yield Case("retries", _at(0, 0, 1, 100, 299, 300, 301, 5000, DAY))
    yield Case("one hasty retry", _at(0, 10, 310))
    yield Case("the last second of the window", _at(0, 2 * DAY, 2 * DAY + 1))
    yield Case("too late", _at(0, 2 * DAY + 1, 2 * DAY + 300, 2 * DAY + 301))
    yield Case("late after a hasty retry", _at(0, 100, 2 * DAY + 50, 2 * DAY + 400))
    yield Case("known for weeks", _at(0, 300, 300 + 34 * DAY, 300 + 68 * DAY, 300 + 100 * DAY))
    yield Case("unknown after weeks", _at(0, 300, 300 + 36 * DAY), "purge")


def _networks() -> Iterator[Case]:
    for first, second, why in (
        ("203.0.113.1", "203.0.113.254", ""),
        ("203.0.113.1", "203.0.114.1", ""),
        ("2001:db8:9::1", "2001:db8:9::ffff:1", ""),
        ("2001:db8:9::1", "2001:db8:9:1::1", ""),
        ("::ffff:203.0.115.1", "203.0.115.1", "mapped"),
    ):
        steps = ((0, {"client_address": first}), (400, {"client_address": second}))
        yield Case(f"{first}, {second}", steps, why)


def _messages() -> Iterator[Case]:
    one, two = {"recipient": "a@two.example"}, {"recipient": "c@two.example"}
    yield Case("two recipients at once", ((0, one), (0, two), (400, one), (400, two)))
    first, then = {"instance": "first"}, {"instance": "then"}
    yield Case(
        "one header for a message",
        tuple(
            (at, {**who, **which, "sender": "h@x.example"})
            for at, which in ((0, first), (400, then))
            for who in (one, two)
        ),
    )
    late = {**two, "sender": "l@x.example"}
    early = {**one, "sender": "l@x.example"}
    yield Case("one of two has to wait", ((0, early), (300, late), (300, early), (600, late)))
    yield Case("null sender", _twice(sender=""))
    yield Case("logged in", _twice(sasl_username="joe", sasl_method="plain", sender="s@x.example"))
    yield Case("with a certificate", _twice(ccert_subject="CN=joe", sender="c@x.example"))
    upper = {"recipient": "R@Upper.example"}
    yield Case("recipient in capitals", ((0, upper), (400, {"recipient": "r@upper.example"})))
    tagged = ({"recipient": "r+1@tag.example"}, {"recipient": "r+2@tag.example"})
    yield Case("recipient with extensions", ((0, tagged[0]), (400, tagged[1])), "extensions")


def _letters(every: int, addresses: list[str], start: int = 0) -> tuple[Step, ...]:
    """New senders, each with a retry after 400 seconds."""
    steps: list[Step] = []
    for number, address in enumerate(addresses):
        fields = {"client_address": address, "sender": f"{chr(97 + number)}@n{start}.example"}
        steps += [(start + number * every, fields), (start + number * every + 400, fields)]
    return tuple(steps)


def _known_clients() -> Iterator[Case]:
    yield Case("known after five", _letters(2 * HOUR, ["198.18.1.5"] * 7))
    yield Case("one an hour counts", _letters(HOUR // 2, ["198.18.2.5"] * 8))
    yield Case("one sender counts once", _one_sender("198.18.3.5"))
    yield Case(
        "known for weeks as a client",
        _letters(2 * HOUR, ["198.18.4.5"] * 5) + _letters(HOUR, ["198.18.4.5"] * 2, 30 * DAY),
    )
    for number, (before, why) in enumerate(((0, ""), (60, "clients"), (1200, "clients"))):
        yield Case(f"never retried, {before} s before", _with_spam(before, number), why)
    neighbours = [f"198.18.5.{number}" for number in range(1, 8)]
    yield Case("neighbours", _letters(2 * HOUR, neighbours), "clients")


def _with_spam(before: int, number: int) -> tuple[Step, ...]:
    """What is never retried comes from the same client, so long before what is."""
    address = f"198.18.{10 + number}.5"
    steps: list[Step] = []
    for at in range(0, 14 * HOUR, 2 * HOUR):
        steps.append((at, {"client_address": address, "sender": f"spam{at}x@bad.example"}))
        steps += _letters(HOUR, [address], at + before)
    return tuple(steps)


def _one_sender(address: str) -> tuple[Step, ...]:
    same = {"client_address": address, "sender": "same@x.example"}
    steps: list[Step] = [(0, same), *((400 + hour * HOUR, same) for hour in range(0, 14, 2))]
    return (*steps, *_letters(HOUR, [address], 20 * HOUR))


def _oddities() -> Iterator[Case]:
    for state in ("CONNECT", "HELO", "MAIL", "DATA", "END-OF-MESSAGE", "VRFY", "ETRN"):
        yield Case(f"state {state}", _twice(protocol_state=state), "states")
    yield Case("no recipient", _twice(recipient=""), "states")
    yield Case("recipient without domain", _twice(recipient="joe"))
    yield Case("unconfirmed name", _twice(reverse_client_name="listed.example"))
