"""tokenlists_to_lines and lines_to_tokenlists: there and back, and what is left out."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Axon.Component import component
from Axon.Ipc import ipc, producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Util.Tokenisation.Simple import lines_to_tokenlists, tokenlists_to_lines
from Kamaelia.Visualisation.PhysicsGraph.chunks_to_lines import chunks_to_lines

LISTS = st.lists(
    st.recursive(st.text(max_size=5), lambda inner: st.lists(inner, max_size=3), max_leaves=9),
    min_size=1,
    max_size=4,
)


@settings(max_examples=50, deadline=None)
@given(st.lists(LISTS, max_size=4), st.integers(1, 30))
def test_lists_come_back_from_lines_that_were_cut_anywhere(
    lists: list[list[Any]], size: int
) -> None:
    lines = drive(tokenlists_to_lines(), inbox=lists)["outbox"]
    wire = "".join(lines).encode(errors="surrogatepass")
    slices = [wire[at : at + size] for at in range(0, len(wire), size)]
    receiver = Pipeline(chunks_to_lines(), lines_to_tokenlists())
    assert drive(receiver, inbox=slices, control=[producerFinished()])["outbox"] == lists


def test_a_list_is_one_line_with_its_end() -> None:
    out = drive(tokenlists_to_lines(), inbox=[["draw", ["0", "1"], "red ink"]])["outbox"]
    assert out == ["draw [ 0 1 ] red%20ink\n"]


def test_lines_may_be_text_or_bytes_with_or_without_their_end() -> None:
    lines = ["a [ b ]\n", b"a [ b ]\r\n", "a  [ b ] "]
    assert drive(lines_to_tokenlists(), inbox=lines)["outbox"] == [["a", ["b"]]] * 3


def test_malformed_lines_are_left_out_with_a_line_in_the_log_and_empty_ones_without(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lines = ["a [", b"\xff", "%4", "", "\n", "good"]
    assert drive(lines_to_tokenlists(), inbox=lines)["outbox"] == [["good"]]
    assert len(caplog.records) == 3


@pytest.mark.parametrize("message", [1, None, ["a"]])
def test_what_is_no_line_is_a_type_error(message: object) -> None:
    with pytest.raises(TypeError, match="lines_to_tokenlists takes str or bytes"):
        drive(lines_to_tokenlists(), inbox=[message])


@pytest.mark.parametrize("message", ["text", None, [1]])
def test_what_is_no_list_of_words_is_a_type_error(message: object) -> None:
    with pytest.raises(TypeError, match="tokenlists_to_lines takes lists of str at 'inbox'"):
        drive(tokenlists_to_lines(), inbox=[message])


@pytest.mark.parametrize(
    ("prefab", "message"), [(tokenlists_to_lines, ["a"]), (lines_to_tokenlists, "a")]
)
@pytest.mark.parametrize("stop", [producerFinished(), shutdownMicroprocess()])
def test_both_wait_for_room_and_end_when_told(prefab: Any, message: object, stop: ipc) -> None:  # noqa: ANN401 - one of two functions
    made: component = prefab()
    with harness(made) as h:
        h.limit(1)
        h.put_all([message, message])
        h.settle()
        h.put(stop, "control")
        h.settle()
        if isinstance(stop, producerFinished):
            h.not_ended()
            h.expect("outbox")
        h.expect("outbox")
        h.expect_end()
        h.expect("signal", lambda told: told is stop)
