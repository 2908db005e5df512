"""SimpleXMLParser: events, errors and ends (what is refused is tested in Support/Data)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.XML.SimpleXMLParser import SimpleXMLParser
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {SimpleXMLParser: Ends(SimpleXMLParser)}

DOCUMENT = "<a b='c'>text &lt;é<d/></a>"
EVENTS = [
    ("document",),
    ("element", "a", {"b": "c"}),
    ("chars", "text <é"),
    ("element", "d", {}),
    ("/element", "d"),
    ("/element", "a"),
    ("/document",),
]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.booleans())
def test_events_are_the_same_for_any_slices_of_text_or_bytes(size: int, as_bytes: bool) -> None:
    whole = DOCUMENT.encode() if as_bytes else DOCUMENT
    slices = [whole[at : at + size] for at in range(0, len(whole), size)]
    out = drive(SimpleXMLParser(), inbox=slices, control=[producerFinished()])
    assert out["outbox"] == EVENTS


def test_events_do_not_wait_for_the_end_of_the_document() -> None:
    with harness(SimpleXMLParser()) as h:
        h.put("<stream><message>hello</message>")
        h.expect_all(
            "outbox",
            [
                ("document",),
                ("element", "stream", {}),
                ("element", "message", {}),
                ("chars", "hello"),
                ("/element", "message"),
            ],
        )
        h.not_ended()


def test_without_a_document_nothing_is_said() -> None:
    assert drive(SimpleXMLParser(), inbox=[""], control=[producerFinished()])["outbox"] == []


def test_stopped_at_once_it_does_not_say_that_the_document_has_ended() -> None:
    out = drive(SimpleXMLParser(), inbox=["<a/>"], control=[shutdownMicroprocess()])
    assert out["outbox"] == []


@pytest.mark.parametrize(
    "document", ["<a></b>", "no", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "<a b='" + "x" * 999]
)
def test_an_error_is_the_last_event_and_ends_it_with_a_line_in_the_log(
    document: str, caplog: pytest.LogCaptureFixture
) -> None:
    parser = SimpleXMLParser(limit=100)
    out = drive(parser, inbox=[document, "<more/>"])
    assert out["outbox"][0] == ("document",)
    assert [event[0] for event in out["outbox"]].index("error") == len(out["outbox"]) - 1
    assert isinstance(out["signal"][-1], producerFinished)
    assert len(caplog.records) == 1
    assert parser._isStopped()


def test_a_document_that_is_cut_short_ends_with_an_error(caplog: pytest.LogCaptureFixture) -> None:
    stop = producerFinished()
    out = drive(SimpleXMLParser(), inbox=["<a><b/>"], control=[stop])
    assert [event[0] for event in out["outbox"][-2:]] == ["/element", "error"]
    assert out["signal"] == [stop]
    assert len(caplog.records) == 1


def test_events_wait_for_room() -> None:
    with harness(SimpleXMLParser()) as h:
        h.limit(1)
        h.put(DOCUMENT)
        h.put(producerFinished(), "control")
        h.settle()
        h.not_ended()
        for event in EVENTS:
            h.expect("outbox", event)
        h.expect_end()


def test_two_side_by_side_read_a_document_each() -> None:
    first, second = SimpleXMLParser(), SimpleXMLParser()
    with harness(first, second) as h:
        h.put("<a>", (first, "inbox"))
        h.put("<b>", (second, "inbox"))
        h.put("</a>", (first, "inbox"))
        h.expect((first, "outbox"), ("/element", "a"), skipping=True)
        h.put("</b>", (second, "inbox"))
        h.expect((second, "outbox"), ("/element", "b"), skipping=True)


@pytest.mark.parametrize("message", [1, None, bytearray(b"<a/>")])
def test_what_is_neither_text_nor_bytes_is_a_type_error(message: object) -> None:
    with pytest.raises(TypeError, match="SimpleXMLParser takes str or bytes at 'inbox'"):
        drive(SimpleXMLParser(), inbox=[message])


def test_text_and_bytes_are_not_mixed() -> None:
    with pytest.raises(TypeError, match="SimpleXMLParser takes bytes only"):
        drive(SimpleXMLParser(), inbox=[b"<a>", "</a>"])
