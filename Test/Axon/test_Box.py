"""Postboxes by themselves, with fake owners."""

import itertools
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from Axon.AxonExceptions import BoxAlreadyLinkedToDestination, LinkageCycle, noSpaceInBox
from Axon.Box import NOBODY, NULL_SINK, Inbox, Outbox

Box = Inbox | Outbox


class FakeOwner:
    """Counts how often it is woken; sleeps when told."""

    def __init__(self) -> None:
        self.woken = 0
        self._asleep: Callable[[Any], None] | None = None

    def sleep(self) -> None:
        self._asleep = self._count

    def _count(self, _owner: object) -> None:
        self.woken += 1

    def unpause(self) -> None:
        self._asleep = None
        self.woken += 1


class Loudspeaker:
    """An object in the place of a deque: handles each message at once."""

    def __init__(self, handle: Callable[[Any], object]) -> None:
        self.append = handle

    def __len__(self) -> int:
        return 0


def inbox(name: str = "inbox") -> Inbox:
    return Inbox(FakeOwner(), name)


def outbox(name: str = "outbox") -> Outbox:
    return Outbox(FakeOwner(), name)


def contents(box: Inbox) -> list[Any]:
    return list(box.q)


def storage(box: Inbox) -> type[Any]:
    return type(box.q)


# ---- delivery


def test_an_inbox_that_never_got_a_message_owns_no_deque() -> None:
    box = inbox()
    assert box.q == ()
    assert (len(box), box.local_len(), bool(box)) == (0, 0, True)


def test_messages_are_taken_in_the_order_in_which_they_came() -> None:
    box = inbox()
    for number in range(5):
        box.append(number)
    assert [box.pop() for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(IndexError):
        box.pop()


@pytest.mark.parametrize("box", [inbox(), outbox()], ids=["inbox", "outbox"])
def test_taking_from_a_box_that_never_had_anything_is_an_index_error(box: Box) -> None:
    with pytest.raises(IndexError, match="empty box"):
        box.pop()


def test_a_delivery_wakes_a_sleeping_owner_once() -> None:
    owner = FakeOwner()
    box = Inbox(owner, "inbox")
    box.deliver(1)
    assert owner.woken == 0
    owner.sleep()
    box.deliver(2)
    box.deliver(3)
    assert owner.woken == 1
    assert owner._asleep is None


def test_an_outbox_linked_to_nothing_discards() -> None:
    box = outbox()
    box.append("lost")
    assert (len(box), box.local_len(), bool(box), box.isFull()) == (0, 0, True, False)
    assert len(NULL_SINK.q) == 0


def test_an_inbox_linked_out_to_nothing_discards() -> None:
    source, sink = inbox(), outbox()
    sink.addsource(source)
    source.deliver("lost")
    assert contents(source) == []
    assert not source.isFull()
    assert len(source) == 0


def test_an_active_object_can_stand_in_for_the_storage() -> None:
    heard: list[Any] = []
    sink, source = inbox(), outbox()
    sink.q = Loudspeaker(heard.append)
    sink.addsource(source)
    source.append(1)
    sink.deliver(2)
    assert heard == [1, 2]


def test_an_attribute_error_inside_an_active_object_is_not_taken_for_an_unused_box() -> None:
    def broken(message: object) -> None:
        raise AttributeError("its own mistake")

    sink = inbox()
    sink.q = Loudspeaker(broken)
    with pytest.raises(AttributeError, match="its own mistake"):
        sink.deliver(1)


# ---- linkages


def test_a_message_goes_to_the_end_of_a_chain_made_in_any_order() -> None:
    kinds: list[Callable[[], Box]] = [outbox, outbox, outbox, inbox, inbox, inbox]
    for order in itertools.permutations(range(len(kinds) - 1)):
        chain = [make() for make in kinds]
        for index in order:
            chain[index + 1].addsource(chain[index])
        final = chain[-1]
        assert isinstance(final, Inbox)
        for number, box in enumerate(chain):
            box.append(number)
        assert contents(final) == list(range(len(kinds)))
        assert all(len(box) == len(kinds) and box.local_len() == 0 for box in chain[:-1])


@pytest.mark.parametrize("forward", [True, False], ids=["front first", "end first"])
def test_a_chain_may_be_longer_than_the_recursion_limit(forward: bool) -> None:
    length = sys.getrecursionlimit() + 200
    chain: list[Box] = [*(outbox() for _ in range(length // 2)), *(inbox() for _ in range(length))]
    links = list(itertools.pairwise(chain))
    for source, sink in links if forward else reversed(links):
        sink.addsource(source)
    chain[0].append("far")
    final = chain[-1]
    assert isinstance(final, Inbox)
    assert contents(final) == ["far"]
    final.removesource(chain[-2])
    chain[0].append("cut")
    last = chain[-2]
    assert isinstance(last, Inbox)
    assert contents(last) == ["cut"]


def test_many_sources_may_share_a_sink() -> None:
    sink = inbox()
    sources = [outbox() for _ in range(10)]
    for source in sources:
        sink.addsource(source)
    for number, source in enumerate(sources):
        source.append(number)
    assert contents(sink) == list(range(10))


def test_a_second_destination_is_refused_and_changes_nothing() -> None:
    source, first, second = outbox(), inbox(), inbox()
    first.addsource(source)
    with pytest.raises(BoxAlreadyLinkedToDestination) as refused:
        second.addsource(source)
    assert refused.value.args == (second, first, source)
    source.append(1)
    assert (contents(first), contents(second)) == ([1], [])


@pytest.mark.parametrize("length", [1, 2, 3, 10])
def test_a_chain_that_leads_back_to_itself_is_refused(length: int) -> None:
    chain = [inbox() for _ in range(length)]
    for source, sink in itertools.pairwise(chain):
        sink.addsource(source)
    with pytest.raises(LinkageCycle) as refused:
        chain[0].addsource(chain[-1])
    assert refused.value.args == (chain[-1],)
    chain[0].append("arrives")
    assert contents(chain[-1]) == ["arrives"]


def test_waiting_messages_move_on_in_order_when_their_box_is_linked_onwards() -> None:
    first, second, third = inbox(), inbox(), inbox()
    final_owner = FakeOwner()
    third.owner = final_owner
    for number in range(3):
        first.append(number)
    second.append("was here")
    second.addsource(first)
    assert (contents(first), contents(second)) == ([], ["was here", 0, 1, 2])
    final_owner.sleep()
    third.addsource(second)
    assert (contents(second), contents(third)) == ([], ["was here", 0, 1, 2])
    assert final_owner.woken >= 1


def test_messages_that_move_to_an_awake_owner_cancel_its_pause() -> None:
    # The owner may be the one who makes the link, in its own turn, after its last look.
    owner = FakeOwner()
    first, second = inbox(), Inbox(owner, "inbox")
    first.append(1)
    second.addsource(first)
    assert owner.woken == 1


def test_a_link_whose_messages_would_not_fit_is_refused_whole() -> None:
    first, second = inbox(), inbox()
    second.setSize(2)
    second.append("was here")
    first.append(1)
    first.append(2)
    with pytest.raises(noSpaceInBox) as refused:
        second.addsource(first)
    assert refused.value.args == (1, 2)
    assert (contents(first), contents(second)) == ([1, 2], ["was here"])
    assert first.target is None
    first.append(3)  # still its own
    assert contents(first) == [1, 2, 3]


def test_a_link_whose_messages_just_fit_is_made() -> None:
    first, second = inbox(), inbox()
    second.setSize(2)
    first.append(1)
    first.append(2)
    second.addsource(first)
    assert contents(second) == [1, 2]


def test_an_empty_box_may_be_linked_to_a_full_one() -> None:
    first, second = inbox(), inbox()
    second.append(1)
    second.setSize(1)
    second.addsource(first)
    with pytest.raises(noSpaceInBox):
        first.append(2)


def test_unlinking_leaves_messages_where_they_are() -> None:
    source, middle, sink = outbox(), inbox(), inbox()
    middle.addsource(source)
    sink.addsource(middle)
    source.append(1)
    sink.removesource(middle)
    source.append(2)
    assert (contents(middle), contents(sink)) == ([2], [1])
    middle.removesource(source)
    source.append(3)
    assert (contents(middle), contents(sink)) == ([2], [1])


def test_unlinking_what_is_not_linked_is_ignored() -> None:
    source, sink, stranger = outbox(), inbox(), inbox()
    sink.removesource(source)
    sink.addsource(source)
    stranger.removesource(source)
    sink.removesource(outbox())
    source.append(1)
    assert contents(sink) == [1]


# ---- sizes


def test_a_full_box_refuses_and_says_how_full_it_is() -> None:
    source, sink = outbox(), inbox()
    sink.addsource(source)
    assert sink.setSize(2) == 2
    assert sink.getSize() == 2
    source.append(1)
    assert not sink.isFull()
    sink.append(2)
    assert sink.isFull()
    assert source.isFull()
    for box in (source, sink):
        with pytest.raises(noSpaceInBox) as full:
            box.append(3)
        assert full.value.args == (2, 2)
    assert contents(sink) == [1, 2]


def test_a_box_of_size_0_is_always_full() -> None:
    box = inbox()
    box.setSize(0)
    with pytest.raises(noSpaceInBox) as full:
        box.append(1)
    assert full.value.args == (0, 0)
    assert full.value.__context__ is None


def test_a_limit_may_be_set_below_what_waits_and_taken_away_again() -> None:
    box = inbox()
    for number in range(4):
        box.append(number)
    box.setSize(2)
    assert [box.pop(), box.pop()] == [0, 1]
    assert box.isFull()
    assert box.setSize(None) is None
    box.append(4)
    assert contents(box) == [2, 3, 4]
    assert storage(box) is deque  # the fast one again


def test_a_limit_in_the_middle_of_a_chain_counts_only_once_the_chain_is_cut() -> None:
    source, middle, sink = outbox(), inbox(), inbox()
    middle.addsource(source)
    sink.addsource(middle)
    middle.setSize(1)
    for number in range(3):
        source.append(number)
    assert not middle.isFull()
    sink.removesource(middle)
    source.append(3)
    with pytest.raises(noSpaceInBox):
        source.append(4)


# ---- waking who waits for room


def full_box() -> tuple[Outbox, Inbox, FakeOwner]:
    sender = FakeOwner()
    source, sink = Outbox(sender, "outbox"), inbox()
    sink.addsource(source)
    sink.setSize(1)
    source.append(1)
    assert source.isFull()  # asking is what makes it wait
    sender.sleep()
    return source, sink, sender


def test_who_found_the_box_full_is_woken_once_by_the_next_collection() -> None:
    _, sink, sender = full_box()
    assert sender.woken == 0
    sink.pop()
    assert sender.woken == 1
    sink.append(2)
    sink.pop()
    assert sender.woken == 1


def test_who_asked_how_many_wait_is_woken_by_the_next_collection() -> None:
    sender = FakeOwner()
    source, sink = Outbox(sender, "outbox"), inbox()
    sink.addsource(source)
    assert len(source) == 0
    source.append(1)
    source.append(2)
    assert len(source) == 2
    sink.pop()
    assert sender.woken == 1
    assert storage(sink) is deque
    sink.pop()
    assert sender.woken == 1


def test_who_waits_for_room_is_woken_when_the_limit_changes() -> None:
    _, sink, sender = full_box()
    sink.setSize(2)
    assert sender.woken == 1


def test_who_waits_for_room_is_woken_when_the_receiver_has_ended() -> None:
    source, sink, sender = full_box()
    sink.close()
    assert sender.woken == 1
    assert not source.isFull()


def test_who_waits_for_room_is_woken_when_the_link_is_cut() -> None:
    source, sink, sender = full_box()
    sink.removesource(source)
    assert sender.woken == 1
    assert not source.isFull()


@pytest.mark.parametrize("waiting", [0, 1])
def test_who_waits_for_room_is_woken_when_the_box_is_linked_onwards(waiting: int) -> None:
    source, sink, sender = full_box()
    if not waiting:
        sink.pop()
        sink.setSize(0)
        assert source.isFull()
    before = sender.woken
    inbox().addsource(sink)
    assert sender.woken > before
    assert not source.isFull()


def test_who_does_not_wait_is_not_woken_by_a_new_link() -> None:
    source, sink, sender = full_box()
    sink.pop()
    inbox().addsource(sink)
    sink.removesource(source)
    assert sender.woken == 1  # by the collection


def test_an_outbox_hands_out_what_waits_at_its_destination() -> None:
    source, sink = outbox(), inbox()
    sink.addsource(source)
    source.append(1)
    assert source.pop() == 1
    assert contents(sink) == []


# ---- a box that leads back to its own component


def own_boxes() -> tuple[Outbox, Inbox, FakeOwner]:
    owner = FakeOwner()
    source, sink = Outbox(owner, "outbox"), Inbox(owner, "inbox")
    sink.addsource(source)
    return source, sink, owner


def test_a_message_to_oneself_cancels_the_pause_that_follows() -> None:
    source, sink, owner = own_boxes()
    source.append(1)
    assert contents(sink) == [1]
    assert owner.woken == 1


def test_a_way_back_that_comes_about_through_others_is_recognised() -> None:
    owner = FakeOwner()
    source, sink = Outbox(owner, "outbox"), Inbox(owner, "inbox")
    middle = inbox()
    middle.addsource(source)
    sink.addsource(middle)
    source.append(1)
    assert owner.woken == 1


def test_a_box_to_oneself_can_be_full() -> None:
    source, sink, owner = own_boxes()
    sink.setSize(1)
    assert not source.isFull()
    source.append(1)
    assert source.isFull()
    assert len(source) == 1
    with pytest.raises(noSpaceInBox):
        source.append(2)
    before = owner.woken
    sink.setSize(2)
    assert owner.woken > before


def test_an_attribute_error_in_an_active_object_of_ones_own_comes_out() -> None:
    def broken(message: object) -> None:
        raise AttributeError("its own mistake")

    source, sink, _ = own_boxes()
    sink.q = Loudspeaker(broken)
    with pytest.raises(AttributeError, match="its own mistake"):
        source.append(1)


# ---- after the end


def test_a_closed_box_keeps_what_lies_in_it_and_takes_nothing_more() -> None:
    box = inbox()
    box.append(1)
    box.close()
    box.append(2)
    assert contents(box) == [1]
    assert box.pop() == 1
    box.append(3)
    assert contents(box) == []


@pytest.mark.parametrize("size", [0, 1, None])
@pytest.mark.parametrize("left", [0, 2])
def test_a_closed_box_blocks_nobody_whatever_size_it_is_given(size: int | None, left: int) -> None:
    source, box = outbox(), inbox()
    box.addsource(source)
    for number in range(left):
        box.append(number)
    box.close()
    box.setSize(size)
    for number in range(5):
        assert not source.isFull()
        source.append(number)
    assert len(contents(box)) == left
    assert box.owner is NOBODY


def test_nobody_can_be_woken() -> None:
    NOBODY.unpause()
    assert NOBODY._asleep is None
