"""TestResult: stops the program at what is not true, and when told."""

import pytest

from Axon.Ipc import producerFinished
from Axon.Testing import drive
from Kamaelia.Util.TestResult import StopSystem, StopSystemException, TestResult
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {TestResult: Ends(TestResult)}


def test_true_messages_go_unnoticed() -> None:
    result = TestResult()
    assert drive(result, inbox=[True, 1, "x"]) == {"outbox": [], "signal": []}
    assert result.dataReady("inbox") == 0


@pytest.mark.parametrize("message", [False, 0, "", None])
def test_the_first_that_is_not_true_stops_the_program(message: object) -> None:
    with pytest.raises(AssertionError, match=f"not true: {message!r}"):
        drive(TestResult(), inbox=[True, message])


def test_a_stop_system_stops_the_program_after_what_came_before_was_looked_at() -> None:
    with pytest.raises(StopSystemException):
        drive(TestResult(), inbox=[True], control=[StopSystem()])
    with pytest.raises(AssertionError):
        drive(TestResult(), inbox=[False], control=[StopSystem()])


def test_to_others_a_stop_system_is_a_producer_finished() -> None:
    assert isinstance(StopSystem(), producerFinished)
