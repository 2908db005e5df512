"""Whole histories: a sender that keeps coming to any of several machines, whose lines take their
time, come twice and in any order, and whose clocks and settings differ."""

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Core.Decide import with_triplet
from Kamaelia.Apps.Grey.Core.Merge import merge
from Kamaelia.Apps.Grey.Core.PeerNews import State, state_of
from Kamaelia.Apps.Grey.Core.Rules import Rules
from Kamaelia.Apps.Grey.Core.Types import Decided, Policy, Record, Triplet, Verdict
from Kamaelia.Apps.Grey.Sync.Hearing import Hearing, date_of
from Kamaelia.Apps.Grey.Sync.Telling import Telling
from Kamaelia.Support.Protocol.MXSync.Commands import Command, Flush
from Test.Kamaelia.Apps.Grey.Sync.machines import CLIENT, EPOCH, RECIPIENT, SENDER, attempt_of
from Test.Kamaelia.Apps.Grey.Sync.machines import triplet_of as key_of

TRIPLET = key_of(CLIENT, SENDER, RECIPIENT)
HOUR = 3600


def triplet_of(*_: str) -> Triplet:
    return TRIPLET


@dataclass
class Machine:
    policy: Policy
    skew: int
    record: Record | None = None
    on_their_way: list[tuple[int, Command]] = field(default_factory=list)  # when they come

    def __post_init__(self) -> None:
        self.rules = Rules(self.policy)
        self.telling = Telling(triplet_of)
        self.hearing = Hearing(triplet_of, self.policy.lifetimes, self.policy.delay_seconds)

    def attempt(self, now: int) -> tuple[Verdict, list[Command]]:
        decision = with_triplet(TRIPLET, self.record, self.rules, now + self.skew)
        self._keep(decision.record)
        decided = Decided(attempt_of(), decision, float(now + self.skew))
        return decision.verdict, self.telling.commands_for(decided)

    def hear(self, now: int) -> None:
        come = [command for at, command in self.on_their_way if at <= now]
        self.on_their_way = [each for each in self.on_their_way if each[0] > now]
        for command in come:
            assert not isinstance(command, Flush)
            record = self.hearing.record(command, self.record, now + self.skew, "a peer")
            if record is not None:
                self.telling.remember(TRIPLET, command.address, date_of(command, record))
            self._keep(record)

    def _keep(self, news: Record | None) -> None:
        if news is not None:
            self.record = news if self.record is None else merge(self.record, news)

    def state(self) -> State | None:
        return None if self.record is None else state_of(self.record)


class History:
    """`longest`: for how long the sender had to come again until somebody let it in."""

    def __init__(
        self, chance: random.Random, machines: list[Machine], late: tuple[int, ...]
    ) -> None:
        self.machines, self.longest = machines, 0
        self._chance, self._late = chance, late

    def play(self, retry: int, end: int) -> None:
        now, since = EPOCH, None
        while now < EPOCH + end:
            for machine in self.machines:
                machine.hear(now)
            one = self._chance.choice(self.machines)
            verdict, commands = one.attempt(now)
            self._tell(one, commands, now)
            since = now if since is None else since
            if verdict is Verdict.PASS:
                self.longest = max(self.longest, now - since)
                since = None
                now += self._chance.choice((1, 60, 500, 4_000))
            else:
                now += retry
        if since is not None:
            self.longest = max(self.longest, now - since)
        for machine in self.machines:
            self._chance.shuffle(machine.on_their_way)
            machine.hear(now + max(self._late))

    def _tell(self, one: Machine, commands: list[Command], now: int) -> None:
        for command in commands:
            for other in self.machines:
                if other is not one:
                    for _ in range(self._chance.choice((1, 1, 2))):
                        late = self._chance.choice(self._late)
                        other.on_their_way.append((now + late, command))


@pytest.mark.parametrize(
    ("delays", "passes", "skews", "late"),
    [
        ((60,), (36_000,), (0,), (0, 1)),
        ((60, 300, 1_800), (9_000, 36_000), (0, 5), (0, 5, 700)),
        ((60, 600), (36_000,), (0, HOUR, -2 * HOUR), (0, 1, 700)),
    ],
)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(2, 4),
    retry=st.sampled_from((61, 120, 300)),
)
@settings(max_examples=40, deadline=None)
def test_whoever_comes_again_gets_in_and_all_agree(
    delays: tuple[int, ...],
    passes: tuple[int, ...],
    skews: tuple[int, ...],
    late: tuple[int, ...],
    seed: int,
    count: int,
    retry: int,
) -> None:
    chance = random.Random(seed)
    machines = [
        Machine(
            Policy(
                delay_seconds=chance.choice(delays),
                window_seconds=100_000,
                pass_seconds=chance.choice(passes),
            ),
            chance.choice(skews),
        )
        for _ in range(count)
    ]
    history = History(chance, machines, late)
    history.play(retry, 20_000)
    # Once all have heard of the first try nobody begins anew: then the longest delay, by the clock
    # that is furthest ahead as seen from the one that is furthest behind.
    assert history.longest <= max(late) + max(delays) + max(skews) - min(skews) + retry
    assert len({machine.state() for machine in machines}) == 1
