"""Named services and shared values."""

import pytest

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
from Axon.CoordinatingAssistantTracker import coordinatingassistanttracker as tracker_class


@pytest.fixture
def tracker() -> tracker_class:
    return tracker_class()


def test_a_service_is_found_by_name_until_it_is_taken_away(tracker: tracker_class) -> None:
    one = component()
    tracker.registerService("clock", one, "control")
    assert tracker.retrieveService("clock") == (one, "control")
    assert tracker.servicesRegistered() == ["clock"]
    tracker.deRegisterService("clock")
    assert tracker.servicesRegistered() == []
    with pytest.raises(KeyError):
        tracker.retrieveService("clock")
    with pytest.raises(MultipleServiceDeletion):
        tracker.deRegisterService("clock")


def test_what_cannot_serve_is_refused(tracker: tracker_class) -> None:
    one = component()
    tracker.registerService("clock", one, "inbox")
    with pytest.raises(ServiceAlreadyExists):
        tracker.registerService("clock", component(), "inbox")
    with pytest.raises(BadComponent):
        tracker.registerService("other", "no component", "inbox")  # type: ignore[arg-type]
    with pytest.raises(BadInbox):
        tracker.registerService("other", one, "no such box")
    assert tracker.servicesRegistered() == ["clock"]
    assert tracker.retrieveService("clock")[0] is one


def test_a_value_is_tracked_once_and_can_be_changed(tracker: tracker_class) -> None:
    tracker.trackValue("limit", None)
    assert tracker.retrieveValue("limit") is None
    tracker.updateValue("limit", 2)
    assert tracker.retrieveValue("limit") == 2
    assert tracker.informationItemsLogged() == ["limit"]
    with pytest.raises(NamespaceClash):
        tracker.trackValue("limit", 3)
    assert tracker.retrieveValue("limit") == 2


def test_a_value_that_nobody_tracks_is_an_error(tracker: tracker_class) -> None:
    with pytest.raises(AccessToUndeclaredTrackedVariable):
        tracker.retrieveValue("limit")
    with pytest.raises(AccessToUndeclaredTrackedVariable):
        tracker.updateValue("limit", 1)
    assert tracker.informationItemsLogged() == []


def test_zap_forgets_everything(tracker: tracker_class) -> None:
    tracker.registerService("clock", component(), "inbox")
    tracker.trackValue("limit", 1)
    tracker.zap()
    assert tracker.servicesRegistered() == tracker.informationItemsLogged() == []


def test_there_is_one_for_the_process_and_others_have_their_own_tables() -> None:
    shared = tracker_class.getcat()
    assert shared is tracker_class.getcat() is tracker_class.basecat
    child = tracker_class(shared)
    child.trackValue("limit", 1)
    assert "limit" not in shared.informationItemsLogged()


def test_the_parent_must_be_a_tracker() -> None:
    with pytest.raises(BadParentTracker):
        tracker_class("no tracker")  # type: ignore[arg-type]
