"""TwoWaySplitter: two of everything."""

import pytest

from Axon.Component import component
from Axon.Ipc import ipc, producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.Util.TwoWaySplitter import TwoWaySplitter
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {TwoWaySplitter: Ends(TwoWaySplitter)}


def test_each_message_goes_both_ways() -> None:
    out = drive(TwoWaySplitter(), inbox=[1, 2])
    assert (out["outbox"], out["outbox2"]) == ([1, 2], [1, 2])


@pytest.mark.parametrize("stop", [producerFinished(), shutdownMicroprocess()])
def test_the_shutdown_goes_both_ways_and_so_does_what_else_comes_to_control(stop: ipc) -> None:
    out = drive(TwoWaySplitter(), control=["a word", stop])
    assert out["signal"] == out["signal2"] == ["a word", stop]


def test_however_it_ends_both_sides_are_told() -> None:
    with harness(splitter := TwoWaySplitter()) as h:
        h.settle()
        splitter.stop()
        h.expect("signal", producerFinished)
        h.expect("signal2", producerFinished)


@pytest.mark.parametrize(("full", "other"), [("outbox", "outbox2"), ("outbox2", "outbox")])
def test_while_one_side_is_full_the_other_gets_the_message_at_hand(full: str, other: str) -> None:
    with harness(TwoWaySplitter()) as h:
        h.limit(1, full)
        h.put_all([1, 2, 3])
        h.settle()
        assert h.take(other) == [1, 2]
        for number in (1, 2, 3):
            h.expect(full, number)
        h.expect(other, 3)


def test_a_second_side_without_room_for_the_shutdown_is_told_all_the_same() -> None:
    splitter, second = TwoWaySplitter(), component()
    second.setInboxSize("control", 0)
    splitter.link((splitter, "signal2"), (second, "control"))
    with harness(splitter) as h:
        h.put(stop := producerFinished(), "control")
        h.expect_end()
    assert list(second.Inbox("control")) == [stop]
