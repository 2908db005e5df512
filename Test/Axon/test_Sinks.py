"""Where an outbox leads that does not simply lead to another component: strict mode, oneself, and
the last word."""

from collections.abc import Iterator
from typing import Any

import pytest

from Axon.AxonExceptions import UnlinkedOutbox, noSpaceInBox
from Axon.Box import NULL_SINK, postbox, strict_outboxes
from Axon.Component import component
from Axon.Ipc import producerFinished
from Axon.Scheduler import scheduler
from Axon.Sinks import SAID_SINK, NullSink, SelfSink, SignalSink, has_said
from Axon.Storage import DISCARD
from Test.Axon.scripts import Script


@pytest.fixture(autouse=True)
def _not_strict_afterwards() -> Iterator[None]:
    yield
    assert NULL_SINK.q is DISCARD


def refused(one: component, boxname: str = "outbox") -> bool:
    try:
        one.send("a message", boxname)
    except UnlinkedOutbox:
        return True
    return False


# ---- strict mode


def test_in_strict_mode_a_send_to_nowhere_is_refused_in_the_sender() -> None:
    one, message = component(), {"a": "message"}
    one.name = "one"
    with strict_outboxes(), pytest.raises(UnlinkedOutbox) as error:
        one.send(message, "outbox")
    assert error.value.args == ("one", "outbox", message)
    assert error.value.args[2] is message
    assert error.value.__cause__ is None
    assert str(error.value) == (
        "one sent {'a': 'message'} to its outbox 'outbox', which is linked to nothing"
    )


def test_the_text_of_the_refusal_is_short_however_large_the_message() -> None:
    with strict_outboxes(), pytest.raises(UnlinkedOutbox) as error:
        component().send("x" * 100_000)
    assert len(str(error.value)) < 400


def test_otherwise_it_is_discarded() -> None:
    assert not refused(component())


def test_a_signal_may_lead_nowhere() -> None:
    with strict_outboxes():
        assert not refused(component(), "signal")


def test_any_other_box_may_not() -> None:
    with strict_outboxes():
        assert refused(component(Outboxes=["errors"]), "errors")


def test_the_mode_ends_with_the_block() -> None:
    with strict_outboxes():
        assert refused(component())
    assert not refused(component())


def test_blocks_may_be_nested() -> None:
    with strict_outboxes():
        with strict_outboxes():
            assert refused(component())
        assert refused(component())
    assert not refused(component())


def test_an_exception_in_the_block_ends_the_mode_too() -> None:
    with pytest.raises(ZeroDivisionError), strict_outboxes():
        raise ZeroDivisionError
    assert not refused(component())


def test_without_a_block_it_lasts_until_it_is_taken_off() -> None:
    mode = strict_outboxes()
    assert refused(component())
    mode.off()
    mode.off()
    assert not refused(component())


def test_what_leads_somewhere_is_not_touched() -> None:
    one, other = component(), component()
    wire = one.link((one, "outbox"), (other, "inbox"))
    with strict_outboxes():
        one.send("arrives")
        one.unlink(thelinkage=wire)
        assert refused(one)
    assert list(other.Inbox()) == ["arrives"]


def test_a_passthrough_to_an_outbox_that_leads_nowhere_leads_nowhere() -> None:
    child, parent, other = component(), component(), component()
    parent.link((child, "outbox"), (parent, "outbox"), passthrough=2)
    with strict_outboxes():
        assert refused(child)
        parent.link((parent, "outbox"), (other, "inbox"))
        assert not refused(child)


def test_what_is_put_into_the_box_itself_is_refused_too() -> None:
    with strict_outboxes(), pytest.raises(UnlinkedOutbox):
        component().outboxes["outbox"].append("a message")


def test_a_receiver_that_has_ended_is_no_mistake(engine: scheduler) -> None:
    one, other = component(), component()
    one.link((one, "outbox"), (other, "inbox"))
    other.activate(Scheduler=engine)
    engine.runThreads()
    with strict_outboxes():
        assert not refused(one)


def test_a_component_that_is_refused_fails_where_it_sends(engine: scheduler) -> None:
    def main(self: Script) -> Iterator[object]:
        yield 1
        self.send("a message")

    Script(main).activate(Scheduler=engine)
    with strict_outboxes(), pytest.raises(UnlinkedOutbox) as error:
        engine.runThreads()
    assert error.traceback[-2].name == "send"


class Broken:
    """A storage of its own making, with a mistake in it."""

    def append(self, message: Any) -> None:  # noqa: ANN401 - a message is anything
        self.socket.send(message)  # type: ignore[attr-defined]


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("boxes", ["outbox inbox", "signal control"])
@pytest.mark.parametrize("to_itself", [False, True])
def test_a_mistake_inside_of_a_receiver_is_not_taken_for_a_missing_link(
    strict: bool, boxes: str, to_itself: bool
) -> None:
    outbox, inbox = boxes.split()
    one = component()
    other = one if to_itself else component()
    one.link((one, outbox), (other, inbox))
    other.inboxes[inbox].q = Broken()
    mode = strict_outboxes() if strict else None
    with pytest.raises(AttributeError, match="socket"):
        one.send("a message", outbox)
    if mode:
        mode.off()


# ---- which sink


def sink(one: component, boxname: str) -> Any:  # noqa: ANN401 - an Inbox or a NullSink
    return one.outboxes[boxname].sink


def test_the_usual_sink_is_the_inbox_itself() -> None:
    one, other = component(), component()
    one.link((one, "outbox"), (other, "inbox"))
    assert sink(one, "outbox") is other.inboxes["inbox"]


def test_a_signal_to_a_control_is_listened_to() -> None:
    one, other = component(), component()
    one.link((one, "signal"), (other, "control"))
    assert type(sink(one, "signal")) is SignalSink
    one.send("a question", "signal")
    assert not has_said(sink(one, "signal"))
    one.send(producerFinished, "signal")
    assert has_said(sink(one, "signal"))


def test_a_signal_to_ones_own_control_arrives() -> None:
    one = component()
    one.link((one, "signal"), (one, "control"))
    one.send("a question", "signal")
    assert one.recv("control") == "a question"


def test_an_outbox_to_oneself_knows_how_full_it_is() -> None:
    one = component()
    one.link((one, "outbox"), (one, "inbox"), pipewidth=2)
    own = sink(one, "outbox")
    assert type(own) is SelfSink
    assert (own.size, len(own)) == (2, 0)
    one.send("a")
    assert (len(own), one.outboxes["outbox"].isFull()) == (1, False)
    one.send("b")
    assert one.outboxes["outbox"].isFull()
    with pytest.raises(noSpaceInBox):
        one.send("c")


def test_what_was_said_is_remembered_over_a_cut() -> None:
    one, other = component(), component()
    wire = one.link((one, "signal"), (other, "control"))
    one.unlink(thelinkage=wire)
    assert sink(one, "signal") is NULL_SINK
    wire = one.link((one, "signal"), (other, "control"))
    one.send(producerFinished(), "signal")
    one.unlink(thelinkage=wire)
    assert sink(one, "signal") is SAID_SINK
    one.send("to nobody", "signal")
    one.link((one, "signal"), (component(), "control"))
    assert has_said(sink(one, "signal"))


def test_where_nothing_is_there_is_nothing_to_wait_for() -> None:
    nothing = NullSink()
    nothing.wake_on_collection(component())
    assert nothing.size is None


# ---- what a box says of itself


def test_a_box_shows_its_name_and_its_owners() -> None:
    one = component(name="one")
    assert repr(one.inboxes["inbox"]) == "<inbox 'inbox' of one>"
    assert repr(one.outboxes["signal"]) == "<outbox 'signal' of one>"


def test_the_storage_of_a_box_is_that_at_the_end_of_its_chain() -> None:
    one, outer, inner = component(), component(), component()
    assert one.outboxes["outbox"].storage is DISCARD
    one.link((one, "outbox"), (outer, "inbox"))
    one.link((outer, "inbox"), (inner, "control"), passthrough=1)
    one.send("a message")
    storage = inner.inboxes["control"].q
    assert one.outboxes["outbox"].storage is outer.inboxes["inbox"].storage is storage


def test_the_size_of_an_outbox_is_that_of_where_it_leads() -> None:
    one, other = component(), component()
    assert one.outboxes["outbox"].getSize() is None
    one.link((one, "outbox"), (other, "inbox"), pipewidth=3)
    assert one.outboxes["outbox"].getSize() == 3


def test_what_leads_nowhere_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    one, other = component(), component()
    one.outboxes["outbox"].setShowTransit(True)
    one.send("lost")
    one.link((one, "outbox"), (other, "inbox"))
    one.outboxes["outbox"].setShowTransit(True, "seen")
    one.send("found")
    assert capsys.readouterr().out == "seen: 'found'\n"


def test_a_box_by_itself_is_neither_an_inbox_nor_an_outbox() -> None:
    with pytest.raises(NotImplementedError):
        postbox().final()


# ---- the last word


def test_the_last_word_finds_room_and_leaves_the_limit() -> None:
    one, other = component(), component()
    one.link((one, "signal"), (other, "control"))
    other.setInboxSize("control", 0)
    word = producerFinished(one)
    sink(one, "signal").say(word)
    assert list(other.Inbox("control")) == [word]
    assert other.inboxes["control"].getSize() == 0
    assert has_said(sink(one, "signal"))


def test_the_limit_stays_also_if_the_receiver_cannot_take_it() -> None:
    class Choosy:
        def append(self, message: object) -> None:
            if other.inboxes["control"].size is not None:
                raise noSpaceInBox(1, 1)
            raise OSError("closed")

    one, other = component(), component()
    one.link((one, "signal"), (other, "control"))
    other.inboxes["control"].size = 1
    other.inboxes["control"].q = Choosy()
    with pytest.raises(OSError, match="closed"):
        sink(one, "signal").say(producerFinished(one))
    assert other.inboxes["control"].size == 1
