"""Pipeline: wiring, ending, being stopped, and leaving nothing behind."""

import gc
import weakref
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import collect, drive, harness, virtual_scheduler
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Util.DataSource import DataSource
from Kamaelia.Util.PassThrough import PassThrough
from Test.Kamaelia.shutdown import Ends


class Adder(component):
    """Adds one to every number; hands every control message on and ends on the first."""

    Inboxes = {"inbox": "int: a number", "control": "the shutdown: any message ends it"}
    Outboxes = {"outbox": "int: one more", "signal": "the shutdown that came in"}

    stops = 0
    ran = False

    def main(self) -> Iterator[object]:
        self.ran = True
        while not self.dataReady("control"):
            for number in self.Inbox("inbox"):
                self.send(number + 1, "outbox")
            self.pause()
            yield 1
        self.send(self.recv("control"), "signal")

    def stop(self) -> None:
        self.stops += 1
        super().stop()


class Failing(component):
    """Fails when something comes in, or when it is stopped."""

    def main(self) -> Iterator[object]:
        while not self.dataReady("inbox"):
            self.pause()
            yield 1
        raise ValueError("bad input")


class BadAtStopping(Adder):
    def stop(self) -> None:
        super().stop()
        raise OSError("cannot stop")


class Counting(Pipeline):
    turns = 0

    def main(self) -> Iterator[object]:
        for result in super().main():
            self.turns += 1
            yield result


SHUTDOWN = {Pipeline: Ends(lambda: Pipeline(PassThrough(), PassThrough()))}


def test_data_goes_from_member_to_member_and_out() -> None:
    out = drive(Pipeline(Adder(), Adder(), Adder()), inbox=[1, 10])
    assert out["outbox"] == [4, 13]


def test_a_shutdown_goes_from_member_to_member_and_out() -> None:
    stop = producerFinished()
    out = drive(Pipeline(Adder(), Adder()), control=[stop])
    assert out["signal"] == [stop]


def test_a_pipeline_of_one_is_its_member_with_other_boxes() -> None:
    stop = shutdownMicroprocess()
    out = drive(Pipeline(PassThrough()), inbox=["x"], control=[producerFinished(), stop])
    assert out["signal"] == [stop]


def test_a_pipeline_may_be_a_member_of_a_pipeline() -> None:
    nested = Pipeline(Adder(), Pipeline(Adder(), Pipeline(Adder())), Adder())
    stop = producerFinished()
    out = drive(nested, inbox=[0], control=[])
    assert out["outbox"] == [4]
    out = drive(Pipeline(DataSource([0]), Pipeline(PassThrough(), PassThrough())), control=[stop])
    assert out["outbox"] == [0]
    assert isinstance(out["signal"][0], producerFinished)


def test_it_sends_nothing_of_its_own() -> None:
    class Silent(component):
        announces_end = False

    out = drive(Pipeline(Silent(), Silent()))
    assert out == {"outbox": [], "signal": []}


def test_it_ends_only_when_the_last_of_its_members_has_ended() -> None:
    first, middle, last = Adder(), PassThrough(shutdownOn=()), Adder()
    pipeline = Pipeline(first, middle, last)
    seen: list[list[bool]] = []
    runner = virtual_scheduler()
    pipeline.activate(Scheduler=runner)
    # The member in the middle hands the shutdown on and does not end on it.
    runner.call_later(1, lambda: first.inboxes["control"].deliver(producerFinished()))
    runner.call_later(2, lambda: seen.append([m._isStopped() for m in (first, last, pipeline)]))
    runner.call_later(3, middle.stop)
    runner.runThreads()
    assert seen == [[True, True, False]]
    assert runner.threads == {}


def test_members_run_and_are_children_only_once_it_runs() -> None:
    members = Adder(), Adder()
    pipeline = Pipeline(*members)
    runner = virtual_scheduler()
    assert pipeline.children == []
    pipeline.activate(Scheduler=runner)
    assert not any(member.ran for member in members)
    runner.runThreads()
    assert all(member.ran for member in members)
    assert pipeline.children == list(members)
    assert set(members) <= set(runner.threads)


def test_it_takes_no_turn_while_its_members_work() -> None:
    pipeline = Counting(DataSource(range(1000)), PassThrough())
    out = drive(pipeline)
    assert len(out["outbox"]) == 1000
    assert pipeline.turns <= 3  # the start, and one for the end of each member


def test_messages_that_come_before_it_runs_are_not_lost() -> None:
    pipeline = Pipeline(Adder())
    pipeline.inboxes["inbox"].deliver(1)
    assert drive(pipeline)["outbox"] == [2]


def test_a_member_that_ended_before_is_no_reason_to_wait() -> None:
    early, late = Adder(), Adder()
    early.inboxes["control"].deliver(producerFinished())
    runner = virtual_scheduler()
    early.activate(Scheduler=runner)
    runner.runThreads()
    pipeline = Pipeline(early, late).activate(Scheduler=runner)
    late.inboxes["control"].deliver(producerFinished())
    runner.runThreads()
    assert pipeline._isStopped()


class Countdown(component):
    """Sends each number but zero on, one less; at zero it ends."""

    def main(self) -> Iterator[object]:
        self.seen: list[int] = []
        while 0 not in self.seen:
            for number in self.Inbox("inbox"):
                self.seen.append(number)
                if number:
                    self.send(number - 1, "outbox")
            self.pause()
            yield 1
        self.send(producerFinished(self), "signal")


def test_a_circular_one_feeds_its_last_member_into_its_first_and_nothing_comes_out() -> None:
    one, other = Countdown(), PassThrough()
    out = drive(Pipeline(one, other, circular=True), inbox=[3])
    assert one.seen == [3, 2, 1, 0]
    assert out["outbox"] == []


def test_circular_may_be_a_setting_of_a_subclass() -> None:
    class Ring(Pipeline):
        circular = True

    one = Countdown()
    drive(Ring(one), inbox=[2])
    assert one.seen == [2, 1, 0]


def test_other_keywords_become_attributes() -> None:
    assert Pipeline(Adder(), title="adding").__dict__["title"] == "adding"


def test_an_empty_one_is_an_error_where_it_is_made() -> None:
    with pytest.raises(ValueError, match="at least one component"):
        Pipeline()


@pytest.mark.parametrize("wrong", [Adder, None, 5])
def test_what_is_no_component_is_an_error_that_says_which_argument(wrong: object) -> None:
    with pytest.raises(TypeError, match="argument 2"):
        Pipeline(Adder(), wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [1, 3])
def test_a_number_before_a_member_is_the_size_of_its_inbox(size: int) -> None:
    last = Adder()
    with harness(Pipeline(PassThrough(), size, last)) as h:
        last.inboxes["inbox"].deliver(0)
        assert last.inboxes["inbox"].getSize() == size
        h.put_all(range(10))
        h.expect_all("outbox", [1, *range(1, 11)])


def test_a_number_before_the_first_member_holds_those_back_who_send_to_the_pipeline() -> None:
    pipeline = Pipeline(2, Adder())
    for number in range(2):
        pipeline.inboxes["inbox"].deliver(number)
    with pytest.raises(noSpaceInBox):
        pipeline.inboxes["inbox"].deliver(3)


def test_a_number_before_a_pipeline_is_the_size_of_its_first_members_inbox() -> None:
    first = Adder()
    Pipeline(Adder(), 2, Pipeline(Pipeline(first), Adder()))
    assert first.inboxes["inbox"].getSize() == 2


def test_none_before_a_member_takes_its_limit_away_and_the_others_keep_theirs() -> None:
    limited, unlimited = Adder(), Adder()
    for member in (limited, unlimited):
        member.setInboxSize("inbox", 4)
    pipeline = Pipeline(limited, None, unlimited)
    assert pipeline.components == (limited, unlimited)
    assert limited.inboxes["inbox"].getSize() == 4
    assert unlimited.inboxes["inbox"].getSize() is None


@pytest.mark.parametrize(
    ("arguments", "place"),
    [((1, 2), 2), ((None, None), 2), ((1,), 1), ((None,), 1)],
)
def test_a_size_that_is_not_before_a_member_is_an_error_that_says_which_argument(
    arguments: tuple[int | None, ...], place: int
) -> None:
    with pytest.raises(TypeError, match=f"argument {place}:"):
        Pipeline(*arguments)
    with pytest.raises(TypeError, match=f"argument {place + 1}:"):
        Pipeline(Adder(), *arguments)


@pytest.mark.parametrize("wrong", [-1, True])
def test_a_size_that_is_none_is_an_error(wrong: int) -> None:
    with pytest.raises((TypeError, ValueError), match="size of a box"):
        Pipeline(wrong, Adder())


def test_a_member_that_fails_under_a_guard_is_not_waited_for() -> None:
    pipeline, failures = Pipeline(Failing(), PassThrough()), []
    pipeline.isolate(lambda culprit, error: failures.append(error))
    with harness(pipeline) as h:
        h.put("bad")
        h.expect("signal", producerFinished)  # the last member's, who heard of the failed one's end
        h.expect_end()
    assert [type(error) for error in failures] == [ValueError]


def test_a_member_without_the_boxes_is_an_error_that_names_them() -> None:
    class Boxless(component):
        Inboxes = {"inbox": "int: a number"}

    with pytest.raises(KeyError) as caught:
        Pipeline(Adder(), Boxless())
    assert "Boxless" in caught.value.__notes__[0]
    assert "'control'" in caught.value.__notes__[0]


def test_stopping_it_stops_its_members() -> None:
    members = Adder(), Adder()
    runner = virtual_scheduler()
    pipeline = Pipeline(*members).activate(Scheduler=runner)
    runner.call_later(1, pipeline.stop)
    runner.runThreads()
    assert [member.stops for member in members] == [1, 1]
    assert runner.threads == {}


def test_stopping_it_stops_the_members_of_its_members() -> None:
    inner = Adder()
    runner = virtual_scheduler()
    pipeline = Pipeline(Adder(), Pipeline(inner)).activate(Scheduler=runner)
    runner.call_later(1, pipeline.stop)
    runner.runThreads()
    assert inner.stops == 1
    assert runner.threads == {}


def test_a_member_that_fails_to_stop_does_not_keep_the_others_alive() -> None:
    first, last = Adder(), Adder()
    runner = virtual_scheduler()
    pipeline = Pipeline(first, BadAtStopping(), last).activate(Scheduler=runner)
    caught: list[BaseException] = []

    def stop() -> None:
        with pytest.raises(OSError, match="cannot stop") as error:
            pipeline.stop()
        caught.append(error.value)

    runner.call_later(1, stop)
    runner.runThreads()
    assert len(caught) == 1
    assert (first.stops, last.stops) == (1, 1)
    assert runner.threads == {}


def test_the_end_of_the_scheduler_stops_each_member_once() -> None:
    members = Adder(), Adder()
    runner = virtual_scheduler()
    Pipeline(*members).activate(Scheduler=runner)
    runner.call_later(1, runner.stop)
    runner.runThreads()
    assert [member.stops for member in members] == [1, 1]


def test_a_guard_that_stops_the_pipeline_of_a_failed_member_leaves_nothing_running() -> None:
    class Server(component):
        def main(self) -> Iterator[object]:
            self.addChildren(pipeline)
            pipeline.activate(Scheduler=self.scheduler)
            self.pause()
            yield 1
            self.ended_before_the_server = pipeline._isStopped()

    pipeline, survivor, failures = Pipeline(Failing(), Adder()), Adder(), []
    pipeline.isolate(lambda culprit, error: (failures.append((culprit, error)), pipeline.stop()))  # type: ignore[func-returns-value]
    runner = virtual_scheduler()
    server = Server().activate(Scheduler=runner)
    survivor.activate(Scheduler=runner)
    runner.call_later(1, lambda: pipeline.inboxes["inbox"].deliver("bad"))
    runner.runThreads()
    assert [type(error) for _, error in failures] == [ValueError]
    assert server.ended_before_the_server
    assert set(runner.threads) == {survivor}


def test_an_exception_of_a_member_gets_out_if_nobody_isolates_it() -> None:
    with pytest.raises(ValueError, match="bad input"):
        drive(Pipeline(Failing(), Adder()), inbox=["bad"])


def test_reference_counting_alone_frees_it_and_its_members() -> None:
    gc.collect()
    gc.disable()
    try:
        members = [Adder(), Adder()]
        pipeline = Pipeline(*members)
        left = [weakref.ref(one) for one in (pipeline, *members)]
        drive(pipeline, inbox=[1], control=[producerFinished()])
        del pipeline, members
        assert [ref() for ref in left] == [None, None, None]
    finally:
        gc.enable()


@given(
    messages=st.lists(st.integers(), max_size=30),
    sizes=st.lists(st.sampled_from([None, 1, 2, 7]), min_size=1, max_size=6),
    nested=st.integers(0, 5),
)
def test_every_message_arrives_once_and_in_order_whatever_the_limits(
    messages: list[int], sizes: list[int | None], nested: int
) -> None:
    members: list[component] = [PassThrough() for _ in sizes]
    for member, size in zip(members, sizes, strict=True):
        member.setInboxSize("inbox", size)
    if 0 < nested < len(members):
        members[nested:] = [Pipeline(*members[nested:])]
    pipeline = Pipeline(DataSource(messages), *members)
    sent = collect(pipeline)
    runner = virtual_scheduler()
    pipeline.activate(Scheduler=runner)
    runner.runThreads()
    assert sent["outbox"] == messages
    assert [type(message) for message in sent["signal"]] == [producerFinished]
    assert runner.threads == {}
