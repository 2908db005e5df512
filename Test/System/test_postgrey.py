"""A site that comes from postgrey gets the decisions that it had, but for the differences that
Docs/operating/from-postgrey.md tells."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from Kamaelia.Apps.Grey.Options.Postgrey import from_postgrey
from Test.System.postgrey_cases import CLIENTS, DAY, HOUR, RECIPIENTS, cases
from Test.System.postgrey_peer import START, Asked, Migrated, Postgrey, free_port
from Test.System.processes import Program, wait_until

pytestmark = [
    pytest.mark.needs("postgrey"),
    pytest.mark.skipif(
        shutil.which("perl") is None, reason="postgrey is a Perl program, and gets a clock in Perl"
    ),
]
FindProgram = Callable[[str], Path]
ROW = "| {} |"  # of the table of differences


@pytest.fixture
def lists(tmp_path: Path) -> list[str]:
    """The options that name white lists."""
    for name, text in (("clients", CLIENTS), ("recipients", RECIPIENTS)):
        (tmp_path / name).write_text(text, encoding="ascii")
    return [
        f"--whitelist-clients={tmp_path}/clients",
        f"--whitelist-recipients={tmp_path}/recipients",
    ]


@pytest.fixture
def no_lists(tmp_path: Path) -> list[str]:
    (tmp_path / "empty").touch()
    return [f"--whitelist-clients={tmp_path}/empty", f"--whitelist-recipients={tmp_path}/empty"]


Both = Callable[[list[str]], tuple[Postgrey, Migrated]]


@pytest.fixture
def both(tmp_path: Path, find_program: FindProgram) -> Iterator[Both]:
    """Start the two with the same options."""
    running: list[Postgrey | Migrated] = []

    def start(options: list[str]) -> tuple[Postgrey, Migrated]:
        theirs = Postgrey(str(find_program("postgrey")), tmp_path, options).__enter__()
        running.append(theirs)
        ours = Migrated(tmp_path, options).__enter__()
        running.append(ours)
        return theirs, ours

    yield start
    for each in running:
        each.__exit__()


def test_the_same_is_decided_but_for_the_differences_that_are_told(
    both: Both, lists: list[str]
) -> None:
    theirs, ours = both(lists)
    now, count, wrong, differences = START, 0, [], set()
    for case in cases():
        now += 200 * DAY  # nobody knows anything any more
        said = ["", ""]
        for at, fields in case.steps:
            said[0] += theirs.ask(now + at, **fields)
            said[1] += ours.ask(now + at, **fields)
            count += 1
        if (said[0] != said[1]) != bool(case.why):
            wrong.append((case.name, *said))
        differences.add(case.why)
    assert wrong == []
    assert count > 300
    told = Path(__file__).parents[2] / "Docs" / "operating" / "from-postgrey.md"
    text = told.read_text(encoding="utf-8")
    assert [why for why in differences - {""} if ROW.format(why) not in text] == []


@pytest.mark.parametrize(
    ("options", "moments", "said"),
    [
        (["--delay=60"], [0, 59, 60], "DDP"),
        (["--delay=0"], [0, 299, 300], "DDP"),
        (["--retry-window=3h"], [0, 3 * HOUR + 1, 3 * HOUR + 301], "DDP"),
        (["--retry-window=3h"], [0, 3 * HOUR], "DP"),
        (["--auto-whitelist-clients=1"], [0, 300, 301, 302], "DP.."),
        (["--auto-whitelist-clients=0"], [0, 300, 301, 302], "DP.D"),
        (["--lookup-by-host"], [0, 400, 401, 402], "DP.D"),
    ],
)
def test_the_options_mean_the_same(
    both: Both, no_lists: list[str], options: list[str], moments: list[int], said: str
) -> None:
    theirs, ours = both([*options, *no_lists])
    by_host = options == ["--lookup-by-host"]
    for peer in (theirs, ours):
        heard = ""
        for number, moment in enumerate(moments):
            last = number == 3
            sender = "other@example.net" if last and not by_host else "a@example.net"
            client = "203.0.113.6" if last and by_host else "203.0.113.5"
            heard += peer.ask(START + moment, sender=sender, client_address=client)
        assert heard == said, peer


def test_the_text_says_the_same(both: Both, no_lists: list[str]) -> None:
    text = 'Wait %s seconds for "%r", it helps in 100% of all cases'
    theirs, ours = both([f"--greylist-text={text}", *no_lists])
    for peer in (theirs, ours):
        assert peer.ask(START) == "D"
    words = 'Wait 300 seconds for "example.org", it helps in 100% of all cases'
    assert theirs.asked.text == f"DEFER_IF_PERMIT 4.2.0 {words}"
    # Ours says where it stands in the log, too.
    assert ours.asked.text.startswith(f"DEFER_IF_PERMIT 4.2.0 {words} (")


def test_the_list_that_comes_with_it_lets_the_same_in(both: Both, tmp_path: Path) -> None:
    shipped = Path("/etc/postgrey/whitelist_clients")
    if not shipped.exists():
        pytest.skip("postgrey is here without its lists")
    (tmp_path / "empty").touch()
    theirs, ours = both(
        [f"--whitelist-clients={shipped}", f"--whitelist-recipients={tmp_path}/empty"]
    )
    lines = [line.strip() for line in shipped.read_text(encoding="utf-8").splitlines()]
    entries = [line for line in lines if line and not line.startswith("#")]
    names = [entry for entry in entries if entry[0].isalpha()][::4]
    names += [f"{prefix}{name}" for name in names for prefix in ("mx.", "x")]
    names += ["ms-smtp-1.rr.com", "lake1mta2.cox.net", "sv1pub.verizon.net", "mta1.siol.net"]
    wrong = []
    for number, name in enumerate(names):
        fields = {"client_name": name, "sender": f"n{number}@{chr(97 + number % 26)}.example"}
        said = [peer.ask(START, **fields) for peer in (theirs, ours)]
        if said[0] != said[1]:
            wrong.append((name, *said))
    assert wrong == []


def test_what_it_knew_is_known(
    tmp_path: Path, find_program: FindProgram, no_lists: list[str]
) -> None:
    senders = {
        "known+1@x.example": ".",
        "bounce-123@x.example": ".",
        "bounces+bob=q.example@x.example": ".",
        "prvs=1234abcdef=anna@x.example": ".",
        "btv1==123abc==maria@x.example": ".",
        "SRS0=abcd=AB=o.example=u@x.example": ".",
        "": ".",
        "a/b@x.example": ".",
        "12345@qq.example": "D",  # of which postgrey keeps no more than #@qq.example
    }
    latest = START + 29 * DAY
    with Postgrey(str(find_program("postgrey")), tmp_path, no_lists) as theirs:
        for number, sender in enumerate(senders):
            to = f"R+x@q{number}.example"
            client = f"203.0.{number}.5"
            for at in (latest, latest + 400):
                theirs.ask(at, sender=sender, recipient=to, client_address=client)
        for number in range(5):
            for at in (0, 400):
                fields = {"sender": f"{chr(97 + number)}@n.example", "client_address": "198.18.1.5"}
                theirs.ask(latest + 2 * HOUR * number + at, **fields)
        theirs.ask(latest + 20 * HOUR, sender="late@x.example", client_address="2001:db8:9::77")
    databases = [theirs.folder / name for name in ("postgrey.db", "postgrey_clients.db")]
    with Migrated(tmp_path, no_lists, databases) as ours:
        now = latest + DAY
        for number, (sender, said) in enumerate(senders.items()):
            to = f"R+x@q{number}.example"
            client = f"203.0.{number}.77"
            assert ours.ask(now, sender=sender, recipient=to, client_address=client) == said, sender
        assert ours.ask(now, sender="new@n.example", client_address="198.18.1.5") == "."
        assert ours.ask(now, sender="late@x.example", client_address="2001:db8:9::1") == "P"


class Ours(Program):
    """The program itself, with what --from-postgrey has made."""

    def __init__(self, folder: Path, options: list[str]) -> None:
        super().__init__("ours", folder)
        self.port = free_port()
        text = from_postgrey([f"--inet={self.port}", f"--dbdir={folder}", *options])
        me = [line for line in text.splitlines() if not line.startswith("user =")]
        self._config = folder / "greylist.conf"
        self._config.write_text("\n".join(me), encoding="utf-8")

    def start(self) -> None:
        self.spawn([sys.executable, "-m", "Kamaelia.Apps.Grey", "-D", "-f", self._config])
        wait_until("the door to open", self._is_open)

    def _is_open(self) -> bool:
        if not self.is_running():
            raise RuntimeError(self.output.read_text(encoding="utf-8"))
        try:
            Asked(("127.0.0.1", self.port)).close()
        except OSError:
            return False
        return True

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None


def test_the_program_runs_with_what_comes_out(tmp_path: Path, lists: list[str]) -> None:
    with Ours(tmp_path, ["--delay=1", *lists]) as program:
        asked = Asked(("127.0.0.1", program.port))
        assert asked.ask(client_name="mx.listed.example") == "."
        assert asked.ask() == "D"
        wait_until("the delay to be over", lambda: asked.ask() == "P")
        assert asked.ask(recipient="abuse@example.org") == "."
        with (tmp_path / "recipients").open("a", encoding="ascii") as file:
            file.write("late@\n")
        assert asked.ask(recipient="late@example.org") == "D"
        os.kill(program.pid, 1)  # as postgrey, it reads its lists anew
        other = iter(range(1000))
        wait_until(
            "the lists to be read",
            lambda: asked.ask(recipient=f"late+{next(other)}@q.example") == ".",
        )
        asked.close()
