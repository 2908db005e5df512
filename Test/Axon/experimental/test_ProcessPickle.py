"""Components and messages as bytes: all in one process."""

import pickle
from collections import deque
from typing import Any

import pytest

from Axon.AdaptiveCommsComponent import AdaptiveCommsComponent
from Axon.Component import component
from Axon.experimental.ProcessPickle import (
    Elsewhere,
    Factory,
    TravelError,
    pack_component,
    pack_message,
    refuse_links_from_outside,
    unpack_component,
    unpack_message,
)
from Axon.Ipc import notify, producerFinished, shutdownMicroprocess
from Axon.Scheduler import scheduler
from Axon.Testing import drive
from Test.Axon.experimental.workers import (
    Doubler,
    Line,
    Slotted,
    Square,
    Touchy,
    make_doubler,
    make_nothing,
)


def moved(what: component | Factory, *arguments: object) -> Any:  # noqa: ANN401 - of its class
    return unpack_component(pack_component(what, *arguments))


# ---- components


def test_what_the_author_put_into_a_component_moves_with_it() -> None:
    there = moved(Doubler(5))
    assert isinstance(there, Doubler)
    assert there.factor == 5
    assert drive(there, inbox=[1, 2], control=[producerFinished()])["outbox"] == [5, 10]


def test_a_moved_component_is_another_one_of_the_same_name() -> None:
    here = Doubler()
    there = moved(here)
    assert there is not here
    assert there.name == here.name
    assert there.inboxes["inbox"].owner is there
    assert there.id != here.id


def test_slots_of_its_class_move_too() -> None:
    here = Slotted()
    here.hidden = "found"
    assert moved(here).hidden == "found"


def test_limits_and_waiting_messages_move_too() -> None:
    here = Doubler()
    here.inboxes["inbox"].deliver(1)
    here.inboxes["inbox"].deliver(2)
    here.setInboxSize("inbox", 2)
    there = moved(here)
    assert there.inboxes["inbox"].getSize() == 2
    assert drive(there, control=[producerFinished()])["outbox"] == [2, 4]


def test_boxes_that_one_instance_has_are_there_too() -> None:
    here = AdaptiveCommsComponent()
    box, out = here.addInbox("more"), here.addOutbox("out")
    there = moved(here)
    assert list(there.inboxes) == ["inbox", "control", box]
    assert list(there.outboxes) == ["outbox", "signal", out]
    assert moved(component(Inboxes=["only"], Outboxes=[])).inboxes.keys() == {"only"}


def test_a_line_moves_with_its_members_and_their_links() -> None:
    there = moved(Line(Doubler(2), Doubler(3)))
    assert [member._axon_parent for member in there.members] == [there, there]
    assert there.children == list(there.members)
    sent = drive(there, inbox=[1, 2], control=[producerFinished()])
    assert sent["outbox"] == [6, 12]
    assert isinstance(sent["signal"][0], producerFinished)


def test_components_that_know_each_other_do_so_over_there() -> None:
    one, other = Doubler(), Doubler()
    one.friend, other.friend = other, one  # type: ignore[attr-defined]
    there = moved(one)
    assert there.friend.friend is there
    assert there.friend is not other


def test_a_threaded_component_moves() -> None:
    here = Square(queuelengths=7, label="x")
    there = moved(here)
    assert (there.queuelengths, there.label) == (7, "x")
    assert drive(there, inbox=[3], control=[producerFinished()])["outbox"] == [9]


@pytest.mark.parametrize("what", [Doubler, make_doubler])
def test_a_factory_makes_it_over_there(what: component | Factory) -> None:
    assert moved(what, 4).factor == 4


def test_arguments_of_a_factory_may_be_components() -> None:
    there = moved(Line, Doubler(2), Doubler(2))
    assert drive(there, inbox=[1], control=[producerFinished()])["outbox"] == [4]


class Own(component):
    """Says itself how it is pickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Doubler, (9,)


def test_a_component_with_its_own_reduce_is_left_to_it() -> None:
    assert moved(Own()).factor == 9


def test_an_active_component_cannot_move() -> None:
    here = Doubler().activate(Scheduler=scheduler())
    with pytest.raises(TravelError, match="active here"):
        pack_component(here)


def test_a_component_with_its_own_storage_cannot_move() -> None:
    here = Doubler()
    here.inboxes["inbox"].q = []
    with pytest.raises(TravelError, match="'inbox' keeps messages in a list"):
        pack_component(here)


@pytest.mark.parametrize("what", [Doubler(action=lambda: None), lambda: Doubler()])
def test_what_cannot_be_pickled_is_named(what: component | Factory) -> None:
    with pytest.raises(TravelError, match=r"(Doubler_\d+|<lambda>).*cannot be sent"):
        pack_component(what)


def test_what_cannot_be_put_together_says_so() -> None:
    with pytest.raises(TravelError, match="put together in its process: not here"):
        unpack_component(pickle.dumps(Touchy()))


def test_a_factory_of_something_else_is_an_error() -> None:
    with pytest.raises(TypeError, match="which is no component"):
        moved(make_nothing)


def test_links_from_outside_are_refused_and_its_own_are_not() -> None:
    line, other = Line(Doubler()), Doubler()
    refuse_links_from_outside(line)
    wire = other.link((other, "outbox"), (line, "inbox"))
    with pytest.raises(TravelError, match="'inbox'"):
        refuse_links_from_outside(line)
    other.unlink(thelinkage=wire)
    other.link((line, "outbox"), (other, "inbox"))
    with pytest.raises(TravelError, match="'outbox'"):
        refuse_links_from_outside(line)


# ---- messages


@pytest.mark.parametrize("message", [None, 1, "text", b"bytes", [1, {2: (3,)}], deque([1])])
def test_a_message_comes_out_as_it_went_in(message: object) -> None:
    assert unpack_message(pack_message(message)) == message


def test_a_component_in_a_shutdown_message_becomes_its_name() -> None:
    here = Doubler().activate(Scheduler=scheduler())
    finished = unpack_message(pack_message(producerFinished(here, "done")))
    assert (finished.caller, finished.message) == (Elsewhere(here.name), "done")
    stop = unpack_message(pack_message(shutdownMicroprocess(here)))
    assert isinstance(stop, shutdownMicroprocess)
    told = unpack_message(pack_message(notify(here, [1])))
    assert (told.caller, told.object) == (Elsewhere(here.name), [1])


def test_the_class_in_place_of_a_shutdown_message_stays_the_class() -> None:
    assert unpack_message(pack_message(shutdownMicroprocess)) is shutdownMicroprocess


@pytest.mark.parametrize("message", [Doubler(), [Doubler()]])
def test_a_component_is_no_data(message: object) -> None:
    with pytest.raises(TravelError, match="a component is no data"):
        pack_message(message)
