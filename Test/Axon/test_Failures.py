"""
The note that an exception of a component carries: who, its boxes, and the message it was at. What
a scheduler does with the exception: test_Scheduler_failures.
"""

import gc
import weakref
from collections.abc import Callable, Iterator

import pytest

from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Failures import describe, left_in_the_middle, shown
from Axon.Microprocess import microprocess
from Axon.Scheduler import scheduler
from Axon.Testing import virtual_scheduler
from Test.Axon.scripts import Script

keeper = component()


def note_of(main: Callable[[Script], Iterator[object]], *messages: object) -> list[str]:
    """Run a component that fails; the lines of the note."""
    engine = virtual_scheduler()
    one = Script(main, "culprit").activate(Scheduler=engine)
    for message in messages:
        one._deliver(message)
    with pytest.raises(Exception) as error:  # noqa: PT011 - each test has its own
        engine.runThreads()
    (note,) = error.value.__notes__
    return str(note).splitlines()


def fail() -> None:
    raise ValueError("on demand")


# ---- what it was at


def test_a_failure_in_a_loop_over_a_box_names_the_box_and_the_message() -> None:
    def main(self: Script) -> Iterator[object]:
        for message in self.Inbox():
            assert message
            fail()
        yield 1

    assert note_of(main, "first", "second") == [
        "raised in component culprit (waiting in inbox: 1)",
        "while it went through its box 'inbox'",
        "where message='first'",
    ]


def test_a_loop_that_is_over_is_not_named() -> None:
    def main(self: Script) -> Iterator[object]:
        for message in self.Inbox():
            assert message
        yield 1
        fail()

    assert note_of(main, "first") == ["raised in component culprit", "where message='first'"]


def test_somebody_elses_loop_is_not_named() -> None:
    def main(self: Script) -> Iterator[object]:
        for _ in other.Inbox():
            break
        yield 1
        fail()

    other = component()
    other._deliver("a message")
    other._deliver("another")
    assert note_of(main)[1].startswith("where _='a message'")


def test_a_failure_after_recv_shows_the_variable_the_message_is_in() -> None:
    def main(self: Script) -> Iterator[object]:
        number = self.recv()
        yield 1
        number / 0

    assert note_of(main, 42) == ["raised in component culprit", "where number=42"]


def test_a_failure_of_recv_says_which_box() -> None:
    def main(self: Script) -> Iterator[object]:
        yield 1
        self.recv("control")

    assert note_of(main) == ["raised in component culprit", "in recv('control')"]


def test_a_send_to_a_box_that_is_not_there_says_which_there_are() -> None:
    def main(self: Script) -> Iterator[object]:
        answer = 42
        yield 1
        self.send(answer, "outbx")

    assert note_of(main) == [
        "raised in component culprit",
        "in send(42, 'outbx'): there is no such box, only outbox, signal",
        "where answer=42",
    ]


def test_the_same_for_the_boxes_one_reads() -> None:
    def main(self: Script) -> Iterator[object]:
        yield 1
        self.dataReady("imbox")

    assert note_of(main)[1] == "in dataReady('imbox'): there is no such box, only inbox, control"


def test_a_send_to_a_full_box_says_so() -> None:
    def main(self: Script) -> Iterator[object]:
        keeper.link((self, "outbox"), (full, "inbox"), pipewidth=0)
        yield 1
        self.send("too many")

    full = component()
    assert note_of(main)[:2] == ["raised in component culprit", "in send('too many', 'outbox')"]


def test_the_variables_are_those_of_the_components_own_innermost_method() -> None:
    class Deep(component):
        def main(self) -> Iterator[object]:
            outer = "not shown"
            assert outer
            yield from self.part("shown")

        def part(self, inner: str) -> Iterator[object]:
            assert inner
            yield 1
            helper(4)

    def helper(number: int) -> None:
        assert number
        fail()

    engine = virtual_scheduler()
    Deep(name="deep").activate(Scheduler=engine)
    with pytest.raises(ValueError, match="on demand") as error:
        engine.runThreads()
    (note,) = error.value.__notes__
    assert note.startswith("raised in component deep\nwhere inner='shown', ")


def test_not_more_than_a_few_variables_are_shown() -> None:
    def main(self: Script) -> Iterator[object]:
        a = b = c = d = e = f = g = h = 1
        assert a + b + c + d + e + f + g + h
        yield 1
        fail()

    assert note_of(main)[1] == "where a=1, b=1, c=1, d=1, e=1, f=1"


def test_a_plain_microprocess_has_no_boxes_to_tell_of() -> None:
    def steps() -> Iterator[object]:
        yield 1
        fail()

    engine = virtual_scheduler()
    one = microprocess(thread=steps()).activate(Scheduler=engine)
    with pytest.raises(ValueError, match="on demand") as error:
        engine.runThreads()
    assert error.value.__notes__ == [f"raised in component {one.name}"]


def test_the_message_itself_is_named_where_it_is_known(engine: scheduler) -> None:
    one = component(name="one")
    left_in_the_middle.append((id(one), "inbox", "the message"))
    note = describe(one, ValueError())
    assert note.splitlines()[1] == "at message 'the message' from box 'inbox'"
    assert not left_in_the_middle


# ---- whatever the program did


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class BrokenText(str):
    __slots__ = ()

    def __getitem__(self, key: object) -> str:
        raise OSError("no")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (42, "42"),
        ("plain", "'plain'"),
        ("line\nbreak\x1b[2J\u202e", "'line\\nbreak\\x1b[2J\\u202e'"),
        (b"\x00\xff", "b'\\x00\\xff'"),
        (Unprintable(), "<Unprintable without a repr: RuntimeError>"),
        (BrokenText("x"), "<BrokenText without a repr: OSError>"),
        ([Unprintable()], "[<Unprintable instance at"),
        (bytearray(b"ab"), "bytearray(b'ab')"),
    ],
)
def test_a_value_is_shown_in_one_printable_line(value: object, text: str) -> None:
    assert shown(value).startswith(text)
    assert shown(value).isprintable()


@pytest.mark.parametrize(
    "value",
    [
        "x" * 10_000_000,
        b"\x00" * 10_000_000,
        "\n" * 10_000_000,
        list(range(1_000_000)),
        {"key": "x" * 1_000_000},
        [[[["deep"] * 100] * 100] * 100] * 100,
    ],
    ids=["str", "bytes", "newlines", "list", "dict", "nested"],
)
def test_a_large_value_is_cut(value: object) -> None:
    assert len(shown(value)) <= 83


def test_a_repr_with_control_characters_is_escaped() -> None:
    class Loud:
        def __repr__(self) -> str:
            return "\x07\n" * 1000

    assert shown(Loud()).isprintable()
    assert len(shown(Loud())) <= 83


def test_names_that_a_peer_had_a_hand_in_are_escaped() -> None:
    one = component(name="client\n\x1b[2J" + "x" * 1000, Inboxes=["in\nbox"])
    one._deliver("a message", "in\nbox")
    note = describe(one, ValueError())
    assert note.isprintable()
    assert note.endswith("(waiting in in\\nbox: 1)")
    assert len(note) < 400


@pytest.mark.parametrize("boxname", [["a", "list"], "x" * 100_000, None, 3])
def test_any_nonsense_for_the_name_of_a_box_is_told(boxname: object) -> None:
    def main(self: Script) -> Iterator[object]:
        yield 1
        self.send("a message", boxname)  # type: ignore[arg-type]

    lines = note_of(main)
    assert lines[1].startswith("in send('a message', ")
    assert lines[1].endswith("there is no such box, only outbox, signal")
    assert len(lines[1]) < 250


def test_a_box_with_a_storage_of_the_owners_is_no_obstacle() -> None:
    class Socket:
        def append(self, message: object) -> None:
            """Sends it."""

    def main(self: Script) -> Iterator[object]:
        self.inboxes["inbox"].q = Socket()
        yield 1
        fail()

    assert note_of(main)[0] == "raised in component culprit"


def test_a_culprit_that_cannot_be_described_hides_nothing() -> None:
    class Nameless(component):
        @property
        def name(self) -> str:  # type: ignore[override]
            raise RuntimeError("no name")

        def main(self) -> Iterator[object]:
            yield 1
            fail()

    engine = virtual_scheduler()
    one = Nameless().activate(Scheduler=engine)
    with pytest.raises(ValueError, match="on demand") as error:
        engine.runThreads()
    assert error.value.__notes__ == ["raised in a Nameless, of which RuntimeError tells no more"]
    assert one._isStopped()
    assert engine.listAllThreads() == []


# ---- nothing is kept


def freed_afterwards(main: Callable[[Script], Iterator[object]]) -> bool:
    engine = virtual_scheduler()
    one = Script(main).activate(Scheduler=engine)
    one.isolate(lambda culprit, error: None)
    for number in range(3):
        one._deliver(number)
    gone = weakref.ref(one)
    del one
    gc.collect()
    gc.disable()
    try:
        engine.runThreads()
        return gone() is None
    finally:
        gc.enable()


def in_a_loop(self: Script) -> Iterator[object]:
    for _ in self.Inbox():
        fail()
    yield 1


def after_a_loop(self: Script) -> Iterator[object]:
    for _ in self.Inbox():
        break
    yield 1
    fail()


def breaking_off(self: Script) -> Iterator[object]:
    for _ in self.Inbox():
        break
    yield 1


def sending_too_much(self: Script) -> Iterator[object]:
    keeper.link((self, "outbox"), (component(), "inbox"), pipewidth=0)
    yield 1
    try:
        self.send("too many")
    except noSpaceInBox as error:
        raise ValueError("again") from error
    finally:
        keeper.unlink(self)


@pytest.mark.parametrize("main", [in_a_loop, after_a_loop, breaking_off, sending_too_much])
def test_a_component_that_failed_or_broke_a_loop_off_is_freed(
    main: Callable[[Script], Iterator[object]],
) -> None:
    assert freed_afterwards(main)
