"""Messages in chunks become what DATA would have sent, in any slices."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Support.Protocol.SMTP.Body import BodyLimits, Fault
from Kamaelia.Support.Protocol.SMTP.Chunking import ChunkedMessage, parse_bdat
from Kamaelia.Support.Protocol.SMTP.Replies import Reply


@pytest.mark.parametrize(
    ("argument", "chunk"),
    [
        (b"0", (0, False)),
        (b"86 LAST", (86, True)),
        (b"86  last", (86, True)),
        (b"99999999999999999999", (99_999_999_999_999_999_999, False)),
        (b"100000000000000000000", None),
        (b"", None),
        (b"LAST", None),
        (b"-1", None),
        (b"+1", None),
        (b"1 LASTLY", None),
        (b"1LAST", None),
        (b"1 LAST 2", None),
        (b"0x10", None),
        (b"1_0", None),
        ("\u0661".encode(), None),  # a digit, but not one of ours
    ],
)
def test_a_chunk_has_a_length_or_nobody_knows_it(
    argument: bytes, chunk: tuple[int, bool] | None
) -> None:
    assert parse_bdat(argument) == chunk


def convert(*chunks: list[bytes], limits: BodyLimits | None = None) -> tuple[ChunkedMessage, bytes]:
    """Send chunks, each in slices; the last chunk is LAST."""
    message = ChunkedMessage()
    message.open(limits or BodyLimits())
    passed = b""
    for number, slices in enumerate(chunks):
        message.begin(len(b"".join(slices)), last=number == len(chunks) - 1)
        for piece in slices:
            passed += message.receive_data(piece)
        assert message.left == 0
    return message, passed + message.finish()


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        (b"", b""),
        (b"a", b"a\r\n"),
        (b"a\r\n", b"a\r\n"),
        (b".", b"..\r\n"),
        (b".\r\n", b"..\r\n"),
        (b"a\r\n.\r\n.b\r\n", b"a\r\n..\r\n..b\r\n"),
        (b"\r\n.\r\n", b"\r\n..\r\n"),
        (b"a.\r\n", b"a.\r\n"),
    ],
)
def test_dots_are_doubled_and_the_last_line_gets_its_end(text: bytes, wire: bytes) -> None:
    for slices in ([text], [bytes([byte]) for byte in text]):
        message, passed = convert(slices)
        assert (passed, message.size, message.fault) == (wire, len(wire), None)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"a\nb\r\n", Fault.BARE_NEWLINE),
        (b"a\rb\r\n", Fault.BARE_NEWLINE),
        (b"a\r\n\r", Fault.BARE_NEWLINE),
        (b"a\r", Fault.BARE_NEWLINE),
        (b"\r\r", Fault.BARE_NEWLINE),
        (b"a\0", Fault.NUL),
        (b"0123456789", Fault.LONG_LINE),
        (b"0123\r\n" * 9, Fault.TOO_LARGE),
    ],
)
def test_faults_are_those_of_data(text: bytes, fault: Fault) -> None:
    limits = BodyLimits(line_bytes=9, message_bytes=40)
    for slices in ([text], [bytes([byte]) for byte in text]):
        message, _ = convert(slices, limits=limits)
        assert message.fault is fault


FRAGMENTS = [b"\r\n", b"\r\n.", b".", b"a", b"bc\r\n", b"\r\n.\r\n", b".\r\n", b"\r", b"\n", b"\0"]
texts = st.lists(st.sampled_from(FRAGMENTS), max_size=20).map(b"".join)


@settings(max_examples=50)
@given(texts, st.lists(st.integers(0, 40), max_size=6), st.integers(1, 9))
def test_any_chunks_and_slices_give_what_data_would_have_sent(
    text: bytes, cuts: list[int], size: int
) -> None:
    edges = sorted({0, *(cut for cut in cuts if cut < len(text)), len(text)})
    parts = [text[a:b] for a, b in pairwise(edges)] or [b""]
    chunks = [[part[i : i + size] for i in range(0, len(part), size)] for part in parts]
    message, passed = convert(*chunks)
    whole = text if text.endswith(b"\r\n") or not text else text + b"\r\n"
    bad = re.search(rb"\0|\r(?!\n)|(?<!\r)\n", whole)
    assert (message.fault is None) == (bad is None)
    assert b"\r\n.\r\n" not in b"\r\n" + passed
    wire = re.sub(rb"(?:\A|(?<=\r\n))\.", b"..", whole)
    if bad is None:
        assert (passed, message.size) == (wire, len(wire))
    else:
        assert wire.startswith(passed)


def test_nothing_is_held_but_a_few_bytes() -> None:
    message = ChunkedMessage()
    message.open(BodyLimits())
    message.begin(1 << 40, last=False)
    for _ in range(50):
        assert len(message.receive_data(b"0123\r\n" * 10_000)) == 60_000
    assert message.left == (1 << 40) - 3_000_000


def test_a_message_that_nobody_wants_is_counted_and_not_read() -> None:
    message = ChunkedMessage()
    message.begin(5, last=True)
    assert (message.receive_data(b"bad\0"), message.left, message.size) == (b"", 1, 0)
    assert (message.finish(), message.fault, message.is_open) == (b"", None, False)
    message.open(BodyLimits())
    message.refusal = Reply.of(451, "4.3.0", "no")
    message.begin(1, last=True)
    assert (message.receive_data(b"\0"), message.finish(), message.is_open) == (b"", b"", False)
