"""PureTransformer: a function or a method, None, and both shutdowns."""

import pytest

from Axon.Ipc import ipc, producerFinished, shutdownMicroprocess
from Axon.Testing import drive
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Util.PureTransformer import PureTransformer
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {PureTransformer: Ends(lambda: PureTransformer(str))}


def test_the_function_is_applied_to_each_message() -> None:
    assert drive(PureTransformer(str), inbox=[1, None])["outbox"] == ["1", "None"]


def test_a_result_of_none_is_not_sent_and_other_false_ones_are() -> None:
    out = drive(PureTransformer(lambda message: message), inbox=[None, 0, "", False])
    assert out["outbox"] == [0, "", False]


def test_a_subclass_has_a_method_instead() -> None:
    class Double(PureTransformer):
        def processMessage(self, message: int) -> int:
            return 2 * message

    assert drive(Double(), inbox=[1, 2])["outbox"] == [2, 4]


def test_with_neither_the_first_message_is_an_error_that_says_so() -> None:
    with pytest.raises(NotImplementedError, match="processMessage"):
        drive(PureTransformer(), inbox=[1])


def test_keyword_arguments_are_attributes() -> None:
    class Add(PureTransformer):
        number = 1

        def processMessage(self, message: int) -> int:
            return message + self.number

    assert drive(Add(number=10), inbox=[1])["outbox"] == [11]
    assert drive(Add(), inbox=[1])["outbox"] == [2]


def test_an_exception_of_the_function_is_one_of_the_component() -> None:
    with pytest.raises(ZeroDivisionError):
        drive(PureTransformer(lambda number: 1 / number), inbox=[0])


@pytest.mark.parametrize("stop", [producerFinished(), shutdownMicroprocess()])
def test_a_pipeline_of_them_ends_on_either_shutdown_and_hands_that_very_one_on(stop: ipc) -> None:
    out = drive(Pipeline(PureTransformer(str), PureTransformer(len)), control=["a word", stop])
    assert out["signal"] == ["a word", stop]
