"""
The tracker, tracked resources, and the small modules that hold no state of their own: rules that
are not tested beside them.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from Axon import AxonExceptions
from Axon.AdaptiveCommsComponent import AdaptiveCommsComponent
from Axon.AxonExceptions import (
    AccessToUndeclaredTrackedVariable,
    BadComponent,
    BadInbox,
    BadParentTracker,
    MultipleServiceDeletion,
    NamespaceClash,
    ServiceAlreadyExists,
)
from Axon.Component import component
from Axon.CoordinatingAssistantTracker import coordinatingassistanttracker
from Axon.idGen import idGen, newId, numId, strId, tupleId
from Axon.Ipc import (
    WaitComplete,
    errorInformation,
    ipc,
    newComponent,
    notify,
    producerFinished,
    reactivate,
    shutdown,
    shutdownMicroprocess,
    status,
    wouldblock,
)
from Axon.STM import ConcurrentUpdate, Store
from Test.Axon.contract.old_fakes import OldScheduler

# ---- the tracker


@pytest.fixture
def tracker() -> coordinatingassistanttracker:
    """Give an empty tracker."""
    return coordinatingassistanttracker()


def test_the_parent_is_none_or_the_tracker_given(tracker: coordinatingassistanttracker) -> None:
    assert tracker._parent is None
    assert coordinatingassistanttracker(parent=tracker)._parent is tracker
    assert coordinatingassistanttracker(tracker)._parent is tracker


@pytest.mark.parametrize("bad", [1, "tracker", component(), [], object()])
def test_anything_else_is_no_parent(bad: Any) -> None:  # noqa: ANN401
    with pytest.raises(BadParentTracker):
        coordinatingassistanttracker(bad)


def test_a_parent_is_not_asked(tracker: coordinatingassistanttracker) -> None:
    child = coordinatingassistanttracker(tracker)
    tracker.trackValue("name", 1)
    tracker.registerService("service", component(), "inbox")
    with pytest.raises(AccessToUndeclaredTrackedVariable):
        child.retrieveValue("name")
    with pytest.raises(KeyError):
        child.retrieveService("service")


def test_there_is_one_for_the_process_and_everyone_has_it() -> None:
    base = coordinatingassistanttracker.basecat
    assert coordinatingassistanttracker.getcat() is base
    assert component().tracker is base


def test_services_come_and_go(tracker: coordinatingassistanttracker) -> None:
    one, other = component(), component()
    tracker.registerService("a", one, "inbox")
    tracker.registerService("b", other, "control")
    assert tracker.retrieveService("a") == (one, "inbox")
    assert sorted(tracker.servicesRegistered()) == ["a", "b"]
    with pytest.raises(ServiceAlreadyExists):
        tracker.registerService("a", other, "inbox")
    tracker.deRegisterService("a")
    with pytest.raises(MultipleServiceDeletion):
        tracker.deRegisterService("a")
    tracker.registerService("a", other, "inbox")
    assert tracker.retrieveService("a") == (other, "inbox")


def test_what_cannot_serve_is_refused_and_not_kept(tracker: coordinatingassistanttracker) -> None:
    bad: Any = "no component"
    with pytest.raises(BadComponent):
        tracker.registerService("a", bad, "inbox")
    with pytest.raises(BadInbox):
        tracker.registerService("a", component(), "nobox")
    with pytest.raises(BadInbox):
        tracker.registerService("a", component(), "outbox")
    assert tracker.servicesRegistered() == []


@pytest.mark.parametrize("value", [0, None, "", [], "text"])
def test_values_of_any_kind_are_tracked(
    tracker: coordinatingassistanttracker, value: object
) -> None:
    tracker.trackValue("name", value)
    assert tracker.retrieveValue("name") == value
    with pytest.raises(NamespaceClash):
        tracker.trackValue("name", 1)
    tracker.updateValue("name", "new")
    assert tracker.retrieveValue("name") == "new"
    assert tracker.informationItemsLogged() == ["name"]


@pytest.mark.parametrize("call", ["retrieveValue", "updateValue"])
def test_a_value_that_was_not_declared_is_an_error(
    tracker: coordinatingassistanttracker, call: str
) -> None:
    arguments = ["name"] if call == "retrieveValue" else ["name", 1]
    with pytest.raises(AccessToUndeclaredTrackedVariable):
        getattr(tracker, call)(*arguments)
    assert tracker.informationItemsLogged() == []


def test_zap_takes_its_arguments_as_they_come(tracker: coordinatingassistanttracker) -> None:
    tracker.trackValue("name", 1)
    tracker.registerService("a", component(), "inbox")
    tracker.zap()
    assert tracker.informationItemsLogged() == tracker.servicesRegistered() == []


def test_a_tracker_given_at_activation_is_the_components(
    tracker: coordinatingassistanttracker,
) -> None:
    class Asker(component):
        def main(self) -> Iterator[object]:
            yield self.tracker

    made = Asker().activate(OldScheduler(), tracker)  # type: ignore[arg-type]
    assert made.next() is tracker


# ---- boxes and resources of adaptive components


@pytest.mark.parametrize("kind", ["Inbox", "Outbox"])
def test_box_names_begin_with_the_wish_and_never_clash(kind: str) -> None:
    made = AdaptiveCommsComponent()
    boxes: dict[str, Any] = made.inboxes if kind == "Inbox" else made.outboxes
    before = set(boxes)
    names = [getattr(made, "add" + kind)(wish) for wish in ["inbox", "outbox", "x", "x", "x1"] * 5]
    assert len(set(names)) == len(names)
    assert not before & set(names)
    assert set(boxes) == before | set(names)
    for name, wish in zip(names, ["inbox", "outbox", "x", "x", "x1"] * 5, strict=True):
        assert name.startswith(wish)


def test_the_default_wishes() -> None:
    made = AdaptiveCommsComponent(Inboxes=[], Outboxes=[])
    assert (made.addInbox(), made.addOutbox()) == ("inbox", "outbox")


@pytest.mark.parametrize("kind", ["Inbox", "Outbox"])
def test_deleting_what_is_not_there_is_a_key_error(kind: str) -> None:
    made = AdaptiveCommsComponent()
    with pytest.raises(KeyError):
        getattr(made, "delete" + kind)("nobox")
    name = getattr(made, "add" + kind)("x")
    getattr(made, "delete" + kind)(name)
    with pytest.raises(KeyError):
        getattr(made, "delete" + kind)(name)


@pytest.mark.parametrize("resource", ["text", 1, None, (1, 2), component()])
def test_resources_are_tracked_by_inbox_and_with_information(resource: Any) -> None:  # noqa: ANN401
    made = AdaptiveCommsComponent()
    made.trackResource(resource, "inbox")
    assert made.retrieveTrackedResource("inbox") is resource
    made.trackResourceInformation(resource, ["inbox", "control"], ["outbox"], "all about it")
    assert made.retrieveTrackedResourceInformation(resource) == (
        ["inbox", "control"],
        ["outbox"],
        "all about it",
    )
    made.ceaseTrackingResource(resource)
    with pytest.raises(KeyError):
        made.retrieveTrackedResourceInformation(resource)


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("trackResource", ["thing", "nobox"]),
        ("trackResourceInformation", ["thing", ["nobox"], [], None]),
        ("trackResourceInformation", ["thing", [], ["nobox"], None]),
        ("trackResourceInformation", ["thing", ["outbox"], [], None]),
        ("retrieveTrackedResource", ["inbox"]),
        ("retrieveTrackedResourceInformation", ["thing"]),
        ("ceaseTrackingResource", ["thing"]),
    ],
)
def test_tracking_with_a_box_or_thing_that_is_not_there_is_a_key_error(
    call: str, arguments: list[Any]
) -> None:
    made = AdaptiveCommsComponent()
    with pytest.raises(KeyError):
        getattr(made, call)(*arguments)
    with pytest.raises(KeyError):
        made.retrieveTrackedResourceInformation("thing")


# ---- messages: each constructor by position and by keyword


@pytest.mark.parametrize(
    ("made", "attributes"),
    [
        (producerFinished(), {"caller": None, "message": None}),
        (producerFinished("a", "b"), {"caller": "a", "message": "b"}),
        (producerFinished(message="b", caller="a"), {"caller": "a", "message": "b"}),
        (notify("a", "b"), {"caller": "a", "object": "b"}),
        (notify(caller="a", payload="b"), {"caller": "a", "object": "b"}),
        (reactivate(original="a"), {"original": "a"}),
        (wouldblock(caller="a"), {"caller": "a"}),
        (errorInformation("a"), {"caller": "a", "exception": None, "message": None}),
        (
            errorInformation(caller="a", exception="b", message="c"),
            {"caller": "a", "exception": "b", "message": "c"},
        ),
        (shutdown(), {}),
    ],
)
def test_a_message_has_the_attributes_it_was_made_with(
    made: ipc, attributes: dict[str, object]
) -> None:
    assert isinstance(made, ipc)
    assert {name: getattr(made, name) for name in attributes} == attributes


def test_messages_that_tell_when_asked() -> None:
    assert shutdownMicroprocess().microprocesses() == ()
    assert shutdownMicroprocess("a", "b").microprocesses() == ("a", "b")
    assert newComponent().components() == ()
    assert newComponent("a", "b").components() == ("a", "b")
    assert status("fine").status() == status(status="fine").status() == "fine"


def test_wait_complete_takes_a_generator_and_a_tag() -> None:
    generator = iter(())
    made = WaitComplete(generator, tag="_reading")
    assert made.args[0] is generator
    assert made.argd["tag"] == "_reading"


@pytest.mark.parametrize("kind", [producerFinished, shutdownMicroprocess, notify, ipc])
def test_messages_can_be_derived_from_and_take_attributes(kind: type[Any]) -> None:
    class Mine(kind):  # type: ignore[misc]
        def __init__(self, extra: object) -> None:
            self.extra = extra

    made = Mine("more")
    assert made.extra == "more"
    assert isinstance(made, ipc)


# ---- exceptions


@pytest.mark.parametrize(
    "name",
    [
        "normalShutdown",
        "invalidComponentInterface",
        "noSpaceInBox",
        "BadParentTracker",
        "ServiceAlreadyExists",
        "BadComponent",
        "BadInbox",
        "MultipleServiceDeletion",
        "NamespaceClash",
        "AccessToUndeclaredTrackedVariable",
        "ArgumentsClash",
        "BoxAlreadyLinkedToDestination",
    ],
)
@pytest.mark.parametrize("arguments", [(), (1,), ("a", 2, None)])
def test_exceptions_keep_their_arguments(name: str, arguments: tuple[Any, ...]) -> None:
    kind = getattr(AxonExceptions, name)
    assert kind(*arguments).args == arguments
    assert issubclass(kind, AxonExceptions.AxonException)
    assert issubclass(kind, Exception)


# ---- ids


def test_ids_increase_whoever_makes_them_and_whatever_they_are_called() -> None:
    maker = idGen()
    ids = [numId(), maker.nextId(), next(maker), maker.next(), maker.numId(), numId()]
    assert ids == sorted(set(ids))
    thing = component()
    number, text = tupleId(thing)
    assert text == f"Axon.Component.component_{number}"
    assert strId(thing).rpartition("_")[0] == newId(thing).rpartition("_")[0]
    assert maker.idToString(thing, 7) == "Axon.Component.component_7"
    assert maker.tupleId(thing)[0] > number


# ---- the store


def test_a_variable_begins_as_none_at_version_0() -> None:
    value = Store().usevar("name")
    assert (value.value, value.version) == (None, 0)
    assert repr(value) == "Value(0, None)"


def test_a_commit_succeeds_once_for_each_version() -> None:
    store = Store()
    first, second = store.usevar("name"), store.usevar("name")
    first.set("a")
    first.commit()
    second.set("b")
    with pytest.raises(ConcurrentUpdate):
        second.commit()
    assert store.usevar("name").value == "a"
    first.set("c")
    first.commit()
    assert store.usevar("name").value == "c"


def test_a_collection_is_committed_whole_or_not_at_all() -> None:
    store = Store()
    both, one = store.using("a", "b"), store.usevar("b")
    one.set("taken")
    one.commit()
    both["a"].set("mine")
    both["b"].set("mine")
    with pytest.raises(ConcurrentUpdate):
        both.commit()
    assert (store.usevar("a").value, store.usevar("b").value) == (None, "taken")


def test_what_was_checked_out_is_a_copy() -> None:
    store = Store()
    value = store.usevar("list")
    mine = [1]
    value.set(mine)
    value.commit()
    mine.append(2)
    seen = store.usevar("list")
    assert seen.value == [1]
    seen.value.append(3)
    assert store.usevar("list").value == [1]
