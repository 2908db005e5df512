"""PlugSplitter and Plug: sinks that come, go, are full, and are told of the end."""

import re
from collections.abc import Iterator

import pytest

from Axon.Component import component
from Axon.Ipc import ipc, producerFinished, shutdownMicroprocess
from Axon.Testing import Harness, drive, harness
from Kamaelia.Util.DataSource import DataSource
from Kamaelia.Util.PassThrough import PassThrough
from Kamaelia.Util.Splitter import Plug, PlugSplitter, addsink, removesink
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {
    PlugSplitter: Ends(PlugSplitter),
    Plug: Ends(lambda: Plug(PlugSplitter(), PassThrough())),
}

CONFIGURATION = "configuration"


class Sink(component):
    """Never reads: what it was sent lies in its boxes. Ends when it is stopped."""

    ExtraInboxes = {"other": "object: another place for messages"}

    def main(self) -> Iterator[object]:
        while True:
            self.pause()
            yield 1

    def got(self, box: str = "inbox") -> list[object]:
        return list(self.Inbox(box))


def configure(h: Harness, *wishes: object) -> None:
    h.settle()  # what was put in before is not to be overtaken
    h.put_all(wishes, CONFIGURATION)
    h.settle()


def test_without_sinks_messages_go_to_outbox() -> None:
    assert drive(PlugSplitter(), inbox=[1, 2])["outbox"] == [1, 2]


def test_each_sink_gets_what_comes_while_it_is_one() -> None:
    splitter, first, second = PlugSplitter(), Sink(), Sink()
    with harness(splitter, first, second) as h:
        for number, wish in enumerate([addsink(first), addsink(second), removesink(first)]):
            configure(h, wish)
            h.put(number)
        h.settle()
        assert (first.got(), second.got()) == ([0, 1], [1, 2])
        assert h.take("outbox") == [0, 1, 2]


def test_a_sink_that_is_added_before_the_data_misses_nothing() -> None:
    splitter, sink = PlugSplitter(), Sink()
    splitter.inboxes["inbox"].deliver(1)
    splitter.inboxes[CONFIGURATION].deliver(addsink(sink))
    drive(splitter)
    assert sink.got() == [1]


def test_one_component_may_be_a_sink_with_several_boxes_and_lose_one_of_them() -> None:
    splitter, sink = PlugSplitter(), Sink()
    with harness(splitter, sink) as h:
        configure(h, addsink(sink), addsink(sink, "other"))
        h.put(1)
        configure(h, removesink(sink, "inbox"))
        h.put(2)
        h.settle()
        assert (sink.got(), sink.got("other")) == ([1], [1, 2])


def test_to_be_added_twice_is_to_be_added_once() -> None:
    splitter, sink = PlugSplitter(), Sink()
    with harness(splitter, sink) as h:
        configure(h, addsink(sink), addsink(sink, sinkcontrol="control"))
        h.put(1)
        h.settle()
        assert sink.got() == [1]
        h.put(producerFinished(), "control")
        h.expect_end(splitter)
        assert len(sink.got("control")) == 1


def test_to_remove_what_is_no_sink_is_harmless() -> None:
    splitter, sink = PlugSplitter(), Sink()
    with harness(splitter, sink) as h:
        configure(h, removesink(sink), addsink(sink), removesink(sink, "other"))
        h.put(1)
        h.settle()
        assert sink.got() == [1]


def test_a_sink_may_be_an_outbox() -> None:
    splitter, sink = PlugSplitter(), Sink()
    with harness(splitter, sink) as h:
        configure(h, addsink(sink, "outbox", "signal", passthrough=2))
        h.put(1)
        h.expect((sink, "outbox"), 1)
        h.put(producerFinished(), "control")
        h.expect((sink, "signal"), producerFinished)


@pytest.mark.parametrize("stop", [producerFinished(), shutdownMicroprocess()])
def test_control_messages_go_to_the_sinks_that_named_a_box_for_them(stop: ipc) -> None:
    splitter, told, untold = PlugSplitter(), Sink(), Sink()
    with harness(splitter, told, untold) as h:
        configure(h, addsink(told, "inbox", "control"), addsink(untold))
        h.put_all(["a word", stop], "control")
        h.expect_end(splitter)
        assert told.got("control") == ["a word", stop]
        assert untold.got("control") == []
        assert h.take("signal") == ["a word", stop]


@pytest.mark.parametrize("begun", [True, False])
def test_however_it_ends_the_sinks_are_told_also_those_it_had_not_heard_of(begun: bool) -> None:
    splitter, old, new = PlugSplitter(), Sink(), Sink()
    with harness(splitter, old, new) as h:
        if begun:
            configure(h, addsink(old, "inbox", "control"))
        h.put(addsink(new, "inbox", "control"), CONFIGURATION)
        splitter.stop()
        h.settle()
        assert [len(sink.got("control")) for sink in (old, new)] == [begun, 1]


def test_a_sink_that_ends_is_forgotten_and_leaves_no_boxes_behind() -> None:
    splitter = PlugSplitter()
    before = set(splitter.outboxes)
    with harness(splitter) as h:
        for number in range(3):
            sink = Sink()
            h.start(sink)
            configure(h, addsink(sink, "inbox", "control"), addsink(sink, "other"))
            h.put(number)
            h.settle()
            sink.stop()
            h.settle()
            assert set(splitter.outboxes) == before
        assert splitter.postoffice.linkages == []
        assert not splitter._watched


def test_a_sink_that_has_ended_already_is_none() -> None:
    splitter, sink = PlugSplitter(), Sink()
    with harness(splitter, sink) as h:
        h.settle()
        sink.stop()
        h.settle()
        configure(h, addsink(sink))
        h.put(1)
        h.expect("outbox", 1)
        assert len(splitter.outboxes) == 2


def test_a_full_sink_holds_the_others_back_by_one_message_and_nothing_is_lost() -> None:
    splitter, slow, quick = PlugSplitter(), Sink(), Sink()
    slow.setInboxSize("inbox", 2)
    with harness(splitter, slow, quick) as h:
        configure(h, addsink(slow), addsink(quick))
        h.put_all(range(6))
        h.run_for(60)
        assert quick.got() == [0, 1, 2]
        assert slow.got() == [0, 1]
        h.run_for(60)
        assert (slow.got(), quick.got()) == ([2, 3], [3, 4])


@pytest.mark.parametrize("leave", ["removed", "ended"])
def test_a_full_sink_that_goes_away_sets_the_others_free(leave: str) -> None:
    splitter, slow, quick = PlugSplitter(), Sink(), Sink()
    slow.setInboxSize("inbox", 1)
    with harness(splitter, slow, quick) as h:
        configure(h, addsink(slow), addsink(quick))
        h.put_all(range(4))
        h.run_for(60)
        assert quick.got() == [0, 1]
        if leave == "removed":
            h.put(removesink(slow), CONFIGURATION)
        else:
            slow.stop()
        h.settle()
        assert quick.got() == [2, 3]


def test_while_it_waits_for_a_sink_a_shutdown_microprocess_ends_it() -> None:
    splitter, slow = PlugSplitter(), Sink()
    slow.setInboxSize("inbox", 0)
    with harness(splitter, slow) as h:
        configure(h, addsink(slow, sinkcontrol="control"))
        h.put(1)
        h.run_for(60)
        h.put(stop := shutdownMicroprocess(), "control")
        h.expect_end(splitter)
        assert slow.got("control") == [stop]


@pytest.mark.parametrize("wish", ["inbox", None, Sink])
def test_anything_else_at_configuration_is_a_type_error(wish: object) -> None:
    with pytest.raises(TypeError, match="addsink or removesink at 'configuration'"):
        drive(PlugSplitter(), configuration=[wish])


def test_a_sink_without_room_for_the_shutdown_is_told_all_the_same() -> None:
    splitter, sink = PlugSplitter(), Sink()
    sink.setInboxSize("control", 1)
    with harness(splitter, sink) as h:
        configure(h, addsink(sink, "inbox", "control"))
        h.put_all(["one", "too many", stop := shutdownMicroprocess()], "control")
        h.expect_end(splitter)
        assert sink.got("control") == ["one", stop]


def test_a_box_that_a_sink_does_not_have_is_an_error_that_names_both() -> None:
    with pytest.raises(KeyError) as caught:
        drive(PlugSplitter(), configuration=[addsink(Sink(), "ibnox")])
    assert re.search(
        "Sink_.* was to be a sink of .*PlugSplitter_.*'ibnox'", str(caught.value.__notes__)
    )


# ---- with a source


def test_the_messages_of_a_source_are_copied_and_its_end_is_the_splitters() -> None:
    source, sink = DataSource([1, 2]), Sink()
    splitter = PlugSplitter(source)
    with harness(splitter, sink) as h:
        h.put(addsink(sink, "inbox", "control"), CONFIGURATION)
        h.expect_end(splitter)
        assert sink.got() == [1, 2]
        assert [message.caller for message in sink.got("control")] == [source]  # type: ignore[attr-defined]


def test_what_comes_in_is_for_the_source() -> None:
    splitter = PlugSplitter(sourceComponent=PassThrough())
    stop = producerFinished()
    with harness(splitter) as h:
        h.put_all([1, 2])
        h.expect_all("outbox", [1, 2])
        h.put(stop, "control")
        assert h.expect("signal", producerFinished) is stop
        h.expect_end()


def test_a_source_that_ends_without_a_word_ends_it_after_its_messages() -> None:
    class Quiet(component):
        def main(self) -> Iterator[object]:
            self.send(1, "outbox")
            yield 1

    splitter, sink = PlugSplitter(Quiet()), Sink()
    with harness(splitter, sink) as h:
        h.put(addsink(sink, "inbox", "control"), CONFIGURATION)
        h.expect_end(splitter)
        assert sink.got() == [1]
        assert [type(message) for message in sink.got("control")] == [producerFinished]
        h.expect("signal", producerFinished)


def test_stopping_it_stops_its_source() -> None:
    source = PassThrough()
    splitter = PlugSplitter(source)
    with harness(splitter) as h:
        h.settle()
        splitter.stop()
        h.settle()
        assert source._isStopped()


# ---- Plug


def test_a_plug_is_a_sink_for_as_long_as_its_component_lives() -> None:
    splitter, inside = PlugSplitter(), PassThrough()
    plug = Plug(splitter, inside)
    with harness(splitter, plug) as h:
        h.settle()
        h.put(1)
        h.expect((plug, "outbox"), 1)
        h.put(stop := producerFinished(), (plug, "control"))
        assert h.expect((plug, "signal"), producerFinished) is stop
        h.expect_end(plug)
        h.settle()
        h.put(2)
        h.settle()
        assert h.take("outbox") == [1, 2]
        assert len(splitter.outboxes) == 2


def test_plugs_come_and_go_in_any_order_and_each_hears_the_end() -> None:
    splitter = PlugSplitter()
    plugs = [Plug(splitter, PassThrough()) for _ in range(5)]
    with harness(splitter, *plugs) as h:
        h.settle()
        plugs[1].stop()
        plugs[3].stop()
        h.settle()
        h.put("x")
        h.put(producerFinished(), "control")
        h.expect_end()
        assert [len(h.take((plug, "outbox"))) for plug in plugs] == [1, 0, 1, 0, 1]


def test_two_splitters_share_nothing() -> None:
    one, other = PlugSplitter(), PlugSplitter()
    with harness(one, other, sink := Sink()) as h:
        configure(h, addsink(sink))
        h.put(1)
        h.put(2, (other, "inbox"))
        h.settle()
        assert sink.got() == [1]
        assert set(other.outboxes) == set(PlugSplitter.Outboxes)


@pytest.mark.parametrize("how", ["told", "stopped"])
def test_a_plug_that_comes_after_the_end_of_its_splitter_ends_too(how: str) -> None:
    splitter = PlugSplitter()
    with harness(splitter) as h:
        h.settle()
        if how == "told":
            h.put(producerFinished(), "control")
        else:
            splitter.stop()
        h.expect_end()
        plug = Plug(splitter, PassThrough())
        h.start(plug)
        h.expect_end(plug)
