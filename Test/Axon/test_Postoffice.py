"""Making and cutting the linkages of one component."""

import itertools

import pytest

from Axon.AdaptiveCommsComponent import AdaptiveCommsComponent
from Axon.AxonExceptions import BoxAlreadyLinkedToDestination, LinkageCycle, noSpaceInBox
from Axon.Component import component
from Axon.Postoffice import postoffice


@pytest.fixture
def office() -> postoffice:
    return postoffice("test")


def received(thecomponent: component, boxname: str = "inbox") -> list[object]:
    return list(thecomponent.Inbox(boxname))


def test_a_link_carries_messages_until_it_is_cut(office: postoffice) -> None:
    left, right = component(), component()
    wire = office.link((left, "outbox"), (right, "inbox"))
    assert office.islinkageregistered(wire) == 1
    assert office.linkages == [wire]
    left.send(1)
    office.unlink(thelinkage=wire)
    left.send(2)
    assert received(right) == [1]
    assert office.islinkageregistered(wire) == 0
    assert office.linkages == []


def test_a_cut_source_may_be_linked_again(office: postoffice) -> None:
    left, first, second = component(), component(), component()
    office.unlink(thelinkage=office.link((left, "outbox"), (first, "inbox")))
    office.link((left, "outbox"), (second, "inbox"))
    left.send(1)
    assert (received(first), received(second)) == ([], [1])


def test_unlinking_a_component_cuts_all_that_touch_it_and_no_other(office: postoffice) -> None:
    hub, left, right = component(), component(), component()
    office.link((hub, "outbox"), (left, "inbox"))
    office.link((right, "outbox"), (hub, "inbox"))
    office.link((hub, "signal"), (hub, "control"))
    other = office.link((left, "outbox"), (right, "inbox"))
    office.unlink(thecomponent=hub)
    assert office.linkages == [other]
    for sender in (hub, right):
        sender.send("lost")
    hub.send("lost", "signal")
    left.send("kept")
    assert received(right) == ["kept"]
    assert not any(one.anyReady() for one in (hub, left))


def test_what_others_made_is_left_alone(office: postoffice) -> None:
    left, right = component(), component()
    foreign = left.link((left, "outbox"), (right, "inbox"))
    office.unlink(thecomponent=left)
    office.unlink(thelinkage=foreign)
    office.unlink()
    left.send(1)
    assert received(right) == [1]


def test_a_linkage_can_be_cut_only_once(office: postoffice) -> None:
    left, right = component(), component()
    old = office.link((left, "outbox"), (right, "inbox"))
    office.unlink(thelinkage=old)
    office.link((left, "outbox"), (right, "inbox"))
    office.unlink(thelinkage=old)
    left.send(1)
    assert received(right) == [1]


def test_unlink_all_leaves_nothing_behind(office: postoffice) -> None:
    parts = [component() for _ in range(5)]
    for left, right in itertools.pairwise(parts):
        office.link((left, "outbox"), (right, "inbox"))
    office.unlinkAll()
    assert office.linkages == []
    assert not office._index
    for part in parts:
        part.send("lost")
    assert not any(part.anyReady() for part in parts)


@pytest.mark.parametrize("pipewidth", [None, 1])
def test_a_refused_link_is_not_kept_and_changes_no_limit(
    office: postoffice, pipewidth: int | None
) -> None:
    left, first, second = component(), component(), component()
    office.link((left, "outbox"), (first, "inbox"))
    with pytest.raises(BoxAlreadyLinkedToDestination):
        office.link((left, "outbox"), (second, "inbox"), pipewidth=pipewidth)
    with pytest.raises(LinkageCycle):
        office.link((first, "inbox"), (first, "inbox"), passthrough=1, pipewidth=pipewidth)
    assert len(office.linkages) == 1
    assert second.inboxes["inbox"].getSize() is None
    assert first.inboxes["inbox"].getSize() is None


def test_a_link_that_would_overflow_its_own_pipewidth_is_refused_whole(office: postoffice) -> None:
    parent, child = component(), component()
    for number in range(3):
        parent._deliver(number)
    child.setInboxSize("inbox", 7)
    with pytest.raises(noSpaceInBox):
        office.link((parent, "inbox"), (child, "inbox"), passthrough=1, pipewidth=2)
    assert received(parent) == [0, 1, 2]
    assert child.inboxes["inbox"].getSize() == 7
    assert office.linkages == []


def test_pipewidth_and_synchronous_limit_the_sink(office: postoffice) -> None:
    left, right = component(), component()
    office.link((left, "outbox"), (right, "inbox"), pipewidth=2)
    office.link((left, "signal"), (right, "control"), synchronous=True)
    assert right.inboxes["inbox"].getSize() == 2
    assert right.inboxes["control"].getSize() == 1
    left.send(1)
    left.send(2)
    with pytest.raises(noSpaceInBox):
        left.send(3)


def test_a_pipewidth_on_the_way_to_nowhere_is_accepted(office: postoffice) -> None:
    child, parent = component(), component()
    office.link((child, "outbox"), (parent, "outbox"), passthrough=2, pipewidth=1)
    child.send("lost")
    child.send("lost")
    assert len(office.linkages) == 1


def test_unlinking_works_when_the_sink_box_has_been_deleted_before(office: postoffice) -> None:
    left, right = component(), AdaptiveCommsComponent()
    name = right.addInbox("extra")
    office.link((left, "outbox"), (right, name))
    right.deleteInbox(name)
    office.unlink(thecomponent=right)
    other = component()
    office.link((left, "outbox"), (other, "inbox"))  # it is free again
    left.send(1)
    assert received(other) == [1]


def test_unlinking_does_not_touch_a_new_box_of_the_same_name(office: postoffice) -> None:
    left, right, new_right = AdaptiveCommsComponent(), component(), component()
    left.addOutbox("extra")
    old = office.link((left, "extra"), (right, "inbox"))
    left.deleteOutbox("extra")
    left.addOutbox("extra")
    office.link((left, "extra"), (new_right, "inbox"))
    office.unlink(thelinkage=old)
    left.send(1, "extra")
    assert (received(right), received(new_right)) == ([], [1])


def test_the_text_shows_the_links(office: postoffice) -> None:
    left, right = component(name="left"), component(name="right")
    office.link((left, "outbox"), (right, "inbox"))
    assert "test:" in str(office)
    assert "source:[left,outbox]" in str(office)
    assert postoffice().debugname == ""
