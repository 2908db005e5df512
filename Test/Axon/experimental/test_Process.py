"""Components in real processes: started, fed, failed, killed and left alone."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pytest

from Axon.Component import component
from Axon.experimental.Process import (
    Linkages,
    ProcessDiedError,
    ProcessGraphline,
    ProcessPipeline,
    ProcessPipelineComponent,
    ProcessWrapComponent,
)
from Axon.experimental.ProcessChild import RemoteError
from Axon.experimental.ProcessPickle import Elsewhere, Factory, TravelError
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Scheduler import scheduler
from Axon.Testing import collect
from Test.Axon.experimental.workers import (
    Dies,
    Doubler,
    Failing,
    FailsPickily,
    FailsTwice,
    Freezes,
    Full,
    HeedsControl,
    LeavesOthers,
    Line,
    Lingers,
    Numbers,
    Quiet,
    SendsTouchy,
    SignalOfGrandchild,
    Sleeper,
    Square,
    Stubborn,
    Unpicklable,
    Writer,
    make_doubler,
    make_narrow,
    make_nothing,
)
from Test.Axon.scripts import Script

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 20
FINISHED = producerFinished()

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    yield
    for child in active_children():
        child.join(SECONDS)
    assert active_children() == []


def run(engine: scheduler, wrapper: component, **inboxes: list[Any]) -> dict[str, list[Any]]:
    """Feed it, run it to its end, and give what it sent."""
    sent = collect(wrapper)
    for name, messages in inboxes.items():
        for message in messages:
            wrapper.inboxes[name].deliver(message)
    wrapper.activate(Scheduler=engine)
    engine.runThreads()
    return sent


def has_ended(pid: int) -> bool:
    """Wait for the end of a process, ours or not."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], SECONDS)[0])
    finally:
        os.close(fd)


# ---- an ordinary component, to look at


@pytest.mark.parametrize(
    ("what", "arguments"),
    [
        (Doubler(3), ()),
        (Doubler, (3,)),
        (partial(Doubler, factor=3), ()),
        (partial(Doubler), (3,)),
    ],
    ids=["instance", "class", "partial", "partial and arguments"],
)
def test_it_has_all_the_boxes_and_does_the_work_of_what_is_in_it(
    engine: scheduler, what: Factory | component, arguments: tuple[Any, ...]
) -> None:
    wrapper = ProcessWrapComponent(what, *arguments)
    assert list(wrapper.inboxes) == ["inbox", "control", "factor"]
    assert "(Doubler)" in wrapper.name
    sent = run(engine, wrapper, inbox=[1, "text", 2], control=["note", FINISHED])
    assert sent["outbox"] == [3, 6]
    assert sent["odd"] == ["text!"]
    assert sent["signal"][0] == "note"
    assert isinstance(sent["signal"][1], producerFinished)
    assert len(sent["signal"]) == 2


def test_a_function_may_make_it_with_the_boxes_that_it_is_said_to_have(engine: scheduler) -> None:
    plain = ProcessWrapComponent(make_doubler, 4, name="four", window=1)
    assert (list(plain.inboxes), plain.name) == (["inbox", "control"], "four")
    assert run(engine, plain, inbox=[1, 2], control=[FINISHED])["outbox"] == [4, 8]
    more = ProcessWrapComponent(make_doubler, 4, Inboxes=["factor"], Outboxes=["signal"])
    assert list(more.inboxes) == ["factor"]


def test_a_threaded_component_and_a_line_of_components_can_be_in_it(engine: scheduler) -> None:
    line = Line(Doubler(2), Square())
    assert run(engine, ProcessWrapComponent(line), inbox=[1, 2], control=[FINISHED])["outbox"] == [
        4,
        16,
    ]


def test_a_process_may_have_processes_of_its_own(engine: scheduler) -> None:
    line = Line(ProcessWrapComponent(Doubler(2)), ProcessWrapComponent(Doubler, 3))
    sent = run(engine, ProcessWrapComponent(line), inbox=[1, 2], control=[FINISHED])
    assert sent["outbox"] == [6, 12]


def test_messages_have_crossed_and_come_back_as_copies(engine: scheduler) -> None:
    wrapper = ProcessWrapComponent(Doubler())
    sent = run(engine, wrapper, inbox=[[1]], control=[producerFinished(wrapper, "bye")])
    assert sent["outbox"] == [[1, 1]]
    (end,) = sent["signal"]
    assert (end.caller, end.message) == (Elsewhere(wrapper.name), "bye")


def test_limits_of_its_inboxes_are_felt_outside(engine: scheduler) -> None:
    inside = Doubler()
    inside.setInboxSize("inbox", 2)
    assert ProcessWrapComponent(inside).inboxes["inbox"].getSize() == 2


def test_thousands_of_messages_cross_three_processes(tmp_path: Path) -> None:
    ProcessPipeline(Numbers(3000), Doubler, Writer(tmp_path / "seen"))
    seen = (tmp_path / "seen").read_text().split()
    assert seen == [str(2 * number) for number in range(3000)]


def test_a_graph_of_processes_runs_to_its_end(tmp_path: Path) -> None:
    ProcessGraphline(
        linkages={
            ("NUMBERS", "outbox"): ("DOUBLER", "inbox"),
            ("NUMBERS", "signal"): ("DOUBLER", "control"),
            ("DOUBLER", "outbox"): ("WRITER", "inbox"),
            ("DOUBLER", "signal"): ("WRITER", "control"),
        },
        NUMBERS=Numbers(3),
        DOUBLER=ProcessWrapComponent(Doubler, 5),
        WRITER=Writer(tmp_path / "seen"),
    )
    assert (tmp_path / "seen").read_text().split() == ["0", "5", "10"]


@pytest.mark.parametrize(
    "linkages",
    [
        {("ONE", "outbox"): ("TWO", "inbox")},
        {("ONE", "out"): ("ONE", "inbox")},
    ],
)
def test_a_graph_with_a_wrong_name_starts_nothing(linkages: Linkages) -> None:
    with pytest.raises(KeyError) as caught:
        ProcessGraphline(linkages, ONE=Doubler())
    assert "in the linkage from ('ONE', 'out" in caught.value.__notes__[0]


def test_a_line_of_processes_is_a_component(engine: scheduler) -> None:
    line = ProcessPipelineComponent(Doubler(2), ProcessWrapComponent(Doubler(3)), name="line")
    sent = run(engine, line, inbox=[1, 2], control=[FINISHED])
    assert sent["outbox"] == [6, 12]
    assert len(sent["signal"]) == 1


def test_a_line_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        ProcessPipeline()


# ---- back-pressure


def test_no_more_than_a_window_crosses_to_one_who_takes_nothing(engine: scheduler) -> None:
    wrapper = ProcessWrapComponent(Sleeper(), window=8)

    def script(self: Script) -> Iterator[object]:
        self.link((wrapper, "outbox"), (self, "inbox"))
        while not self.dataReady("inbox"):  # it runs
            self.pause()
            yield 1
        assert wrapper.dataReady("inbox") == 92
        wrapper.stop()

    for number in range(100):
        wrapper.inboxes["inbox"].deliver(number)
    Script(script).activate(Scheduler=engine)
    wrapper.activate(Scheduler=engine)
    engine.runThreads()


def test_a_full_receiver_here_is_a_full_box_over_there(engine: scheduler) -> None:
    wrapper = ProcessWrapComponent(Full(), window=4)
    reports: list[int] = []

    def script(self: Script) -> Iterator[object]:
        while not self.dataReady("control"):
            self.pause()
            yield 1
        reports.append(self.recv("control"))
        wrapper.inboxes["control"].deliver(shutdownMicroprocess())
        for _ in range(reports[0]):  # all that it sent arrives
            while not self.dataReady("inbox"):
                self.pause()
                yield 1
            self.recv("inbox")

    receiver = Script(script)
    receiver.setInboxSize("inbox", 5)
    receiver.link((wrapper, "outbox"), (receiver, "inbox"))
    receiver.link((wrapper, "report"), (receiver, "control"))
    for part in (receiver, wrapper):
        part.activate(Scheduler=engine)
    engine.runThreads()
    assert 5 <= reports[0] <= 5 + 4


@pytest.mark.parametrize("before", [[], [FINISHED]])
def test_stop_now_reaches_one_who_takes_nothing_else(engine: scheduler, before: list[Any]) -> None:
    wrapper = ProcessWrapComponent(HeedsControl(), window=8)
    stop = shutdownMicroprocess()
    sent = run(engine, wrapper, inbox=list(range(100)), control=[*before, stop])
    assert len(sent["signal"]) == 1


# ---- ends


def test_what_it_sent_arrives_after_its_end_however_slow_the_receiver(engine: scheduler) -> None:
    wrapper = ProcessWrapComponent(Numbers(20))
    got: list[int] = []

    def script(self: Script) -> Iterator[object]:
        while not self.dataReady("inbox"):
            self.pause()
            yield 1
        assert wrapper.pid is not None
        assert has_ended(wrapper.pid)
        while len(got) < 20:
            while not self.dataReady("inbox"):
                self.pause()
                yield 1
            got.append(self.recv("inbox"))

    receiver = Script(script)
    receiver.setInboxSize("inbox", 1)
    receiver.link((wrapper, "outbox"), (receiver, "inbox"))
    for part in (receiver, wrapper):
        part.activate(Scheduler=engine)
    engine.runThreads()
    assert got == list(range(20))


def test_the_last_message_may_be_a_long_one(engine: scheduler) -> None:
    sent = run(engine, ProcessWrapComponent(Doubler(3_000_000)), inbox=[[0]], control=[FINISHED])
    assert len(sent["outbox"][0]) == 3_000_000


def test_one_that_ends_without_a_word_ends_the_wrapper_without_a_word(engine: scheduler) -> None:
    assert run(engine, ProcessWrapComponent(Quiet()))["signal"] == []


def test_what_it_leaves_running_ends_with_it(engine: scheduler) -> None:
    assert run(engine, ProcessWrapComponent(LeavesOthers()))["outbox"] == ["done"]


def test_a_process_that_does_not_end_by_itself_ends_itself(engine: scheduler) -> None:
    sent = run(engine, ProcessWrapComponent(Lingers(), grace_seconds=0.1))
    assert sent["outbox"] == ["done"]


def test_a_process_that_cannot_end_is_killed(
    engine: scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    run(engine, ProcessWrapComponent(Freezes(), grace_seconds=0.1, name="frozen"))
    assert "frozen: process" in caplog.text
    assert "was killed" in caplog.text


def start_and_stop(
    engine: scheduler, wrapper: ProcessWrapComponent, stop: Callable[[], object]
) -> int:
    pids: list[int] = []

    def script(self: Script) -> Iterator[object]:
        while not self.dataReady("inbox"):
            self.pause()
            yield 1
        pids.append(self.recv("inbox"))
        assert wrapper.pid == pids[0]
        stop()

    receiver = Script(script)
    receiver.link((wrapper, "outbox"), (receiver, "inbox"))
    for part in (receiver, wrapper):
        part.activate(Scheduler=engine)
    engine.runThreads()
    return pids[0]


@pytest.mark.parametrize("whole", [False, True])
def test_stopping_the_wrapper_or_the_scheduler_stops_the_components_over_there(
    engine: scheduler, tmp_path: Path, whole: bool
) -> None:
    wrapper = ProcessWrapComponent(Sleeper(tmp_path / "mark"))
    pid = start_and_stop(engine, wrapper, engine.stop if whole else wrapper.stop)
    wrapper.wait_for_process()
    assert has_ended(pid)
    assert (tmp_path / "mark").read_text() == "stopped"
    wrapper.wait_for_process()  # again is harmless


def test_one_that_never_yields_ends_all_the_same(engine: scheduler) -> None:
    wrapper = ProcessWrapComponent(Stubborn(), grace_seconds=0.1)
    assert has_ended(start_and_stop(engine, wrapper, wrapper.stop))


def test_one_that_has_to_be_killed_is_killed(engine: scheduler) -> None:
    wrapper = ProcessWrapComponent(Stubborn(), grace_seconds=30.0)
    pid = start_and_stop(engine, wrapper, wrapper.stop)
    wrapper.grace_seconds = 0.1
    wrapper.wait_for_process()
    assert has_ended(pid)


def test_waiting_for_what_was_never_started_is_no_waiting() -> None:
    wrapper = ProcessWrapComponent(Doubler())
    wrapper.wait_for_process()
    assert wrapper.pid is None


# ---- failures


def test_an_exception_there_is_raised_here_with_its_traceback(engine: scheduler) -> None:
    wrapper = ProcessWrapComponent(Failing(), name="wrapper")
    sent = collect(wrapper)
    wrapper.inboxes["inbox"].deliver(LookupError("it is gone"))
    wrapper.activate(Scheduler=engine)
    with pytest.raises(LookupError, match="it is gone") as caught:
        engine.runThreads()
    notes = "\n".join(caught.value.__notes__)
    assert "of wrapper, where the traceback is:" in notes
    assert 'raise self.recv("inbox")' in notes
    assert sent["outbox"] == [1]  # what it sent before has come


def test_an_exception_that_cannot_be_rebuilt_is_told_by_its_type_and_text(
    engine: scheduler,
) -> None:
    ProcessWrapComponent(FailsPickily()).activate(Scheduler=engine)
    with pytest.raises(RemoteError) as caught:
        engine.runThreads()
    assert caught.value.args == ("Picky", "this and that")


def test_a_failure_after_an_unpicklable_message_tells_of_both(engine: scheduler) -> None:
    ProcessWrapComponent(FailsTwice()).activate(Scheduler=engine)
    with pytest.raises(LookupError) as caught:
        engine.runThreads()
    assert "and then: " in "\n".join(caught.value.__notes__)


def test_an_isolated_failure_ends_nothing_else(engine: scheduler) -> None:
    bad, good = ProcessWrapComponent(Failing()), ProcessWrapComponent(Doubler())
    failures: list[Exception] = []
    bad.isolate(lambda culprit, error: failures.append(error))
    bad.inboxes["inbox"].deliver(LookupError())
    bad.activate(Scheduler=engine)
    sent = run(engine, good, inbox=[1], control=[FINISHED])
    assert sent["outbox"] == [2]
    assert [type(error) for error in failures] == [LookupError]


@pytest.mark.parametrize(
    ("how", "status", "text"),
    [
        (signal.SIGKILL, -9, "was killed by SIGKILL"),
        (0, 3, "ended with exit status 3"),
    ],
)
def test_a_process_that_dies_is_an_error_with_its_status(
    engine: scheduler, how: int, status: int, text: str
) -> None:
    wrapper = ProcessWrapComponent(Dies(how), name="wrapper")
    with pytest.raises(ProcessDiedError, match=rf"process \d+ of wrapper {text}") as caught:
        run(engine, wrapper)
    assert caught.value.exit_status == status


def test_a_message_that_cannot_be_pickled_there_is_an_error_here(engine: scheduler) -> None:
    wrapper = ProcessWrapComponent(Unpicklable())
    sent = collect(wrapper)
    wrapper.activate(Scheduler=engine)
    with pytest.raises(TravelError, match=r"lock.* in 'outbox' cannot cross"):
        engine.runThreads()
    assert sent["outbox"] == ["before"]


def test_a_message_that_cannot_be_pickled_here_ends_the_process_there(engine: scheduler) -> None:
    wrapper = ProcessWrapComponent(Doubler(), name="wrapper")
    with pytest.raises(TravelError, match=r"wrapper: the message .* in 'inbox' cannot cross"):
        run(engine, wrapper, inbox=[lambda: None])


def test_a_message_that_cannot_be_put_together_here_names_its_box(engine: scheduler) -> None:
    with pytest.raises(TravelError, match="for 'outbox' cannot be put together here: not here"):
        run(engine, ProcessWrapComponent(SendsTouchy()))


def test_a_factory_that_makes_something_else_is_an_error(engine: scheduler) -> None:
    with pytest.raises(TypeError, match="which is no component"):
        run(engine, ProcessWrapComponent(make_nothing))


def test_a_factory_whose_component_lacks_a_box_is_an_error(engine: scheduler) -> None:
    with pytest.raises(KeyError) as caught:
        run(engine, ProcessWrapComponent(make_narrow))
    assert "lacks a box of its ProcessWrapComponent" in "\n".join(caught.value.__notes__)


def test_a_component_that_is_linked_itself_is_refused(engine: scheduler) -> None:
    inside, other = Doubler(), Doubler()
    other.link((other, "outbox"), (inside, "inbox"))
    with pytest.raises(TravelError, match="link the ProcessWrapComponent instead"):
        run(engine, ProcessWrapComponent(inside))


@pytest.mark.parametrize("what", ["text", int])
def test_what_is_no_component_and_makes_none_is_refused(what: Callable[..., component]) -> None:
    with pytest.raises(TypeError, match="neither a component nor what makes one"):
        ProcessWrapComponent(what)


def test_arguments_beside_an_instance_are_refused() -> None:
    with pytest.raises(TypeError, match="made already"):
        ProcessWrapComponent(Doubler(), 3)


def test_a_process_that_cannot_be_started_leaves_nothing_open_and_ctrl_c_as_it_was(
    engine: scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_back: list[bool] = []

    def is_held_back() -> bool:
        return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())

    def no_process(self: object) -> None:
        held_back.append(is_held_back())
        raise OSError("no more processes")

    monkeypatch.setattr("multiprocessing.context.SpawnProcess.start", no_process)
    with pytest.raises(OSError, match="no more"):
        run(engine, ProcessWrapComponent(Doubler()))
    assert [*held_back, is_held_back()] == [True, False]


def test_one_failing_member_ends_the_others_and_the_call(tmp_path: Path) -> None:
    with pytest.raises(ProcessDiedError):
        ProcessPipeline(Dies(signal.SIGKILL), Sleeper(tmp_path / "mark"))
    assert active_children() == []


# ---- whole programs


@contextmanager
def running(source: str, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Run a program of its own, and leave nothing of it behind."""
    program = tmp_path / "program.py"
    program.write_text(source)
    with subprocess.Popen(
        [sys.executable, str(program)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


HEAD = """
from Axon.experimental.Process import ProcessPipeline, ProcessWrapComponent
from Axon.Component import component
from Test.Axon.experimental.workers import *

class Printer(component):
    def main(self):
        stop = None
        while stop is None:
            stop = self.told_to_stop()
            for message in self.Inbox("inbox"):
                print(message)
            if stop is None:
                self.pause()
            yield 1

"""
SLEEPERS = f"""{HEAD}
if __name__ == "__main__":
    ProcessPipeline(Sleeper(Path("{{mark}}")), Printer())
"""


def test_ctrl_c_ends_all_processes_with_one_traceback(tmp_path: Path) -> None:
    with running(SLEEPERS.format(mark=tmp_path / "mark"), tmp_path) as program:
        assert program.stdout is not None
        pid = int(program.stdout.readline())
        os.killpg(program.pid, signal.SIGINT)  # as a terminal does: to everyone
        _, errors = program.communicate(timeout=SECONDS)
    assert has_ended(pid)
    assert (tmp_path / "mark").read_text() == "stopped"
    assert errors.count("Traceback") == 1
    assert errors.strip().endswith("KeyboardInterrupt")


def test_ctrl_c_while_a_process_is_being_started_is_the_parents_alone(tmp_path: Path) -> None:
    source = f"""{HEAD}
class Tells(component):
    def main(self):
        while wrapper.pid is None:
            yield 1
        print("started")
        while True:
            self.pause()
            yield 1

if __name__ == "__main__":
    wrapper = ProcessWrapComponent(Sleeper()).activate()
    Tells().run()
"""
    with running(source, tmp_path) as program:
        assert program.stdout is not None
        program.stdout.readline()
        os.killpg(program.pid, signal.SIGINT)
        _, errors = program.communicate(timeout=SECONDS)
    assert errors.count("Traceback") == 1


def test_no_process_outlives_a_parent_that_was_killed(tmp_path: Path) -> None:
    with running(SLEEPERS.format(mark=tmp_path / "mark"), tmp_path) as program:
        assert program.stdout is not None
        pid = int(program.stdout.readline())
        program.kill()
        program.communicate(timeout=SECONDS)
    assert has_ended(pid)
    assert (tmp_path / "mark").read_text() == "stopped"


def test_a_program_that_fails_elsewhere_ends_and_takes_its_processes_along(
    tmp_path: Path,
) -> None:
    source = f"""{HEAD}
class Fails(component):
    def main(self):
        while not self.dataReady("inbox"):
            self.pause()
            yield 1
        print(self.recv("inbox"))
        raise LookupError

if __name__ == "__main__":
    sleeper, fails = ProcessWrapComponent(Sleeper()).activate(), Fails()
    fails.link((sleeper, "outbox"), (fails, "inbox"))
    fails.run()
"""
    with running(source, tmp_path) as program:
        output, errors = program.communicate(timeout=SECONDS)
    assert "LookupError" in errors
    assert has_ended(int(output))


def test_a_program_without_the_guard_is_told_about_it(tmp_path: Path) -> None:
    with running(f"{HEAD}\nProcessPipeline(Sleeper())", tmp_path) as program:
        _, errors = program.communicate(timeout=SECONDS)
    assert 'under `if __name__ == "__main__":`' in errors


def test_components_of_the_program_itself_can_move(tmp_path: Path) -> None:
    source = f"""{HEAD}
if __name__ == "__main__":
    ProcessPipeline(Numbers(3), Printer())
"""
    with running(source, tmp_path) as program:
        output, errors = program.communicate(timeout=SECONDS)
    assert (output.split(), errors) == (["0", "1", "2"], "")


def test_programs_started_over_there_can_be_interrupted(engine: scheduler) -> None:
    sent = run(engine, ProcessWrapComponent(SignalOfGrandchild()))
    assert sent["outbox"] == ["True False"]
