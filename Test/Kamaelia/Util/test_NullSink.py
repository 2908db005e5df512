"""nullSinkComponent: keeps nothing, and lets a shutdown through."""

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive
from Kamaelia.Util.NullSink import nullSinkComponent
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {nullSinkComponent: Ends(nullSinkComponent)}


def test_messages_are_taken_and_not_kept() -> None:
    sink = nullSinkComponent()
    assert drive(sink, inbox=[1, 2, 3])["outbox"] == []
    assert sink.dataReady("inbox") == 0
    assert not sink._isStopped()


@pytest.mark.parametrize("message", [producerFinished(), shutdownMicroprocess(), "enough"])
def test_any_control_message_ends_it_and_is_handed_on(message: object) -> None:
    sink = nullSinkComponent()
    assert drive(sink, inbox=[1], control=[message])["signal"][0] == message
    assert sink._isStopped()
