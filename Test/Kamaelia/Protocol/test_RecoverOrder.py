"""RecoverOrder: the window as a component (its rules are tested in Support/Data)."""

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.Protocol.RecoverOrder import RecoverOrder
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {RecoverOrder: Ends(RecoverOrder)}


def test_messages_come_out_in_order_each_once_and_the_tail_at_the_end() -> None:
    packets = [(number, f"p{number}") for number in (3, 1, 2, 2, 6, 5, 9, 7)]
    with harness(RecoverOrder(bufsize=2)) as h:
        h.put_all(packets)
        h.settle()
        early = h.take("outbox")
        h.finish(producerFinished())
        numbers = [number for number, _ in early + h.take("outbox")]
        assert numbers == [1, 2, 3, 5, 6, 7, 9]
        assert early[-1] == (7, "p7")


def test_stopped_at_once_the_tail_is_not_sent() -> None:
    out = drive(RecoverOrder(), inbox=[(1, "one")], control=[shutdownMicroprocess()])
    assert out["outbox"] == []


def test_the_very_messages_are_sent_on() -> None:
    message = (1, "one", "more")
    out = drive(RecoverOrder(bufsize=1), inbox=[message], control=[producerFinished()])
    assert out["outbox"][0] is message


def test_numbers_begin_again_after_the_modulo() -> None:
    packets = [(number, None) for number in (65534, 0, 65535, 1, 2)]
    out = drive(RecoverOrder(2, 2**16), inbox=packets, control=[producerFinished()])["outbox"]
    assert [number for number, _ in out] == [65534, 65535, 0, 1, 2]


def test_messages_wait_for_room() -> None:
    with harness(RecoverOrder()) as h:
        h.limit(1)
        h.put_all([(2, "b"), (1, "a")])
        h.put(producerFinished(), "control")
        h.settle()
        h.not_ended()
        h.expect("outbox", (1, "a"))
        h.expect("outbox", (2, "b"))
        h.expect_end()


@pytest.mark.parametrize("message", [1, None, "1", (), ("1", "x")])
def test_what_has_no_number_is_a_type_error(message: object) -> None:
    with pytest.raises(TypeError, match="RecoverOrder takes tuples that begin with an int"):
        drive(RecoverOrder(), inbox=[message])


def test_a_window_that_cannot_work_is_refused() -> None:
    with pytest.raises(ValueError, match="window"):
        RecoverOrder(bufsize=0)
