"""
Postoffices and linkages: what a fake may be made of, how they print, and the postoffice that a
component has, or is given.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from Axon.AxonExceptions import BoxAlreadyLinkedToDestination, noSpaceInBox
from Axon.Component import component
from Axon.Linkage import linkage
from Axon.Postoffice import postoffice
from Axon.Scheduler import scheduler
from Test.Axon.contract.old_fakes import OldBox, OldComponent, OldPostoffice
from Test.Axon.scripts import Script


@pytest.fixture
def pair() -> tuple[OldComponent, OldComponent]:
    """Give two fakes that have boxes and nothing else."""
    return OldComponent(), OldComponent()


Pair = tuple[OldComponent, OldComponent]


# ---- a postoffice over fakes


@pytest.mark.parametrize(
    ("passthrough", "source_kind", "source", "sink_kind", "sink"),
    [
        (0, "outboxes", "outbox", "inboxes", "inbox"),
        (1, "inboxes", "inbox", "inboxes", "control"),
        (2, "outboxes", "signal", "outboxes", "outbox"),
    ],
)
def test_link_calls_addsource_on_the_sink_and_nothing_else(
    pair: Pair, passthrough: int, source_kind: str, source: str, sink_kind: str, sink: str
) -> None:
    a, b = pair
    office = postoffice()
    made = office.link((a, source), (b, sink), passthrough=passthrough)
    begin, end = getattr(a, source_kind)[source], getattr(b, sink_kind)[sink]
    assert end.log == [("addsource", begin)]
    assert begin.log == []
    office.unlink(thelinkage=made)
    assert end.log == [("addsource", begin), ("removesource", begin)]
    assert begin.log == []


@pytest.mark.parametrize("arguments", [(0,), (0, None), (0, None, None), (0, None, False)])
def test_options_of_link_may_be_given_by_position(pair: Pair, arguments: tuple[Any, ...]) -> None:
    a, b = pair
    made = postoffice().link((a, "outbox"), (b, "inbox"), *arguments)
    assert (made.source, made.sourcebox, made.sink, made.sinkbox, made.passthrough) == (
        a,
        "outbox",
        b,
        "inbox",
        0,
    )


def test_linkages_are_listed_in_the_order_in_which_they_were_made(pair: Pair) -> None:
    a, b = pair
    office = postoffice("mine")
    assert office.linkages == []
    first = office.link((a, "outbox"), (b, "inbox"))
    second = office.link((b, "outbox"), (a, "inbox"))
    third = office.link((a, "signal"), (b, "control"))
    assert office.linkages == [first, second, third]
    office.unlink(thelinkage=second)
    assert office.linkages == [first, third]
    fourth = office.link((b, "outbox"), (a, "control"))
    assert office.linkages == [first, third, fourth]
    assert [office.islinkageregistered(one) for one in (first, second, third)] == [1, 0, 1]


def test_a_component_is_unlinked_whichever_end_it_is_and_the_others_stay(pair: Pair) -> None:
    (a, b), c = pair, OldComponent()
    office = postoffice()
    ab = office.link((a, "outbox"), (b, "inbox"))
    bc = office.link((b, "outbox"), (c, "inbox"))
    ca = office.link((c, "outbox"), (a, "inbox"))
    office.unlink(thecomponent=b)
    assert office.linkages == [ca]
    assert ("removesource", a.outboxes["outbox"]) in b.inboxes["inbox"].log
    assert ("removesource", b.outboxes["outbox"]) in c.inboxes["inbox"].log
    assert ("removesource", c.outboxes["outbox"]) not in a.inboxes["inbox"].log
    assert not any(office.islinkageregistered(one) for one in (ab, bc))


def test_a_component_may_be_named_by_position(pair: Pair) -> None:
    a, b = pair
    office = postoffice()
    office.link((a, "outbox"), (b, "inbox"))
    office.unlink(b)
    assert office.linkages == []


def test_a_component_linked_to_itself_is_cut_once(pair: Pair) -> None:
    a, _ = pair
    office = postoffice()
    office.link((a, "outbox"), (a, "inbox"))
    office.unlink(thecomponent=a)
    assert [name for name, _ in a.inboxes["inbox"].log] == ["addsource", "removesource"]


def test_what_is_unknown_is_ignored(pair: Pair) -> None:
    a, b = pair
    office, other = postoffice(), postoffice()
    made = office.link((a, "outbox"), (b, "inbox"))
    other.unlink(thelinkage=made)
    other.unlink(thecomponent=a)
    office.unlink(thecomponent=OldComponent())
    office.unlink()
    other.unlinkAll()
    assert office.linkages == [made]
    assert other.islinkageregistered(made) == 0


def test_unlink_all_cuts_each_once(pair: Pair) -> None:
    a, b = pair
    office = postoffice()
    office.link((a, "outbox"), (b, "inbox"))
    office.link((a, "signal"), (b, "control"))
    office.unlinkAll()
    office.unlinkAll()
    assert office.linkages == []
    for box in ("inbox", "control"):
        assert [name for name, _ in b.inboxes[box].log] == ["addsource", "removesource"]


def test_the_deprecated_spelling_unlinks_too(pair: Pair) -> None:
    a, b = pair
    office = postoffice()
    office.deregisterlinkage(thelinkage=office.link((a, "outbox"), (b, "inbox")))
    office.link((a, "outbox"), (b, "inbox"))
    office.deregisterlinkage(thecomponent=a)
    assert office.linkages == []


@pytest.mark.parametrize(
    ("source", "sink", "passthrough"),
    [
        ("inbox", "inbox", 0),
        ("outbox", "outbox", 0),
        ("outbox", "inbox", 1),
        ("outbox", "inbox", 2),
        ("nobox", "inbox", 0),
        ("outbox", "nobox", 0),
    ],
)
def test_a_wrong_box_is_a_key_error_and_links_nothing(
    pair: Pair, source: str, sink: str, passthrough: int
) -> None:
    a, b = pair
    office = postoffice()
    with pytest.raises(KeyError):
        office.link((a, source), (b, sink), passthrough=passthrough)
    assert office.linkages == []
    assert all(box.log == [] for one in pair for box in one.inboxes.values())


def test_a_link_that_the_box_refuses_is_not_kept(pair: Pair) -> None:
    a, b = pair

    class Refusing:
        def addsource(self, box: object) -> None:
            raise BoxAlreadyLinkedToDestination(self, None, box)

    b.inboxes["inbox"] = Refusing()
    office = postoffice()
    with pytest.raises(BoxAlreadyLinkedToDestination):
        office.link((a, "outbox"), (b, "inbox"))
    assert office.linkages == []


class SizedBox(OldBox):
    """A fake that can also be limited."""

    def setSize(self, size: int | None) -> int | None:
        self.log.append(("setSize", size))
        return size


@pytest.mark.parametrize(
    ("options", "size"),
    [({"pipewidth": 3}, 3), ({"synchronous": True}, 1), ({"pipewidth": 0}, 0)],
)
def test_a_fake_that_can_be_limited_is(options: dict[str, Any], size: int) -> None:
    a, b = OldComponent(), OldComponent()
    b.inboxes["inbox"] = box = SizedBox()
    postoffice().link((a, "outbox"), (b, "inbox"), **options)
    assert box.log == [("addsource", a.outboxes["outbox"]), ("setSize", size)]
    made: Any = linkage(a, b, **options)  # type: ignore[arg-type]
    assert box.log[2:] == [("setSize", size)]
    assert made.setSynchronous(9) == 9


# ---- how they print


class Named:
    """A fake with a name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.inboxes = dict.fromkeys(["inbox", "control"])
        self.outboxes = dict.fromkeys(["outbox", "signal"])


def test_a_linkage_prints_its_ends() -> None:
    made: Any = linkage(Named("A"), Named("B"))  # type: ignore[arg-type]
    assert str(made) == "Link( source:[A,outbox], sink:[B,inbox] )"
    made = linkage(Named("A"), Named("B"), "signal", "control")  # type: ignore[arg-type]
    assert str(made) == "Link( source:[A,signal], sink:[B,control] )"


def test_a_linkage_of_components_prints_their_names() -> None:
    a, b = component(), component()
    expected = f"Link( source:[{a.name},outbox], sink:[{b.name},inbox] )"
    assert str(linkage(a, b)) == expected


@pytest.mark.parametrize("debugname", ["", "mine"])
def test_a_postoffice_prints_its_name_and_its_list(pair: Pair, debugname: str) -> None:
    a, b = pair
    office = postoffice(debugname)
    for _ in range(2):
        expected = "{{ POSTOFFICE: " + office.debugname + "links " + str(office.linkages) + " }}"
        assert str(office) == expected
        office.link((a, "outbox"), (b, "inbox"))
        (b, a) = (a, b)


def test_the_debugname_begins_with_what_was_given() -> None:
    assert postoffice().debugname == ""
    assert postoffice("mine").debugname.startswith("mine")
    assert postoffice(debugname="mine").debugname.startswith("mine")


def test_a_component_prints_its_boxes_in_alphabetical_order() -> None:
    made = component()
    assert str(made) == (
        f"Component {made.name} [ inboxes : {{'control': [], 'inbox': []}} "
        "outboxes : {'outbox': <>, 'signal': <>}"
    )


def test_a_component_prints_what_waits_in_its_boxes() -> None:
    made, other = component(Inboxes=["zebra", "apple"], Outboxes=("zoo",)), component()
    made._deliver("first", "zebra")
    made._deliver(2, "zebra")
    made.link((made, "zoo"), (other, "inbox"))
    made.send("there", "zoo")
    assert str(made) == (
        f"Component {made.name} [ inboxes : {{'apple': [], 'zebra': ['first', 2]}} "
        "outboxes : {'zoo': ['there']}"
    )


# ---- a linkage


def test_its_parts_are_plain_attributes() -> None:
    a, b = component(), component()
    made = linkage(a, b)
    assert (made.source, made.sink, made.sourcebox, made.sinkbox, made.passthrough) == (
        a,
        b,
        "outbox",
        "inbox",
        0,
    )
    assert (made.sourcePair(), made.sinkPair()) == ((a, "outbox"), (b, "inbox"))
    made = linkage(a, b, "inbox", "control", 1)
    assert (made.getSourcebox(), made.getSinkbox()) == (a.inboxes["inbox"], b.inboxes["control"])
    made = linkage(source=a, sink=b, sourcebox="signal", sinkbox="outbox", passthrough=2)
    assert (made.getSourcebox(), made.getSinkbox()) == (
        a.outboxes["signal"],
        b.outboxes["outbox"],
    )


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({}, None),
        ({"pipewidth": 3}, 3),
        ({"pipewidth": 0}, 0),
        ({"synchronous": True}, 1),
        ({"synchronous": False}, None),
        ({"synchronous": None}, None),
        ({"pipewidth": 5, "synchronous": True}, 5),
    ],
)
def test_pipewidth_and_synchronous_limit_the_sink_box(
    options: dict[str, Any], size: int | None
) -> None:
    """synchronous=False limits nothing; in the original anything but None did."""
    a, b, c = component(), component(), component()
    a.link((a, "outbox"), (b, "inbox"), **options)
    linkage(a, c, **options)  # connects nothing, and limits all the same
    assert (b.inboxes["inbox"].getSize(), c.inboxes["inbox"].getSize()) == (size, size)


def test_the_width_can_be_changed_and_taken_away_later() -> None:
    a, b = component(), component()
    made = a.link((a, "outbox"), (b, "inbox"), synchronous=True)
    assert made.setSynchronous(4) == 4
    for number in range(4):
        a.send(number)
    with pytest.raises(noSpaceInBox) as caught:
        a.send(4)
    assert caught.value.args == (4, 4)
    assert made.setSynchronous(pipewidth=2) == 2
    assert made.setSynchronous() is None
    a.send(4)
    assert list(b.Inbox()) == [0, 1, 2, 3, 4]


def test_a_short_text_and_showing_what_passes(capsys: pytest.CaptureFixture[str]) -> None:
    a, b = component(), component()
    made = a.link((a, "outbox"), (b, "inbox"))
    assert "outbox" in made.short_str()
    assert "inbox" in made.short_str()
    made.setShowTransit(True, "tagged")
    a.send("seen message")
    assert "seen message" in capsys.readouterr().out
    made.setShowTransit(False, None)
    a.send("unseen message")
    assert capsys.readouterr().out == ""
    assert list(b.Inbox()) == ["seen message", "unseen message"]


# ---- the postoffice of a component


def test_linking_goes_through_the_postoffice_with_the_arguments_as_given() -> None:
    made, other = component(), component()
    office: Any = OldPostoffice()
    made.postoffice = office
    result: Any = made.link((made, "outbox"), (other, "inbox"))
    assert result == "the linkage"
    made.link((made, "outbox"), (other, "outbox"), passthrough=2)
    made.link((made, "outbox"), (other, "inbox"), 0)
    assert [call[:2] for call in office.links] == [
        ((made, "outbox"), (other, "inbox")),
        ((made, "outbox"), (other, "outbox")),
        ((made, "outbox"), (other, "inbox")),
    ]
    assert [call[2:] for call in office.links] == [((), {}), ((), {"passthrough": 2}), ((0,), {})]


def test_a_postoffice_that_takes_only_what_it_must_is_enough() -> None:
    class Small:
        def __init__(self) -> None:
            self.log: list[object] = []

        def link(self, source: object, sink: object) -> None:
            self.log.append((source, sink))

        def unlink(self, thecomponent: object) -> None:
            self.log.append(thecomponent)

    made, other = component(), component()
    office: Any = Small()
    made.postoffice = office
    made.link((made, "outbox"), (other, "inbox"))
    made.unlink(thecomponent=other)
    made.unlink(other)
    assert office.log == [((made, "outbox"), (other, "inbox")), other, other]


def test_unlinking_goes_through_the_postoffice() -> None:
    made, other = component(), component()
    office: Any = OldPostoffice()
    made.postoffice = office
    made.unlink(thecomponent=other)
    made.unlink(thelinkage="a linkage")  # type: ignore[arg-type]
    assert office.unlinks == [(other, None), (None, "a linkage")]


def test_removing_a_child_unlinks_it_exactly_once() -> None:
    parent, child, other = component(), component(), component()
    office: Any = OldPostoffice()
    parent.postoffice = office
    parent.addChildren(child, other)
    parent.removeChild(child)
    assert office.unlinks == [(child, None)]
    assert parent.children == [other]


def test_closing_down_goes_through_the_postoffice() -> None:
    made = component()
    office: Any = OldPostoffice()
    made.postoffice = office
    assert made._closeDownMicroprocess() is None
    assert office.closed == 1


def test_each_component_has_a_postoffice_of_its_own() -> None:
    one, other = component(), component()
    assert isinstance(one.postoffice, postoffice)
    assert one.postoffice is not other.postoffice
    assert one.postoffice is one.postoffice


def test_a_component_undoes_only_what_it_made_itself(engine: scheduler) -> None:
    keeper, a, b = component(), component(), component()

    def passing(self: Script) -> Iterator[object]:
        self.link((a, "outbox"), (b, "inbox"))
        yield 1

    keeper.link((a, "signal"), (b, "control"))
    Script(passing).activate(Scheduler=engine)
    engine.runThreads()
    a.send("lost")
    a.send("kept", "signal")
    assert (b.dataReady(), b.dataReady("control")) == (0, 1)


def test_closing_down_by_hand_cuts_the_links_it_made() -> None:
    a, b, other = component(), component(), component()
    a.link((a, "outbox"), (b, "inbox"))
    other.link((a, "signal"), (b, "control"))
    a._closeDownMicroprocess()
    a.send("lost")
    a.send("kept", "signal")
    assert (b.dataReady(), b.dataReady("control")) == (0, 1)
    assert a.postoffice.linkages == []
