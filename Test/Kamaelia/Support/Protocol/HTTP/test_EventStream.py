"""Server-sent events on the wire, read back as a browser reads them."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Support.Protocol.HTTP.EventStream import ServerSentEvent, comment


def parse(wire: bytes) -> list[dict[str, str]]:
    """The algorithm of the HTML standard, section 9.2.6."""
    events: list[dict[str, str]] = []
    fields: dict[str, str] = {}
    data: list[str] = []
    for line in re.split(r"\r\n|\n|\r", wire.decode("utf-8")):
        if not line:
            if data:
                events.append({**fields, "data": "\n".join(data)})
            fields, data = {}, []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name:
            fields[name] = value
    return events


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=20)


@given(TEXT, LINE, LINE)
@settings(max_examples=50)
def test_a_browser_reads_what_was_sent_and_one_event_of_it(data: str, event: str, id_: str) -> None:
    (read,) = parse(ServerSentEvent(data, event, id_).to_wire())
    assert read["data"] == re.sub(r"\r\n|\r", "\n", data)
    assert (read.get("event", ""), read.get("id", "")) == (event, id_)


def test_the_time_to_wait_is_sent_in_milliseconds() -> None:
    assert ServerSentEvent("x", retry_seconds=1.5).to_wire() == b"retry: 1500\ndata: x\n\n"


def test_a_lone_surrogate_does_not_end_the_stream() -> None:
    assert ServerSentEvent("a\ud800").to_wire() == b"data: a?\n\n"


def test_a_comment_is_one_line_that_makes_no_event() -> None:
    assert comment("a\ndata: b") == b": a data: b\n\n"
    assert parse(comment("x") + comment()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"data": b"bytes"},
        {"data": "", "event": "a\nb"},
        {"data": "", "id": "a\rb"},
        {"data": "", "id": "a\0b"},
        {"data": "", "id": 3},
        {"data": "", "retry_seconds": -1},
    ],
)
def test_what_a_stream_cannot_hold_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError)):
        ServerSentEvent(**wrong)  # type: ignore[arg-type]
