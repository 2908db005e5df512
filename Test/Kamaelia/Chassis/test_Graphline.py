"""Graphline: linkages by name, each rule about shutdowns, being stopped, leaving nothing behind."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness, virtual_scheduler
from Kamaelia.Chassis.Graphline import BadLinkages, BoxSizes, Graphline, Linkages
from Kamaelia.Util.DataSource import DataSource
from Kamaelia.Util.PassThrough import PassThrough
from Test.Kamaelia.shutdown import Ends


class Recorder(component):
    """Keeps all that comes in; ends, silently, on the first thing at control that is a shutdown."""

    Inboxes = {"inbox": "object: kept", "second": "object: kept", "control": "the shutdown: kept"}

    def main(self) -> Iterator[object]:
        self.got: list[object] = []
        self.told: list[object] = []
        while True:
            for box in ("inbox", "second"):
                self.got.extend(self.Inbox(box))
            self.told.extend(self.Inbox("control"))
            if any(isinstance(m, producerFinished | shutdownMicroprocess) for m in self.told):
                return
            self.pause()
            yield 1

    def stop(self) -> None:
        self.was_stopped = True
        super().stop()


class Deaf(component):
    """Has no control box at all; ends by itself when something comes in."""

    Inboxes = {"inbox": "object: ends it"}

    def main(self) -> Iterator[object]:
        while not self.dataReady("inbox"):
            self.pause()
            yield 1


class Counting(Graphline):
    turns = 0

    def main(self) -> Iterator[object]:
        for result in super().main():
            self.turns += 1
            yield result


SHUTDOWN = {
    Graphline: Ends(lambda: Graphline(A=PassThrough(), B=PassThrough(), linkages={})),
}


# ---- linkages


def test_the_members_are_linked_as_the_dictionary_says() -> None:
    end = Recorder()
    graph = Graphline(
        A=DataSource([1, 2]),
        B=PassThrough(),
        C=end,
        linkages={
            ("A", "outbox"): ("B", "inbox"),
            ("A", "signal"): ("B", "control"),
            ("B", "outbox"): ("C", "second"),
            ("B", "signal"): ("C", "control"),
        },
    )
    drive(graph)
    assert end.got == [1, 2]


@pytest.mark.parametrize("ours", ["self", "", "anything else"])
def test_a_name_that_is_no_members_means_the_graphline(ours: str) -> None:
    graph = Graphline(
        A=PassThrough(),
        linkages={
            (ours, "inbox"): ("A", "inbox"),
            ("A", "outbox"): (ours, "outbox"),
        },
    )
    out = drive(graph, inbox=["x"], control=[producerFinished()])
    assert out["outbox"] == ["x"]


def test_boxes_that_are_not_there_are_made_and_work_in_both_directions() -> None:
    graph = Graphline(
        A=PassThrough(),
        linkages={("self", "extra in"): ("A", "inbox"), ("A", "outbox"): ("self", "extra out")},
    )
    out = drive(graph, **{"extra in": ["x"]}, control=[producerFinished()])
    assert out["extra out"] == ["x"]
    assert {"inbox", "control", "extra in"} == set(graph.inboxes)


def test_boxes_are_made_on_the_instance_and_not_for_every_later_graphline() -> None:
    Graphline(A=PassThrough(), linkages={("self", "extra"): ("A", "inbox")})
    later = Graphline(A=PassThrough(), linkages={})
    assert set(later.inboxes) == set(Graphline.Inboxes) == {"inbox", "control"}
    assert later.Inboxes is Graphline.Inboxes  # and an ordinary one has no table of its own


def test_boxes_of_a_subclass_may_be_a_list() -> None:
    class Listed(Graphline):
        Inboxes = ["inbox", "control"]  # type: ignore[assignment]

    graph = Listed(A=PassThrough(), linkages={("self", "extra"): ("A", "inbox")})
    assert set(graph.inboxes) == {"inbox", "control", "extra"}


def test_members_run_and_are_children_only_once_it_runs_linked_or_not() -> None:
    linked, alone = Recorder(), Recorder()
    graph = Graphline(A=linked, B=alone, linkages={("self", "inbox"): ("A", "inbox")})
    assert graph.children == []
    drive(graph)
    assert graph.children == [linked, alone]
    assert (linked.got, alone.got) == ([], [])  # both have run


def test_it_ends_only_when_all_its_members_have_ended() -> None:
    one, other = Recorder(), Recorder()
    graph = Graphline(A=one, B=other, linkages={})
    runner = virtual_scheduler()
    graph.activate(Scheduler=runner)
    seen: list[bool] = []
    runner.call_later(1, lambda: other.inboxes["control"].deliver(producerFinished()))
    runner.call_later(2, lambda: seen.append(graph._isStopped()))
    runner.call_later(3, lambda: one.inboxes["control"].deliver(producerFinished()))
    runner.runThreads()
    assert seen == [False]
    assert runner.threads == {}


def test_one_without_members_ends_at_once() -> None:
    assert isinstance(drive(Graphline(linkages={}))["signal"][0], producerFinished)


def test_it_takes_no_turn_while_its_members_work() -> None:
    graph = Counting(
        A=DataSource(range(1000)),
        B=PassThrough(),
        linkages={
            ("A", "outbox"): ("B", "inbox"),
            ("A", "signal"): ("B", "control"),
            ("B", "outbox"): ("self", "outbox"),
        },
    )
    assert len(drive(graph)["outbox"]) == 1000
    assert graph.turns <= 3  # the start, and one for the end of each member


# ---- control


def test_control_not_linked_every_message_goes_to_each_member() -> None:
    members = {"A": Recorder(), "B": Recorder()}
    stop = producerFinished()
    drive(Graphline(linkages={}, **members), control=["not a shutdown", stop])
    assert [member.told for member in members.values()] == [["not a shutdown", stop]] * 2


def test_control_not_linked_messages_after_the_start_go_to_each_member_too() -> None:
    member = Recorder()
    graph = Graphline(A=member, linkages={})
    stop = producerFinished()
    runner = virtual_scheduler()
    graph.activate(Scheduler=runner)
    runner.call_later(1, lambda: graph.inboxes["control"].deliver(stop))
    runner.runThreads()
    assert member.told == [stop]
    assert runner.threads == {}


def test_control_not_linked_a_member_whose_control_is_linked_otherwise_gets_nothing() -> None:
    fed, free = Recorder(), Recorder()
    graph = Graphline(A=PassThrough(), B=fed, C=free, linkages={("A", "signal"): ("B", "control")})
    drive(graph, control=["message", stop := shutdownMicroprocess()])
    assert free.told == ["message", stop]
    assert fed.told == ["message", stop]  # from A's signal, and once only


def test_control_not_linked_a_member_fed_from_another_box_of_the_graphline_gets_nothing() -> None:
    fed, free = Recorder(), Recorder()
    graph = Graphline(A=fed, B=free, linkages={("self", "other"): ("A", "control")})
    out = drive(graph, control=[producerFinished()])
    assert (len(fed.told), len(free.told)) == (0, 1)
    assert out["signal"] == []  # the one that was fed nothing has not ended


def test_control_not_linked_a_member_without_a_control_box_is_left_alone() -> None:
    heard = Recorder()
    graph = Graphline(A=Deaf(), B=heard, linkages={("self", "inbox"): ("A", "inbox")})
    drive(graph, control=[producerFinished()], inbox=["end"])
    assert len(heard.told) == 1


def test_control_linked_messages_go_only_there() -> None:
    chosen, other = Recorder(), Recorder()
    graph = Graphline(A=chosen, B=other, linkages={("self", "control"): ("A", "control")})
    drive(graph, control=["x", producerFinished()])
    assert (len(chosen.told), len(other.told)) == (2, 0)


def test_control_linked_to_another_kind_of_box_goes_only_there() -> None:
    chosen, other = Recorder(), Recorder()
    graph = Graphline(A=chosen, B=other, linkages={("self", "control"): ("A", "second")})
    drive(graph, control=["x"])
    assert (chosen.got, chosen.told, other.told) == (["x"], [], [])


def test_control_not_linked_a_member_whose_control_is_full_is_told_when_it_has_room() -> None:
    member = Recorder()
    member.setInboxSize("control", 1)
    with harness(Graphline(A=member, linkages={})) as h:
        h.put_all(["one", "two", stop := producerFinished()], "control")
        h.expect_end()
        assert member.told == ["one", "two", stop]


def test_control_not_linked_a_member_without_room_does_not_keep_a_shutdown_from_the_others() -> (
    None
):
    class Deaf(component):
        def main(self) -> Iterator[object]:
            while True:
                self.pause()
                yield 1

    deaf, member = Deaf(), Recorder()
    deaf.setInboxSize("control", 1)
    graph = Graphline(A=deaf, B=member, linkages={})
    with harness(graph) as h:
        h.put_all(["one", "two"], "control")
        h.settle()
        h.put(stop := shutdownMicroprocess(), "control")
        h.expect_end(member)
        assert member.told == ["one", "two", stop]
        assert list(deaf.Inbox("control")) == ["one", "two", stop]
        assert deaf.inboxes["control"].getSize() == 1
        graph.stop()


# ---- signal


@pytest.mark.parametrize("said", [True, False])
def test_whether_its_signal_is_linked_is_what_the_linkages_said_when_it_was_made(
    said: bool,
) -> None:
    signal: Linkages = {("A", "signal"): ("self", "signal")}
    linkages = dict(signal) if said else {}
    graph = Graphline(A=Recorder(), linkages=linkages)
    linkages.clear() if said else linkages.update(signal)
    assert len(drive(graph, control=[producerFinished()])["signal"]) == 1


def test_signal_not_linked_a_producer_finished_is_sent_when_all_members_have_ended() -> None:
    graph = Graphline(A=DataSource([]), B=DataSource([1]), linkages={})
    (message,) = drive(graph)["signal"]
    assert isinstance(message, producerFinished)
    assert message.caller is graph


def test_signal_not_linked_nothing_is_sent_before_all_members_have_ended() -> None:
    assert drive(Graphline(A=DataSource([]), B=Recorder(), linkages={}))["signal"] == []


def test_signal_not_linked_the_shutdown_microprocess_it_handed_on_is_sent() -> None:
    stop = shutdownMicroprocess()
    assert drive(Graphline(A=Recorder(), linkages={}), control=[stop])["signal"] == [stop]


def test_signal_not_linked_a_producer_finished_it_handed_on_is_not_sent_but_its_own_is() -> None:
    stop = producerFinished()
    graph = Graphline(A=Recorder(), linkages={})
    (message,) = drive(graph, control=[stop])["signal"]
    assert isinstance(message, producerFinished)
    assert message.caller is graph


def test_signal_not_linked_a_shutdown_that_comes_with_the_last_members_end_is_sent() -> None:
    stop = shutdownMicroprocess()

    class LastAct(component):
        def main(self) -> Iterator[object]:
            yield 1
            graph.inboxes["control"].deliver(stop)

    graph = Graphline(A=LastAct(), linkages={})
    assert drive(graph)["signal"] == [stop]


def test_signal_not_linked_control_linked_a_producer_finished_is_sent_whatever_came_in() -> None:
    graph = Graphline(A=Recorder(), linkages={("self", "control"): ("A", "control")})
    (message,) = drive(graph, control=[shutdownMicroprocess()])["signal"]
    assert isinstance(message, producerFinished)


def test_signal_linked_only_what_comes_over_the_linkage_is_sent() -> None:
    graph = Graphline(A=PassThrough(), B=Recorder(), linkages={("A", "signal"): ("self", "signal")})
    stop = shutdownMicroprocess()
    assert drive(graph, control=[stop])["signal"] == [stop]


def test_signal_linked_to_a_member_that_says_nothing_nothing_is_sent() -> None:
    silent = Recorder()
    silent.announces_end = False
    graph = Graphline(A=silent, linkages={("A", "signal"): ("", "signal")})
    assert drive(graph, control=[shutdownMicroprocess()])["signal"] == []


def test_signal_of_one_member_linked_to_another_is_not_the_graphlines() -> None:
    class Odd(component):
        Outboxes = {"signal": "the shutdown: none"}

    graph = Graphline(A=DataSource([]), B=Odd(), linkages={("A", "outbox"): ("B", "inbox")})
    assert len(drive(graph, control=[producerFinished()])["signal"]) == 1


def test_signal_waits_for_room() -> None:
    graph, slow = Graphline(A=DataSource([]), linkages={}), Recorder()
    slow.setInboxSize("second", 1)
    slow.inboxes["second"].deliver("in the way")
    runner = virtual_scheduler()
    slow.inboxes["second"].addsource(graph.outboxes["signal"])
    graph.activate(Scheduler=runner)
    runner.call_later(1, lambda: slow.activate(Scheduler=runner))
    runner.runThreads()
    assert [type(message) for message in slow.got] == [str, producerFinished]


# ---- sizes of boxes


def test_boxsizes_limit_the_inboxes_of_members() -> None:
    one, other = PassThrough(), PassThrough()
    Graphline(
        A=one,
        B=other,
        linkages={("A", "outbox"): ("B", "inbox")},
        boxsizes={("A", "inbox"): 3, ("B", "inbox"): None, ("B", "control"): 1},
    )
    sizes = [box.getSize() for box in (one.inboxes["inbox"], *other.inboxes.values())]
    assert sizes == [3, None, 1]


def test_boxsizes_hold_a_source_back_and_nothing_is_lost() -> None:
    class Slow(Recorder):
        most = 0

        def main(self) -> Iterator[object]:
            self.got = []
            while len(self.got) < 20:
                self.pause(1)
                yield 1
                self.most = max(self.most, self.dataReady("inbox"))
                if self.dataReady("inbox"):
                    self.got.append(self.recv("inbox"))

    slow = Slow()
    drive(
        Graphline(
            A=DataSource(range(20)),
            B=slow,
            linkages={("A", "outbox"): ("B", "inbox")},
            boxsizes={("B", "inbox"): 2},
        )
    )
    assert (slow.got, slow.most) == (list(range(20)), 2)


@pytest.mark.parametrize("ours", ["self", ""])
def test_the_size_of_an_inbox_of_the_graphline_is_that_of_the_one_it_leads_to(ours: str) -> None:
    inner = PassThrough()
    Graphline(A=inner, linkages={(ours, "x"): ("A", "inbox")}, boxsizes={(ours, "x"): 2})
    assert inner.inboxes["inbox"].getSize() == 2


@pytest.mark.parametrize(
    ("boxsizes", "kind"),
    [
        ({("A", "inbx"): 1}, KeyError),
        ({("A", "outbox"): 1}, KeyError),
        ({("A", "inbox"): -1}, ValueError),
        ({("A", "inbox"): "1"}, TypeError),
        ({("A",): 1}, BadLinkages),
        ({"A": 1}, BadLinkages),
        ({("AAAAB", "inbox"): 1}, BadLinkages),
    ],
)
def test_boxsizes_of_what_is_not_there_are_refused(
    boxsizes: BoxSizes, kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        Graphline(A=PassThrough(), AAAAA=PassThrough(), linkages={}, boxsizes=boxsizes)


# ---- failures


def test_a_member_that_fails_under_a_guard_is_not_waited_for() -> None:
    class Failing(component):
        def main(self) -> Iterator[object]:
            yield 1
            raise ValueError("bad")

    failures: list[Exception] = []
    graph = Graphline(A=Failing(), B=DataSource([]), linkages={})
    graph.isolate(lambda culprit, error: failures.append(error))
    with harness(graph) as h:
        h.expect("signal", producerFinished)
        h.expect_end()
    assert [type(error) for error in failures] == [ValueError]


# ---- mistakes


@pytest.mark.parametrize("kind", [TypeError, ValueError, BadLinkages])
def test_no_linkages_is_a_type_error_and_a_value_error(kind: type[Exception]) -> None:
    with pytest.raises(kind, match="needs linkages"):
        Graphline(A=Recorder())


@pytest.mark.parametrize(
    "linkages",
    [
        [("A", "outbox")],
        {"A": "B"},
        {("A", "outbox"): ("B",)},
        {("A", "outbox", "x"): ("B", "inbox")},
        {("A", "outbox"): None},
        {("A", "outbox"): (["B"], "inbox")},
    ],
)
def test_linkages_of_another_shape_are_refused(linkages: Linkages) -> None:
    with pytest.raises(BadLinkages):
        Graphline(A=PassThrough(), B=PassThrough(), linkages=linkages)


@pytest.mark.parametrize(
    ("linkages", "wrong", "right"),
    [
        ({("SESION", "outbox"): ("self", "outbox")}, "SESION", "SESSION"),
        ({("RELAY", "outbox"): ("SESSIONS", "inbox")}, "SESSIONS", "SESSION"),
        ({("SESSION", "outbox"): ("RELAYS", "inbox")}, "RELAYS", "RELAY"),
    ],
)
def test_a_misspelt_name_is_an_error_that_says_what_was_meant(
    linkages: Linkages, wrong: str, right: str
) -> None:
    with pytest.raises(BadLinkages, match=f"'{wrong}' .* was '{right}' meant"):
        Graphline(SESSION=PassThrough(), RELAY=PassThrough(), linkages=linkages)


def test_self_and_the_empty_name_are_never_taken_for_misspelt() -> None:
    graph = Graphline(selfs=PassThrough(), linkages={("self", "inbox"): ("selfs", "inbox")})
    assert drive(graph, inbox=[1], control=[producerFinished()])["outbox"] == []


def test_a_linkage_from_the_graphline_to_itself_is_refused() -> None:
    with pytest.raises(BadLinkages, match="no member at either end"):
        Graphline(A=PassThrough(), linkages={("self", "inbox"): ("self", "outbox")})


@pytest.mark.parametrize("wrong", [PassThrough, "text", None])
def test_what_is_no_component_is_refused_by_its_name(wrong: object) -> None:
    with pytest.raises(BadLinkages, match="B="):
        Graphline(A=PassThrough(), B=wrong, linkages={})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "linkages",
    [
        {("A", "otbox"): ("B", "inbox")},
        {("A", "outbox"): ("B", "inbx")},
        {("A", "inbox"): ("self", "outbox")},
        {("self", "inbox"): ("A", "outbox")},
    ],
)
def test_a_box_that_a_member_does_not_have_is_an_error_that_names_the_linkage(
    linkages: Linkages,
) -> None:
    with pytest.raises(KeyError) as caught:
        Graphline(A=PassThrough(), B=PassThrough(), linkages=linkages)
    (source, sink) = next(iter(linkages.items()))
    assert caught.value.__notes__ == [f"in the linkage from {source} to {sink}"]


# ---- being stopped, and memory


def test_stopping_it_stops_its_members() -> None:
    members = {"A": Recorder(), "B": Recorder()}
    runner = virtual_scheduler()
    graph = Graphline(linkages={}, **members).activate(Scheduler=runner)
    runner.call_later(1, graph.stop)
    runner.runThreads()
    assert all(member.was_stopped for member in members.values())
    assert runner.threads == {}


def test_stopping_it_stops_graphlines_inside_it() -> None:
    member = Recorder()
    runner = virtual_scheduler()
    graph = Graphline(A=Graphline(B=member, linkages={}), linkages={}).activate(Scheduler=runner)
    runner.call_later(1, graph.stop)
    runner.runThreads()
    assert member.was_stopped
    assert runner.threads == {}


def test_reference_counting_alone_frees_it_and_its_members() -> None:
    gc.collect()
    gc.disable()
    try:
        members = {"A": PassThrough(), "B": PassThrough()}
        graph = Graphline(
            linkages={
                ("self", "inbox"): ("A", "inbox"),
                ("A", "outbox"): ("B", "inbox"),
                ("A", "signal"): ("B", "control"),
                ("B", "outbox"): ("self", "extra"),
            },
            **members,
        )
        left = [weakref.ref(one) for one in (graph, *members.values())]
        runner = virtual_scheduler()  # not drive(): it keeps what is sent, and so the sender
        graph.inboxes["control"].deliver(producerFinished())
        graph.activate(Scheduler=runner)
        runner.runThreads()
        assert runner.threads == {}
        del graph, members
        assert [ref() for ref in left] == [None, None, None]
    finally:
        gc.enable()
