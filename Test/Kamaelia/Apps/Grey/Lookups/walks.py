"""
A DNS without sockets for tests of walks: what it knows is a table.

    dns = Table({("7.2.0.192.in-addr.arpa", "PTR"): ["mx.example.test"]})
    answer, seconds = dns.walk(host_name(HostName("192.0.2.7")))
"""

from collections.abc import Mapping, Sequence
from typing import Any

from Kamaelia.Support.Protocol.DNS.Messages import Answer, Failure, Question, Record

Known = Mapping[tuple[str, str], Sequence[Record] | Failure]


class Table:
    """Table(known) -> `walk(steps)` gives what they return; `asked`: all that they wanted. What is
    not in there does not exist; `ttls`: by name, where it is not 300."""

    def __init__(self, known: Known, ttls: Mapping[str, int] | None = None) -> None:
        self.known, self.ttls = known, ttls or {}
        self.asked: list[tuple[str, str]] = []

    def walk(self, steps: Any) -> tuple[Any, float]:  # noqa: ANN401 - of any walk
        answers: list[Answer] | None = None
        try:
            while True:
                wanted = steps.send(answers)
                self.asked += wanted
                answers = [self.answer(name, kind) for name, kind in wanted]
        except StopIteration as end:
            found: tuple[Any, float] = end.value
            return found

    def answer(self, name: str, kind: str) -> Answer:
        question = Question(name, kind)
        found = self.known.get((name, kind), Failure.NXDOMAIN)
        if isinstance(found, Failure):
            return Answer(question, failure=found, ttl=0 if found.temporary else 300)
        return Answer(question, tuple(found), self.ttls.get(name, 300))
