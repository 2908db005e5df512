"""Marshaller and DeMarshaller: each message through a method of the class."""

import pytest

from Axon.Component import component
from Axon.Ipc import producerFinished
from Axon.Testing import drive, harness
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Util.Marshalling import DeMarshaller, Marshaller
from Test.Kamaelia.shutdown import Ends


class Decimal:
    """Numbers as their digits."""

    @staticmethod
    def marshall(message: int) -> bytes:
        return str(message).encode("ascii")

    @staticmethod
    def demarshall(wire: bytes) -> int:
        return int(wire)


class Scaled:
    """An object, not a class, may do it too."""

    def __init__(self, factor: int) -> None:
        self.factor = factor

    def marshall(self, message: int) -> int | None:
        return message * self.factor or None


SHUTDOWN = {
    Marshaller: Ends(lambda: Marshaller(Decimal)),
    DeMarshaller: Ends(lambda: DeMarshaller(Decimal)),
}


def test_each_message_goes_through_the_method() -> None:
    assert drive(Marshaller(Decimal), inbox=[1, 23])["outbox"] == [b"1", b"23"]
    assert drive(DeMarshaller(Decimal), inbox=[b"1", b"23"])["outbox"] == [1, 23]


def test_what_is_marshalled_comes_back() -> None:
    both = Pipeline(Marshaller(Decimal), DeMarshaller(Decimal))
    out = drive(both, inbox=[-5, 0, 7], control=[producerFinished()])
    assert out["outbox"] == [-5, 0, 7]


def test_two_with_different_objects_do_not_share_them_and_none_is_a_message() -> None:
    assert drive(Marshaller(Scaled(2)), inbox=[1])["outbox"] == [2]
    assert drive(Marshaller(Scaled(3)), inbox=[1, 0])["outbox"] == [3, None]


@pytest.mark.parametrize(
    ("subject", "message"), [(Marshaller(Decimal), 12), (DeMarshaller(Decimal), b"12")]
)
def test_messages_wait_for_room(subject: component, message: object) -> None:
    with harness(subject) as h:
        h.limit(1)
        h.put_all([message, message])
        h.put(producerFinished(), "control")
        h.settle()
        h.not_ended()
        h.expect("outbox")
        h.expect("outbox")
        h.expect_end()


def test_an_exception_of_the_method_is_one_of_the_component() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        drive(DeMarshaller(Decimal), inbox=[b"no number"])
