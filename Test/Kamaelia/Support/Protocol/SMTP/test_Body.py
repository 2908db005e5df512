"""The data phase: where a message ends, and whether it may pass."""

import re
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Support.Protocol.SMTP.Body import (
    BodyLimits,
    BodyScanner,
    Fault,
    is_whole_message,
)


def scan(*slices: bytes, limits: BodyLimits | None = None) -> tuple[BodyScanner, list[bytes]]:
    scanner, passed = BodyScanner(limits or BodyLimits()), []
    for piece in slices:
        passed.append(scanner.receive_data(piece))
        if scanner.ended:
            break
    return scanner, passed


@dataclass(frozen=True)
class Verdict:
    """What a slow reading, byte for byte, finds out about a stream."""

    ended_at: int | None
    fault: Fault | None
    good: bytes  # all before the end mark, or before the fault


def read_slowly(stream: bytes, limits: BodyLimits) -> Verdict:
    """State the rules of the data phase a second time, without thought of speed."""
    mark = re.search(rb"(?:\A|\r\n)\.\r\n", stream)
    # Without the mark the last CR is undecided, and so is a dot that may belong to the mark.
    undecided = re.search(rb"(?:(?<![\s\S])|(?<=\r\n))\.\r?\Z|\r?\Z", stream)
    end = undecided.start() if undecided else len(stream)
    if mark:
        end = mark.start() + 2 if mark.group().startswith(b"\r") else 0
    line_bytes = 0
    for position in range(end):
        byte, fault = stream[position], None
        bare_cr = byte == 13 and stream[position + 1 : position + 2] != b"\n"
        bare_lf = byte == 10 and (position == 0 or stream[position - 1] != 13)
        line_bytes = 0 if byte == 10 else line_bytes + (byte != 13 or bare_cr)
        if bare_cr or bare_lf:
            fault = Fault.BARE_NEWLINE
        elif byte == 0:
            fault = Fault.NUL
        elif line_bytes > limits.line_bytes:
            fault = Fault.LONG_LINE
        elif position >= limits.message_bytes:
            fault = Fault.TOO_LARGE
        if fault:
            return Verdict(mark.end() if mark else None, fault, stream[:position])
    return Verdict(mark.end() if mark else None, None, stream[:end])


LIMITS = BodyLimits(line_bytes=6, message_bytes=30)
FRAGMENTS = [b"\r\n", b"\r", b"\n", b".", b"..", b"a", b"bcd", b"\0", b"\r\n.\r\n", b".\r\n", b" "]
streams = st.lists(st.sampled_from(FRAGMENTS), max_size=24).map(b"".join)
good_streams = st.lists(st.sampled_from([b"\r\n", b".", b"ab", b"abc"]), max_size=18).map(b"".join)


@settings(max_examples=500)
@given(streams | good_streams, st.lists(st.integers(0, 60), max_size=8))
def test_the_fast_scan_agrees_with_a_slow_reading_in_any_slices(
    stream: bytes, cuts: list[int]
) -> None:
    edges = sorted({0, *(cut for cut in cuts if cut < len(stream)), len(stream)})
    slices = [stream[a:b] for a, b in pairwise(edges)]
    scanner, passed = scan(*slices, limits=LIMITS)
    verdict = read_slowly(stream, LIMITS)
    assert scanner.ended == (verdict.ended_at is not None)
    if scanner.ended:
        remaining = b"".join(slices[len(passed) :])
        assert scanner.rest + remaining == stream[verdict.ended_at :]
    assert scanner.fault == verdict.fault
    data = b"".join(passed)
    if verdict.fault is None:
        assert data == verdict.good
        assert scanner.size == len(data)
    else:
        assert verdict.good.startswith(data)


@given(streams)
def test_a_fault_lets_only_whole_good_lines_of_its_piece_pass(stream: bytes) -> None:
    scanner, passed = scan(stream, limits=LIMITS)
    if scanner.fault is not None:
        assert passed[0] == b"" or passed[0].endswith(b"\r\n")


@settings(max_examples=50)
@given(streams | good_streams.map(lambda text: text + b"\r\n.\r\n"), st.integers(3, 40))
def test_a_whole_message_is_one_that_the_scanner_passes_at_one_go(
    stream: bytes, message_bytes: int
) -> None:
    limits = BodyLimits(line_bytes=40, message_bytes=message_bytes)
    if is_whole_message(stream, limits):
        scanner, passed = scan(stream, limits=limits)
        assert (scanner.ended, scanner.fault, scanner.rest) == (True, None, b"")
        assert passed == [stream[:-3]]


def test_a_whole_message_is_seen_as_one() -> None:
    limits = BodyLimits(line_bytes=8, message_bytes=5)
    assert is_whole_message(b"abc\r\n.\r\n", limits)
    assert not is_whole_message(b"abcd\r\n.\r\n", limits)
    assert not is_whole_message(b"abc\r\n.\r\n", BodyLimits(line_bytes=7))
    assert not is_whole_message(b".\r\n")
    assert not is_whole_message(b".\r\nRSET\r\n.\r\n")
    assert not is_whole_message(b"\0\r\n.\r\n")
    assert not is_whole_message(b"a\nb\r\n.\r\n")
    assert not is_whole_message(b"a\r\n.\r\nRSET\r\n.\r\n")


def test_the_first_end_mark_of_a_piece_counts() -> None:
    scanner, passed = scan(b"a\r\n.\r\nb\r\n.\r\n.\r\n")
    assert (passed, scanner.rest) == ([b"a\r\n"], b"b\r\n.\r\n.\r\n")


@pytest.mark.parametrize(
    "slices",
    [
        [b"\0\n", b".\r\n"],
        [b"\0\n.", b"\r\n"],
        [b"\0\n.\r", b"\n"],
        [b"\0\n.\r\n"],
        [b"a\r", b".\r\n"],
        [b"a", b".\r\n"],
        [b"\0\r\n", b".\n"],
    ],
)
def test_no_other_mark_ends_a_message_even_after_a_fault(slices: list[bytes]) -> None:
    assert not scan(*slices)[0].ended


@pytest.mark.parametrize("end", [b"\n", b"\r"])
def test_a_long_line_that_also_ends_badly_fails_for_its_length(end: bytes) -> None:
    stream = b"abcd" + end + b"x\r\n"
    for size in (1, 2, 4, 100):
        slices = [stream[i : i + size] for i in range(0, len(stream), size)]
        assert scan(*slices, limits=BodyLimits(line_bytes=3))[0].fault is Fault.LONG_LINE


def test_an_empty_message_ends_at_once() -> None:
    scanner, passed = scan(b".\r\n")
    assert (scanner.ended, passed, scanner.size, scanner.rest) == (True, [b""], 0, b"")


def test_the_end_mark_may_come_byte_by_byte() -> None:
    scanner, passed = scan(*(bytes([byte]) for byte in b"a\r\n.\r\n"))
    assert (scanner.ended, b"".join(passed)) == (True, b"a\r\n")


def test_stuffed_dots_are_passed_on_as_they_are() -> None:
    scanner, passed = scan(b"..\r\n...a\r\n.b\r\n.\r\nX")
    assert (passed, scanner.rest) == ([b"..\r\n...a\r\n.b\r\n"], b"X")


def test_a_whole_piece_is_passed_on_without_being_copied() -> None:
    piece = b"text\r\n" * 100
    assert scan(piece)[1][0] is piece


def test_empty_pieces_change_nothing() -> None:
    scanner, passed = scan(b"", b"a\r", b"", b"\n", b"", b".", b"", b"\r\n")
    assert (scanner.ended, b"".join(passed)) == (True, b"a\r\n")


@pytest.mark.parametrize("size", [1, 999, 65_536])
def test_a_line_of_the_longest_length_passes_and_one_byte_more_does_not(size: int) -> None:
    for extra, fault in ((0, None), (1, Fault.LONG_LINE)):
        stream = b"x\r\n" + b"y" * (65_535 + extra) + b"\r\nz\r\n.\r\n"
        slices = [stream[i : i + size] for i in range(0, len(stream), size)]
        scanner, passed = scan(*slices)
        assert (scanner.ended, scanner.fault) == (True, fault)
        if fault is None:
            assert b"".join(passed) == stream[:-3]


def test_many_lines_in_one_piece_above_the_line_limit_are_no_long_line() -> None:
    scanner, passed = scan(b"0123456789abcde\r\n" * 20_000 + b".\r\n")
    assert (scanner.fault, scanner.size, len(passed[0])) == (None, 340_000, 340_000)


def test_a_message_of_the_largest_size_passes_and_one_byte_more_does_not() -> None:
    limits = BodyLimits(message_bytes=12)
    assert scan(b"0123456789\r\n.\r\n", limits=limits)[0].fault is None
    scanner, passed = scan(b"01234\r\n6789\r\n.\r\n", limits=limits)
    assert (scanner.fault, passed) == (Fault.TOO_LARGE, [b"01234\r\n"])


def test_memory_stays_small_while_an_endless_line_is_eaten() -> None:
    scanner = BodyScanner(BodyLimits())
    for _ in range(100):
        scanner.receive_data(b"x" * 65_536)
    assert scanner.fault is Fault.LONG_LINE
    assert len(scanner._carry) <= 2


def test_a_discarded_message_has_no_faults_and_still_ends() -> None:
    scanner = BodyScanner(BodyLimits())
    assert scanner.receive_data(b"a\r\n") == b"a\r\n"
    scanner.discard()
    assert scanner.receive_data(b"bare\n\0") == b""
    assert scanner.receive_data(b"\r\n.\r\nNOOP\r\n") == b""
    assert (scanner.ended, scanner.fault, scanner.rest) == (True, None, b"NOOP\r\n")
    assert scanner.size == len(b"a\r\nbare\n\0\r\n")
