"""Boxes that come and go while a component runs."""

from collections.abc import Iterator

import pytest

from Axon.AdaptiveCommsComponent import AdaptiveCommsComponent
from Axon.Component import component
from Axon.Scheduler import scheduler


@pytest.fixture
def adaptive() -> AdaptiveCommsComponent:
    return AdaptiveCommsComponent()


def test_a_name_that_is_free_is_given_as_wished(adaptive: AdaptiveCommsComponent) -> None:
    assert adaptive.addInbox("extra") == "extra"
    assert adaptive.addOutbox("extra") == "extra"
    assert list(adaptive.inboxes) == ["inbox", "control", "extra"]
    assert list(adaptive.outboxes) == ["outbox", "signal", "extra"]


def test_a_name_that_is_taken_gets_a_number(adaptive: AdaptiveCommsComponent) -> None:
    inboxes = {adaptive.addInbox() for _ in range(10)}
    outboxes = {adaptive.addOutbox() for _ in range(10)}
    assert len(inboxes) == len(outboxes) == 10
    assert all(name.startswith("inbox") and name != "inbox" for name in inboxes)
    assert all(name.startswith("outbox") and name != "outbox" for name in outboxes)


def test_a_name_that_was_given_before_by_number_is_not_given_again(
    adaptive: AdaptiveCommsComponent,
) -> None:
    first = adaptive.addInbox("x")
    numbered = adaptive.addInbox("x")
    number = int(numbered.removeprefix("x"))
    for ahead in range(1, 4):
        adaptive.inboxes[f"x{number + ahead}"] = adaptive.inboxes[first]
    assert adaptive.addInbox("x") == f"x{number + 4}"


def test_the_class_and_other_instances_keep_their_boxes(adaptive: AdaptiveCommsComponent) -> None:
    adaptive.addInbox("extra")
    assert "extra" not in AdaptiveCommsComponent.Inboxes
    assert "extra" not in AdaptiveCommsComponent().inboxes


def test_messages_come_through_a_new_box_and_are_noticed(engine: scheduler) -> None:
    got: list[object] = []

    class Server(AdaptiveCommsComponent):
        def main(self) -> Iterator[object]:
            name = self.addInbox("from_client")
            self.link((client, "outbox"), (self, name))
            while not self.anyReady():
                self.pause()
                yield 1
            assert self.anyReady() == name
            got.append(self.recv(name))

    class Client(component):
        def main(self) -> Iterator[object]:
            yield 1
            self.send("hello")

    client = Client().activate(Scheduler=engine)
    Server().activate(Scheduler=engine)
    engine.runThreads()
    assert got == ["hello"]


def test_a_deleted_box_is_gone(adaptive: AdaptiveCommsComponent) -> None:
    name = adaptive.addInbox("extra")
    adaptive._deliver(1, name)
    adaptive.deleteInbox(name)
    assert adaptive.anyReady() is False
    adaptive.deleteOutbox(adaptive.addOutbox("extra"))
    for gone in (
        lambda: adaptive.recv(name),
        lambda: adaptive.send(1, "extra"),
        lambda: adaptive.deleteInbox(name),
        lambda: adaptive.deleteOutbox("extra"),
    ):
        with pytest.raises(KeyError):
            gone()


def test_boxes_added_while_it_ran_are_closed_with_it(engine: scheduler) -> None:
    sender = component()

    class Server(AdaptiveCommsComponent):
        def main(self) -> Iterator[object]:
            sender.link((sender, "outbox"), (self, self.addInbox("extra")), pipewidth=1)
            yield 1

    Server().activate(Scheduler=engine)
    engine.runThreads()
    for number in range(5):
        sender.send(number)  # nobody is there: nobody is blocked


def test_a_resource_is_found_by_its_inbox(adaptive: AdaptiveCommsComponent) -> None:
    name = adaptive.addInbox("extra")
    resource = [1, 2]
    adaptive.trackResource(resource, name)
    assert adaptive.retrieveTrackedResource(name) is resource
    with pytest.raises(KeyError):
        adaptive.trackResource(resource, "no such box")
    with pytest.raises(KeyError):
        adaptive.retrieveTrackedResource("control")


def test_what_belongs_to_a_resource_is_found_until_it_is_no_longer_tracked(
    adaptive: AdaptiveCommsComponent,
) -> None:
    adaptive.trackResourceInformation("client", ["inbox"], ["outbox", "signal"], {"port": 25})
    assert adaptive.retrieveTrackedResourceInformation("client") == (
        ["inbox"],
        ["outbox", "signal"],
        {"port": 25},
    )
    for inboxes, outboxes in ((["no such box"], []), ([], ["no such box"])):
        with pytest.raises(KeyError):
            adaptive.trackResourceInformation("other", inboxes, outboxes, None)
    with pytest.raises(KeyError):
        adaptive.retrieveTrackedResourceInformation("other")
    adaptive.ceaseTrackingResource("client")
    with pytest.raises(KeyError):
        adaptive.retrieveTrackedResourceInformation("client")


def test_two_components_track_apart() -> None:
    first, second = AdaptiveCommsComponent(), AdaptiveCommsComponent()
    first.trackResource("a", "inbox")
    second.trackResource("b", "inbox")
    assert first.retrieveTrackedResource("inbox") == "a"
