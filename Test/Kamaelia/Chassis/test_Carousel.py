"""Carousel: making on request, replacing, asking for the next, the ends, limits, failures."""

import gc
import weakref
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Microprocess import microprocess
from Axon.Scheduler import scheduler
from Axon.Testing import drive, harness, virtual_scheduler
from Kamaelia.Chassis.Carousel import Carousel
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Util.DataSource import DataSource
from Kamaelia.Util.OneShot import OneShot
from Kamaelia.Util.PassThrough import PassThrough
from Test.Kamaelia.shutdown import Ends


class Child(component):
    """Tags what comes in with what it was made of; ends by itself on "end", and when told, after
    so many seconds."""

    needs_seconds = 0.0

    def __init__(self, wish: object, **attributes: object) -> None:
        super().__init__(**attributes)
        self.wish = wish
        self.told: list[object] = []

    def main(self) -> Iterator[object]:
        while not self.told:
            for message in self.Inbox("inbox"):
                if message == "end":
                    return
                self.send((self.wish, message), "outbox")
            self.told.extend(self.Inbox("control"))
            if not self.told:
                self.pause()
                yield 1
        until = self.now() + self.needs_seconds
        while (left := until - self.now()) > 0:
            self.pause(left)
            yield 1
            self.told.extend(self.Inbox("control"))


class SlowChild(Child):
    needs_seconds = 10.0


class Asleep(component):
    """Reads nothing but its control."""

    def main(self) -> Iterator[object]:
        while not self.told_to_stop():
            self.pause()
            yield 1


class Failing(Child):
    def main(self) -> Iterator[object]:
        yield 1
        raise ValueError(self.wish)


class Factory:
    """Remembers what it made."""

    def __init__(self, kind: type[Child] = Child) -> None:
        self.kind = kind
        self.made: list[Child] = []

    def __call__(self, wish: object) -> Child:
        self.made.append(self.kind(wish))
        return self.made[-1]


SHUTDOWN = {Carousel: Ends(lambda: Carousel(PassThrough))}


def test_it_has_the_boxes_of_the_original() -> None:
    carousel = Carousel(Child)
    assert set(carousel.inboxes) == {"inbox", "control", "next"}
    assert set(carousel.outboxes) == {"outbox", "signal", "requestNext", "_signal"}


# ---- making


def test_without_a_wish_it_makes_nothing_and_asks_for_nothing() -> None:
    factory = Factory()
    with harness(Carousel(factory)) as h:
        h.run_for(60)
        h.not_ended()
        assert h.take("requestNext") == []
    assert factory.made == []


def test_it_asks_once_at_the_start_if_it_is_to() -> None:
    with harness(Carousel(Child, make1stRequest=True)) as h:
        h.expect("requestNext", "NEXT", within=0)
        h.expect_nothing("requestNext", during=60)


def test_it_asks_at_the_start_also_if_a_wish_is_there_already() -> None:
    carousel = Carousel(Child, True)
    carousel.inboxes["next"].deliver("A")
    with harness(carousel) as h:
        h.expect("requestNext", "NEXT", within=0)
        h.put("x")
        h.expect("outbox", ("A", "x"))
        h.expect_nothing("requestNext", during=60)


def test_a_wish_becomes_the_only_child_and_its_boxes_are_the_carousels() -> None:
    factory = Factory()
    with harness(carousel := Carousel(factory)) as h:
        h.put("A", "next")
        h.put("x")
        h.expect("outbox", ("A", "x"))
        assert carousel.children == factory.made
        h.put("y")
        h.expect("outbox", ("A", "y"))
        assert len(factory.made) == 1


def test_what_comes_while_no_component_runs_waits_for_the_next_one() -> None:
    with harness(Carousel(Child)) as h:
        h.put_all(["x", "y"])
        h.settle()
        h.put("A", "next")
        h.expect_all("outbox", [("A", "x"), ("A", "y")])


def test_what_comes_between_the_end_of_one_and_the_start_of_the_next_is_not_lost() -> None:
    factory = Factory()
    with harness(carousel := Carousel(factory)) as h:
        h.put("A", "next")
        h.settle()
        # Whoever hears of the end first may send at once, before the Carousel has had a turn.
        factory.made[0].call_on_close(lambda: carousel.inboxes["inbox"].deliver("early"))
        h.put("end")
        h.settle()
        h.put("B", "next")
        h.expect("outbox", ("B", "early"))


def test_components_made_and_ended_before_are_taken_for_ended() -> None:
    over = OneShot("x")
    runner = virtual_scheduler()
    over.activate(Scheduler=runner)
    runner.runThreads()
    with harness(Carousel(lambda _: over)) as h:
        h.put("A", "next")
        h.expect("requestNext", "NEXT", within=1)


def test_a_component_may_be_a_pipeline() -> None:
    with harness(Carousel(lambda wish: Pipeline(Child(wish), PassThrough()))) as h:
        h.put("A", "next")
        h.put_all(["x", "end"])
        h.expect("outbox", ("A", "x"))
        h.expect("requestNext", "NEXT")


# ---- replacing


def test_when_a_component_ends_by_itself_the_next_is_asked_for_once() -> None:
    with harness(carousel := Carousel(Child)) as h:
        h.put("A", "next")
        h.settle()
        h.put("end")
        h.expect("requestNext", "NEXT", within=0)
        h.expect_nothing("requestNext", during=60)
        assert carousel.children == []
        h.not_ended()
        h.put("B", "next")
        h.put("x")
        h.expect("outbox", ("B", "x"))


def test_a_new_wish_ends_the_component_that_runs_and_replaces_it_after_its_end() -> None:
    factory = Factory(SlowChild)
    with harness(carousel := Carousel(factory)) as h:
        h.put("A", "next")
        h.settle()
        h.put("B", "next")
        h.run_for(9)
        (first,) = factory.made
        assert [type(message) for message in first.told] == [shutdownMicroprocess]
        assert carousel.children == [first]
        h.run_for(2)
        assert [child.wish for child in factory.made] == ["A", "B"]
        assert carousel.children == [factory.made[1]]
        assert h.take("requestNext") == []


def test_wishes_that_pile_up_are_dealt_with_in_order_and_each_ends_the_one_before() -> None:
    factory = Factory()
    with harness(Carousel(factory)) as h:
        h.put_all(["A", "B", "C"], "next")
        h.run_for(60)
        assert [child.wish for child in factory.made] == ["A", "B", "C"]
        assert [len(child.told) for child in factory.made] == [1, 1, 0]
        assert h.take("requestNext") == []


def test_a_component_that_ends_by_itself_while_a_wish_waits_is_replaced_without_asking() -> None:
    factory = Factory()
    carousel = Carousel(factory)
    with harness(carousel) as h:
        h.put("A", "next")
        h.settle()
        factory.made[0].call_on_close(lambda: carousel.inboxes["next"].deliver("B"))
        h.put("end")
        h.settle()
        h.put("x")
        h.expect("outbox", ("B", "x"))
        assert h.take("requestNext") == []


def test_what_a_component_says_at_its_signal_goes_nowhere() -> None:
    with harness(Carousel(OneShot)) as h:
        h.put("A", "next")
        h.expect("requestNext", "NEXT")
        h.run_for(60)
        assert h.take("signal") == []


# ---- the ends


@pytest.mark.parametrize("message", [producerFinished(), shutdownMicroprocess()])
def test_told_to_stop_with_nothing_running_it_ends_and_hands_the_message_on(
    message: object,
) -> None:
    with harness(Carousel(Child)) as h:
        h.put(message, "control")
        h.expect_end(within=0)
        assert h.take("signal") == [message]


@pytest.mark.parametrize("message", [producerFinished(), shutdownMicroprocess()])
def test_told_to_stop_it_tells_its_component_and_ends_after_that(message: object) -> None:
    factory = Factory(SlowChild)
    with harness(Carousel(factory)) as h:
        h.put("A", "next")
        h.settle()
        h.put(message, "control")
        h.expect_nothing("signal", during=9)
        h.not_ended()
        assert factory.made[0].told == [message]
        h.expect("signal", message, within=2)
        h.expect_end(within=0)
        assert h.take("requestNext") == []


def test_a_producer_finished_waits_for_the_wishes_that_came_before_it() -> None:
    factory = Factory()
    with harness(Carousel(factory)) as h:
        h.put_all(["A", "B", "C"], "next")
        stop = producerFinished()
        h.put(stop, "control")
        h.expect("signal", stop)
        h.expect_end()
        assert [child.wish for child in factory.made] == ["A", "B", "C"]
        assert factory.made[-1].told == [stop]
        assert h.take("requestNext") == []


def test_a_shutdown_microprocess_makes_nothing_of_the_wishes_that_wait() -> None:
    factory = Factory()
    with harness(Carousel(factory)) as h:
        h.put("A", "next")
        h.settle()
        h.put_all(["B", "C"], "next")
        stop = shutdownMicroprocess()
        h.put(stop, "control")
        h.expect("signal", stop)
        h.expect_end()
        assert [child.wish for child in factory.made] == ["A"]
        assert factory.made[0].told == [stop]


def test_a_shutdown_microprocess_after_a_producer_finished_is_told_too() -> None:
    factory = Factory(SlowChild)
    with harness(Carousel(factory)) as h:
        h.put("A", "next")
        h.settle()
        first, second = producerFinished(), shutdownMicroprocess()
        h.put(first, "control")
        h.settle()
        h.put(second, "control")
        h.expect("signal", second, within=11)
        assert factory.made[0].told == [first, second]


def test_a_component_that_ends_by_itself_after_a_producer_finished_is_the_last() -> None:
    class Deaf(Child):
        def main(self) -> Iterator[object]:
            self.pause(5)
            yield 1

    with harness(Carousel(Factory(Deaf))) as h:
        h.put("A", "next")
        h.settle()
        h.put(producerFinished(), "control")
        h.expect("signal", producerFinished, within=6)
        h.expect_end()
        assert h.take("requestNext") == []


def test_other_control_messages_are_handed_on() -> None:
    with harness(Carousel(Child)) as h:
        h.put("louder", "control")
        h.expect("signal", "louder")
        h.not_ended()


def test_stopping_it_stops_the_component_that_runs() -> None:
    factory = Factory()
    with harness(carousel := Carousel(factory)) as h:
        h.put("A", "next")
        h.settle()
        carousel.stop()
        h.settle()
        assert factory.made[0]._isStopped()


def test_in_few_steps_of_a_scheduler_that_is_stepped_by_hand() -> None:
    runner = scheduler()
    factory = Factory()
    carousel = Carousel(factory).activate(Scheduler=runner)
    steps = runner.main()

    def cycles(number: int) -> None:
        for _ in range(number * (1 + len(runner.threads))):
            next(steps, None)

    cycles(2)
    carousel.inboxes["next"].deliver("A")
    cycles(3)
    (first,) = factory.made
    assert first in runner.threads
    carousel.inboxes["next"].deliver("B")
    cycles(4)
    assert first._isStopped()
    assert [child.wish for child in factory.made] == ["A", "B"]
    carousel.inboxes["control"].deliver(shutdownMicroprocess())
    cycles(3)
    assert carousel._isStopped()
    assert factory.made[1]._isStopped()


# ---- full boxes


def test_it_asks_for_the_next_when_there_is_room_for_the_question() -> None:
    with harness(Carousel(Child, make1stRequest=True)) as h:
        h.limit(0, "requestNext")
        h.run_for(60)
        assert h.take("requestNext") == []
        h.limit(1, "requestNext")
        h.expect("requestNext", "NEXT")
        h.expect_nothing("requestNext", during=60)


def test_it_can_be_stopped_while_there_is_no_room_for_the_question() -> None:
    with harness(Carousel(Child, make1stRequest=True)) as h:
        h.limit(0, "requestNext")
        h.settle()
        h.finish(shutdownMicroprocess())


def test_its_last_word_waits_for_room() -> None:
    with harness(Carousel(Child)) as h:
        h.limit(0, "signal")
        h.put(producerFinished(), "control")
        h.run_for(60)
        h.not_ended()
        h.limit(1, "signal")
        h.expect("signal", producerFinished)
        h.expect_end()


def test_a_component_with_a_full_control_is_told_to_stop_at_once_all_the_same() -> None:
    child = Child("A")
    child.setInboxSize("control", 0)
    with harness(Carousel(lambda _: child)) as h:
        h.put("A", "next")
        h.settle()
        h.put(stop := shutdownMicroprocess(), "control")
        h.expect_end()
        assert child.told == [stop]


def test_a_component_with_a_full_control_is_told_when_it_has_room() -> None:
    class Busy(Child):
        def main(self) -> Iterator[object]:
            self.setInboxSize("control", 1)
            self.inboxes["control"].deliver("in the way")
            while True:
                self.pause(10)
                yield 1
                if self.recv("control") != "in the way":
                    return

    with harness(Carousel(Factory(Busy))) as h:
        h.put("A", "next")
        h.settle()
        h.put(producerFinished(), "control")
        h.expect("signal", producerFinished, within=100)


def test_the_box_size_holds_senders_back_with_a_component_and_without() -> None:
    with harness(Carousel(lambda _: Asleep(), boxsize=2)) as h:
        for _ in range(2):
            h.put_all(["x", "y"])
            with pytest.raises(noSpaceInBox):
                h.put("z")
            h.put("A", "next")  # the first time it takes them over, the second time it is another
            h.settle()
            h.put("B", "next")  # which leaves nothing: what one has not read ends with it
            h.settle()


def test_the_box_size_is_that_of_the_first_of_a_pipeline_too() -> None:
    first = Asleep()
    with harness(Carousel(lambda _: Pipeline(first, PassThrough()), boxsize=2)) as h:
        h.put("A", "next")
        h.settle()
        h.put_all(["x", "y"])
        with pytest.raises(noSpaceInBox):
            h.put("z")
        assert first.dataReady("inbox") == 2


def test_more_may_wait_than_the_component_takes_at_a_time() -> None:
    def narrow(_: object) -> PassThrough:
        made = PassThrough()
        made.setInboxSize("inbox", 1)
        return made

    source = DataSource(range(20))
    carousel = Carousel(narrow)
    carousel.link((source, "outbox"), (carousel, "inbox"))
    with harness(carousel, source) as h:
        h.settle()
        h.put("A", "next")
        h.expect_all("outbox", list(range(20)))


@pytest.mark.parametrize("wrong", [-1, 1.5, True, "2"])
def test_a_box_size_that_is_none_is_an_error(wrong: object) -> None:
    with pytest.raises((TypeError, ValueError), match="size of a box"):
        Carousel(Child, boxsize=wrong)  # type: ignore[arg-type]


@settings(max_examples=30)
@given(
    words=st.lists(st.lists(st.integers(), max_size=5), max_size=5),
    size=st.sampled_from([None, 1, 3]),
    seed=st.integers(0, 100),
)
def test_what_sources_made_on_request_send_arrives_once_and_in_order(
    words: list[list[int]], size: int | None, seed: int
) -> None:
    with harness(Carousel(DataSource, True), seed=seed) as h:
        h.limit(size)
        for numbers in words:
            h.expect("requestNext", "NEXT")
            h.put(numbers, "next")
            h.expect_all("outbox", numbers)
        h.expect("requestNext", "NEXT")
        h.finish()
        assert h.take("outbox") == []


# ---- mistakes and failures


def test_a_factory_that_cannot_be_called_is_an_error_where_it_is_given() -> None:
    with pytest.raises(TypeError, match="Carousel takes a function"):
        Carousel(Child("A"))  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [None, "text", Child])
def test_a_factory_that_makes_no_component_is_an_error_that_says_of_what(wrong: object) -> None:
    with pytest.raises(TypeError, match="made no component of 'A'"):
        drive(Carousel(lambda _: wrong), next=["A"])  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("missing", ["inbox", "control"])
def test_a_component_without_the_boxes_is_an_error_that_names_it(missing: str) -> None:
    names = [name for name in ("inbox", "control") if name != missing]
    with pytest.raises(KeyError) as caught:
        drive(Carousel(lambda _: component(Inboxes=names, name="the odd one")), next=["A"])
    assert "the odd one" in " ".join([str(caught.value), *caught.value.__notes__])


def test_a_component_that_fails_under_a_guard_has_ended_and_the_next_is_asked_for() -> None:
    failures: list[tuple[microprocess, Exception]] = []
    carousel = Carousel(Failing)
    carousel.isolate(lambda culprit, error: failures.append((culprit, error)))
    with harness(carousel) as h:
        h.put("A", "next")
        h.expect("requestNext", "NEXT")
        assert [type(error) for _, error in failures] == [ValueError]
        h.finish()


def test_a_factory_that_fails_under_a_guard_ends_the_carousel_and_its_successor_hears() -> None:
    def broken(wish: object) -> component:
        raise OSError(wish)

    carousel, behind = Carousel(broken), PassThrough()
    carousel.isolate(lambda culprit, error: None)
    carousel.link((carousel, "signal"), (behind, "control"))
    with harness(carousel, behind) as h:
        h.put("A", "next")
        h.expect_end()


def test_several_side_by_side_have_nothing_in_common() -> None:
    one, other = Carousel(Child), Carousel(Child)
    with harness(one, other) as h:
        h.put("A", (one, "next"))
        h.put("B", (other, "next"))
        h.put("x", (one, "inbox"))
        h.expect((one, "outbox"), ("A", "x"))
        h.put(shutdownMicroprocess(), (one, "control"))
        h.expect_end(one)
        h.not_ended(other)
        h.put("y", (other, "inbox"))
        h.expect((other, "outbox"), ("B", "y"))


def test_an_ended_component_is_freed_by_reference_counting_while_the_carousel_lives() -> None:
    made: list[weakref.ref[Child]] = []

    def factory(wish: object) -> Child:
        child = Child(wish)
        made.append(weakref.ref(child))
        return child

    gc.collect()
    gc.disable()
    try:
        carousel = Carousel(factory)
        runner = virtual_scheduler()
        carousel.activate(Scheduler=runner)
        for wish in ("A", "B"):
            carousel.inboxes["next"].deliver(wish)
            runner.runThreads()
        assert [ref() is None for ref in made] == [True, False]
    finally:
        gc.enable()
