"""What is shared by components that may be told to stop while they wait."""

from collections.abc import Iterator

import pytest

from Axon.Component import component
from Axon.Ipc import ipc, producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.Util.Stopping import EndsOnAnyControl, arrival, offer


class Offerer(component):
    patient = True

    def main(self) -> Iterator[object]:
        self.taken: list[bool] = []
        for number in (1, 2):
            self.taken.append((yield from offer(self, number, patient=self.patient)))


class Taker(component):
    def main(self) -> Iterator[object]:
        self.taken: list[object] = []
        while (yield from arrival(self)):
            self.taken.append(self.recv("inbox"))


class Listener(EndsOnAnyControl, component):
    def main(self) -> Iterator[object]:
        while not self.told_to_stop():
            self.pause()
            yield 1


def test_each_arrival_is_waited_for_and_a_producer_finished_comes_after_all() -> None:
    with harness(taker := Taker()) as h:
        h.put(1)
        h.settle()
        h.not_ended()
        h.put_all([2, 3])
        h.put(producerFinished(), "control")
        h.expect_end()
    assert taker.taken == [1, 2, 3]


def test_after_a_shutdown_microprocess_what_has_arrived_is_left() -> None:
    with harness(taker := Taker()) as h:
        h.put_all([1, 2])
        h.put(shutdownMicroprocess(), "control")
        h.expect_end()
    assert taker.taken == []


def test_an_offer_is_taken_when_there_is_room() -> None:
    with harness(offerer := Offerer()) as h:
        h.limit(1)
        h.settle()
        h.expect("outbox", 1)
        h.expect("outbox", 2)
        h.expect_end()
    assert offerer.taken == [True, True]


def test_an_offer_is_withdrawn_on_a_shutdown_microprocess() -> None:
    with harness(offerer := Offerer()) as h:
        h.limit(0)
        h.settle()
        h.finish(shutdownMicroprocess())
        h.expect_nothing("outbox")
    assert offerer.taken == [False, False]


@pytest.mark.parametrize("patient", [True, False])
def test_on_a_producer_finished_only_a_patient_one_goes_on_waiting(patient: bool) -> None:
    with harness(offerer := Offerer(patient=patient)) as h:
        h.limit(0)
        h.settle()
        h.put(producerFinished(), "control")
        h.settle()
        assert offerer._isStopped() is not patient
        h.limit(None)
        h.expect_end()
    assert offerer.taken == [patient, patient]


def test_any_control_message_ends_it_and_is_handed_on() -> None:
    heard = drive(Listener(), control=["a word"])["signal"]
    assert heard[0] == "a word"
    assert isinstance(heard[1], producerFinished)


@pytest.mark.parametrize("stop", [producerFinished(), shutdownMicroprocess()])
def test_a_shutdown_is_handed_on_as_it_came_and_once(stop: ipc) -> None:
    assert drive(Listener(), control=[stop])["signal"] == [stop]


def test_two_listeners_share_nothing() -> None:
    one, other = Listener(), Listener()
    with harness(one, other) as h:
        h.put("a word", (one, "control"))
        h.expect_end(one)
        h.not_ended(other)
