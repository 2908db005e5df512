"""One linkage: which boxes it names, and that by itself it joins nothing."""

import pytest

from Axon.Component import component
from Axon.Linkage import Passthrough, linkage


@pytest.fixture
def pair() -> tuple[component, component]:
    return component(name="left"), component(name="right")


def test_making_a_linkage_connects_nothing(pair: tuple[component, component]) -> None:
    left, right = pair
    linkage(left, right)
    left.send("lost")
    assert right.dataReady() == 0
    assert left.outboxes["outbox"].target is None


@pytest.mark.parametrize("direction", Passthrough)
def test_the_direction_says_which_kinds_of_box_are_meant(
    pair: tuple[component, component], direction: Passthrough
) -> None:
    left, right = pair
    source, sink = {
        Passthrough.OUTBOX_TO_INBOX: ("outbox", "inbox"),
        Passthrough.INBOX_TO_INBOX: ("inbox", "control"),
        Passthrough.OUTBOX_TO_OUTBOX: ("outbox", "signal"),
    }[direction]
    wire = linkage(left, right, source, sink, direction)
    sources = left.inboxes if direction == 1 else left.outboxes
    sinks = right.outboxes if direction == 2 else right.inboxes
    assert wire.getSourcebox() is sources[source]
    assert wire.getSinkbox() is sinks[sink]
    assert wire.sourcePair() == (left, source)
    assert wire.sinkPair() == (right, sink)


@pytest.mark.parametrize(
    ("sourcebox", "sinkbox", "passthrough"),
    [("no", "inbox", 0), ("outbox", "no", 0), ("outbox", "inbox", 1), ("outbox", "inbox", 2)],
)
def test_a_box_that_does_not_exist_is_an_error_at_once(
    pair: tuple[component, component], sourcebox: str, sinkbox: str, passthrough: int
) -> None:
    with pytest.raises(KeyError):
        linkage(*pair, sourcebox, sinkbox, passthrough)


@pytest.mark.parametrize(
    ("pipewidth", "synchronous", "size"),
    [
        (None, None, None),
        (3, None, 3),
        (0, None, 0),
        (None, True, 1),
        (None, False, None),
        (5, True, 5),
    ],
)
def test_pipewidth_limits_the_sink(
    pair: tuple[component, component],
    pipewidth: int | None,
    synchronous: bool | None,
    size: int | None,
) -> None:
    left, right = pair
    linkage(left, right, pipewidth=pipewidth, synchronous=synchronous)
    assert right.inboxes["inbox"].getSize() == size


def test_the_limit_goes_to_the_end_of_the_chain(pair: tuple[component, component]) -> None:
    left, right = pair
    child = component()
    right.link((right, "inbox"), (child, "inbox"), passthrough=1)
    wire = linkage(left, right)
    assert wire.setSynchronous(2) == 2
    assert child.inboxes["inbox"].getSize() == 2
    assert right.inboxes["inbox"].getSize() is None
    assert wire.setSynchronous() is None
    assert child.inboxes["inbox"].getSize() is None


def test_an_outbox_that_leads_nowhere_has_nothing_to_limit(
    pair: tuple[component, component],
) -> None:
    wire = linkage(*pair, "outbox", "outbox", 2)
    assert wire.setSynchronous(1) is None


def test_the_text_names_both_ends(pair: tuple[component, component]) -> None:
    assert str(linkage(*pair)) == "Link( source:[left,outbox], sink:[right,inbox] )"
