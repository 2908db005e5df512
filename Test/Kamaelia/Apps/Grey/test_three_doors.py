"""The same attempt gives the same decision, and the same words, at each door."""

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_network
from typing import Any

import dns.message
import pytest

from Kamaelia.Apps.Grey.Config.Loader import loads
from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.Config.Sockets import Place
from Kamaelia.Apps.Grey.Core.Modes import KeyKind
from Kamaelia.Apps.Grey.Core.Networks import Networks
from Test.Kamaelia.Apps.Grey.askers import (
    PASS,
    Asker,
    AtMilter,
    AtPolicyService,
    AtProxy,
    Try,
)
from Test.Kamaelia.Apps.Grey.support import FRIEND, FakeServer, Grey
from Test.Kamaelia.zone_server import Zone

WAIT = "4 4.7.1 Greylisting in action, please come back in "
ANYWHERE = Place(host="127.0.0.1", port=0)
# What a test of one setting is not about; see also support.Grey.
BEFORE = """
nospf
greylist 1m
autowhite 36d
timeout 1d
subnetmatch /24
subnetmatch6 /64
"""


@dataclass(frozen=True)
class Case:
    """What the file says, who comes, and what each recipient of each mail hears."""

    name: str
    text: str
    tries: tuple[Try, ...]
    heard: tuple[list[str], ...]
    headers: tuple[str, ...] = ()  # how each begins, if they are compared with that, too


BASE = Try()
CASES = [
    Case(
        "greylisted, too early, retried, known",
        "report all\n",
        (BASE, Try(after=20), Try(after=40), Try(after=3600, client="192.0.2.99")),
        ([f"{WAIT}00:01:00"], [f"{WAIT}00:00:40"], [PASS], [PASS]),
        (
            "",
            "",
            "Delayed for 00:01:00 by kamaelia-grey",
            "IP, sender and recipient auto-whitelisted",
        ),
    ),
    Case(
        "each recipient by itself",
        "racl whitelist rcpt white@example.org\n"
        'racl blacklist rcpt black@example.org code "550" ecode "5.1.1" msg "no %r, 100% sure"\n'
        "racl greylist rcpt slow@example.org delay 2h\nracl greylist default delay 5m\n",
        (Try(recipients=tuple(f"{n}@example.org" for n in ("white", "black", "slow", "b"))),),
        (
            [
                PASS,
                "5 5.1.1 no black@example.org, 100% sure",
                f"{WAIT}02:00:00",
                f"{WAIT}00:05:00",
            ],
        ),
    ),
    Case(
        "who the client is",
        'list "them" addr { 198.51.100.0/24 2001:db8::/32 }\n'
        'report all\nracl whitelist list "them"\nracl whitelist domain friendly.example\n'
        "racl whitelist helo /known/\nracl whitelist from boss@example.net\n"
        'racl "last" blacklist default\n',
        (
            Try(client="198.51.100.8"),
            Try(client="2001:db8:1::25"),
            Try(name="mail.friendly.example"),
            Try(helo="known.example.com"),
            Try(sender="Boss@Example.NET"),
            Try(name=""),
        ),
        ([PASS], [PASS], [PASS], [PASS], [PASS], ["5 5.7.1 Go away!"]),
        ("Sender IP whitelisted", *["Sender "] * 2, "", "Sender e-mail whitelisted", ""),
    ),
    Case(
        "the null sender waits as others do",
        "",
        (Try(sender=""), Try(sender="", after=60)),
        ([f"{WAIT}00:01:00"], [PASS]),
    ),
    Case(
        "other codes, fewer words",
        "quiet\ngreylist_code = 450\ngreylist_ecode = 4.2.0\n",
        (BASE,),
        (["4 4.2.0 Greylisting in action, please come back later"],),
    ),
    Case(
        "a rule that refuses for now",
        'racl blacklist default code "450" ecode "4.7.99" msg "not today"\n',
        (BASE,),
        (["4 4.7.99 not today"],),
    ),
    Case("nobody waits in a test", "testmode\nreport all\n", (BASE,), ([PASS],), ("Default is",)),
    Case("nobody waits in a dry run", "dry_run = yes\n", (BASE,), ([PASS],)),
    Case("greylisting is off", "greylist_mode = off\n", (BASE,), ([PASS],)),
    Case(
        "some recipients have opted out",
        "never_greylist_for:\n    b@example.org\n",
        (BASE, Try(recipients=("c@example.org",))),
        ([PASS], [f"{WAIT}00:01:00"]),
    ),
    Case(
        "mail that is never deferred",
        "whitelisted_triples:\n    192.0.2.0/24 *@example.net *@example.org\n"
        "whitelisted_nonstandard_triples:\n    *.lists.example 203.0.113.0/24 *\n",
        (
            BASE,
            Try(client="203.0.113.4", helo="out.lists.example", sender="x@y.example"),
            Try(client="203.0.113.4", sender="x@y.example"),
        ),
        ([PASS], [PASS], [f"{WAIT}00:01:00"]),
    ),
    Case(
        "senders that change from try to try",
        "normalise_senders = yes\n",
        (
            Try(sender="list-bounce-17-b=example.org@lists.example"),
            Try(sender="list-bounce-18-b=example.org@lists.example", after=60),
        ),
        ([f"{WAIT}00:01:00"], [PASS]),
    ),
    Case(
        "a client that has passed is known as a whole",
        "client_passes = 1\nreport all\n",
        (BASE, Try(after=60), Try(sender="other@example.net")),
        ([f"{WAIT}00:01:00"], [PASS], [PASS]),
        ("", "Delayed for 00:01:00", "Sender IP auto-whitelisted"),
    ),
    Case(
        "an address in quotes",
        "",
        (Try(sender='"a b"@example.net'), Try(sender='"a b"@example.net', after=60)),
        ([f"{WAIT}00:01:00"], [PASS]),
    ),
    Case(
        "one mailbox in many spellings",
        "greylist_only_for:\n    b@example.org\nracl blacklist from bad@example.net\n",
        (
            Try(recipients=('"b"@example.org',)),
            Try(sender='"b\\ad"@example.net'),
            Try(sender='"b ad"@example.net'),
        ),
        ([f"{WAIT}00:01:00"], ["5 5.7.1 Go away!"], [f"{WAIT}00:01:00"]),
    ),
    Case(
        "addresses that are not ASCII",
        "",
        (
            Try(sender="Ärger@bücher.example", recipients=("käthe@example.org",)),
            Try(sender="äRGER@BÜCHER.example", recipients=("KÄTHE@example.org",), after=60),
        ),
        ([f"{WAIT}00:01:00"], [PASS]),
    ),
    Case(
        "capitals and extensions",
        "normalise_senders = yes\n",
        (
            Try(sender="A+X@Example.net", recipients=("B+y@example.ORG",)),
            Try(sender="a+z@example.NET", recipients=("b@example.org",), after=60),
        ),
        ([f"{WAIT}00:01:00"], [PASS]),
    ),
    Case(
        "a tarpit is endured",
        'racl whitelist tarpit 1s\nracl blacklist default msg "too quick"\nreport all\n',
        (BASE,),
        ([PASS],),
    ),
    Case(
        "how much may come",
        'ratelimit "few" rcpt 2 / 1m\nracl blacklist ratelimit "few" msg "too much"\n'
        "racl whitelist default\n",
        (Try(recipients=("a@example.org", "b@example.org", "c@example.org")),),
        ([PASS, PASS, "5 5.7.1 too much"],),
    ),
    Case(
        "a spamtrap makes all be forgotten",
        'racl blacklist rcpt trap@example.org flushaddr msg "caught"\n',
        (BASE, Try(recipients=("trap@example.org",)), Try(after=60)),
        ([f"{WAIT}00:01:00"], ["5 5.7.1 caught"], [f"{WAIT}00:01:00"]),
    ),
    Case(
        "only who has waited is told of in the header",
        "report delays\nracl whitelist rcpt white@example.org\n",
        (Try(recipients=("white@example.org",)), BASE, Try(after=90)),
        ([PASS], [f"{WAIT}00:01:00"], [PASS]),
        ("", "", "Delayed for 00:01:30"),
    ),
]


@dataclass(frozen=True)
class Doors:
    """A greylister with all three doors, and the mail server behind the proxy."""

    grey: Grey
    server: FakeServer

    def at(self, asker: type[Asker]) -> Asker:
        return asker(self.grey, self.server)


OpenDoors = Callable[..., Doors]


@pytest.fixture
def open_doors(
    mail_server: Callable[..., FakeServer], start_grey: Callable[..., Grey]
) -> OpenDoors:
    """open_doors(setting=value, ...)"""

    def opened(**more: Any) -> Doors:  # noqa: ANN401
        server = mail_server()
        friends = Networks([ip_network(FRIEND)])
        doors = {"socket": ANYWHERE, "policy_socket": ANYWHERE, "xclient_from": friends}
        return Doors(start_grey(server, **doors, **more), server)

    return opened


def settings(text: str) -> dict[str, Any]:
    """What that text sets beside what the tests of the greylister usually set."""
    report = "" if "report" in text else "report none\n"
    config = loads(BEFORE + report + text)
    names = [n for n in Config.__dataclass_fields__ if getattr(config, n) != getattr(Config(), n)]
    return {name: getattr(config, name) for name in names} | {"report": config.report}


@pytest.mark.parametrize("asker", [AtProxy, AtMilter, AtPolicyService], ids=lambda a: a.__name__)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "_"))
def test_the_same_attempt_hears_the_same(
    case: Case, asker: type[Asker], open_doors: OpenDoors
) -> None:
    site = open_doors(**settings(case.text))
    door = site.at(asker)
    heard = []
    for mail in case.tries:
        site.grey.clock.advance(mail.after)
        heard.append(door.bring(replace(mail, after=0)))
    assert tuple(each.answers for each in heard) == case.heard
    for each, begins in zip(heard, case.headers, strict=False):
        assert each.header.startswith(begins)
        assert bool(each.header) is bool(begins) or begins == ""


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.headers], ids=lambda c: c.name.replace(" ", "_")
)
def test_the_header_is_the_same_at_each_door(case: Case, open_doors: OpenDoors) -> None:
    found = []
    for asker in (AtProxy, AtMilter, AtPolicyService):
        site = open_doors(**settings(case.text))
        door = site.at(asker)
        headers = []
        for mail in case.tries:
            site.grey.clock.advance(mail.after)
            headers.append(door.bring(replace(mail, after=0)).header)
        found.append(headers)
    assert found[0] == found[1] == found[2]


def test_what_is_learned_at_one_door_is_known_at_the_others(open_doors: OpenDoors) -> None:
    site = open_doors()
    proxy, milter, policy = (site.at(door) for door in (AtProxy, AtMilter, AtPolicyService))
    assert milter.bring(BASE).answers == [f"{WAIT}00:01:00"]
    site.grey.clock.advance(59)
    assert proxy.bring(BASE).answers == [f"{WAIT}00:00:01"]
    site.grey.clock.advance(1)
    assert policy.bring(BASE).answers == [PASS]
    site.grey.clock.advance(3600)
    assert proxy.bring(BASE).answers == [PASS]
    assert milter.bring(BASE).answers == [PASS]


def test_whom_a_mail_server_takes_mail_for_is_its_own_business(open_doors: OpenDoors) -> None:
    site = open_doors()
    elsewhere = Try(recipients=("x@elsewhere.example", "a%b@example.org"))
    for door in (AtMilter, AtPolicyService):
        answers = site.at(door).bring(elsewhere).answers
        assert answers == [f"{WAIT}00:01:00"] * 2


@dataclass(frozen=True)
class Ending:
    """What the file says, who comes, what he hears at RCPT and at the end of the message."""

    name: str
    text: str
    mail: Try
    heard: list[str]
    end: str


ENDINGS = [
    Ending(
        "who sends no bounce waits at once",
        "delayedreject\n",
        BASE,
        [f"{WAIT}00:01:00"],
        "",
    ),
    Ending(
        "a bounce waits after its message",
        "delayedreject\n",
        Try(sender=""),
        [PASS],
        f"{WAIT}00:01:00",
    ),
    Ending(
        "also if not all of its recipients do",
        "delayedreject\nracl whitelist rcpt white@example.org\n",
        Try(sender="", recipients=("white@example.org", "b@example.org")),
        [PASS, PASS],
        f"{WAIT}00:01:00",
    ),
    Ending(
        "what is refused for good is so at once",
        "delayedreject\nracl blacklist default\n",
        Try(sender=""),
        ["5 5.7.1 Go away!"],
        "",
    ),
    Ending(
        "a message that has something in it",
        'racl whitelist default\ndacl blacklist header /greetings/ msg "no %s, 100% no"\n',
        BASE,
        [PASS],
        "5 5.7.1 no %s, 100% no",
    ),
    Ending(
        "a message whose text is refused for now",
        'racl whitelist default\ndacl blacklist body /hello/ code "450" ecode "4.7.9" msg "no"\n',
        Try(recipients=("b@example.org", "c@example.org")),
        [PASS, PASS],
        "4 4.7.9 no",
    ),
    Ending(
        "a message that waits when it is there",
        "racl whitelist default\ndacl greylist header /greetings/ delay 5m\n",
        Try(recipients=("b@example.org", "c@example.org")),
        [PASS, PASS],
        f"{WAIT}00:05:00",
    ),
    Ending(
        "a message that may come",
        "racl whitelist default\ndacl blacklist header /somethingelse/\n",
        BASE,
        [PASS],
        PASS,
    ),
]


@pytest.mark.parametrize("asker", [AtProxy, AtMilter], ids=lambda a: a.__name__)
@pytest.mark.parametrize("case", ENDINGS, ids=lambda case: case.name.replace(" ", "_"))
def test_the_same_message_hears_the_same_at_its_end(
    case: Ending, asker: type[Asker], open_doors: OpenDoors
) -> None:
    site = open_doors(**settings(case.text))
    heard = site.at(asker).bring(case.mail)
    assert (heard.answers, heard.end) == (case.heard, case.end)
    assert len(site.server.messages) == (asker is AtProxy and case.end == PASS)


@pytest.mark.parametrize("asker", [AtProxy, AtMilter, AtPolicyService], ids=lambda a: a.__name__)
def test_a_sender_with_many_machines_is_one_by_its_spf_record(
    asker: type[Asker], open_doors: OpenDoors
) -> None:
    """However its address is written."""
    zone = Zone("farm.example.", '@ 60 TXT "v=spf1 ip4:192.0.2.7 ip4:198.51.100.0/24 -all"')
    with asked(zone) as names:
        site = open_doors(key_order=(KeyKind.SPF, KeyKind.NETWORK), resolvers=(names,))
        door = site.at(asker)
        tries = [
            Try(sender="a@farm.example"),
            Try(sender='"A"@FARM.example', client="198.51.100.9", after=60),
            Try(sender="a@farm.example", client="203.0.113.9"),  # not one of them
        ]
        heard = []
        for mail in tries:
            site.grey.clock.advance(mail.after)
            heard += door.bring(mail).answers
    assert heard == [f"{WAIT}00:01:00", PASS, f"{WAIT}00:01:00"]


@contextmanager
def asked(zone: Zone) -> Iterator[tuple[str, int]]:
    """A name server for that zone, in a thread, as long as the `with` lasts."""

    class Datagrams(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, sock = self.request
            for reply in zone(dns.message.from_wire(data), False):
                sock.sendto(reply, self.client_address)

    with socketserver.UDPServer(("127.0.0.1", 0), Datagrams) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            host, port = server.server_address[:2]
            yield str(host), port
        finally:
            server.shutdown()
            thread.join()
