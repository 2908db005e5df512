"""RegisterService, Subscribe and ToService: finding, waiting, asking, taking leave."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from Axon.AxonExceptions import BadComponent, BadInbox, ServiceAlreadyExists
from Axon.Component import component
from Axon.CoordinatingAssistantTracker import coordinatingassistanttracker
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.Experimental.Services import (
    RegisterService,
    ServiceNotFoundError,
    Subscribe,
    ToService,
)
from Kamaelia.Util.DataSource import DataSource
from Test.Kamaelia.shutdown import Ends

NAME = "service of the tests"
tracker = coordinatingassistanttracker.getcat()


class Service(component):
    """Keeps what it is asked; ends when told."""

    def __init__(self, **attributes: object) -> None:
        super().__init__(**attributes)
        self.got: list[object] = []

    def main(self) -> Iterator[object]:
        while not self.told_to_stop():
            self.got.extend(self.Inbox("inbox"))
            self.pause()
            yield 1
        self.got.extend(self.Inbox("inbox"))


@contextmanager
def a_service() -> Iterator[Service]:
    service = RegisterService(Service(), {NAME: "inbox"})
    assert isinstance(service, Service)
    try:
        yield service
    finally:
        if NAME in tracker.servicesRegistered():  # it never ran, or has not ended
            tracker.deRegisterService(NAME)


@pytest.fixture(autouse=True)
def _nothing_is_left_in_the_tracker() -> Iterator[None]:
    before = tracker.servicesRegistered()
    yield
    assert tracker.servicesRegistered() == before


SHUTDOWN = {
    Subscribe: Ends(lambda: Subscribe(NAME, "x"), within=a_service),
    ToService: Ends(lambda: ToService(NAME), within=a_service),
}


def added(subscriber: component, *requests: object) -> list[object]:
    return [("ADD", request, (subscriber, "inbox")) for request in requests]


def removed(subscriber: component, *requests: object) -> list[object]:
    return [("REMOVE", request, (subscriber, "inbox")) for request in requests]


# ---- registering


def test_registering_returns_the_component_and_its_boxes_are_services_until_its_end() -> None:
    service = Service()
    assert RegisterService(service, {"one": "inbox", "two": "control"}) is service
    assert tracker.retrieveService("one") == (service, "inbox")
    assert tracker.retrieveService("two") == (service, "control")
    drive(service, control=[producerFinished()])
    assert not {"one", "two"} & set(tracker.servicesRegistered())


def test_a_service_that_was_taken_over_meanwhile_is_left_to_its_new_owner() -> None:
    first, second = Service(), Service()
    RegisterService(first, {NAME: "inbox"})
    tracker.deRegisterService(NAME)
    RegisterService(second, {NAME: "inbox"})
    drive(first, control=[producerFinished()])
    assert tracker.retrieveService(NAME) == (second, "inbox")
    drive(second, control=[producerFinished()])


def test_when_one_of_the_names_is_taken_none_is_registered() -> None:
    with a_service() as service, pytest.raises(ServiceAlreadyExists):
        RegisterService(Service(), {"another": "inbox", NAME: "inbox"})
    assert service.got == []
    assert "another" not in tracker.servicesRegistered()


def test_what_has_no_such_inbox_or_is_no_component_is_refused() -> None:
    with pytest.raises(BadInbox):
        RegisterService(Service(), {"one": "inbox", "two": "inbx"})
    with pytest.raises(BadComponent):
        RegisterService("text", {"one": "inbox"})  # type: ignore[arg-type]


# ---- subscribing


def test_each_request_is_added_and_removed_in_reverse_order_after_a_producer_finished() -> None:
    with a_service() as service:
        subscriber = Subscribe(NAME, "cats", ("dogs", 3))
        with harness(subscriber, service) as h:
            h.settle()
            assert service.got == added(subscriber, "cats", ("dogs", 3))
            h.put(stop := producerFinished(), "control")
            h.expect("signal", stop)
            h.expect_end(subscriber)
            h.settle()
            assert service.got[2:] == removed(subscriber, ("dogs", 3), "cats")


def test_what_the_service_sends_comes_out_in_order() -> None:
    with a_service() as service:
        subscriber = Subscribe(NAME, "cats")
        with harness(subscriber, service) as h:
            h.settle()
            h.put_all([1, 2, 3])
            h.expect_all("outbox", [1, 2, 3])


def test_after_a_producer_finished_what_has_come_goes_out_as_there_is_room() -> None:
    with a_service() as service:
        subscriber = Subscribe(NAME, "cats")
        with harness(subscriber, service) as h:
            h.limit(1)
            h.settle()
            h.put_all([1, 2, 3])
            h.put(producerFinished(), "control")
            h.run_for(60)
            h.not_ended(subscriber)
            h.expect_all("outbox", [1, 2, 3])
            h.expect_end(subscriber)


def test_a_shutdown_microprocess_ends_it_with_data_waiting_and_the_service_hears() -> None:
    with a_service() as service:
        subscriber = Subscribe(NAME, "cats")
        with harness(subscriber, service) as h:
            h.limit(0)
            h.settle()
            h.put_all([1, 2])
            h.put(stop := shutdownMicroprocess(), "control")
            h.expect_end(subscriber)
            assert h.take("signal") == [stop]
            h.settle()
            assert service.got == [*added(subscriber, "cats"), *removed(subscriber, "cats")]


@pytest.mark.parametrize("how", ["stop", "crash"])
def test_the_service_hears_also_of_one_that_was_stopped_or_has_failed(how: str) -> None:
    with a_service() as service:
        subscriber = Subscribe(NAME, "cats", "dogs")
        subscriber.isolate(lambda culprit, error: None)
        with harness(subscriber, service) as h:
            h.settle()
            if how == "stop":
                subscriber.stop()
            else:
                h.crash(ValueError("bad"), subscriber)
            h.expect_end(subscriber)
            h.settle()
            assert service.got[2:] == removed(subscriber, "dogs", "cats")


@pytest.mark.parametrize("how", ["stop", "shutdown"])
def test_one_that_is_to_end_at_once_does_not_wait_for_room_at_the_service(how: str) -> None:
    with a_service() as service:
        service.setInboxSize("inbox", 1)
        subscriber = Subscribe(NAME, "cats")
        with harness(subscriber) as h:
            h.settle()
            if how == "stop":
                subscriber.stop()
            else:
                h.put(shutdownMicroprocess(), "control")
            h.expect_end()
        asked = [*added(subscriber, "cats"), *removed(subscriber, "cats")]
        assert list(service.Inbox("inbox")) == asked
        assert service.inboxes["inbox"].getSize() == 1


def test_its_requests_wait_for_room_at_the_service() -> None:
    with a_service() as service:
        service.setInboxSize("inbox", 1)
        subscriber = Subscribe(NAME, *range(10))
        with harness(subscriber) as h:
            h.run_for(60)
            assert service.dataReady("inbox") == 1
            h.start(service)
            h.settle()
            assert service.got == added(subscriber, *range(10))


def test_stopped_while_its_requests_wait_it_removes_only_those_that_were_added() -> None:
    with a_service() as service:
        service.setInboxSize("inbox", 1)
        subscriber = Subscribe(NAME, "cats", "dogs")
        with harness(subscriber) as h:
            h.settle()
            h.put(shutdownMicroprocess(), "control")
            h.settle()
            h.start(service)
            h.expect_end(subscriber)
            h.settle()
            assert service.got == [*added(subscriber, "cats"), *removed(subscriber, "cats")]


def test_several_may_subscribe_to_the_same_service() -> None:
    with a_service() as service:
        one, other = Subscribe(NAME, "cats"), Subscribe(NAME, "cats")
        with harness(one, other, service) as h:
            h.settle()
            assert service.got == [*added(one, "cats"), *added(other, "cats")]
            h.put(producerFinished(), (one, "control"))
            h.expect_end(one)
            h.settle()
            h.not_ended(other)
            assert service.got[2:] == removed(one, "cats")


# ---- to a service


def test_what_comes_in_goes_to_the_service() -> None:
    with a_service() as service:
        to_service = ToService(NAME)
        with harness(to_service, service) as h:
            h.put_all([1, 2])
            h.settle()
            h.put_all([3])
            h.settle()
            assert service.got == [1, 2, 3]
            h.put(stop := producerFinished(), "control")
            h.expect("signal", stop)
            h.expect_end(to_service)


def test_a_full_service_holds_the_senders_back_and_nothing_is_lost() -> None:
    with a_service() as service:
        service.setInboxSize("inbox", 2)
        source, to_service = DataSource(range(10)), ToService(NAME)
        source.link((source, "outbox"), (to_service, "inbox"))
        to_service.setInboxSize("inbox", 3)
        with harness(to_service, source) as h:
            h.run_for(60)
            assert service.dataReady("inbox") + to_service.dataReady("inbox") <= 5
            h.start(service)
            h.expect_end(source)
            h.settle()
            assert service.got == list(range(10))


def test_it_can_be_stopped_while_the_service_has_no_room() -> None:
    with a_service() as service:
        service.setInboxSize("inbox", 0)
        with harness(ToService(NAME)) as h:
            h.put(1)
            h.settle()
            h.finish(shutdownMicroprocess())


def test_several_may_send_to_the_same_service() -> None:
    with a_service() as service:
        one, other = ToService(NAME), ToService(NAME)
        with harness(one, other, service) as h:
            h.settle()
            h.put("a", (one, "inbox"))
            h.put(producerFinished(), (one, "control"))
            h.expect_end(one)
            h.put("b", (other, "inbox"))
            h.settle()
            assert service.got == ["a", "b"]


# ---- waiting for it


@pytest.mark.parametrize("kind", [Subscribe, ToService])
def test_it_waits_for_a_service_that_is_registered_later(kind: type[component]) -> None:
    client = kind(NAME)
    with harness(client) as h:
        h.run_for(4)
        h.not_ended()
        with a_service():
            h.run_for(60)
            h.not_ended()
            h.finish()


def test_what_comes_before_the_service_is_there_goes_to_it_then() -> None:
    to_service = ToService(NAME)
    with harness(to_service) as h:
        h.put_all([1, 2])
        h.put(producerFinished(), "control")
        h.run_for(4)
        h.not_ended()
        with a_service() as service:
            h.expect_end()
            assert list(service.Inbox("inbox")) == [1, 2]


@pytest.mark.parametrize("kind", [Subscribe, ToService])
def test_a_service_that_nobody_registers_is_an_error_that_names_it(kind: type[component]) -> None:
    with harness(kind(NAME, wait_seconds=2)) as h:
        h.run_for(1.9)
        with pytest.raises(ServiceNotFoundError, match=f"'{NAME}' within 2 seconds"):
            h.run_for(1)


@pytest.mark.parametrize("kind", [Subscribe, ToService])
@pytest.mark.parametrize("message", [producerFinished(), shutdownMicroprocess()])
def test_told_to_stop_while_it_waits_it_ends(kind: type[component], message: object) -> None:
    with harness(kind(NAME)) as h:
        h.run_for(1)
        h.put(message, "control")
        h.expect_end(within=0)
        assert h.take("signal") in ([], [message])
