"""PAR: what goes in and out, its ends, and what becomes of its members."""

from collections.abc import Iterator

import pytest

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.Chassis.PAR import PAR
from Kamaelia.Util.DataSource import DataSource
from Kamaelia.Util.OneShot import OneShot
from Kamaelia.Util.PassThrough import PassThrough
from Test.Kamaelia.shutdown import Ends


class Recorder(component):
    """Keeps what it is told; ends so many seconds after the first shutdown."""

    needs_seconds = 0.0

    def main(self) -> Iterator[object]:
        self.told: list[object] = []
        until: float | None = None
        while until is None or self.now() < until:
            self.told.extend(self.Inbox("control"))
            if until is None and any(
                isinstance(message, producerFinished | shutdownMicroprocess)
                for message in self.told
            ):
                until = self.now() + self.needs_seconds
            self.pause(None if until is None else until - self.now())
            yield 1


class Finishing(Recorder):
    """Says at the end that it has come there by itself."""

    finished = False

    def main(self) -> Iterator[object]:
        yield from super().main()
        self.finished = True


class Deaf(component):
    Inboxes = {"inbox": "object: ends it"}

    def main(self) -> Iterator[object]:
        while not self.dataReady("inbox"):
            self.pause()
            yield 1


SHUTDOWN = {PAR: Ends(lambda: PAR(PassThrough(), PassThrough()))}


def test_what_all_members_send_comes_out() -> None:
    out = drive(PAR(DataSource([1, 2]), DataSource(["a", "b", "c"])))
    assert sorted(map(str, out["outbox"])) == ["1", "2", "a", "b", "c"]


def test_members_run_and_are_children_only_once_it_runs() -> None:
    members = Recorder(), Recorder()
    par = PAR(*members)
    assert par.children == []
    with harness(par) as h:
        h.settle()
        assert par.children == list(members)
        assert all(member.told == [] for member in members)  # both have run


def test_members_need_not_have_an_outbox() -> None:
    deaf = component(Outboxes=["signal"])
    assert drive(PAR(deaf, OneShot("x")))["outbox"] == ["x"]


def test_data_that_comes_in_is_discarded() -> None:
    with harness(par := PAR(PassThrough())) as h:
        h.put_all(range(10))
        h.settle()
        assert par.dataReady("inbox") == 0
        assert h.take() == []


def test_every_control_message_goes_to_every_member_before_and_after_the_start() -> None:
    members = Recorder(), Recorder()
    par = PAR(*members)
    par.inboxes["control"].deliver("early")
    with harness(par) as h:
        h.settle()
        h.put("late", "control")
        h.settle()
        assert [member.told for member in members] == [["early", "late"]] * 2


def test_nothing_is_said_before_all_members_have_ended() -> None:
    with harness(PAR(OneShot("x"), last := Recorder())) as h:
        h.expect("outbox", "x")
        h.expect_nothing("signal", during=60)
        h.not_ended()
        h.put(producerFinished(), (last, "control"))
        h.expect("signal", producerFinished, within=0)
        h.expect_end(within=0)


def test_a_producer_finished_of_its_own_is_said_when_none_came_in() -> None:
    par = PAR(OneShot("x"), DataSource([]))
    (message,) = drive(par)["signal"]
    assert isinstance(message, producerFinished)
    assert message.caller is par


def test_one_without_members_ends_at_once() -> None:
    assert [type(message) for message in drive(PAR())["signal"]] == [producerFinished]


def test_a_producer_finished_that_came_in_is_handed_on_once_all_have_ended() -> None:
    slow = Recorder(needs_seconds=10)
    stop = producerFinished()
    with harness(PAR(Recorder(), slow)) as h:
        h.settle()
        h.put(stop, "control")
        h.expect_nothing("signal", during=9)
        h.expect("signal", stop, within=2)
        h.expect_end(within=0)
        assert slow.told == [stop]


def test_a_shutdown_microprocess_ends_it_at_once_and_its_members_in_their_own_time() -> None:
    quick, slow = Finishing(), Finishing(needs_seconds=10)
    stop = shutdownMicroprocess()
    with harness(par := PAR(quick, slow)) as h:
        h.settle()
        h.put(stop, "control")
        h.expect("signal", stop, within=0)
        h.expect_end(par, within=0)
        assert not slow._isStopped()
        h.run_for(11)
        assert (quick.told, slow.told) == ([stop], [stop])
        assert (quick.finished, slow.finished) == (True, True)
        assert h.take("signal") == []


def test_a_shutdown_microprocess_is_handed_on_also_after_a_producer_finished() -> None:
    with harness(PAR(Recorder(needs_seconds=10))) as h:
        h.settle()
        h.put(producerFinished(), "control")
        h.run_for(5)
        h.put(stop := shutdownMicroprocess(), "control")
        h.expect("signal", stop, within=0)
        h.expect_end(within=0)


def test_a_member_that_cannot_hear_is_left_by_a_producer_finished_and_stopped_by_the_other() -> (
    None
):
    deaf = Deaf()
    with harness(PAR(deaf, Recorder())) as h:
        h.settle()
        h.put(producerFinished(), "control")
        h.run_for(60)
        h.not_ended()
        h.put(shutdownMicroprocess(), "control")
        h.expect_end()
        h.settle()
        assert deaf._isStopped()


def test_stopping_it_stops_its_members() -> None:
    members = Finishing(), Finishing()
    with harness(par := PAR(*members)) as h:
        h.settle()
        par.stop()
        h.settle()
        assert all(member._isStopped() and not member.finished for member in members)


def test_a_member_with_a_full_control_is_told_when_it_has_room() -> None:
    class Busy(Recorder):
        def main(self) -> Iterator[object]:
            self.pause(10)
            yield 1
            yield from super().main()

    busy = Busy()
    busy.setInboxSize("control", 1)
    busy.inboxes["control"].deliver("in the way")
    with harness(PAR(busy)) as h:
        h.put(stop := producerFinished(), "control")
        h.expect("signal", stop, within=100)
        assert busy.told == ["in the way", stop]


def test_a_member_without_room_does_not_keep_a_shutdown_microprocess_from_ending_it() -> None:
    class Deaf(Recorder):
        def main(self) -> Iterator[object]:
            while True:
                self.pause()
                yield 1

    deaf, other = Deaf(), Recorder()
    deaf.setInboxSize("control", 1)
    with harness(par := PAR(deaf, other)) as h:
        h.put_all(["one", producerFinished()], "control")
        h.settle()
        h.put(stop := shutdownMicroprocess(), "control")
        h.expect_end(par, within=1)
        assert h.take("signal") == [stop]
        assert other.told[0] == "one"


def test_its_last_word_waits_for_room() -> None:
    with harness(PAR(OneShot("x"))) as h:
        h.limit(0, "signal")
        h.run_for(60)
        h.not_ended()
        h.limit(1, "signal")
        h.expect("signal", producerFinished)
        h.expect_end()


def test_members_wait_for_room_in_the_receiver_and_nothing_is_lost() -> None:
    with harness(PAR(DataSource(range(5)), DataSource(range(5)))) as h:
        h.limit(1)
        got = [h.expect() for _ in range(10)]
        assert sorted(got) == sorted([*range(5), *range(5)])
        h.expect_end()


@pytest.mark.parametrize("wrong", [OneShot, None, "text"])
def test_what_is_no_component_is_an_error_that_says_which_argument(wrong: object) -> None:
    with pytest.raises(TypeError, match="argument 2"):
        PAR(OneShot("x"), wrong)  # type: ignore[arg-type]


def test_a_member_that_fails_under_a_guard_has_ended_and_is_not_waited_for() -> None:
    class Failing(component):
        def main(self) -> Iterator[object]:
            yield 1
            raise ValueError("bad")

    failures: list[Exception] = []
    par = PAR(Failing(), OneShot("x"))
    par.isolate(lambda culprit, error: failures.append(error))
    with harness(par) as h:
        h.expect("outbox", "x")
        h.expect("signal", producerFinished)
        h.expect_end()
    assert [type(error) for error in failures] == [ValueError]


def test_a_member_that_fails_after_the_end_of_a_guarded_one_does_not_end_the_run() -> None:
    class FailsLate(component):
        def main(self) -> Iterator[object]:
            while not self.told_to_stop():
                self.pause()
                yield 1
            self.pause(10)
            yield 1
            raise ValueError("late")

    par = PAR(FailsLate())
    par.isolate(lambda culprit, error: None)
    with harness(par) as h:
        h.put(shutdownMicroprocess(), "control")
        h.expect_end()
        h.run_for(60)  # it has been logged, and nothing else


def test_several_side_by_side_have_nothing_in_common() -> None:
    one, other = PAR(PassThrough()), PAR(PassThrough())
    with harness(one, other) as h:
        h.put(shutdownMicroprocess(), (one, "control"))
        h.expect_end(one)
        h.run_for(60)
        h.not_ended(other)


def test_the_place_of_a_policy_is_kept() -> None:
    assert PAR(OneShot("x")).policy is None
    assert PAR(OneShot("x"), policy="mine").policy == "mine"
