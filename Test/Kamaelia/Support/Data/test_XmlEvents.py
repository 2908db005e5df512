"""XmlReader: the same events for every slicing, and what is refused."""

import doctest
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Support.Data import XmlEvents
from Kamaelia.Support.Data.XmlEvents import (
    DEEPEST,
    MOST_NAMES,
    TEXT_PIECE,
    XmlError,
    XmlEvent,
    XmlReader,
)

DOCUMENT = (
    "<?xml version='1.0'?>\n<!DOCTYPE a PUBLIC '-//x' 'http://x.example/x.dtd'>\n"
    "<a>one &amp; two<!-- not -->three<b x='1' y:z='&#233;'/><?no no?>\n<![CDATA[<4>]]>\r\n</a>\n "
)
EVENTS = [
    ("document",),
    ("element", "a", {}),
    ("chars", "one & twothree"),
    ("element", "b", {"x": "1", "y:z": "é"}),
    ("/element", "b"),
    ("chars", "\n<4>\n"),
    ("/element", "a"),
    ("/document",),
]


def read(*slices: str | bytes, limit: int = 1_048_576) -> list[XmlEvent]:
    """All events; an error is the last one."""
    reader = XmlReader(limit)
    events: list[XmlEvent] = []
    try:
        for slice_ in slices:
            events.extend(reader.events(slice_))
        events.extend(reader.end())
    except XmlError as error:
        events.append(("error", str(error)))
    return events


def test_the_examples_are_true() -> None:
    assert doctest.testmod(XmlEvents).failed == 0


def test_a_document_as_text_as_bytes_and_in_an_encoding_of_its_own() -> None:
    assert read(DOCUMENT) == EVENTS
    assert read(DOCUMENT.encode()) == EVENTS
    assert read(DOCUMENT.encode("utf-16")) == EVENTS
    latin = "<?xml version='1.0' encoding='iso-8859-1'?><a>é</a>"
    assert read(latin.encode("latin-1"))[2] == ("chars", "é")
    assert read(latin)[2] == ("chars", "é")  # in text the encoding means nothing any more


PIECES = st.sampled_from(
    [
        "<a>",
        "</a>",
        "<b c='d'>",
        "</b>",
        "text",
        "&amp;",
        "&no;",
        "<",
        "<!-- c -->",
        "é",
        "]]>",
        "\n",
    ]
)


@settings(max_examples=50, deadline=None)
@given(st.lists(PIECES, max_size=12).map("".join), st.sets(st.integers(0, 60)))
def test_slicing_makes_no_difference_to_the_events(text: str, cuts: set[int]) -> None:
    data = f"<a>{text}</a>".encode()
    at = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    slices = [data[begin:end] for begin, end in pairwise(at)]
    # How an error is called may differ: it may be seen before or after its cause is whole.
    assert without_texts_of_errors(read(*slices)) == without_texts_of_errors(read(data))


def without_texts_of_errors(events: list[XmlEvent]) -> list[XmlEvent]:
    return [("error",) if event[0] == "error" else event for event in events]


def test_byte_by_byte() -> None:
    data = DOCUMENT.encode()
    assert read(*(data[at : at + 1] for at in range(len(data)))) == EVENTS


def test_nothing_is_no_document_and_no_error() -> None:
    assert read() == []
    assert read("", b"") == []


def test_long_text_comes_in_pieces_of_one_size() -> None:
    text = "x" * (2 * TEXT_PIECE + 5)
    whole = read(f"<a>{text}</a>")
    assert [len(event[-1]) for event in whole if event[0] == "chars"] == [TEXT_PIECE, TEXT_PIECE, 5]
    assert read("<a>x", text[1:], "</a>") == whole


@pytest.mark.parametrize(
    ("document", "before"),
    [
        ("no", []),
        (" ", []),
        ("<a>", [("element", "a", {})]),
        ("<a>b</c>", [("element", "a", {})]),
        ("<a>b", [("element", "a", {})]),
        ("<a/><b/>", [("element", "a", {}), ("/element", "a")]),
        ("<a>&nbsp;</a>", [("element", "a", {})]),
        ("<a>\ud800</a>", []),
        (b"<?xml version='1.0' encoding='shift_jis'?><a/>", []),
        (b"<?xml version='1.0' encoding='nonsense'?><a/>", []),
        (b"<a>\xff</a>", [("element", "a", {})]),
    ],
)
def test_what_is_no_xml_is_an_error_after_what_comes_before_it(
    document: str | bytes, before: list[XmlEvent]
) -> None:
    events = read(document)
    assert events[:-1] == [("document",), *before]
    assert events[-1][0] == "error"


BOMB = """<!DOCTYPE lol [
<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">
]><lol>&c;</lol>"""


@pytest.mark.parametrize(
    "document",
    [
        BOMB,
        '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>',
        '<!DOCTYPE a [<!ATTLIST a b CDATA "a long default">]><a/>',
        '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://x.example/"> %p;]><a/>',
    ],
)
def test_definitions_within_the_document_are_refused_before_they_do_anything(document: str) -> None:
    events = read(document)
    assert events[0] == ("document",)
    assert len(events) == 2
    assert "document type definition" in str(events[1])


def test_an_entity_of_a_definition_elsewhere_is_an_error_and_not_nothing() -> None:
    events = read('<!DOCTYPE a SYSTEM "x.dtd"><a>b&nbsp;c</a>')
    assert "nbsp" in str(events[2])


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (f"<a b='{'x' * 1000}'/>", "a tag of more than 1000"),
        (f"<{'a' * 501}><{'b' * 500}>", "names of more than 1000"),
        (f"<a>{'<b>' * DEEPEST}", f"more than {DEEPEST} elements"),
        ("<a>" + "".join(f"<b{n:03}/>" for n in range(300)), "names of more than 1000"),
    ],
)
def test_what_would_have_to_be_kept_is_limited(document: str, problem: str) -> None:
    assert problem in str(read(document, limit=1000)[-1])


def test_the_number_of_different_names_is_limited() -> None:
    document = "<a>" + "".join(f"<b{n}/>" for n in range(MOST_NAMES))
    assert "different names" in str(read(document)[-1])


@pytest.mark.parametrize("begin", ["<a b='", "<!-- ", "<?pi ", "<a><![CDATA[<b c='", "<"])
def test_a_tag_that_never_ends_is_given_up(begin: str) -> None:
    reader = XmlReader(limit=1000)
    list(reader.events(begin))
    fed = 0
    with pytest.raises(XmlError):  # noqa: PT012 - how much is taken before is the question
        while fed < 100_000:
            list(reader.events("x" * 100))
            fed += 100
            if "CDATA" in begin and fed > 5000:  # that is text, and comes out in time
                raise XmlError("text")
    assert fed <= 5100


def test_many_elements_at_one_level_keep_nothing() -> None:
    reader = XmlReader(limit=200)
    list(reader.events("<a>"))
    for _ in range(200):
        assert len(list(reader.events("<b c='d'>e</b><!-- f -->"))) == 3
    list(reader.events("</a>"))
    assert list(reader.end()) == [("/document",)]
