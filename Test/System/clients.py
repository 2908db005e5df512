"""
What the system tests send, how, and the account of what they were told
=======================================================================
A Client says exactly what a test wants said. A Ledger has mails sent, many at a time, notes every
answer, and compares its account with what the server behind the proxy holds::

    ledger = Ledger(grey.address)
    ledger.send_all(mails)
    assert ledger.differences(sink.kept()) == []
"""

import base64
import contextlib
import hashlib
import random
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

from Test.System.processes import PATIENCE_SECONDS, wait_until

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply; code 0: the connection was lost and nothing is known."""

    code: int
    text: str = ""


NO_ANSWER = Answer(0)
LOST = "4.4.2 connection to the mail server lost"


@dataclass(frozen=True, slots=True)
class Mail:
    """One message; its content is made anew each time, so that thousands cost no memory."""

    name: str
    size: int = 1_000
    sender: str = "sender@example.net"
    recipient: str = "anna@example.org"

    def content(self) -> bytes:
        head = (
            f"From: <{self.sender}>\r\nTo: <{self.recipient}>\r\nSubject: {self.name}\r\n"
            f"Message-ID: <{self.name}@example.net>\r\nDate: Sat, 21 Nov 2026 09:30:00 +0000\r\n"
            f"X-Id: {self.name}\r\n\r\n"
        ).encode("ascii")
        pool = _pool()
        start = pool.find(b"\r\n", hash_of(self.name) % (len(pool) // 2)) + 2
        wanted = max(0, self.size - len(head) - 2)
        body = (pool[start:] + pool * (wanted // len(pool) + 1))[:wanted]
        return head + body.rstrip(b"\r\n") + b"\r\n"


def hash_of(text: str) -> int:
    """The same number in each run."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])


@cache
def _pool() -> bytes:
    """Lines of all that is hard: dots, blanks at the end, 8-bit characters, long, empty."""
    chance = random.Random(7)
    lines = [
        b".",
        b"..",
        b".hidden",
        b"From here",
        b"",
        b"blanks  \t",
        "grüße".encode(),
        b"x" * 990,
    ]
    for _ in range(800):
        lines.append(base64.b64encode(chance.randbytes(57)))
        if chance.random() < 0.1:
            lines.append(chance.choice(lines[:8]))
    return b"\r\n".join(lines) + b"\r\n"


def stuffed(content: bytes) -> bytes:
    """The content as it goes over the wire, with its end."""
    return (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


class Client:
    """Client(address, source="") -> an open connection whose banner was read; in a `with`."""

    def __init__(self, address: Address, source: str = "") -> None:
        self.sock = socket.create_connection(
            address, timeout=PATIENCE_SECONDS, source_address=(source, 0) if source else None
        )
        self._stream = self.sock.makefile("rb")

    def __enter__(self) -> Self:
        try:
            self.banner = self.read()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.close()
        self.sock.close()

    def read(self) -> Answer:
        """Read one reply; ConnectionError if there is none."""
        lines = []
        while True:
            line = self._stream.readline(2_000)
            if not line.endswith(b"\r\n"):
                raise ConnectionResetError(f"the connection ended after {line!r}")
            lines.append(line[4:-2].decode("utf-8", "replace"))
            if line[3:4] != b"-":
                return Answer(int(line[:3]), "\n".join(lines))

    def say(self, *lines: str) -> None:
        """Send these lines in one packet."""
        self.sock.sendall("".join(f"{line}\r\n" for line in lines).encode("utf-8"))

    def ask(self, line: str) -> Answer:
        self.say(line)
        return self.read()

    def begin(self, sender: str, recipients: Iterable[str]) -> list[Answer]:
        """EHLO, MAIL and a RCPT each; returns the answers to the RCPTs."""
        for line in ("EHLO client.example.net", f"MAIL FROM:<{sender}>"):
            answer = self.ask(line)
            if answer.code != 250:
                return [answer]
        return [self.ask(f"RCPT TO:<{recipient}>") for recipient in recipients]

    def give(self, content: bytes) -> Answer:
        """DATA and the message; returns the last answer."""
        answer = self.ask("DATA")
        if answer.code != 354:
            return answer
        self.sock.sendall(stuffed(content))
        return self.read()


def deliver(address: Address, mail: Mail, source: str = "") -> Answer:
    """Send one mail as a mail server would; returns the answer that decides what becomes of it."""
    try:
        with Client(address, source) as client:
            answer = client.banner
            if answer.code == 220:
                answer = client.begin(mail.sender, [mail.recipient])[0]
            if answer.code == 250:
                answer = client.give(mail.content())
            with contextlib.suppress(OSError):
                client.ask("QUIT")
            return answer
    except OSError:
        return NO_ANSWER


def deliver_until_taken(address: Address, mail: Mail, source: str = "") -> list[Answer]:
    """Send it again and again, as a mail server does with its queue, till it is taken."""
    answers: list[Answer] = []

    def taken() -> bool:
        answers.append(deliver(address, mail, source))
        return answers[-1].code == 250

    wait_until(f"{mail.name} to be taken", taken)
    return answers


class Ledger:
    """Ledger(address) -> sends mails and keeps account; a mail is given up at 250 or 5xx."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._told: dict[str, list[Answer]] = {}
        self._mails: dict[str, Mail] = {}

    def send_all(
        self, mails: Sequence[Mail], at_a_time: int = 50, after: Callable[[int], None] | None = None
    ) -> None:
        """Send each once; `after` hears how many were taken, in the sender's thread."""

        def send(mail: Mail) -> None:
            answer = deliver(self._address, mail)
            self._mails[mail.name] = mail
            self._told.setdefault(mail.name, []).append(answer)
            if after is not None and answer.code == 250:
                after(len(self.taken))

        with ThreadPoolExecutor(at_a_time) as pool:
            list(pool.map(send, mails))

    @property
    def taken(self) -> set[str]:
        """Names of those that got a 250."""
        told = list(self._told.items())  # other threads add to it
        return {name for name, answers in told if any(a.code == 250 for a in answers)}

    @property
    def codes(self) -> Counter[int]:
        """How often each code was the last word about a mail."""
        return Counter(answers[-1].code for answers in self._told.values())

    def differences(self, kept: Iterable[dict[str, Any]]) -> list[str]:
        """What the server holds and should not, or does not hold and should; one text each.

        A mail may be there more often than it was taken only if there was an attempt whose outcome
        the client did not learn, since the proxy died or has lost the server."""
        found: Counter[str] = Counter()
        wrong = []
        for entry in kept:
            if "fault" in entry:
                wrong.append(f"broke the rules: {entry['fault']}")
                continue
            found[entry["id"]] += 1
            mail = self._mails.get(entry["id"])
            if mail is None or not _is_whole(mail, entry):
                wrong.append(f"damaged, or never sent: {entry}")
        for name, answers in self._told.items():
            sure = sum(answer.code == 250 for answer in answers)
            maybe = sum(answer.code == 0 or LOST in answer.text for answer in answers)
            if not sure <= found[name] <= sure + maybe:
                codes = [answer.code for answer in answers]
                wrong.append(f"{name}: answered {codes}, there {found[name]} times")
        return wrong


def _is_whole(mail: Mail, entry: dict[str, Any]) -> bool:
    content = mail.content()
    facts = {
        "id": mail.name,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "from": f"<{mail.sender}>",
        "to": [f"<{mail.recipient}>"],
    }
    return entry == facts
