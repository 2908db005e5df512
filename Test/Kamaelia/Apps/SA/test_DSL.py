"""DataSink: the caller's list, the limit, and the end."""

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.Apps.SA.DSL import DataSink
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {DataSink: Ends(lambda: DataSink([]))}


def test_messages_are_appended_to_the_callers_list_and_handed_on() -> None:
    found: list[object] = ["before"]
    out = drive(DataSink(found), inbox=[1, None], control=[producerFinished()])
    assert found == ["before", 1, None]
    assert out["outbox"] == [1, None]


def test_without_pass_thru_nothing_is_handed_on() -> None:
    found: list[object] = []
    assert drive(DataSink(found, pass_thru=False), inbox=[1, 2])["outbox"] == []
    assert found == [1, 2]


@pytest.mark.parametrize("pass_thru", [True, False])
def test_the_limit_ends_it_with_a_producer_finished(pass_thru: bool) -> None:
    found: list[object] = []
    out = drive(DataSink(found, limit=2, pass_thru=pass_thru), inbox=[1, 2, 3])
    assert found == [1, 2]
    assert isinstance(out["signal"][0], producerFinished)


@pytest.mark.parametrize("stop", ["a word", producerFinished()])
def test_any_control_message_ends_it_after_what_came_before(stop: object) -> None:
    found: list[object] = []
    out = drive(DataSink(found), inbox=[1, 2], control=[stop])
    assert found == [1, 2]
    assert out["signal"][0] is stop


def test_a_shutdown_microprocess_ends_it_at_once() -> None:
    found: list[object] = []
    stop = shutdownMicroprocess()
    out = drive(DataSink(found), inbox=[1], control=[stop])
    assert (found, out["signal"]) == ([], [stop])


def test_a_full_receiver_is_waited_for_and_a_shutdown_ends_the_wait() -> None:
    found: list[object] = []
    with harness(DataSink(found)) as h:
        h.limit(1)
        h.put_all([1, 2, 3])
        h.settle()
        h.expect_all("outbox", [1, 2])
        h.limit(0)
        h.put(4)
        h.settle()
        h.finish(shutdownMicroprocess())
    assert found == [1, 2, 3]


def test_two_sinks_fill_their_own_lists() -> None:
    one, other = DataSink([]), DataSink([])
    with harness(one, other) as h:
        h.put("a", (one, "inbox"))
        h.settle()
    assert (one.outlist, other.outlist) == (["a"], [])
