"""BasicMarshallComponent: both ways side by side, ended together."""

import pytest

from Axon.Ipc import ipc, producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.Util.MarshallComponent import BasicMarshallComponent


class Decimal:
    @staticmethod
    def marshall(message: int) -> bytes:
        return str(message).encode("ascii")

    @staticmethod
    def demarshall(wire: bytes) -> int:
        return int(wire)


def test_both_ways_work_at_the_same_time() -> None:
    out = drive(
        BasicMarshallComponent(Decimal),
        marshall=[1, 2],
        demarshall=[b"3"],
        control=[producerFinished()],
    )
    assert (out["marshalled"], out["demarshalled"]) == ([b"1", b"2"], [3])


@pytest.mark.parametrize("stop", [producerFinished(), shutdownMicroprocess()])
def test_a_shutdown_ends_both_and_goes_on(stop: ipc) -> None:
    with harness(BasicMarshallComponent(Decimal)) as h:
        h.settle()
        h.not_ended()
        h.put(stop, "control")
        h.expect_end()
        h.expect("signal", lambda message: message is stop)
