"""
Many sessions through the proxy while something fails
=====================================================
A `World` has the proxy, its mail servers (checking_sink.py, which journals before it says 250) and
two relays that know where in the dialogue each connection is: one between clients and proxy, one
between proxy and server::

    async with World(folder) as world:
        run = await world.send(200, Fault(Kind.CUT, Side.BACK, Point.DOT))
        assert run.problems() == []

Clients are patient: each sends its mail again until it gets 250. A `Run` then has all they were
told and all that the servers hold, and says what does not fit: a mail that is missing, there more
often than the client can account for, changed, or only half there.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import signal
from collections import Counter
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from time import monotonic
from typing import Any, Self

from Test.System.clients import LOST, NO_ANSWER, Answer, Mail, stuffed
from Test.System.cutting_relay import CuttingRelay, Link, Point
from Test.System.processes import FRIEND, CheckingSink, Grey, Program

ANSWER_SECONDS = 30.0
TAKEN_SECONDS = 40.0  # until each mail must have been taken
STOPPED_SECONDS = 0.3
PIECE_SECONDS = 0.02  # between the pieces of a message
LARGE = 100_000  # bytes more than the others has one mail of 25
HOST = "127.0.0.1"
LATE = (Point.DOT, Point.REPLY, Point.ANSWERED)

Address = tuple[str, int]


class Kind(Enum):
    """What happens."""

    KILL = "killed"
    STOP = "stopped for a while"
    CUT = "cut"
    SLOW = "slow"


class Side(Enum):
    """Where: FRONT is the proxy, or a client's connection to it; BACK the mail server, or the
    proxy's connection to it."""

    FRONT = "front"
    BACK = "back"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault at one place; of a process once in a run, of connections again and again.

    after: so many connections have reached the place when the process is struck. each: of so many
    connections that reach it one is cut, or slow."""

    kind: Kind
    side: Side
    point: Point
    after: int = 20
    each: int = 5

    @property
    def harmless(self) -> bool:
        """Nobody's mail may even be delayed by more than the pause."""
        return self.kind in (Kind.STOP, Kind.SLOW)

    @property
    def may_double(self) -> bool:
        """Whether a connection may be lost after the dot and without a reply."""
        return self.kind is Kind.KILL or (self.kind is Kind.CUT and self.point in LATE)

    def __str__(self) -> str:
        return f"{self.side.value} {self.kind.value} at {self.point.value}"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a client heard last of one attempt, and whether it had sent its dot."""

    answer: Answer
    after_dot: bool

    @property
    def unclear(self) -> bool:
        """The server may have the message, and the client cannot know."""
        return self.after_dot and (self.answer.code == 0 or LOST in self.answer.text)


@dataclass(slots=True)
class Run:
    """What came of one run of many sessions."""

    attempts: dict[str, list[Attempt]] = field(default_factory=dict)
    mails: dict[str, Mail] = field(default_factory=dict)
    kept: list[dict[str, Any]] = field(default_factory=list)
    struck: Counter[Fault] = field(default_factory=Counter)

    @property
    def found(self) -> Counter[str]:
        """How often each mail is with the servers."""
        return Counter(entry["id"] for entry in self.kept if "id" in entry)

    @property
    def doubled(self) -> int:
        return sum(times - 1 for times in self.found.values())

    @property
    def unclear(self) -> int:
        return sum(attempt.unclear for told in self.attempts.values() for attempt in told)

    @property
    def codes(self) -> Counter[int]:
        """How often each code ended an attempt; 0 is a connection that was lost."""
        return Counter(each.answer.code for told in self.attempts.values() for each in told)

    def problems(self) -> list[str]:
        """A line for whatever does not fit; nothing: no mail was lost, doubled or harmed."""
        wrong = [f"broke the rules: {entry}" for entry in self.kept if "fault" in entry]
        wrong += [
            f"damaged, or never sent: {entry}"
            for entry in self.kept
            if "id" in entry and not is_whole(self.mails.get(entry["id"]), entry)
        ]
        found = self.found
        for name, told in self.attempts.items():
            taken = sum(attempt.answer.code == 250 for attempt in told)
            unclear = sum(attempt.unclear for attempt in told)
            if not taken:
                wrong.append(f"{name}: never taken, {told[-3:]}")
            elif not taken <= found[name] <= taken + unclear:
                wrong.append(f"{name}: there {found[name]} times, {told}")
        return wrong


def is_whole(mail: Mail | None, entry: dict[str, Any]) -> bool:
    """Whether the server has this mail as it was sent, to the last byte."""
    if mail is None:
        return False
    content = mail.content()
    facts = {
        "id": mail.name,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "from": f"<{mail.sender}>",
        "to": [f"<{mail.recipient}>"],
    }
    return entry == facts


# ---- clients


async def attempt(address: Address, mail: Mail, source: str = "") -> Attempt:
    """Send a mail once, as a mail server does."""
    writer: asyncio.StreamWriter | None = None
    sent: list[bool] = []
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            local = (source, 0) if source else None
            reader, writer = await asyncio.open_connection(*address, local_addr=local)
            return Attempt(await _converse(reader, writer, mail, sent), bool(sent))
    except (OSError, asyncio.IncompleteReadError, TimeoutError):
        return Attempt(NO_ANSWER, bool(sent))
    finally:
        if writer is not None:
            writer.transport.abort()


async def _converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mail: Mail, sent: list[bool]
) -> Answer:
    async def ask(data: bytes) -> Answer:
        writer.write(data)
        await writer.drain()
        return await _reply(reader)

    answer = await _reply(reader)
    commands = (
        "EHLO client.example.net",
        f"MAIL FROM:<{mail.sender}>",
        f"RCPT TO:<{mail.recipient}>",
    )
    for command in commands:
        if answer.code // 100 == 2:
            answer = await ask(f"{command}\r\n".encode())
    if answer.code == 250:
        answer = await ask(b"DATA\r\n")
    if answer.code == 354:
        wire = stuffed(mail.content())
        half = len(wire) // 2
        for piece in (
            wire[:half],
            wire[half:-3],
        ):  # else all of it comes in one piece, with its dot
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(PIECE_SECONDS)
        sent.append(True)
        answer = await ask(b".\r\n")
    # The answer counts, whatever becomes of the farewell.
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        await ask(b"QUIT\r\n")
    return answer


async def _reply(reader: asyncio.StreamReader) -> Answer:
    lines = []
    while True:
        line = await reader.readuntil(b"\r\n")
        lines.append(line[4:-2].decode("utf-8", "replace"))
        if line[3:4] != b"-":
            return Answer(int(line[:3]), "\n".join(lines))


# ---- the world


async def _enter(stack: AsyncExitStack, program: Program) -> None:
    """Start it, and end it with the stack; in a thread, since meanwhile the relays must work."""
    await asyncio.to_thread(program.start)
    stack.push_async_callback(asyncio.to_thread, program.__exit__, None, None, None)


class World:
    """World(folder, servers=1, **settings) -> proxy, mail servers and relays, in an `async with`.

    With several servers each has the priority of its place, so the first is used while it can be.
    settings: of the proxy."""

    def __init__(self, folder: Path, servers: int = 1, **settings: object) -> None:
        self._folder = folder
        self._settings = settings
        self._faults: dict[Side, list[Fault]] = {Side.FRONT: [], Side.BACK: []}
        self._reached: Counter[Fault] = Counter()
        self._run = Run()
        self._later: set[asyncio.Task[None]] = set()
        self._dead: set[Program] = set()  # killed, and not yet started again
        self._runs = 0
        self.sinks: list[CheckingSink] = []
        for number in range(servers):
            place = folder / f"server{number}"
            place.mkdir()
            self.sinks.append(CheckingSink(place))
        self.backs = [CuttingRelay((HOST, sink.port), self._at_back(sink)) for sink in self.sinks]

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for sink, back in zip(self.sinks, self.backs, strict=True):
                await _enter(stack, sink)
                await stack.enter_async_context(back)
            settings = {"max_client_connections": 0, **self._several(), **self._settings}
            self.grey = Grey(self._folder, self.backs[0].address[1], HOST, **settings)
            await _enter(stack, self.grey)
            self.front = await stack.enter_async_context(
                CuttingRelay(self.grey.address, self._at_front, FRIEND)
            )
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def _several(self) -> dict[str, object]:
        if len(self.backs) == 1:
            return {}
        rows = tuple(
            f"{HOST} {back.address[1]} {number} *"
            for number, back in enumerate(self.backs, start=1)
        )
        return {"backends": rows}

    # ---- for the test

    async def send(self, count: int, *faults: Fault, size: int = 1_000) -> Run:
        """So many sessions at once, with these faults; returns when each mail was taken."""
        self._runs += 1
        run = self._run = Run()
        self._reached.clear()
        before = [len(sink.kept()) for sink in self.sinks]
        for side, armed in self._faults.items():
            armed[:] = [fault for fault in faults if fault.side is side]
        for number in range(count):
            name = f"r{self._runs}m{number}"
            more = LARGE if number % 25 == 0 else number % 7 * 300
            run.mails[name] = Mail(name, size + more)
        through = any(fault.side is Side.FRONT for fault in faults)
        until = monotonic() + TAKEN_SECONDS
        await asyncio.gather(*(self._insist(m, through, until) for m in run.mails.values()))
        for armed in self._faults.values():
            armed.clear()
        if self._later:
            await asyncio.gather(*self._later)
        for sink, size_before in zip(self.sinks, before, strict=True):
            run.kept += sink.kept()[size_before:]
        return run

    async def serves(self) -> Answer:
        """What the next client hears."""
        self._runs += 1
        return (await attempt(self.grey.address, Mail(f"r{self._runs}"), FRIEND)).answer

    async def _insist(self, mail: Mail, through: bool, until: float) -> None:
        told = self._run.attempts[mail.name] = []
        while True:
            if through:
                told.append(await attempt(self.front.address, mail))
            else:
                told.append(await attempt(self.grey.address, mail, FRIEND))
            if told[-1].answer.code == 250 or monotonic() > until:
                return
            await asyncio.sleep(0.1)
            while self.grey in self._dead:  # else all is over before it can be struck again
                await asyncio.sleep(0.05)

    # ---- faults

    async def _at_front(self, point: Point, link: Link) -> None:
        for fault in self._faults[Side.FRONT]:
            if fault.point is point:
                self._strike(fault, link, self.grey)

    def _at_back(self, sink: CheckingSink) -> Any:  # noqa: ANN401 - what a relay takes
        async def reached(point: Point, link: Link) -> None:
            for fault in self._faults[Side.BACK]:
                if fault.point is point:
                    self._strike(fault, link, sink)

        return reached

    def _strike(self, fault: Fault, link: Link, program: Program) -> None:
        self._reached[fault] += 1
        reached = self._reached[fault]
        match fault.kind:
            case Kind.CUT | Kind.SLOW if reached % fault.each:
                return
            case Kind.CUT:
                link.cut()
            case Kind.SLOW:
                link.slow = True
            case Kind.KILL | Kind.STOP if (
                reached < fault.after or program in self._dead or self._run.struck[fault]
            ):
                return
            case Kind.KILL:
                os.kill(program.pid, signal.SIGKILL)
                self._dead.add(program)
                self._do_later(self._restart(program))
            case Kind.STOP:
                os.kill(program.pid, signal.SIGSTOP)
                self._do_later(self._let_go_on(program.pid))
        self._run.struck[fault] += 1

    def _do_later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _restart(self, program: Program) -> None:
        await asyncio.to_thread(program.kill)
        await asyncio.to_thread(program.start)
        self._dead.discard(program)

    async def _let_go_on(self, pid: int) -> None:
        await asyncio.sleep(STOPPED_SECONDS)
        with contextlib.suppress(ProcessLookupError):  # it was killed meanwhile
            os.kill(pid, signal.SIGCONT)
