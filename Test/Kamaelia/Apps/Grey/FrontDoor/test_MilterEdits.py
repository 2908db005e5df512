"""What is changed in a message, told to its mail server."""

from typing import Any

import pytest

from Kamaelia.Apps.Grey.FrontDoor.MilterEdits import Edits, edits_of
from Kamaelia.Support.Protocol.Milter.Negotiation import Action
from Kamaelia.Support.Protocol.Milter.Packets import PacketReader

ALL = Edits(
    b"X-Greylist: late\r\n",
    (("X-Rule: one", None), ("X-First: 1", 0), ("nothing at all", None)),
    "[ext] ",
    "-- \n.scanned",
)


def made(edits: Edits, allowed: Action = Action.ALL, **how: Any) -> list[tuple[bytes, bytes]]:  # noqa: ANN401
    reader = PacketReader()
    reader.receive_data(b"".join(edits_of(edits, allowed, **how)))
    found = []
    while (packet := reader.next_packet()) is not None:
        found.append(packet)
    return found


def test_the_edits_come_in_the_order_of_milter_greylist() -> None:
    assert made(ALL, subject=b"hello", body=[b"first\r\n", b"", b"last\r\n"]) == [
        (b"b", b"first\r\n"),
        (b"b", b"last\r\n"),
        (b"b", b"-- \r\n.scanned\r\n"),
        (b"m", b"\0\0\0\1Subject\0[ext] hello\0"),
        (b"h", b"X-Greylist\0late\0"),
        (b"h", b"X-Rule\0one\0"),
        (b"i", b"\0\0\0\0X-First\x001\0"),
    ]


def test_without_a_subject_the_tag_becomes_one() -> None:
    assert made(Edits(subject_tag="[ext] ")) == [(b"h", b"Subject\0[ext]\0")]


def test_a_subject_of_several_lines_stays_so() -> None:
    ((_, change),) = made(Edits(subject_tag="[ext] "), subject=b"two\n lines")
    assert change.endswith(b"Subject\0[ext] two\n lines\0")


def test_a_header_of_several_lines_is_told_with_lf() -> None:
    long = "X-Long: " + "word " * 400
    ((_, header),) = made(Edits(headers=((long, None),)))
    assert b"\n word" in header
    assert b"\r" not in header


def test_blanks_are_told_where_the_mail_server_adds_none() -> None:
    edits = Edits(b"X-Greylist: late\r\n", (("X-Rule: one", 3),), "[ext] ")
    said = made(edits, subject=b"x", leading_space=True)
    assert [payload.split(b"\0")[-2] for _, payload in said] == [b" [ext] x", b" late", b" one"]


@pytest.mark.parametrize(
    ("allowed", "kinds"),
    [
        (Action.NONE, b""),
        (Action.ADD_HEADERS, b"hhi"),
        (Action.CHANGE_HEADERS, b"m"),
        (Action.CHANGE_BODY, b"bb"),
    ],
)
def test_what_the_mail_server_does_not_allow_is_left_out(allowed: Action, kinds: bytes) -> None:
    said = made(ALL, allowed, subject=b"x", body=[b"y\r\n"])
    assert b"".join(kind for kind, _ in said) == kinds


def test_a_tag_for_a_message_without_subject_needs_the_right_to_add() -> None:
    assert made(Edits(subject_tag="x"), Action.CHANGE_HEADERS) == []


def test_a_body_without_a_footer_is_left_alone() -> None:
    assert made(Edits(), body=[b"x\r\n"]) == []


@pytest.mark.parametrize(("index", "told"), [(-5, 0), (0, 0), (7, 7), (1 << 40, 10_000)])
def test_an_index_is_one_that_goes_over_the_wire(index: int, told: int) -> None:
    ((_, payload),) = made(Edits(headers=(("X-A: b", index),)))
    assert int.from_bytes(payload[:4], "big") == told


def test_a_large_body_goes_in_packets_of_the_legal_size() -> None:
    said = made(Edits(footer="end"), body=[b"x" * 100_000, b"\r\n"])
    assert max(len(payload) for _, payload in said) == 65_535
    assert b"".join(payload for _, payload in said) == b"x" * 100_000 + b"\r\nend\r\n"
