"""Two real Postfixes side by side, one with postgrey and one with kamaelia-grey as --from-postgrey
sets it up: the same mail at the same moments is told the same, and arrives the same."""

import os
import re
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import pytest

from Kamaelia.Apps.Grey.Options.Postgrey import from_postgrey
from Test.System.clients import Answer
from Test.System.policy_site import Visitor
from Test.System.postfix_server import PostfixServer
from Test.System.postgrey_letters import (
    CLIENTS,
    DAY,
    DOMAINS,
    RECIPIENTS,
    USERS,
    Letter,
    Story,
    stories,
)
from Test.System.postgrey_peer import START, Postgrey
from Test.System.processes import Program, free_port, takes_connections, wait_until

pytestmark = [
    pytest.mark.needs("postfix", "postgrey"),
    pytest.mark.skipif(
        shutil.which("perl") is None, reason="postgrey is a Perl program, and gets a clock in Perl"
    ),
]
FindProgram = Callable[[str], Path]
SHIPPED = Path("/etc/postgrey")
DOCUMENT = Path(__file__).parents[2] / "Docs" / "operating" / "from-postgrey.md"
TEXT = "Wait %s seconds for %r"  # so that what is told can be compared, too
# Everybody's mail goes into one maildir. Who asks is where the file of the settings says; who is
# not known hears of that behind our question.
MAIN = """
inet_protocols = {protocols}
smtpd_authorized_xclient_hosts = 127.0.0.1
smtpd_peername_lookup = no
smtpd_relay_restrictions =
smtpd_recipient_restrictions = reject_unauth_destination, {asks}, reject_unlisted_recipient
virtual_mailbox_domains = {domains}
virtual_mailbox_maps = inline:{{ {users} }}
recipient_delimiter = +
in_flow_delay = 0
"""
# Python is told another time than that of the machine; the program itself is not touched.
CLOCK = (
    "import runpy, sys, time; from pathlib import Path; clock = Path(sys.argv.pop(1)); "
    "time.time = lambda: float(clock.read_text()); "
    "runpy.run_module('Kamaelia.Apps.Grey', run_name='__main__', alter_sys=True)"
)
CONTENT = "From: <a@x.example>\r\nSubject: {}\r\n\r\n50% of all cases\r\n"
# An old Postfix (which does not say etrn_domain) gets no enhanced code from postgrey.
THEIR_DEFERRAL = r"^450 4\.2\.0 (.*)$"
OUR_DEFERRAL = r"^450 4\.2\.0 (.*) \([0-9a-f]{10}\)$"  # the session, for the log


class PolicyService(Protocol):
    """What Postfix asks, and its clock."""

    @property
    def port(self) -> int: ...

    def set_clock(self, now: int) -> None: ...


class Theirs(Postgrey):
    """postgrey, that is asked by Postfix only."""

    @property
    def port(self) -> int:
        return self._port

    def set_clock(self, now: int) -> None:
        self._set(now)


class Ours(Program):
    """Ours(folder, options) -> kamaelia-grey with the file that --from-postgrey prints."""

    def __init__(self, folder: Path, options: list[str]) -> None:
        super().__init__("ours", folder)
        self.port = free_port()
        self._clock = folder / "our-clock"
        self._config = folder / "greylist.conf"
        text = from_postgrey([f"--inet={self.port}", f"--dbdir={folder}", *options])
        lines = [line for line in text.splitlines() if not line.startswith("user =")]
        self._config.write_text("\n".join(lines), encoding="utf-8")

    def start(self) -> None:
        self.set_clock(START)
        self.spawn([sys.executable, "-c", CLOCK, self._clock, "-D", "-f", self._config])
        wait_until("the door to open", self._is_open)

    def _is_open(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(self.said())
        return takes_connections(self.port)

    def set_clock(self, now: int) -> None:
        new = self._clock.with_suffix(".new")  # it may look at any moment
        new.write_text(str(now), encoding="ascii")
        new.replace(self._clock)


class Rig:
    """Rig(program, service) -> a Postfix that asks the service; started by `with`."""

    def __init__(self, program: Path, service: PolicyService) -> None:
        self.service = service
        main = MAIN.format(
            protocols="all" if has_ipv6() else "ipv4",
            asks=f"check_policy_service inet:127.0.0.1:{service.port}",
            domains=" ".join(DOMAINS),
            users=", ".join(f"{{{user} = all/}}" for user in USERS),
        )
        self.postfix = PostfixServer(program, main)

    def __enter__(self) -> Self:
        self.postfix.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.postfix.__exit__()

    def sends(self, letter: Letter, now: int, subject: str) -> list[Answer]:
        """What its client is told: about each recipient, and if there is one, of the message."""
        self.service.set_clock(now)
        with Visitor(("127.0.0.1", self.postfix.port)) as client:
            assert (heard := client.ask(f"XCLIENT {client_of(letter)}")).code == 220, heard
            client.introduce(letter.sender, "client.x.test")
            told = [client.to(recipient) for recipient in letter.to]
            if any(answer.code == 250 for answer in told):
                told.append(client.send(CONTENT.format(subject).encode()))
            assert client.ask("QUIT").code == 221
        return told

    def delivered(self, count: int) -> dict[str, list[bytes]]:
        """The messages by subject, once there are so many."""
        wait_until(f"{count} messages", lambda: len(self.postfix.mailbox("all")) >= count)
        found: dict[str, list[bytes]] = {}
        for message in self.postfix.mailbox("all"):
            (subject,) = re.findall(rb"(?m)^Subject: (.*)$", message)
            found.setdefault(subject.decode(), []).append(message)
        return found


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def client_of(letter: Letter) -> str:
    """The words behind XCLIENT, of which Postfix makes the client of this letter."""
    address = f"IPV6:{letter.client}" if ":" in letter.client else letter.client
    words = [f"ADDR={address}", f"NAME={letter.name or '[UNAVAILABLE]'}"]
    words.append(f"REVERSE_NAME={letter.unconfirmed or letter.name or '[UNAVAILABLE]'}")
    return " ".join([*words, f"LOGIN={letter.login}"] if letter.login else words)


@dataclass(frozen=True, slots=True)
class Told:
    """What both said about one letter."""

    subject: str
    letter: Letter
    theirs: list[Answer]
    ours: list[Answer]


@dataclass(frozen=True, slots=True)
class Comparison:
    """told: what was said in each story; the messages that arrived, by subject."""

    told: list[tuple[Story, list[Told]]]
    at_theirs: dict[str, list[bytes]]
    at_ours: dict[str, list[bytes]]


@pytest.fixture(scope="module")
def compared(
    find_program: FindProgram, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Comparison]:
    """All stories told to both, once."""
    if os.geteuid() != 0:
        pytest.skip("only root can start Postfix")
    folder = tmp_path_factory.mktemp("both")
    options = options_in(folder)
    postfix = find_program("postfix")
    with (
        Theirs(str(find_program("postgrey")), folder, options) as postgrey,
        Ours(folder, options) as grey,
        Rig(postfix, postgrey) as theirs,
        Rig(postfix, grey) as ours,
    ):
        told, now = [], START
        for story in stories(shipped=has_shipped_lists(), ipv6=has_ipv6()):
            now += 3 * DAY
            told.append((story, list(tell(story, now, theirs, ours))))
        assert "Traceback" not in grey.said()
        each = [one for _, story in told for one in story]
        yield Comparison(
            told,
            theirs.delivered(sum(copies(one.theirs) for one in each)),
            ours.delivered(sum(copies(one.ours) for one in each)),
        )


def tell(story: Story, now: int, theirs: Rig, ours: Rig) -> Iterator[Told]:
    for number, letter in enumerate(story.letters):
        subject, at = f"{story.name} #{number}", now + letter.at
        told = [rig.sends(letter, at, subject) for rig in (theirs, ours)]
        yield Told(subject, letter, *told)


def has_shipped_lists() -> bool:
    return all((SHIPPED / f"whitelist_{kind}").exists() for kind in ("clients", "recipients"))


def options_in(folder: Path) -> list[str]:
    """postgrey's options; the lists that come with it are read, too, if they are here."""
    options = [f"--greylist-text={TEXT}", "--hostname=mx.example.org"]
    for kind, text in (("clients", CLIENTS), ("recipients", RECIPIENTS)):
        (folder / kind).write_text(text, encoding="ascii")
        options.append(f"--whitelist-{kind}={folder / kind}")
        if has_shipped_lists():
            options.append(f"--whitelist-{kind}={SHIPPED}/whitelist_{kind}")
    return options


def copies(told: list[Answer]) -> int:
    """How many will be delivered: one for each recipient, of a message that was taken."""
    return sum(answer.code == 250 for answer in told[:-1]) if told[-1].code == 250 else 0


def heard(told: list[Answer], deferral: str) -> list[str]:
    """The replies, without what is another each time. deferral: how one looks; what it has in
    brackets stays of it."""
    lines = [f"{answer.code} {answer.text}" for answer in told]
    lines = [re.sub(deferral, r"450 \1", line) for line in lines]
    return [re.sub("queued as .*", "queued", line) for line in lines]


def arrived(messages: list[bytes]) -> list[bytes]:
    """What is alike of them wherever they came through: of X-Greylist how long they waited, and
    of Received that it is there."""
    found = []
    for message in messages:
        message = re.sub(rb"X-Greylist: delayed (\d+) seconds by postgrey.*", rb"@\1", message)
        message = re.sub(rb"X-Greylist: Delayed for ([\d:]+) by kamaelia.*", in_seconds, message)
        found.append(re.sub(rb"Received: .*(\n\t.*)*", b"Received", message))
    return sorted(found)


def in_seconds(found: re.Match[bytes]) -> bytes:
    hours, minutes, seconds = map(int, found[1].split(b":"))
    return b"@%d" % (hours * 3600 + minutes * 60 + seconds)


def test_the_client_hears_the_same_but_for_the_differences_that_are_told(
    compared: Comparison,
) -> None:
    recipients, wrong = 0, []
    for story, told in compared.told:
        theirs = [heard(one.theirs, THEIR_DEFERRAL) for one in told]
        ours = [heard(one.ours, OUR_DEFERRAL) for one in told]
        recipients += sum(len(one.letter.to) for one in told)
        if (theirs != ours) != bool(story.why):
            wrong.append((story.name, theirs, ours))
    assert wrong == []
    assert recipients > 60
    document = DOCUMENT.read_text(encoding="utf-8")
    reasons = {story.why for story, _ in compared.told} - {""}
    assert [why for why in reasons if f"| {why} |" not in document] == []


def test_the_stories_have_all_that_can_be_heard(compared: Comparison) -> None:
    told = {
        story.name: [heard(one.ours, OUR_DEFERRAL) for one in told] for story, told in compared.told
    }
    wait = "450 <bert@example.org>: Recipient address rejected: Wait {} seconds for example.org"
    taken = ["250 2.1.5 Ok", "250 2.0.0 Ok: queued"]
    assert told["retries"][:4] == [[wait.format(left)] for left in (300, 300, 290, 1)]
    assert told["retries"][4:] == [taken] * 3
    first, then = told["one of two is unknown"]
    assert [reply[:9] for reply in first] == ["450 <bert", "550 5.1.1"]
    assert [reply[:9] for reply in then] == ["250 2.1.5", "550 5.1.1", "250 2.0.0"]
    assert [reply[:9] for reply in told["not ours"][0]] == ["554 5.7.1", "450 <bert"]
    assert told["client listed.example"] == [taken]
    assert told["client badlisted.example"] == [[wait.format(300)]]
    assert told["known after five"][-2:] == [taken, taken]


def test_the_message_arrives_the_same_with_one_header_that_says_how_long_it_waited(
    compared: Comparison,
) -> None:
    wrong, waited = [], {}
    for _, told in (each for each in compared.told if not each[0].why):
        for subject in (one.subject for one in told if one.theirs[-1].code == 250):
            theirs, ours = (
                arrived(at.get(subject, [])) for at in (compared.at_theirs, compared.at_ours)
            )
            if theirs != ours or not ours:
                wrong.append((subject, theirs, ours))
            waited[subject] = [re.findall(rb"(?m)^@(\d+)", message) for message in ours]
    assert wrong == []
    assert all(len(of_one) <= 1 for messages in waited.values() for of_one in messages)
    assert waited["retries #4"] == [[b"300"]]
    assert waited["retries #5"] == [[]]
    assert waited["two recipients #1"] == [[b"400"], [b"400"]]
    assert waited["one of two has to wait #1"] == [[b"300"]]
    assert waited["one of two is on a list #0"] == [[]]
    assert waited["one of two is on a list #1"] == [[b"400"], [b"400"]]
    assert waited["client listed.example #0"] == [[]]
