"""The relay of the fault tests finds the places of a dialogue, however its bytes are sliced."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from Test.System.clients import Mail, stuffed
from Test.System.cutting_relay import BODY_AT, Dialogue, Point

WIRE = stuffed(Mail("m1", 2_000).content())
COMMANDS = b"EHLO c.example\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"


def sliced(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % len(data) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(places)]


@settings(max_examples=50)
@given(st.lists(st.integers(0, 5_000), max_size=30))
def test_places_are_found_in_order_and_every_byte_is_handed_on(cuts: list[int]) -> None:
    dialogue = Dialogue()
    assert list(dialogue.from_server(b"220 hello\r\n")) == [
        (b"", Point.BANNER),
        (b"220 hello\r\n", Point.GREETED),
    ]
    told = [piece for data in sliced(COMMANDS, cuts) for piece in dialogue.from_client(data)]
    assert b"".join(data for data, _ in told) == COMMANDS
    assert [point for _, point in told] == [Point.EHLO, Point.MAIL, Point.RCPT, Point.DATA]
    list(dialogue.from_server(b"250 Ok\r\n354 go on\r\n"))

    said = [p for data in sliced(WIRE + b"QUIT\r\n", cuts) for p in dialogue.from_client(data)]
    assert b"".join(data for data, _ in said) == WIRE + b"QUIT\r\n"
    points = [point for _, point in said if point is not None]
    assert points == [Point.BODY, Point.UNDOTTED, Point.DOT, Point.QUIT]
    at = {point: number for number, (_, point) in enumerate(said) if point is not None}
    handed_on = {p: b"".join(data for data, _ in said[: number + 1]) for p, number in at.items()}
    assert handed_on[Point.BODY] == WIRE[:BODY_AT]
    assert handed_on[Point.UNDOTTED] == WIRE[:-3]
    assert handed_on[Point.DOT] == WIRE


def test_reply_to_the_dot_is_a_place_of_its_own_and_a_second_message_has_places_again() -> None:
    dialogue = Dialogue()
    list(dialogue.from_server(b"220 hello\r\n"))
    for _ in range(2):
        list(dialogue.from_client(b"DATA\r\n"))
        assert list(dialogue.from_server(b"354 go on\r\n")) == [(b"354 go on\r\n", None)]
        points = [point for _, point in dialogue.from_client(WIRE)]
        assert points == [Point.BODY, Point.UNDOTTED, Point.DOT]
        assert list(dialogue.from_server(b"250 Ok\r\n")) == [
            (b"", Point.REPLY),
            (b"250 Ok\r\n", Point.ANSWERED),
        ]


def test_data_that_is_refused_begins_no_message() -> None:
    dialogue = Dialogue()
    list(dialogue.from_server(b"220 hello\r\n"))
    list(dialogue.from_client(b"DATA\r\n"))
    list(dialogue.from_server(b"451 later\r\n"))
    assert list(dialogue.from_client(b"QUIT\r\n")) == [(b"QUIT\r\n", Point.QUIT)]
