"""
What the access rules cost
==========================
Asks rule sets of several sizes about subjects that differ, and prints decisions per second. Nothing
is looked up: every answer is there already, as it is when the cache has it. Time is that of the
processor, the best of three rounds.

    python Benchmarks/policy/rules.py
    python Benchmarks/policy/rules.py --seconds 1
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network
from pathlib import Path
from time import process_time

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from Kamaelia.Apps.Grey.Core.Access.Clauses import Addr, Always, Domain, From, Helo, Rcpt
from Kamaelia.Apps.Grey.Core.Access.Definitions import Definitions
from Kamaelia.Apps.Grey.Core.Access.Evaluate import RuleSet, evaluate, wanted
from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Clause, Extras, Rule, Stage
from Kamaelia.Apps.Grey.Core.Access.Subject import Mail, Session, Subject
from Kamaelia.Apps.Grey.Core.Networks import Networks

SUBJECTS = 1000
LIST = 100_000
ROUNDS = 3


def network(number: int) -> IPv4Network:
    return IPv4Network((10 << 24 | number << 8, 24))


def literal(number: int) -> Clause:
    """As sites have them: a fourth each by network, sender, recipient and name."""
    match number % 4:
        case 0:
            return Addr(Networks([network(number)]))
        case 1:
            return From([f"user{number}@example.net"])
        case 2:
            return Rcpt([f"user{number}@example.org"])
    return Domain([f"host{number}.example.com"], exact=True)


def rules_of(clauses: Iterable[Clause]) -> RuleSet:
    made = [
        Rule(Stage.RCPT, Action.WHITELIST, (clause,), Extras(), "greylist.conf", line, str(line))
        for line, clause in enumerate([*clauses, Always()], 1)
    ]
    return RuleSet(made, Definitions())


def subjects() -> list[Subject]:
    """Strangers, of whom one in ten is in some rule."""
    made = []
    for number in range(SUBJECTS):
        session = Session(f"10.200.{number // 256}.{number % 256}", f"mx{number}.example.edu")
        sender = f"<user{number + 1}@example.net>" if number % 10 == 0 else f"<s{number}@x.edu>"
        made.append(Subject(session, Mail(sender), f"<r{number}@example.org>", now=0.0))
    return made


SETS: dict[str, Callable[[], RuleSet]] = {
    "1 rule": lambda: rules_of([literal(0)]),
    "100 rules": lambda: rules_of(map(literal, range(100))),
    "5,000 rules": lambda: rules_of(map(literal, range(5000))),
    "100 rules without a literal": lambda: rules_of(Helo([f"h{n}"]) for n in range(100)),
    "1 list of 100,000 networks": lambda: rules_of([Addr(Networks(map(network, range(LIST))))]),
    "1 list of 100,000 senders": lambda: rules_of([From([f"u{n}@x.org" for n in range(LIST)])]),
    "1 list of 100,000 names": lambda: rules_of([Domain([f"h{n}.org" for n in range(LIST)], True)]),
}


def decide(rules: RuleSet, subject: Subject) -> None:
    """As the engine does: what is wanted first, then the ruling."""
    wanted(rules, Stage.RCPT, subject)
    for question in evaluate(rules, Stage.RCPT, subject):
        raise SystemExit(f"nothing should be looked up: {question}")


def per_second(rules: RuleSet, about: list[Subject], seconds: float) -> float:
    start, done = process_time(), 0
    while True:
        for subject in about:
            decide(rules, subject)
        done += len(about)
        spent = process_time() - start
        if spent >= seconds:
            return done / spent


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    options.add_argument("--seconds", type=float, default=0.5, help="for each of the rows")
    seconds = options.parse_args().seconds
    about = subjects()
    print("| rules | to make ready, ms | decisions/s | us a decision |\n|---|--:|--:|--:|")
    for name, make in SETS.items():
        start = process_time()
        rules = make()
        ready = (process_time() - start) * 1000
        rate = max(per_second(rules, about, seconds / ROUNDS) for _ in range(ROUNDS))
        print(f"| {name} | {ready:,.1f} | {rate:,.0f} | {1e6 / rate:.1f} |")


if __name__ == "__main__":
    main()
