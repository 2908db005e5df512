"""Seq: order, texts, what is handed to whom, the ends."""

from collections.abc import Iterator

import pytest

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import collect, drive, harness, virtual_scheduler
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Chassis.Seq import Seq
from Kamaelia.Util.DataSource import DataSource
from Kamaelia.Util.OneShot import OneShot
from Kamaelia.Util.PassThrough import PassThrough
from Test.Kamaelia.shutdown import Ends


class Step(component):
    """Hands data on with its number until it is told to stop, or "end" comes in; keeps what it is
    told, and takes so many seconds to end."""

    needs_seconds = 0.0

    def __init__(self, number: int, **attributes: object) -> None:
        super().__init__(**attributes)
        self.number = number
        self.told: list[object] = []
        self.ran = False

    def main(self) -> Iterator[object]:
        self.ran = True
        while True:
            self.told.extend(self.Inbox("control"))
            if any(isinstance(m, producerFinished | shutdownMicroprocess) for m in self.told):
                break
            for message in self.Inbox("inbox"):
                if message == "end":
                    return
                self.send((self.number, message), "outbox")
            self.pause()
            yield 1
        until = self.now() + self.needs_seconds
        while (left := until - self.now()) > 0:
            self.pause(left)
            yield 1


SHUTDOWN = {Seq: Ends(lambda: Seq(PassThrough(), PassThrough()))}


def test_one_member_runs_after_the_other() -> None:
    seq = Seq(DataSource([1, 2]), DataSource([3]), OneShot(4))
    assert drive(seq)["outbox"] == [1, 2, 3, 4]


def test_only_the_member_that_runs_is_a_child_and_active() -> None:
    first, second = Step(1), Step(2)
    with harness(seq := Seq(first, second)) as h:
        h.settle()
        assert (first.ran, second.ran, seq.children) == (True, False, [first])
        h.put("end")
        h.settle()
        assert (second.ran, seq.children) == (True, [second])


def test_data_goes_to_the_member_that_runs() -> None:
    with harness(Seq(Step(1), Step(2))) as h:
        h.put("a")
        h.expect("outbox", (1, "a"))
        h.put("end")
        h.settle()
        h.put("b")
        h.expect("outbox", (2, "b"))


def test_what_comes_between_two_members_waits_for_the_second() -> None:
    first = Step(1)
    with harness(seq := Seq(first, Step(2))) as h:
        h.settle()
        first.call_on_close(lambda: seq.inboxes["inbox"].deliver("early"))
        h.put("end")
        h.expect("outbox", (2, "early"))


def test_texts_are_printed_when_their_turn_comes(capsys: pytest.CaptureFixture[str]) -> None:
    with harness(Seq("one", Step(1), "two", "three")) as h:
        h.settle()
        assert capsys.readouterr().out == "one\n"
        h.put("end")
        h.expect_end()
        assert capsys.readouterr().out == "two\nthree\n"


def test_it_says_so_with_a_producer_finished_of_its_own_after_the_last_member() -> None:
    seq = Seq(OneShot(1), OneShot(2))
    (message,) = drive(seq)["signal"]
    assert isinstance(message, producerFinished)
    assert message.caller is seq


def test_one_without_members_ends_at_once() -> None:
    assert [type(message) for message in drive(Seq())["signal"]] == [producerFinished]


def test_the_successor_of_a_nested_one_hears_of_the_end_once() -> None:
    pipeline = Pipeline(Seq(OneShot(1), Seq(OneShot(2), OneShot(3))), PassThrough())
    out = drive(pipeline)
    assert out["outbox"] == [1, 2, 3]
    assert [type(message) for message in out["signal"]] == [producerFinished]


# ---- control


def test_control_messages_go_to_the_member_that_runs() -> None:
    first, second = Step(1), Step(2)
    with harness(Seq(first, second)) as h:
        h.settle()
        h.put("louder", "control")
        h.settle()
        h.put("end")
        h.settle()
        h.put("softer", "control")
        h.settle()
        assert (first.told, second.told) == (["louder"], ["softer"])
        assert h.take("signal") == []


def test_control_messages_that_come_before_any_member_runs_go_to_the_first() -> None:
    member = Step(1)
    seq = Seq("", member)
    seq.inboxes["control"].deliver("louder")
    with harness(seq) as h:
        h.settle()
        assert member.told == ["louder"]


def test_a_producer_finished_goes_to_each_member_and_at_the_end_on() -> None:
    steps = [Step(1), Step(2), Step(3)]
    stop = producerFinished()
    with harness(Seq(*steps)) as h:
        h.settle()
        h.put(stop, "control")
        h.expect("signal", stop)
        h.expect_end()
        assert [step.told for step in steps] == [[stop]] * 3


def test_a_producer_finished_does_not_keep_sources_from_their_work() -> None:
    stop = producerFinished()
    out = drive(Seq(DataSource([1, 2]), DataSource([3])), control=[stop])
    assert out == {"outbox": [1, 2, 3], "signal": [stop]}


def test_a_shutdown_microprocess_ends_the_member_that_runs_and_no_other_begins(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, second = Step(1, needs_seconds=10), Step(2)
    stop = shutdownMicroprocess()
    with harness(Seq(first, "not this", second)) as h:
        h.settle()
        h.put(stop, "control")
        h.expect_nothing("signal", during=9)
        h.expect("signal", stop, within=2)
        h.expect_end(within=0)
    assert first.told == [stop]
    assert not second.ran
    assert capsys.readouterr().out == ""


def test_a_shutdown_microprocess_before_the_start_begins_nothing() -> None:
    member = Step(1)
    stop = shutdownMicroprocess()
    out = drive(Seq(member), control=[producerFinished(), stop])
    assert out["signal"] == [stop]
    assert not member.ran


def test_a_member_that_cannot_hear_is_stopped_by_a_shutdown_microprocess() -> None:
    class Deaf(component):
        Inboxes = {"inbox": "object: not read"}

        def main(self) -> Iterator[object]:
            while True:
                self.pause()
                yield 1

    with harness(Seq(Deaf(), Step(2))) as h:
        h.settle()
        h.put(producerFinished(), "control")
        h.run_for(60)
        h.not_ended()
        h.finish(shutdownMicroprocess())


def test_a_member_with_a_full_control_is_told_when_it_has_room() -> None:
    class Busy(Step):
        def main(self) -> Iterator[object]:
            self.pause(10)
            yield 1
            yield from super().main()

    busy = Busy(1)
    busy.setInboxSize("control", 1)
    busy.inboxes["control"].deliver("in the way")
    with harness(Seq(busy)) as h:
        h.settle()
        h.put(stop := producerFinished(), "control")
        h.expect("signal", stop, within=100)
        assert busy.told == ["in the way", stop]


def test_its_last_word_waits_for_room() -> None:
    with harness(Seq(OneShot("x"))) as h:
        h.limit(0, "signal")
        h.run_for(60)
        h.not_ended()
        h.limit(1, "signal")
        h.expect("signal", producerFinished)
        h.expect_end()


def test_members_wait_for_room_in_the_receiver() -> None:
    with harness(Seq(DataSource(range(5)), DataSource(range(5, 9)))) as h:
        h.limit(1)
        h.expect_all("outbox", list(range(9)))
        h.expect_end()


def test_stopping_it_stops_the_member_that_runs_and_its_successor_hears() -> None:
    member, behind = Step(1), PassThrough()
    seq = Seq(member, Step(2))
    seq.link((seq, "signal"), (behind, "control"))
    with harness(seq, behind) as h:
        h.settle()
        seq.stop()
        h.expect_end()
        assert member._isStopped()


# ---- mistakes and failures


@pytest.mark.parametrize("wrong", [OneShot, None, 5, b"bytes"])
def test_what_is_no_step_is_an_error_that_says_which_argument(wrong: object) -> None:
    with pytest.raises(TypeError, match="argument 2"):
        Seq("text", wrong)  # type: ignore[arg-type]


def test_a_member_that_is_there_twice_is_an_error_since_it_would_run_once() -> None:
    again = OneShot("x")
    with pytest.raises(ValueError, match=r"argument 3: .*OneShot.* again"):
        Seq(again, "again", again)


def test_the_same_text_may_be_there_twice(capsys: pytest.CaptureFixture[str]) -> None:
    drive(Seq("x", "x"))
    assert capsys.readouterr().out == "x\nx\n"


def test_a_member_without_an_outbox_is_an_error_that_names_it() -> None:
    with pytest.raises(KeyError) as caught:
        drive(Seq(component(Outboxes=["signal"], name="the odd one")))
    assert "the odd one" in caught.value.__notes__[0]


def test_a_member_that_fails_under_a_guard_has_ended_and_the_next_begins() -> None:
    class Failing(component):
        def main(self) -> Iterator[object]:
            yield 1
            raise ValueError("bad")

    failures: list[Exception] = []
    seq = Seq(Failing(), OneShot("x"))
    seq.isolate(lambda culprit, error: failures.append(error))
    sent = collect(seq)
    runner = virtual_scheduler()
    seq.activate(Scheduler=runner)
    runner.runThreads()
    assert sent["outbox"] == ["x"]
    assert [type(error) for error in failures] == [ValueError]
    assert runner.threads == {}


def test_several_side_by_side_have_nothing_in_common() -> None:
    one, other = Seq(Step(1)), Seq(Step(2))
    with harness(one, other) as h:
        h.put(shutdownMicroprocess(), (one, "control"))
        h.expect_end(one)
        h.put("x", (other, "inbox"))
        h.expect((other, "outbox"), (2, "x"))
        h.not_ended(other)
