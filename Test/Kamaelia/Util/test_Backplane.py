"""Backplane: names, who hears what, waiting, slow subscribers, and each way to end."""

from collections.abc import Iterator

import pytest

from Axon.AxonExceptions import ServiceAlreadyExists
from Axon.Component import component
from Axon.CoordinatingAssistantTracker import coordinatingassistanttracker
from Axon.Ipc import ipc, producerFinished, shutdownMicroprocess
from Axon.Testing import Harness, drive, harness
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Util.Backplane import (
    Backplane,
    BackplaneMissing,
    PublishTo,
    SubscribeTo,
    WhenFull,
    publishTo,
    subscribeTo,
)
from Kamaelia.Util.PassThrough import PassThrough
from Kamaelia.Util.Splitter import addsink
from Test.Kamaelia.shutdown import Ends

Tracker = coordinatingassistanttracker


def of_its_own(name: str = "NEWS", **settings: object) -> Backplane:
    """A Backplane that keeps the name from nobody."""
    hub = Backplane(name, tracker=Tracker())
    vars(hub).update(settings)
    return hub


def publisher(hub: Backplane, **settings: object) -> PublishTo:
    return PublishTo(hub.called, tracker=hub.tracker, **settings)


def subscriber(hub: Backplane, queue: int = 1000) -> SubscribeTo:
    return SubscribeTo(hub.called, queue, tracker=hub.tracker)


SHUTDOWN = {
    Backplane: Ends(lambda: of_its_own()),
    PublishTo: Ends(lambda: publisher(of_its_own())),
    SubscribeTo: Ends(lambda: subscriber(of_its_own())),
}


@pytest.fixture
def hub() -> Iterator[Backplane]:
    made = of_its_own()
    yield made
    made.stop()


def heard(h: Harness, *subscribers: SubscribeTo) -> list[list[object]]:
    h.settle()
    return [h.take((one, "outbox")) for one in subscribers]


# ---- who hears what


def test_what_any_publisher_gets_every_subscriber_sends(hub: Backplane) -> None:
    publishers = [publisher(hub) for _ in range(2)]
    subscribers = [subscriber(hub) for _ in range(3)]
    with harness(hub, *publishers, *subscribers) as h:
        h.settle()
        for number, one in enumerate(publishers):
            h.put_all([number, "x"], (one, "inbox"))
            assert heard(h, *subscribers) == [[number, "x"]] * 3
        assert h.take((publishers[0], "outbox")) == []


def test_a_forwarder_also_sends_on_what_it_publishes(hub: Backplane) -> None:
    one, other = publisher(hub, forwarder=True), subscriber(hub)
    with harness(hub, one, other) as h:
        h.settle()
        h.put(1, (one, "inbox"))
        assert heard(h, other) == [[1]]
        assert h.take((one, "outbox")) == [1]


def test_publisher_and_subscriber_in_one_pipeline_are_a_member_of_a_chat(hub: Backplane) -> None:
    members = [
        Pipeline(publisher(hub, forwarder=True), subscriber(hub)),
        Pipeline(publisher(hub), subscriber(hub)),
    ]
    with harness(hub, *members) as h:
        h.settle()
        h.put("hello", (members[1], "inbox"))
        h.settle()
        assert [h.take((one, "outbox")) for one in members] == [["hello"], ["hello"]]
        h.put("hi", (members[0], "inbox"))  # it hears itself twice: forwarded, and published
        h.settle()
        assert [h.take((one, "outbox")) for one in members] == [["hi", "hi"], ["hi"]]


def test_backplanes_of_other_names_hear_nothing() -> None:
    tracker = Tracker()
    hubs = [Backplane(name, tracker=tracker) for name in ("A", "B")]
    subscribers = [subscriber(hub) for hub in hubs]
    with harness(*hubs, *subscribers, one := publisher(hubs[0])) as h:
        h.settle()
        h.put(1, (one, "inbox"))
        assert heard(h, *subscribers) == [[1], []]


# ---- names


def test_the_name_is_taken_when_it_is_made_and_free_when_it_has_ended(hub: Backplane) -> None:
    services = ["Backplane_I_NEWS", "Backplane_O_NEWS"]
    assert hub.tracker.servicesRegistered() == services
    with pytest.raises(ServiceAlreadyExists):
        Backplane("NEWS", tracker=hub.tracker)
    with harness(hub) as h:
        h.finish()
    assert hub.tracker.servicesRegistered() == []
    second = Backplane("NEWS", tracker=hub.tracker)
    hub.stop()  # again: it must not take the name away from the second
    assert second.tracker.servicesRegistered() == services


def test_without_another_tracker_the_name_is_one_of_the_process() -> None:
    hub = Backplane("Test.Kamaelia.Util.test_Backplane")
    assert Tracker.getcat().retrieveService(f"Backplane_I_{hub.called}") == (hub, "inbox")
    hub.stop()
    assert f"Backplane_I_{hub.called}" not in Tracker.getcat().servicesRegistered()


def test_activated_with_another_tracker_it_moves_there() -> None:
    first, second = Tracker(), Tracker()
    hub = Backplane("NEWS", tracker=first)
    with harness(other := PassThrough()) as h:
        hub.activate(Scheduler=other.scheduler, Tracker=second)
        h.settle()
        assert first.servicesRegistered() == []
        assert len(second.servicesRegistered()) == 2


def test_a_tracker_that_was_emptied_meanwhile_does_not_keep_it_from_ending(hub: Backplane) -> None:
    with harness(hub) as h:
        h.settle()
        hub.tracker.zap()
        h.finish()


def test_a_name_is_text() -> None:
    with pytest.raises(TypeError, match="name of a Backplane"):
        Backplane(5)  # type: ignore[arg-type]


# ---- waiting for the Backplane


def test_they_wait_for_a_backplane_that_is_made_later_and_publish_what_came_before() -> None:
    tracker = Tracker()
    one, other = PublishTo("NEWS", tracker=tracker), SubscribeTo("NEWS", tracker=tracker)
    with harness(other, one) as h:
        h.put(1, (one, "inbox"))
        h.run_for(9)
        h.start(Backplane("NEWS", tracker=tracker))
        h.expect("outbox", 1, within=0.1)
    assert tracker.retrieveValue("Backplane_waiting") == {}


@pytest.mark.parametrize("kind", [PublishTo, SubscribeTo])
def test_after_their_patience_it_is_an_error_that_names_it(
    kind: type[PublishTo | SubscribeTo],
) -> None:
    tracker = Tracker()
    Backplane("OTHER", tracker=tracker)
    waiting = kind("NEWS", tracker=tracker, patience=3.0)
    text = r"no Backplane\('NEWS'\) within 3.0 seconds; there are: 'OTHER'"
    with harness(waiting) as h:
        h.run_for(2.9)
        with pytest.raises(BackplaneMissing, match=text):
            h.run_for(1)
    assert tracker.retrieveValue("Backplane_waiting") == {}


@pytest.mark.parametrize("kind", [PublishTo, SubscribeTo])
@pytest.mark.parametrize("stop", [producerFinished(), shutdownMicroprocess()])
def test_while_they_wait_either_shutdown_ends_them(
    kind: type[PublishTo | SubscribeTo], stop: ipc
) -> None:
    with harness(kind("NEWS", tracker=Tracker())) as h:
        h.run_for(1)
        h.finish(stop)
        assert h.take("signal") == [stop]


def test_a_publisher_that_has_something_waits_also_after_a_producer_finished() -> None:
    tracker = Tracker()
    one, other = PublishTo("NEWS", tracker=tracker), SubscribeTo("NEWS", tracker=tracker)
    with harness(one, other) as h:
        h.put(1)
        h.put(producerFinished(), "control")
        h.run_for(5)
        h.start(Backplane("NEWS", tracker=tracker))
        h.expect((other, "outbox"), 1)
        h.expect_end(one)


def test_a_subscriber_told_to_finish_before_there_is_a_backplane_sends_what_it_has() -> None:
    waiting = SubscribeTo("NEWS", tracker=Tracker())
    assert drive(waiting, inbox=[1], control=[producerFinished()])["outbox"] == [1]


# ---- slow subscribers


def full(h: Harness, hub: Backplane, how_many: int) -> tuple[SubscribeTo, SubscribeTo]:
    """So many messages published to two subscribers, one of which can send none."""
    slow, quick, one = subscriber(hub, queue=2), subscriber(hub), publisher(hub)
    h.start(slow, quick, one)
    h.limit(0, (slow, "outbox"))
    h.settle()
    h.put_all(range(how_many), (one, "inbox"))
    h.run_for(60)
    return slow, quick


def test_a_slow_subscriber_does_not_hold_others_back_while_its_queue_has_room(
    hub: Backplane,
) -> None:
    with harness(hub) as h:
        _, quick = full(h, hub, 3)  # one in its hands, two in its queue
        assert heard(h, quick) == [[0, 1, 2]]


def test_then_the_publishers_wait_and_nothing_is_lost(hub: Backplane) -> None:
    with harness(hub) as h:
        slow, quick = full(h, hub, 50)
        assert heard(h, quick) == [[0, 1, 2, 3]]
        h.limit(None, (slow, "outbox"))
        assert heard(h, slow, quick) == [list(range(50)), list(range(4, 50))]
        assert hub.dropped == 0


def test_then_a_publisher_keeps_what_the_backplane_has_no_room_for() -> None:
    hub = Backplane("NEWS", queue=5, tracker=Tracker())
    with harness(hub) as h:
        slow, quick = full(h, hub, 50)
        assert hub.dataReady("inbox") == 5
        h.limit(None, (slow, "outbox"))
        assert heard(h, slow) == [list(range(50))]
        assert len(heard(h, quick)[0]) == 50


def test_or_the_subscriber_loses_its_oldest_messages_and_they_are_counted() -> None:
    hub = Backplane("NEWS", WhenFull.DROP_OLDEST, tracker=Tracker())
    with harness(hub) as h:
        slow, quick = full(h, hub, 50)
        assert heard(h, quick) == [list(range(50))]
        assert hub.dropped == 48
        h.limit(None, (slow, "outbox"))
        assert heard(h, slow) == [[48, 49]]


def test_a_subscriber_without_any_queue_loses_all_and_holds_nobody_back() -> None:
    hub = Backplane("NEWS", when_full=WhenFull.DROP_OLDEST, tracker=Tracker())
    none, quick, one = subscriber(hub, queue=0), subscriber(hub), publisher(hub)
    with harness(hub, none, quick, one) as h:
        h.settle()
        h.put_all([1, 2], (one, "inbox"))
        assert heard(h, none, quick) == [[], [1, 2]]
        assert hub.dropped == 2


@pytest.mark.parametrize("stop", [producerFinished(), shutdownMicroprocess()])
def test_a_slow_subscriber_that_is_told_to_stop_sets_the_others_free(
    hub: Backplane, stop: ipc
) -> None:
    with harness(hub) as h:
        slow, quick = full(h, hub, 50)
        h.put(stop, (slow, "control"))
        h.run_for(1)
        assert heard(h, quick) == [list(range(50))]
        if isinstance(stop, producerFinished):
            h.limit(None, (slow, "outbox"))
            assert heard(h, slow) == [[0, 1, 2]]  # what had come by then
        h.expect_end(slow)


def test_a_slow_subscriber_that_just_ends_sets_the_others_free(hub: Backplane) -> None:
    with harness(hub) as h:
        slow, quick = full(h, hub, 50)
        slow.stop()
        assert heard(h, quick) == [list(range(50))]


# ---- the end


@pytest.mark.parametrize("stop", [producerFinished(), shutdownMicroprocess()])
def test_a_shutdown_ends_the_hub_and_all_subscribers_and_no_publisher(
    hub: Backplane, stop: ipc
) -> None:
    subscribers, one = [subscriber(hub) for _ in range(3)], publisher(hub)
    with harness(hub, *subscribers, one) as h:
        h.settle()
        h.put(stop, "control")
        for other in subscribers:
            assert h.expect((other, "signal"), type(stop)) is stop
            h.expect_end(other)
        h.expect_end(hub)
        h.put("too late", (one, "inbox"))
        h.run_for(60)
        assert not one._isStopped()


def test_what_was_published_before_the_end_is_still_heard(hub: Backplane) -> None:
    one, other = publisher(hub), subscriber(hub)
    with harness(hub, one, other) as h:
        h.settle()
        hub.inboxes["inbox"].deliver("last")
        h.put(producerFinished(), "control")
        h.expect((other, "outbox"), "last")
        h.expect_end(other)


@pytest.mark.parametrize("early", [True, False])
def test_a_hub_that_is_stopped_or_fails_ends_its_subscribers_too(
    hub: Backplane, early: bool
) -> None:
    with harness(other := subscriber(hub), hub) as h:
        if early:  # before its first turn
            h.step()
        else:
            h.settle()
        hub.stop()
        h.expect_end(other)


def test_the_end_of_a_publisher_or_subscriber_is_no_one_elses(hub: Backplane) -> None:
    one, other, stays = publisher(hub), subscriber(hub), subscriber(hub)
    with harness(hub, one, other, stays) as h:
        h.settle()
        h.put(shutdownMicroprocess(), (one, "control"))
        h.put(producerFinished(), (other, "control"))
        h.expect_end(one)
        h.expect_end(other)
        h.start(second := publisher(hub))
        h.settle()
        h.put(1, (second, "inbox"))
        assert heard(h, stays) == [[1]]
        assert len(hub.outboxes) == 4  # its own two, and those of the one that stays


def test_a_publisher_that_is_told_to_finish_publishes_what_it_has(hub: Backplane) -> None:
    one, other = publisher(hub), subscriber(hub)
    with harness(hub, one, other) as h:
        h.settle()
        h.put_all([1, 2], (one, "inbox"))
        h.put(producerFinished(), (one, "control"))
        h.expect_end(one)
        assert heard(h, other) == [[1, 2]]


def test_a_thousand_subscribers_that_come_and_go_leave_nothing_behind(hub: Backplane) -> None:
    with harness(hub) as h:
        for _ in range(10):
            batch = [subscriber(hub) for _ in range(100)]
            h.start(*batch)
            h.settle()
            for one in batch:
                one.stop()
            h.settle()
        assert len(hub.outboxes) == 2
        assert hub.postoffice.linkages == []


def test_the_older_names_are_the_same() -> None:
    assert (publishTo, subscribeTo) == (PublishTo, SubscribeTo)


def test_a_sink_need_not_be_a_subscribe_to(hub: Backplane) -> None:
    sink = component()
    service, box = hub.tracker.retrieveService("Backplane_O_NEWS")
    service.inboxes[box].deliver(addsink(sink, "inbox"))
    with harness(hub) as h:
        h.put(1)
        h.settle()
        assert list(sink.Inbox()) == [1]
