"""
Look-ups that take several questions to the DNS
===============================================
Such a look-up is a generator, a walk: it yields the names and kinds of records that it wants to
know next, all of which are asked at once, and gets their Answers, in the same order. What it
returns is what it found, and for how many seconds that is true::

    def first_address_of_a_mail_server(domain):
        (mx,) = yield ((domain, "MX"),)
        (answer,) = yield ((mx.records[0].host, "A"),)
        return answer.records[0], min(mx.ttl, answer.ttl)

    walk(service, first_address_of_a_mail_server("example.org"), done)

A walk has no sockets and no clock, so a test can be the whole DNS to it.
"""

import logging
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Protocol

from Kamaelia.Apps.Grey.Core.Access.Questions import LookupFailed
from Kamaelia.Support.Protocol.DNS.Messages import Answer, Deliverable, Question

log = logging.getLogger(__name__)

LONGEST_REASON = 200
LONGEST_ADDRESS = 64  # an IPv6 address has at most 45 characters, the rest is room for a zone id

Address = IPv4Address | IPv6Address
Wanted = tuple[tuple[str, str], ...]  # name and kind of record
Walk = Generator[Wanted, Sequence[Answer], tuple[object, float]]
Done = Callable[[object, float], None]


class Asker(Protocol):
    """Who has a resolver: for each Answer in its box "names" it calls the `tag` of the question
    with it, in its own turn."""

    @property
    def inboxes(self) -> Mapping[str, Deliverable]: ...

    def ask_dns(self, question: Question) -> None: ...


def walk(asker: Asker, steps: Any, done: Done) -> None:  # noqa: ANN401 - a Walk, or a coroutine
    """Walk to the end, then call done(what was found, seconds). It is called once, whatever happens
    in there."""
    _Walker(asker, steps, done).go_on(None)


class _Walker:
    __slots__ = ("_answers", "_asker", "_done", "_left", "_steps")

    def __init__(self, asker: Asker, steps: Any, done: Done) -> None:  # noqa: ANN401
        self._asker, self._steps, self._done = asker, steps, done
        self._answers: dict[int, Answer] = {}
        self._left = 0

    def go_on(self, answers: Sequence[Answer] | None) -> None:
        wanted: Wanted = ()
        try:
            while not wanted:  # one that wants nothing goes on at once
                wanted = self._steps.send(answers)
                answers = ()
            self._left = len(wanted)
            for number, (name, kind) in enumerate(wanted):
                tag, reply_to = partial(self._heard, number), (self._asker, "names")
                self._asker.ask_dns(Question(name, kind, tag=tag, reply_to=reply_to))
        except StopIteration as end:
            self._done(*end.value)
        except Exception as error:
            # What is in the DNS is anybody's work: it must not be the end of who looks it up.
            log.exception("a look-up in the DNS failed")
            self._done(LookupFailed(f"{type(error).__name__} in the look-up"), 0.0)

    def _heard(self, number: int, answer: Answer) -> None:
        self._answers[number] = answer
        self._left -= 1
        if self._left == 0:
            answers, self._answers = self._answers, {}
            self.go_on([answers[each] for each in sorted(answers)])


# ---- what the walks share


def is_unknown(answer: Answer) -> bool:
    """Nobody knows: another time there may be records."""
    return answer.failure is not None and answer.failure.temporary


def not_known(what: str, answers: Iterable[Answer]) -> tuple[LookupFailed, float]:
    """What a walk returns when somebody did not answer."""
    reason = next(a.failure.value for a in answers if a.failure is not None and is_unknown(a))
    return LookupFailed(one_line(f"{what}: {reason}")), 0.0


def seconds_of(answers: Iterable[Answer]) -> float:
    """For how long all of them are true; never 0, for that would be asked again at once."""
    return max(
        1.0, min((float(answer.ttl) for answer in answers if not is_unknown(answer)), default=1.0)
    )


def address_of(text: str) -> Address | None:
    """The address in a text of somebody's; an IPv4 one that is dressed as IPv6 is undressed.

    >>> address_of("::ffff:192.0.2.7"), address_of("fe80::1%eth0"), address_of("mail") is None
    (IPv4Address('192.0.2.7'), IPv6Address('fe80::1'), True)
    """
    if len(text) > LONGEST_ADDRESS:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or IPv6Address(int(address))
    return address


def name_as_it_is(text: str) -> str:
    """A name that a client said, for the resolver: there a backslash would change what follows."""
    return text.replace("\\", "\\\\")


def kind_for(address: Address) -> str:
    return "A" if address.version == 4 else "AAAA"


def one_line(text: str) -> str:
    """For a log: nothing but printable ASCII, and not too much of it.

    >>> one_line("two\\nlines")
    'two?lines'
    """
    return "".join(c if " " <= c <= "~" else "?" for c in text[:LONGEST_REASON])
