"""
Ten thousand messages through each door, and not one lost or doubled
====================================================================
A real Postfix with a milter, Postfix with a policy service, sendmail with a milter, and Debian's
miltertest (a milter client that shares no code with ours) ask kamaelia-grey about each message::

    python Benchmarks/doors/ten_thousand.py
    python Benchmarks/doors/ten_thousand.py --messages 500 postfix-milter miltertest

Each message is from another sender. Clients of several addresses, some messages a session, try all
of them once, each must be greylisted, and after the delay again until each was taken. What a mail
server takes it hands to a sink, whose journal must have each once; what miltertest has accepted
must have got its header. All of it is on loopback, and needs root, as these mail servers do. The
exit code is 1 if a sum is not what it must be. Test/System has the same, with fewer messages.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

sys.path.append(str(Path(__file__).resolve().parents[2]))

from Test.System.mta_site import Door, Face, Filter, FindProgram, mail_server, pass_time
from Test.System.policy_site import Visitor
from Test.System.processes import CheckingSink, wait_until

MESSAGES = 10_000
CLIENTS = 12
A_SESSION = 8  # messages: Postfix makes a client wait that has heard more refusals than ten
ROUNDS = 5  # each message is tried so often at the most
MOST_SECONDS = 600.0  # for what was taken to arrive
RECIPIENT = "anna@example.org"
MILTERTEST = "miltertest"
WAYS = (*(face.value for face in Face), MILTERTEST)
PAUSE = 1.1  # a little more than the delay
SHOWN = 5

# Says a line for each: its number, what RCPT was told, and for a message whether the header came.
SCRIPT = """
conn = mt.connect("inet:" .. port .. "@127.0.0.1", 50, 0.1)
if conn == nil then error "no connection" end
local function must(what, problem)
  if problem ~= nil then error(what .. ": " .. problem) end
end
must("connect", mt.conninfo(conn, "client.x.test", client))
must("helo", mt.helo(conn, "client.x.test"))
for number in string.gmatch(numbers, "%d+") do
  must("macro", mt.macro(conn, SMFIC_MAIL, "i", "Q" .. number))
  must("mail", mt.mailfrom(conn, "<s" .. number .. "@example.net>"))
  must("rcpt", mt.rcptto(conn, "<anna@example.org>"))
  local told = mt.getreply(conn)
  if told == SMFIR_REPLYCODE then
    mt.echo(number .. " deferred")
  elseif told == SMFIR_CONTINUE then
    must("end", mt.eom(conn))
    local last = mt.getreply(conn)
    local good = last == SMFIR_CONTINUE or last == SMFIR_ACCEPT
    good = good and mt.eom_check(conn, MT_HDRADD, "X-Greylist")
    mt.echo(number .. (good and " taken" or " bad"))
  else
    mt.echo(number .. " bad")
  end
  must("abort", mt.abort(conn))
end
must("disconnect", mt.disconnect(conn))
"""

Try = Callable[[str, list[int]], list[tuple[int, str]]]


@dataclass(slots=True)
class Account:
    """What became of the messages of one way."""

    way: str
    messages: int
    seconds: float = 0.0
    attempts: int = 0
    greylisted: int = 0
    first: Counter[str] = field(default_factory=Counter)
    taken: Counter[int] = field(default_factory=Counter)
    arrived: Counter[int] = field(default_factory=Counter)
    strange: list[str] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        """What must not be; empty if all is well."""
        lost = [number for number in self.taken if not self.arrived[number]]
        doubled = [number for number in self.arrived if self.arrived[number] > 1]
        unasked = [number for number in self.arrived if not self.taken[number]]
        never = [number for number in range(self.messages) if not self.taken[number]]
        twice = [number for number in self.taken if self.taken[number] > 1]
        sums: dict[str, Sequence[object]] = {
            "lost": lost,
            "doubled": doubled,
            "there, though never taken": unasked,
            "never taken": never,
            "taken twice": twice,
            "strange answers": self.strange,
        }
        found = [f"{self.way}: {len(of)} {what}: {of[:SHOWN]}" for what, of in sums.items() if of]
        if self.first != {"deferred": self.messages}:
            found.append(f"{self.way}: at the first try {dict(self.first)}")
        return found

    def __str__(self) -> str:
        once = sum(times == 1 for times in self.arrived.values())
        return (
            f"{self.way:16} messages {self.messages:,}, attempts {self.attempts:,}, greylisted "
            f"{self.greylisted:,}, taken {sum(self.taken.values()):,}, arrived "
            f"{sum(self.arrived.values()):,}, once each {once:,}; {self.seconds:.1f} s"
        )


def carry(account: Account, attempt: Try, clients: int = CLIENTS) -> None:
    """Try each message until it is taken, first all of them once. attempt: tries these numbers as
    the client of that address, and says `deferred`, `taken` or what else became of each."""
    waiting = list(range(account.messages))
    for turn in range(ROUNDS):
        over = monotonic() + PAUSE  # the first that is tried may be tried again
        heaps = [
            (f"127.0.{12 + start // A_SESSION % 40}.1", waiting[start : start + A_SESSION])
            for start in range(0, len(waiting), A_SESSION)
        ]
        deferred = []
        with ThreadPoolExecutor(clients) as pool:
            for outcome in pool.map(lambda heap: attempt(*heap), heaps):
                for number, became in outcome:
                    account.attempts += 1
                    if not turn:
                        account.first[became] += 1
                    if became == "deferred":
                        account.greylisted += 1
                        deferred.append(number)
                    elif became == "taken":
                        account.taken[number] += 1
                    else:
                        account.strange.append(f"{number}: {became}")
        waiting = deferred
        if not waiting:
            return
        pass_time(over - monotonic())


def letter(number: int) -> bytes:
    return (
        f"From: <s{number}@example.net>\r\nTo: <{RECIPIENT}>\r\nSubject: number {number}\r\n"
        f"X-Id: {number}\r\n\r\n{'a line of the body' * 4}\r\n"
    ).encode("ascii")


def smtp_attempt(port: int) -> Try:
    """To a mail server: several messages a session, in each RSET after a deferral."""

    def attempt(source: str, numbers: list[int]) -> list[tuple[int, str]]:
        with Visitor(("127.0.0.1", port), source) as client:
            assert client.ask("EHLO client.x.test").code == 250
            outcome = [(number, one_mail(client, number)) for number in numbers]
            client.ask("QUIT")
        return outcome

    return attempt


def one_mail(client: Visitor, number: int) -> str:
    answer = client.ask(f"MAIL FROM:<s{number}@example.net>")
    if answer.code == 250:
        answer = client.to(RECIPIENT)
    if answer.code == 250:
        answer = client.send(letter(number))
        return "taken" if answer.code == 250 else f"{answer.code} {answer.text}"
    client.ask("RSET")
    greylisted = answer.code in (450, 451) and "Greylisting in action" in answer.text
    return "deferred" if greylisted else f"{answer.code} {answer.text}"


def miltertest_attempt(program: Path, script: Path, port: int) -> Try:
    """By miltertest: a process a session."""

    def attempt(source: str, numbers: list[int]) -> list[tuple[int, str]]:
        listed = ",".join(map(str, numbers))
        words = [f"port={port}", f"client={source}", f"numbers={listed}"]
        options = [part for word in words for part in ("-D", word)]
        done = subprocess.run(
            [str(program), *options, "-s", str(script)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        said = [line.partition(" ") for line in done.stdout.splitlines()]
        outcome = [(int(number), became) for number, _, became in said if number.isdigit()]
        if done.returncode != 0 or len(outcome) != len(numbers):
            outcome.append((numbers[0], f"miltertest ended with {done.returncode} {done.stderr}"))
        return outcome

    return attempt


def through_mail_server(
    account: Account, face: Face, find_program: FindProgram, folder: Path
) -> None:
    door = Door(face)
    with (
        CheckingSink(folder) as sink,
        Filter(folder, door),
        mail_server(door, find_program, sink.port, folder) as server,
    ):
        began = monotonic()
        carry(account, smtp_attempt(server.port))
        arrives(account, sink, folder / "journal")
        account.seconds = monotonic() - began


def arrives(account: Account, sink: CheckingSink, journal: Path) -> None:
    """Wait till all that was taken is there, and a moment more for what should not come."""
    wanted = sum(account.taken.values())

    def there() -> bool:
        return journal.read_bytes().count(b"\n") >= wanted

    with contextlib.suppress(TimeoutError):  # then the account says what is not there
        wait_until("all to arrive", there, MOST_SECONDS)
    pass_time(PAUSE)
    kept = sink.kept()
    account.strange += [f"fault: {entry['fault']}" for entry in kept if "fault" in entry]
    account.arrived.update(int(entry["id"]) for entry in kept if "fault" not in entry)


def through_miltertest(account: Account, find_program: FindProgram, folder: Path) -> None:
    door = Door(Face.POSTFIX_MILTER)
    script = folder / "attempts.lua"
    script.write_text(SCRIPT, encoding="ascii")
    with Filter(folder, door):
        began = monotonic()
        attempt = miltertest_attempt(find_program(MILTERTEST), script, door.port)
        carry(account, attempt)
        account.arrived = Counter(account.taken)  # there is no server behind it
        account.seconds = monotonic() - began


def run(way: str, messages: int, find_program: FindProgram, folder: Path) -> Account:
    """Send so many messages that way; folder: an empty one for all that is written."""
    account = Account(way, messages)
    if way == MILTERTEST:
        through_miltertest(account, find_program, folder)
    else:
        through_mail_server(account, Face(way), find_program, folder)
    return account


def _find(name: str) -> Path:
    unpacked = Path(sys.prefix) / "peers" / name
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if unpacked.is_dir() or found is None:
        return unpacked
    return Path(found)


@contextlib.contextmanager
def a_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="grey-doors-") as name:
        yield Path(name)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().partition("\n")[0])
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("ways", nargs="*", metavar="WAY", help=", ".join(WAYS))
    options = parser.parse_args()
    if unknown := set(options.ways) - set(WAYS):
        parser.error(f"no such way: {', '.join(sorted(unknown))}")
    if not 1 <= options.messages <= 100_000:
        parser.error("--messages is from 1 to 100000")
    problems = []
    for way in options.ways or WAYS:
        with a_folder() as folder:
            account = run(way, options.messages, _find, folder)
        print(account, flush=True)
        problems += account.problems
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
