"""chunks_to_lines: lines of either kind from any slices, without carriage returns."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.Visualisation.PhysicsGraph.chunks_to_lines import chunks_to_lines
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {chunks_to_lines: Ends(chunks_to_lines)}

TEXT = st.text(st.sampled_from("ab\n\ré"), max_size=40)


@settings(max_examples=50, deadline=None)
@given(TEXT, st.integers(1, 10), st.booleans())
def test_lines_are_the_same_for_any_slices(text: str, size: int, as_bytes: bool) -> None:
    whole = text.encode() if as_bytes else text
    slices = [whole[at : at + size] for at in range(0, len(whole), size)]
    out = drive(chunks_to_lines(), inbox=slices, control=[producerFinished()])["outbox"]
    *lines, last = text.split("\n")
    expected = [line.replace("\r", "") for line in ([*lines, last] if last else lines)]
    assert out == ([line.encode() for line in expected] if as_bytes else expected)


def test_a_line_goes_out_when_its_end_has_come_and_the_last_one_at_the_end() -> None:
    with harness(chunks_to_lines()) as h:
        h.put_all(["ADD NO", "DE 1\r\nDEL", " ALL"])
        h.settle()
        assert h.take("outbox") == ["ADD NODE 1"]
        h.finish(producerFinished())
        assert h.take("outbox") == ["DEL ALL"]


def test_stopped_at_once_the_last_line_is_not_sent() -> None:
    assert drive(chunks_to_lines(), inbox=["a"], control=[shutdownMicroprocess()])["outbox"] == []


def test_a_line_that_is_too_long_ends_it(caplog: pytest.LogCaptureFixture) -> None:
    out = drive(chunks_to_lines(limit=5), inbox=["12345\n", "123", "456", "\n1\n"])
    assert out["outbox"] == ["12345"]
    assert isinstance(out["signal"][-1], producerFinished)
    assert len(caplog.records) == 1


def test_lines_wait_for_room() -> None:
    with harness(chunks_to_lines()) as h:
        h.limit(1)
        h.put("a\nb\nc")
        h.put(producerFinished(), "control")
        h.settle()
        h.not_ended()
        for line in "abc":
            h.expect("outbox", line)
        h.expect_end()


@pytest.mark.parametrize("pieces", [["a", b"b"], [b"a", "b"], [1], [None]])
def test_other_kinds_and_mixtures_are_a_type_error(pieces: list[object]) -> None:
    with pytest.raises(TypeError, match="chunks_to_lines takes"):
        drive(chunks_to_lines(), inbox=pieces)
