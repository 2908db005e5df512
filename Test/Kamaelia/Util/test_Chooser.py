"""Chooser and ForwardIteratingChooser: where the commands lead, and how they end."""

import logging
from itertools import count

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.Util.Chooser import Chooser, ForwardIteratingChooser
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {
    Chooser: Ends(lambda: Chooser("ab"), finish=False, why="no more commands: the item stays"),
    ForwardIteratingChooser: Ends(
        lambda: ForwardIteratingChooser("ab"), finish=False, why="no more commands: the item stays"
    ),
}


def shown(items: str, commands: str, loop: bool = False) -> str:
    out = drive(Chooser(items, loop), inbox=commands.split())
    return "".join(map(str, out["outbox"]))


@pytest.mark.parametrize(
    ("commands", "straight", "looping"),
    [
        ("", "a", "a"),
        ("SAME", "aa", "aa"),
        ("NEXT NEXT", "abc", "abc"),
        ("NEXT NEXT NEXT NEXT", "abc", "abcab"),
        ("PREV", "a", "ac"),
        ("PREV PREV NEXT", "ab", "acbc"),
        ("NEXT PREV PREV", "aba", "abac"),
        ("LAST NEXT SAME", "acc", "acaa"),
        ("NEXT FIRST FIRST", "abaa", "abaa"),
    ],
)
def test_commands_lead_to_items(commands: str, straight: str, looping: str) -> None:
    assert shown("abc", commands) == straight
    assert shown("abc", commands, loop=True) == looping


@pytest.mark.parametrize("loop", [True, False])
def test_without_items_no_command_sends_anything(loop: bool) -> None:
    assert shown("", "NEXT PREV FIRST LAST SAME", loop) == ""


@pytest.mark.parametrize("command", ["next", b"NEXT", None, ["NEXT"], "x" * 1000])
def test_an_unknown_command_is_logged_in_short_and_nothing_else(
    command: object, caplog: pytest.LogCaptureFixture
) -> None:
    out = drive(Chooser("ab"), inbox=[command, "NEXT"])
    assert out["outbox"] == ["a", "b"]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "no such command" in record.getMessage()
    assert len(record.getMessage()) < 300


def test_the_callers_list_may_change_afterwards() -> None:
    items = ["a", "b"]
    chooser = Chooser(items)
    items.clear()
    assert drive(chooser, inbox=["NEXT"])["outbox"] == ["a", "b"]


def test_the_steps_by_hand() -> None:
    chooser = Chooser([1, 2])
    assert (chooser.gotoNext(), chooser.getCurrentChoice()) == (True, 2)
    assert (chooser.gotoNext(), chooser.getCurrentChoice()) == (False, 2)
    assert (chooser.gotoPrev(), chooser.getCurrentChoice()) == (True, 1)
    assert (chooser.gotoLast(), chooser.getCurrentChoice()) == (True, 2)
    assert (chooser.gotoFirst(), chooser.getCurrentChoice()) == (True, 1)
    assert Chooser().gotoNext() is False
    with pytest.raises(IndexError):
        Chooser().getCurrentChoice()


def test_a_producer_finished_ends_nothing_and_commands_still_work() -> None:
    with harness(Chooser("ab")) as h:
        h.put(producerFinished(), "control")
        h.expect("outbox", "a")
        h.put("NEXT")
        h.expect("outbox", "b")
        h.not_ended()


@pytest.mark.parametrize("kind", [Chooser, ForwardIteratingChooser])
def test_a_full_receiver_is_waited_for_and_a_shutdown_ends_the_wait(
    kind: type[Chooser] | type[ForwardIteratingChooser],
) -> None:
    with harness(kind("abc")) as h:
        h.limit(1)
        h.put_all(["NEXT", "NEXT"])
        h.settle()
        assert h.take("outbox") == ["a"]
        h.settle()
        assert h.take("outbox") == ["b"]
        h.put("SAME")
        h.put("SAME")
        h.settle()
        stop = shutdownMicroprocess()
        h.finish(stop)
        assert h.take("signal") == [stop]


def test_forwards_only_it_ends_at_a_next_after_the_last_item() -> None:
    chooser = ForwardIteratingChooser("ab")
    with harness(chooser) as h:
        h.put_all(["SAME", "NEXT"])
        h.expect_all("outbox", ["a", "a", "b"])
        h.not_ended()
        h.put_all(["NEXT", "SAME"])
        h.expect_end()
        h.expect_nothing("outbox")
        assert isinstance(h.expect("signal"), producerFinished)


def test_forwards_only_without_items_it_ends_at_once() -> None:
    out = drive(ForwardIteratingChooser())
    assert out["outbox"] == []
    assert isinstance(out["signal"][0], producerFinished)


def test_forwards_only_the_items_may_be_without_end() -> None:
    out = drive(ForwardIteratingChooser(count()), inbox=["NEXT"] * 3)
    assert out["outbox"] == [0, 1, 2, 3]


def test_forwards_only_backward_commands_are_unknown(caplog: pytest.LogCaptureFixture) -> None:
    assert drive(ForwardIteratingChooser("ab"), inbox=["PREV", "LAST"])["outbox"] == ["a"]
    assert len(caplog.records) == 2


def test_forwards_only_the_steps_by_hand() -> None:
    chooser = ForwardIteratingChooser([1, 2])
    assert (chooser.gotoNext(), chooser.getCurrentChoice()) == (True, 2)
    assert (chooser.gotoNext(), chooser.getCurrentChoice()) == (False, 2)
    with pytest.raises(IndexError):
        ForwardIteratingChooser().getCurrentChoice()


def test_two_choosers_stand_where_they_stand() -> None:
    one, other = Chooser("ab"), Chooser("ab")
    with harness(one, other) as h:
        h.put("NEXT", (one, "inbox"))
        h.expect_all((one, "outbox"), ["a", "b"])
        h.settle()
        assert h.take((other, "outbox")) == ["a"]
