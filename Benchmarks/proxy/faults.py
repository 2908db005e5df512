"""
Faults by chance, for as long as one likes
==========================================
200 patient clients at a time send mail through the proxy while mail servers and the proxy are
killed (kill -9) and stopped, and connections are cut and slowed, at places of the dialogue that
chance has chosen::

    python Benchmarks/proxy/faults.py --minutes 10
    python Benchmarks/proxy/faults.py --seed 1234 --worlds 1        one world again

A world is a proxy with one to three mail servers, with or without kept connections, for ten runs.
A line for each: what was done, what the clients heard, and what did not fit. The exit code is 1 if
a mail was lost, doubled without cause, changed, or if the proxy broke. Test/System/test_Faults.py
has the same at each place in order, and Test/System/faults.py does the work.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

sys.path.append(str(Path(__file__).resolve().parents[2]))

from Test.System.cutting_relay import Point
from Test.System.faults import Fault, Kind, Run, Side, World

RUNS = 10
SESSIONS = 200
MOST_FAULTS = 6
SIZES = (1_000, 1_000, 8_000, 60_000)
SHOWN = 10  # problems of a run


@dataclass(slots=True)
class Sum:
    """What came of all runs."""

    runs: int = 0
    mails: int = 0
    doubled: int = 0
    unclear: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    problems: int = 0

    def add(self, run: Run, problems: list[str]) -> None:
        self.runs += 1
        self.mails += len(run.mails)
        self.doubled += run.doubled
        self.unclear += run.unclear
        self.codes += run.codes
        for fault, times in run.struck.items():
            self.struck[f"{fault.side.value} {fault.kind.value}"] += times
        self.problems += len(problems)

    def __str__(self) -> str:
        heard = ", ".join(f"{code}: {times:,}" for code, times in sorted(self.codes.items()))
        struck = ", ".join(f"{what}: {times:,}" for what, times in sorted(self.struck.items()))
        return (
            f"{self.runs:,} runs, {self.mails:,} mails\n"
            f"faults: {struck}\n"
            f"attempts that ended with (0: connection lost): {heard}\n"
            f"doubled: {self.doubled:,}; attempts without an answer to the dot: {self.unclear:,}\n"
            f"problems: {self.problems}"
        )


def some_faults(chance: random.Random) -> list[Fault]:
    """Faults of one run: any kinds at any places."""
    return [
        Fault(
            chance.choice(list(Kind)),
            chance.choice(list(Side)),
            chance.choice(list(Point)),
            after=chance.randrange(1, SESSIONS),
            each=chance.randrange(2, 30),
        )
        for _ in range(chance.randrange(1, MOST_FAULTS + 1))
    ]


async def live(seed: int, until: float, account: Sum) -> None:
    """One world, from its beginning to its end."""
    chance = random.Random(seed)
    servers, kept = chance.choice((1, 1, 2, 3)), chance.choice((32, 32, 0, 4))
    print(f"world {seed}: {servers} servers, {kept} connections kept", flush=True)
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        async with World(Path(folder), servers, backend_connections_kept=kept) as world:
            for _ in range(RUNS):
                if monotonic() > until:
                    return
                faults = some_faults(chance)
                run = await world.send(SESSIONS, *faults, size=chance.choice(SIZES))
                problems = run.problems()
                if (answer := await world.serves()).code != 250:
                    problems.append(f"the next client heard {answer}")
                if "Traceback" in (said := world.grey.said()):
                    problems.append(said[said.index("Traceback") :][:3_000])
                account.add(run, problems)
                struck = ", ".join(f"{fault} x {times}" for fault, times in run.struck.items())
                print(f"  {dict(run.codes)} doubled {run.doubled}; {struck or 'nothing struck'}")
                print(*(f"    PROBLEM {each}\n" for each in problems[:SHOWN]), end="", flush=True)
                if any("Traceback" in each for each in problems):
                    return  # it would be found again in each run


def main() -> int:
    parser = argparse.ArgumentParser(description="Faults by chance before and behind the proxy.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--worlds", type=int, default=1_000_000, help="at most so many")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    options = parser.parse_args()
    account, until = Sum(), monotonic() + 60.0 * options.minutes
    for number in range(options.worlds):
        if monotonic() > until:
            break
        asyncio.run(live(options.seed + number, until, account))
    print(account)
    return 1 if account.problems else 0


if __name__ == "__main__":
    sys.exit(main())
