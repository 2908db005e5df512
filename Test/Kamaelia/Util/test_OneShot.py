"""OneShot and TriggeredOneShot: one message, and the end."""

import pytest

from Axon.Ipc import ipc, producerFinished, shutdownMicroprocess
from Axon.Testing import drive
from Kamaelia.Util.OneShot import OneShot, TriggeredOneShot
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {
    OneShot: Ends(lambda: OneShot("now"), ends_alone=True),
    TriggeredOneShot: Ends(lambda: TriggeredOneShot("then")),
}


@pytest.mark.parametrize("message", ["text", None, ["a", "list"]])
def test_it_sends_its_message_then_producer_finished(message: object) -> None:
    out = drive(OneShot(message))
    assert out["outbox"] == [message]
    assert isinstance(out["signal"][0], producerFinished)


def test_without_a_message_it_sends_none() -> None:
    assert drive(OneShot())["outbox"] == [None]


def test_told_to_stop_before_it_sends_nothing() -> None:
    stop = shutdownMicroprocess()
    out = drive(OneShot("late"), control=[stop])
    assert (out["outbox"], out["signal"]) == ([], [stop])


def test_triggered_it_sends_once_however_many_triggers_come() -> None:
    out = drive(TriggeredOneShot("bang"), inbox=["go", "go"])
    assert out["outbox"] == ["bang"]
    assert isinstance(out["signal"][0], producerFinished)


def test_triggered_it_waits_for_the_trigger() -> None:
    shot = TriggeredOneShot("bang")
    assert drive(shot) == {"outbox": [], "signal": []}
    assert not shot._isStopped()


def test_triggered_a_trigger_and_its_producers_end_together_still_send() -> None:
    out = drive(TriggeredOneShot("bang"), inbox=["go"], control=[producerFinished()])
    assert out["outbox"] == ["bang"]
    assert len(out["signal"]) == 1


@pytest.mark.parametrize("stop", [producerFinished(), shutdownMicroprocess()])
def test_triggered_a_shutdown_without_a_trigger_ends_it(stop: ipc) -> None:
    out = drive(TriggeredOneShot("bang"), control=["a word", stop])
    assert (out["outbox"], out["signal"]) == ([], ["a word", stop])
