"""The prompt with the library at hand."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from Axon.Scheduler import scheduler
from Axon.Waiter import EpollWaiter

sys.path.append(str(Path(__file__).parents[2] / "Tools"))
AxonShell = importlib.import_module("AxonShell")


@pytest.fixture(autouse=True)
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[scheduler]:
    """A default scheduler of the test's own, which the prompt's runs in the background."""
    waiter = EpollWaiter()
    engine = scheduler(waiter=waiter)
    monkeypatch.setattr(scheduler, "run", engine)
    yield engine
    waiter.close()


def typed(*lines: str) -> Callable[[str], str]:
    left = list(lines)

    def read(prompt: str) -> str:
        if not left:
            raise EOFError
        return left.pop(0)

    return read


def test_everyday_modules_are_those_with_something_to_offer() -> None:
    names = list(AxonShell.everyday())
    assert {"Kamaelia.Chassis.Pipeline", "Kamaelia.Util.Console"} <= set(names)
    assert "Kamaelia.Internet.SendQueue" not in names


def test_components_are_made_linked_and_run_at_the_prompt(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = [
        "source, sink = DataSource(['wired']), ConsoleEchoer()",
        "one = sink.link((source, 'outbox'), (sink, 'inbox'))",
        "two = sink.link((source, 'signal'), (sink, 'control'))",
        "handle = source.activate(), sink.activate()",
        "import time",
        "while not sink._isStopped(): time.sleep(0.001)\n",
    ]
    assert AxonShell.main([], typed(*lines)) == 0
    assert "wired" in capsys.readouterr().out


def test_a_chassis_is_the_usual_one_where_there_is_another_of_its_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert AxonShell.main([], typed("Pipeline.__module__")) == 0
    assert "'Kamaelia.Chassis.Pipeline'" in capsys.readouterr().out


def test_further_modules_may_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert AxonShell.main(["-i", "json"], typed("JSONDecoder.__name__")) == 0
    assert "'JSONDecoder'" in capsys.readouterr().out


def test_one_that_is_not_there_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert AxonShell.main(["-i", "no_such_module"], typed()) == 1
    assert "no_such_module" in capsys.readouterr().err


def test_a_module_that_cannot_be_imported_here_is_told_of_and_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    importing = importlib.import_module

    def import_module(name: str) -> ModuleType:
        if name == "Kamaelia.Util.OneShot":
            raise ImportError("no luck")
        return importing(name)

    monkeypatch.setattr(importlib, "import_module", import_module)
    names = list(AxonShell.everyday())
    assert "Kamaelia.Util.OneShot" not in names
    assert "Kamaelia.Util.Console" in names
    assert "without Kamaelia.Util.OneShot: no luck" in capsys.readouterr().err
