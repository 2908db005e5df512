"""DumpFile and DumpService: the dump is whole or as it was, and nobody waits for it."""

import doctest
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from Axon.Component import component
from Axon.Ipc import producerFinished
from Axon.Testing import FakeClock, virtual_scheduler
from Kamaelia.Apps.Grey.Core.Types import Lifetimes, Query, Record, Remember, Triplet
from Kamaelia.Apps.Grey.Store import DumpFile
from Kamaelia.Apps.Grey.Store.DumpFile import DumpPlan, opened_with_dump, written
from Kamaelia.Apps.Grey.Store.DumpService import DumpService
from Kamaelia.Apps.Grey.Store.Interface import Store, StoreError
from Kamaelia.Apps.Grey.Store.Keeper import StoreKeeper
from Kamaelia.Apps.Grey.Store.Memory import MemoryStore
from Kamaelia.Apps.Grey.Store.Requests import DumpNow
from Kamaelia.Apps.Grey.Store.StoreService import StoreService
from Test.Kamaelia.shutdown import Ends

NOW = 1_740_000_000
DAY = 24 * 3600
LIFETIMES = Lifetimes(window_seconds=DAY, pass_seconds=36 * DAY)
GREY = Record.started(now=NOW, delay=60)

SHUTDOWN = {
    DumpService: Ends(
        None, why="it waits for a store service at its end: test_the_last_dump_is_always_made"
    )
}


def key(number: int) -> Triplet:
    return Triplet("192.0.2.0/24", f"sender{number:06}@example.net", "b@example.org")


def filled(count: int) -> MemoryStore:
    store = MemoryStore()
    for number in range(count):
        store.merge(key(number), GREY)
    return store


def records_in(path: Path) -> int:
    lines = path.read_text().splitlines()
    return sum(not line.startswith("#") and bool(line.strip()) for line in lines)


@pytest.fixture
def plan(tmp_path: Path) -> DumpPlan:
    return DumpPlan(tmp_path / "greylist.db", prefix4=24)


# --- the file ---


def test_it_is_written_in_slices_beside_and_then_gets_its_name(plan: DumpPlan) -> None:
    plan.path.write_text("as it was")
    steps = written(plan, filled(1200).scan(), NOW)
    next(steps)
    next(steps)
    (beside,) = [each for each in plan.path.parent.iterdir() if each != plan.path]
    assert beside.name.startswith("greylist.db-")
    assert len(beside.name) == len("greylist.db-XXXXXXXX")
    assert beside.stat().st_mode & 0o777 == 0o600
    assert plan.path.read_text() == "as it was"
    for _ in steps:
        pass
    assert records_in(plan.path) == 1200
    assert plan.path.stat().st_mode & 0o777 == 0o600
    assert list(plan.path.parent.iterdir()) == [plan.path]


def test_the_mode_is_as_asked_for_and_one_folder_is_made(tmp_path: Path) -> None:
    plan = DumpPlan(tmp_path / "grey" / "greylist.db", mode=0o640)
    list(written(plan, filled(1).scan(), NOW))
    assert plan.path.stat().st_mode & 0o777 == 0o640


def test_given_up_in_the_middle_nothing_is_left_of_it(plan: DumpPlan) -> None:
    plan.path.write_text("as it was")
    steps = written(plan, filled(5000).scan(), NOW)
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert list(plan.path.parent.iterdir()) == [plan.path]
    assert plan.path.read_text() == "as it was"


def test_an_empty_store_takes_in_the_dump(plan: DumpPlan, caplog: pytest.LogCaptureFixture) -> None:
    list(written(plan, filled(9000).scan(), NOW))
    with plan.path.open("a") as file:
        file.write("bad \x1b line\n" * 20)
    with caplog.at_level(logging.INFO):
        store = opened_with_dump(MemoryStore, plan, lambda: NOW)
    found = dict(store.scan())
    assert found.keys() == {key(n) for n in range(9000)}
    assert {record.due for record in found.values()} == {NOW + 60}
    assert "9000 records read, 20 lines skipped" in caplog.text
    assert len([one for one in caplog.records if one.levelno == logging.WARNING]) == DumpFile.TOLD
    assert "\x1b" not in caplog.text


def test_a_store_with_something_in_it_is_left_alone(plan: DumpPlan) -> None:
    plan.path.write_text("192.0.2.7 <a@b> <c@d> 1000 AUTO\n")
    assert opened_with_dump(lambda: filled(1), plan, lambda: NOW).count() == 1


def test_without_a_dump_or_with_one_that_cannot_be_read_the_store_is_empty(
    plan: DumpPlan, caplog: pytest.LogCaptureFixture
) -> None:
    assert opened_with_dump(MemoryStore, plan, lambda: NOW).count() == 0
    assert not caplog.records
    plan.path.mkdir()
    assert opened_with_dump(MemoryStore, plan, lambda: NOW).count() == 0
    assert "starting with an empty greylist" in caplog.text


def test_a_fault_while_it_is_taken_in_closes_the_store(plan: DumpPlan) -> None:
    closed = []

    class Broken(MemoryStore):
        def count(self) -> int:
            raise ZeroDivisionError

        def close(self) -> None:
            closed.append(1)

    with pytest.raises(ZeroDivisionError):
        opened_with_dump(Broken, plan, lambda: NOW)
    assert closed == [1]


# --- the keeper ---


class Nobody:
    inboxes: dict[str, object] = {}


class World:
    def __init__(self, store: Store) -> None:
        self.time = 1000.0
        self.keeper = StoreKeeper(
            lambda: store,
            LIFETIMES,
            clock=lambda: NOW + self.time,
            monotonic=lambda: self.time,
            sweep_interval=DAY,
        )

    def dump(self, plan: DumpPlan) -> list[bool]:
        """Ask for one; whether each that was reported has failed."""
        self.keeper.serve([DumpNow(plan, (Nobody(), "box"))])  # type: ignore[arg-type]
        for _ in range(1000):
            if self.keeper.housekeep() > 0 and self.keeper.reports:
                break
            self.time += 0.1
        reports = list(self.keeper.reports)
        self.keeper.reports.clear()
        return [report.failed for report in reports]


def test_only_what_has_changed_is_written_again(plan: DumpPlan) -> None:
    world = World(filled(3))
    assert world.dump(plan) == [False]
    assert records_in(plan.path) == 3
    plan.path.write_text("untouched")
    assert world.dump(plan) == [False]
    assert plan.path.read_text() == "untouched"
    world.keeper.serve([Remember(key(9), GREY)])
    assert world.dump(plan) == [False]
    assert records_in(plan.path) == 4
    plan.path.unlink()
    assert world.dump(plan) == [False]
    assert records_in(plan.path) == 4


def test_with_others_at_the_store_it_is_written_in_any_case(tmp_path: Path) -> None:
    plan = DumpPlan(tmp_path / "greylist.db", always=True)
    store = filled(1)
    world = World(store)
    assert world.dump(plan) == [False]
    store.merge(key(5), GREY)
    assert world.dump(plan) == [False]
    assert records_in(plan.path) == 2


def test_between_slices_requests_are_served(plan: DumpPlan) -> None:
    world = World(filled(3000))
    world.keeper.serve([DumpNow(plan, (Nobody(), "box"))])  # type: ignore[arg-type]
    assert world.keeper.housekeep() == 0.0
    assert not world.keeper.reports
    (answer,) = world.keeper.serve([Query(key(1), (Nobody(), "box"))])  # type: ignore[arg-type]
    assert answer.record == GREY  # type: ignore[union-attr]
    while world.keeper.housekeep() == 0.0:
        pass
    assert [report.failed for report in world.keeper.reports] == [False]
    assert records_in(plan.path) == 3000


def test_a_dump_that_fails_is_told_once_a_minute_and_tried_again(
    plan: DumpPlan, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(filled(3))
    plan.path.mkdir()
    (plan.path / "in the way").touch()
    assert [world.dump(plan) for _ in range(3)] == [[True]] * 3
    assert caplog.text.count("could not be written") == 1
    world.time += 61
    assert world.dump(plan) == [True]
    assert caplog.text.count("could not be written") == 2
    (plan.path / "in the way").unlink()
    plan.path.rmdir()
    assert world.dump(plan) == [False]
    assert records_in(plan.path) == 3
    assert list(plan.path.parent.iterdir()) == [plan.path]


def test_of_a_store_that_cannot_be_opened_there_is_no_dump_and_nobody_waits(
    plan: DumpPlan,
) -> None:
    def broken() -> Store:
        raise StoreError("/disk: broken")

    keeper = StoreKeeper(broken, LIFETIMES, clock=lambda: NOW, monotonic=lambda: 1.0)
    keeper.serve([DumpNow(plan, (Nobody(), "box"))])  # type: ignore[arg-type]
    keeper.housekeep()
    assert [report.failed for report in keeper.reports] == [True]
    keeper.close()


def test_at_the_end_what_was_asked_for_is_finished(plan: DumpPlan) -> None:
    world = World(filled(3000))
    world.keeper.serve([Remember(key(5000), GREY), DumpNow(plan, (Nobody(), "b"))])  # type: ignore[arg-type]
    world.keeper.close()
    assert [report.failed for report in world.keeper.reports] == [False]
    assert records_in(plan.path) == 3001


# --- the service ---


class Player(component):
    def __init__(self, store: StoreService, dumps: DumpService, scene: "Scene") -> None:
        super().__init__()
        self.store, self.dumps = store, dumps
        self._scene = scene

    def main(self) -> Iterator[object]:
        yield from self._scene(self)
        for part in (self.dumps, self.store):
            part.inboxes["control"].deliver(producerFinished(self))
            while not part._isStopped():
                self.pause(1.0)
                yield 1

    def wait(self, seconds: float) -> Iterator[object]:
        until = self.now() + seconds
        while self.now() < until:
            self.pause(until - self.now())
            yield 1

    def remember(self, number: int) -> None:
        self.store.inboxes["inbox"].deliver(Remember(key(number), GREY))


Scene = Callable[[Player], Iterator[object]]


def play(plan: DumpPlan, seconds: int, scene: Scene) -> DumpService:
    clock = FakeClock(1000.0)
    store = StoreService(
        MemoryStore, LIFETIMES, clock=lambda: NOW + clock(), sweep_interval=float(DAY)
    )
    dumps = DumpService(store, plan, seconds)
    runner = virtual_scheduler(clock)
    for each in (store, dumps, Player(store, dumps, scene)):
        each.activate(Scheduler=runner)
    runner.runThreads()
    return dumps


def test_each_interval_what_is_new_is_in_the_file(plan: DumpPlan) -> None:
    def scene(player: Player) -> Iterator[object]:
        player.remember(1)
        yield from player.wait(599)
        assert not plan.path.exists()
        yield from player.wait(2)
        assert records_in(plan.path) == 1
        player.remember(2)
        yield from player.wait(600)
        assert records_in(plan.path) == 2

    assert play(plan, 600, scene).failed == 0


def test_with_zero_each_change_is_there_after_a_second(plan: DumpPlan) -> None:
    def scene(player: Player) -> Iterator[object]:
        for number in range(3):
            player.remember(number)
            yield from player.wait(2.5)
            assert records_in(plan.path) == number + 1

    play(plan, 0, scene)


def test_the_last_dump_is_always_made(plan: DumpPlan) -> None:
    def scene(player: Player) -> Iterator[object]:
        yield from player.wait(DAY)
        assert not plan.path.exists()
        player.remember(1)

    assert play(plan, -1, scene).dumped == 1
    assert records_in(plan.path) == 1


def test_a_store_that_has_ended_does_not_hold_it_up(plan: DumpPlan) -> None:
    def scene(player: Player) -> Iterator[object]:
        player.store.inboxes["control"].deliver(producerFinished())
        while not player.store._isStopped():
            yield from player.wait(1)

    assert play(plan, -1, scene).dumped == 0


@pytest.mark.parametrize("name", ["DumpFile"])
def test_the_example_in_the_docstring_is_true(name: str) -> None:
    result = doctest.testmod(sys.modules[f"Kamaelia.Apps.Grey.Store.{name}"])
    assert result.attempted
    assert not result.failed
