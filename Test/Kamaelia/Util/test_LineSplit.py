"""LineSplit: lines, however the stream is cut, and not longer than allowed."""

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.Util.LineSplit import LineSplit
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {LineSplit: Ends(LineSplit)}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text("ab\n\r", max_size=6)), st.booleans())
def test_lines_do_not_depend_on_how_the_stream_is_cut(pieces: list[str], as_bytes: bool) -> None:
    *ended, rest = "".join(pieces).split("\n")
    lines = [line.removesuffix("\r") for line in [*ended, *([rest] if rest else [])]]
    out = drive(
        LineSplit(),
        inbox=[piece.encode() for piece in pieces] if as_bytes else pieces,
        control=[producerFinished()],
    )["outbox"]
    assert out == ([line.encode() for line in lines] if as_bytes else lines)


def test_a_line_goes_out_as_soon_as_it_has_ended() -> None:
    with harness(LineSplit()) as h:
        h.put("one\ntw")
        h.settle()
        assert h.take("outbox") == ["one"]
        h.put("o\n")
        h.expect("outbox", "two")
        h.put("rest")
        h.settle()
        h.finish(shutdownMicroprocess())
        assert h.take("outbox") == []


@pytest.mark.parametrize("pieces", [["ok\nabcd"], ["ok\nab", "cd"], ["ok\nabcd\nmore\n"]])
def test_a_line_that_is_too_long_ends_it_and_is_logged(
    pieces: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    lines = LineSplit(limit=3)
    with caplog.at_level(logging.WARNING):
        out = drive(lines, inbox=pieces)
    assert out["outbox"] == ["ok"]
    assert isinstance(out["signal"][0], producerFinished)
    assert "more than 3 letters" in caplog.text


def test_a_line_of_just_the_limit_is_let_through() -> None:
    assert drive(LineSplit(3), inbox=["abc\n", "ab", "c\n"])["outbox"] == ["abc", "abc"]


@pytest.mark.parametrize(
    ("messages", "text"),
    [([5], "str or bytes"), (["a", b"b"], "str only"), ([b"a", "b"], "bytes only")],
)
def test_other_messages_and_a_mixture_are_type_errors(messages: list[object], text: str) -> None:
    with pytest.raises(TypeError, match=f"LineSplit takes {text}"):
        drive(LineSplit(), inbox=messages)


def test_the_last_line_too_waits_for_room() -> None:
    with harness(LineSplit()) as h:
        h.limit(1)
        h.put("one\ntwo")
        h.put(producerFinished(), "control")
        h.settle()
        h.expect("outbox", "one")
        h.expect("outbox", "two")
        h.expect_end()
