"""What an inbox keeps its messages in: what each kind does with append and popleft."""

from collections import deque

import pytest

import Axon.Box
from Axon.AxonExceptions import noSpaceInBox
from Axon.Box import Inbox
from Axon.Storage import (
    DISCARD,
    NOBODY,
    UNUSED,
    CheckedDeque,
    ClosedDeque,
    Nobody,
    Notified,
    ShownDeque,
)


class Sleeper:
    """An owner that counts what wakes it."""

    def __init__(self) -> None:
        self.woken = 0
        self._asleep = None

    def unpause(self) -> None:
        self.woken += 1


def checked(box: Inbox, kind: type[CheckedDeque] = CheckedDeque) -> CheckedDeque:
    made = kind()
    made.box = box
    box.q = made
    return made


def test_a_box_that_was_never_used_has_no_append_and_is_empty() -> None:
    assert not UNUSED
    assert not hasattr(UNUSED, "append")


def test_what_is_discarded_is_gone_and_the_kind_is_not_that_of_an_ordinary_box() -> None:
    DISCARD.append("a message")
    assert len(DISCARD) == 0
    assert type(DISCARD) is not deque


@pytest.mark.parametrize("kind", [CheckedDeque, ShownDeque])
@pytest.mark.parametrize("size", [0, 1, 3])
def test_a_limit_is_kept(
    kind: type[CheckedDeque], size: int, capsys: pytest.CaptureFixture[str]
) -> None:
    box = Inbox(Sleeper(), "inbox")
    box.size = size
    storage = checked(box, kind)
    if isinstance(storage, ShownDeque):
        storage.tag = "seen: "
    for number in range(size):
        storage.append(number)
    with pytest.raises(noSpaceInBox) as error:
        storage.append("one too many")
    assert error.value.args == (size, size)
    assert list(storage) == list(range(size))
    assert "too many" not in capsys.readouterr().out  # it did not come


@pytest.mark.parametrize("kind", [CheckedDeque, ShownDeque])
def test_a_collection_wakes_who_waits_for_it_once(kind: type[CheckedDeque]) -> None:
    box, waiting = Inbox(Sleeper(), "inbox"), Sleeper()
    storage = checked(box, kind)
    deque.extend(storage, "abc")
    box.wake_on_collection(waiting)
    assert waiting.woken == 0
    assert [box.q.popleft() for _ in range(3)] == ["a", "b", "c"]
    assert waiting.woken == 1


def test_showing_prints_each_message_with_its_tag(capsys: pytest.CaptureFixture[str]) -> None:
    box = Inbox(Sleeper(), "inbox")
    box.setShowTransit(True, "seen")
    box.deliver("hello\n\x1b[2J")
    assert capsys.readouterr().out == "seen: 'hello\\n\\x1b[2J'\n"
    box.setShowTransit(False)
    box.deliver("silent")
    assert capsys.readouterr().out == ""
    assert list(box.q) == ["hello\n\x1b[2J", "silent"]
    assert type(box.q) is deque


def test_showing_leaves_a_limit_in_force(capsys: pytest.CaptureFixture[str]) -> None:
    box = Inbox(Sleeper(), "inbox")
    box.setSize(1)
    box.deliver("first")
    box.setShowTransit(True)
    with pytest.raises(noSpaceInBox):
        box.deliver("second")
    box.setSize(2)
    box.deliver("third")
    box.setShowTransit(False)
    with pytest.raises(noSpaceInBox):
        box.deliver("fourth")
    assert capsys.readouterr().out == "inbox: 'third'\n"


def test_a_limit_may_be_set_on_a_box_that_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    box = Inbox(Sleeper(), "inbox")
    box.setShowTransit(True)
    box.setSize(1)
    box.deliver("first")
    with pytest.raises(noSpaceInBox):
        box.deliver("second")
    assert capsys.readouterr().out == "inbox: 'first'\n"


def test_a_storage_of_the_owners_is_not_exchanged_for_one_that_is_shown() -> None:
    class Socket:
        def append(self, message: object) -> None:
            """Sends it."""

    box = Inbox(Sleeper(), "inbox")
    box.q = socket = Socket()
    box.setShowTransit(True)
    assert box.q is socket


def test_a_closed_box_can_be_read_and_takes_nothing() -> None:
    storage = ClosedDeque(["left"])
    storage.append("late")
    assert list(storage) == ["left"]


def test_nobody_stays_asleep_whatever_is_done_to_it() -> None:
    assert NOBODY._asleep is None
    Nobody().unpause()


def test_who_is_notified_is_told_of_every_message() -> None:
    told: list[int] = []
    owner = Notified(lambda: told.append(1))
    box = Inbox(owner, "inbox")
    for number in range(3):
        box.deliver(number)
    assert len(told) == 3
    owner.unpause()
    assert len(told) == 4


def test_all_boxes_made_by_themselves_can_be_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Axon.Box, "ShowAllTransits", True)
    Axon.Box.makeInbox(lambda: None).append("a message")
    assert capsys.readouterr().out == "inbox: 'a message'\n"
