"""The prompt: components run while lines are typed, and lines take turns with them."""

import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from Axon import Prompt
from Axon.Component import component
from Axon.Prompt import OffersError, Session, offers, prompt
from Axon.Scheduler import scheduler
from Test.Axon.scripts import Script, sleeper

SECONDS = 10.0


@pytest.fixture
def running(engine: scheduler, monkeypatch: pytest.MonkeyPatch) -> scheduler:
    """The default scheduler, which the prompt's runs in the background."""
    monkeypatch.setattr(scheduler, "run", engine)
    return engine


def typed(*lines: str | Callable[[], str]) -> Callable[[str], str]:
    """What to give the prompt as a source of lines; it ends with Ctrl-D."""
    left = list(lines)

    def read(prompt: str) -> str:
        if not left:
            raise EOFError
        line = left.pop(0)
        return line if isinstance(line, str) else line()

    return read


class Flag(component):
    """Says when it has run."""

    seen = threading.Event()

    def main(self) -> Iterator[object]:
        self.seen.set()
        yield 1


def test_what_is_activated_runs_while_the_next_line_is_typed(running: scheduler) -> None:
    Flag.seen.clear()

    def next_line() -> str:
        assert Flag.seen.wait(SECONDS)
        return "pass"

    module = Flag.__module__
    assert prompt([], typed(f"from {module} import Flag", "Flag().activate()", next_line)) == 0
    assert running.thread_id is None
    assert running._instruments == ()


def test_the_usual_names_are_at_hand(
    running: scheduler, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["component", "threadedcomponent", "AdaptiveCommsComponent", "Handle", "Axon"]
    assert prompt([], typed(*(f"{name}.__name__" for name in names))) == 0
    shown = capsys.readouterr().out
    assert [name for name in names if f"'{name}'" not in shown] == []


def test_ps_and_tree_show_what_there_is(
    running: scheduler, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["c = component()", "c.name = 'mine'", "c.addChildren(component())", "c.activate()"]
    assert prompt([], typed(*lines, "ps()", "tree()", "ps()")) == 0
    shown = capsys.readouterr().out
    assert "steps/s" in shown
    assert "0 timers" in shown


def test_an_exception_in_a_component_is_shown_and_the_prompt_goes_on(
    running: scheduler, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        "class Bad(component):\n def main(self):\n  yield 1\n  1 / 0\n",
        "b = Bad().activate()",
        "import time",
        "while not b._isStopped(): time.sleep(0.001)\n",
        "print('still', 'here')",
    ]
    assert prompt([], typed(*lines)) == 0
    shown = capsys.readouterr()
    assert "ZeroDivisionError" in shown.err
    assert "raised in component" in shown.err
    assert "still here" in shown.out


def test_a_component_that_somebody_isolates_is_left_to_that(running: scheduler) -> None:
    failures = Prompt.Failures(lambda error: None)
    parent, child = Script(sleeper), Script(sleeper)
    parent.addChildren(child)

    def guard(culprit: object, error: Exception) -> None:
        """The parent's own."""

    parent.isolate(guard)
    failures.activated(parent)
    failures.activated(child)
    assert parent._axon_guard is guard
    assert child._axon_guard is None


def test_ctrl_d_stops_everything(running: scheduler) -> None:
    one = Script(sleeper, "one")
    sys.modules[__name__].kept = one  # type: ignore[attr-defined]
    assert prompt([], typed(f"import {__name__} as m", "m.kept.activate()")) == 0
    assert one.stops == 1
    assert running.threads == {}


def test_exit_stops_everything_as_well(running: scheduler) -> None:
    with pytest.raises(SystemExit):
        prompt([], typed("raise SystemExit(3)"))
    assert running.thread_id is None


def test_ctrl_c_interrupts_the_line_and_not_the_components(
    running: scheduler, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt() -> str:
        raise KeyboardInterrupt

    lines = ["c = component()", "x = (", interrupt, "1 + 1"]
    assert prompt([], typed(*lines)) == 0
    assert "KeyboardInterrupt" in capsys.readouterr().err


# ---- turns


@pytest.fixture
def session(running: scheduler) -> Iterator[Session]:
    made = Session(running)
    made.start()
    yield made
    made.stop()


def test_a_line_is_carried_out_between_two_turns(session: Session, running: scheduler) -> None:
    inside: list[bool] = []

    def busy(self: Script) -> Iterator[object]:
        while True:
            inside.append(acting.is_set())
            yield 1

    acting = threading.Event()
    Script(busy).activate(Scheduler=running)
    with session.turn():
        acting.set()
        before = len(inside)
        # As in the scheduler's own thread: done at once, nothing is handed over.
        one = Script(sleeper).activate(Scheduler=running)
        assert one in running.threads
        assert len(inside) == before
        acting.clear()
    assert not any(inside)


def test_what_is_delivered_at_the_prompt_wakes_its_receiver(
    session: Session, running: scheduler
) -> None:
    came = threading.Event()

    def waits(self: Script) -> Iterator[object]:
        asleep.set()
        while not self.dataReady("inbox"):
            self.pause()
            yield 1
        came.set()

    asleep = threading.Event()
    one = Script(waits).activate(Scheduler=running)
    assert asleep.wait(SECONDS)
    with session.turn():
        one.inboxes["inbox"].deliver("x")
    assert came.wait(SECONDS)


def test_a_long_line_does_not_keep_the_components(session: Session, running: scheduler) -> None:
    ran = threading.Event()

    def runs(self: Script) -> Iterator[object]:
        ran.set()
        yield 1

    with session.turn():
        Script(runs).activate(Scheduler=running)
        assert ran.wait(SECONDS)


def test_a_component_that_does_not_yield_does_not_keep_the_line(
    session: Session,
    running: scheduler,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(Prompt, "TURN_SECONDS", 0.01)
    go_on = threading.Event()

    def stuck(self: Script) -> Iterator[object]:
        begun.set()
        assert go_on.wait(SECONDS)
        yield 1

    begun = threading.Event()
    Script(stuck).activate(Scheduler=running)
    assert begun.wait(SECONDS)
    with session.turn():
        pass
    go_on.set()
    assert "does not yield" in capsys.readouterr().err
    monkeypatch.setattr(Prompt, "TURN_SECONDS", SECONDS)
    with session.turn():  # the turn that was given up is not taken later
        assert running.thread_id == threading.get_ident()


def test_a_scheduler_that_has_ended_is_started_again(
    session: Session, running: scheduler, capsys: pytest.CaptureFixture[str]
) -> None:
    running.stop()
    session._runner.join(SECONDS)
    with session.turn():
        assert running.thread_id == threading.get_ident()
    assert "beginning again" in capsys.readouterr().err


# ---- modules at hand


def test_components_and_prefabs_of_a_module_are_at_hand(
    running: scheduler, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set(offers("Kamaelia.Util.Console")) >= {"ConsoleEchoer", "ConsoleReader"}
    assert prompt(["Kamaelia.Util.Console"], typed("ConsoleEchoer.__name__")) == 0
    assert "'ConsoleEchoer'" in capsys.readouterr().out


def test_of_another_module_its_public_names_or_itself() -> None:
    assert set(offers("fnmatch")) == {"filter", "fnmatch", "fnmatchcase", "translate"}
    assert list(offers("xml.sax.saxutils")) == ["xml"]
    assert list(offers("stat")) == ["stat"]


def test_a_module_that_is_not_there_is_told(
    running: scheduler, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(OffersError, match="cannot import no_such_module"):
        offers("no_such_module")
    assert prompt(["no_such_module"], typed()) == 1
    assert "axon: cannot import no_such_module" in capsys.readouterr().err
