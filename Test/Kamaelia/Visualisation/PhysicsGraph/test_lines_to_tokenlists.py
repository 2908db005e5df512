"""lines_to_tokenlists: an Introspector's lines, quotes, and lines that are left out."""

import pytest

from Axon.Introspector import Introspector
from Axon.Ipc import producerFinished
from Axon.Testing import drive, harness
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Visualisation.PhysicsGraph.chunks_to_lines import chunks_to_lines
from Kamaelia.Visualisation.PhysicsGraph.lines_to_tokenlists import lines_to_tokenlists
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {lines_to_tokenlists: Ends(lines_to_tokenlists)}


def test_a_line_is_the_list_of_its_words() -> None:
    lines = ['ADD NODE 1 "the first" randompos component', rb"DEL NODE a\ b", "DEL ALL\r\n"]
    assert drive(lines_to_tokenlists(), inbox=lines)["outbox"] == [
        ["ADD", "NODE", "1", "the first", "randompos", "component"],
        ["DEL", "NODE", "a b"],
        ["DEL", "ALL"],
    ]


def test_malformed_lines_are_left_out_with_a_line_in_the_log_and_empty_ones_without(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lines = ['ADD "NODE', "wo'rd", b"\xff", "", "  \n", "good"]
    assert drive(lines_to_tokenlists(), inbox=lines)["outbox"] == [["good"]]
    assert len(caplog.records) == 3


def test_what_an_introspector_says_is_understood() -> None:
    with harness(Pipeline(Introspector(), chunks_to_lines(), lines_to_tokenlists())) as h:
        h.expect("outbox", ["DEL", "ALL"])
        command = h.expect("outbox")
        assert command[:2] == ["ADD", "NODE"]
        assert len(command) == 6


def test_lists_wait_for_room() -> None:
    with harness(lines_to_tokenlists()) as h:
        h.limit(1)
        h.put_all(["a", "b"])
        h.put(producerFinished(), "control")
        h.settle()
        h.not_ended()
        h.expect("outbox", ["a"])
        h.expect("outbox", ["b"])
        h.expect_end()


@pytest.mark.parametrize("message", [1, None, ["a"]])
def test_what_is_no_line_is_a_type_error(message: object) -> None:
    with pytest.raises(TypeError, match="lines_to_tokenlists takes str or bytes at 'inbox'"):
        drive(lines_to_tokenlists(), inbox=[message])
