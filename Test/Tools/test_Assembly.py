"""What a program puts together is found without running it."""

import importlib
import sys
import threading
from pathlib import Path

import pytest

from Axon.CoordinatingAssistantTracker import coordinatingassistanttracker
from Axon.Scheduler import scheduler

sys.path.append(str(Path(__file__).parents[2] / "Tools"))
Assembly = importlib.import_module("Assembly")
assembled, wished, AssemblyError = Assembly.assembled, Assembly.wished, Assembly.AssemblyError

HEAD = """
from Axon.Component import component

class Part(component):
    def main(self):
        raise AssertionError("it runs")
        yield

"""


def found(program: str) -> list[str]:
    return [one.name for one in assembled(HEAD + program, "program.py")]


@pytest.mark.parametrize(
    ("program", "names"),
    [
        ("Part(name='a').run()\nraise AssertionError('after the end')", ["a"]),
        ("Part(name='a').activate()\nPart(name='b').activate()", ["a", "b"]),
        ("p = Part(name='a').activate()\np.run()", ["a"]),
        (
            "from Axon.Scheduler import scheduler\nPart(name='a').activate()\n"
            "scheduler.run.runThreads()\nPart(name='b').activate()",
            ["a"],
        ),
        ("def main():\n    Part(name='a').run()\nif __name__ == '__main__':\n    main()", ["a"]),
        ("try:\n    Part(name='a').run()\nexcept Exception:\n    Part(name='b').run()", ["a"]),
        (
            "from Axon.background import background\nbackground().start()\nPart(name='a').run()",
            ["a"],
        ),
        ("p = Part(name='a')", []),
        ("p = Part(name='a').activate()\np.no_such_thing", ["a"]),
        ("import string\nstring.Template('').substitute()\nPart(name='a').run()", ["a"]),
    ],
)
def test_what_would_run_is_found_and_nothing_runs(program: str, names: list[str]) -> None:
    threads = threading.active_count()
    before = list(scheduler.run.threads)
    assert found(program) == names
    assert list(scheduler.run.threads) == before
    assert threading.active_count() == threads


def test_a_run_of_somebody_else_is_called_as_it_is() -> None:
    program = "import asyncio\nasync def f():\n    return 'b'\nPart(name=asyncio.run(f())).run()"
    assert found(program) == ["b"]


def test_a_program_that_fails_before_it_runs_anything_is_told() -> None:
    with pytest.raises(AssemblyError, match="ZeroDivisionError"):
        found("1 / 0\nPart().run()")


def test_services_of_one_program_are_not_those_of_the_next() -> None:
    program = (
        "p = Part(name='a')\n"
        "from Axon.CoordinatingAssistantTracker import coordinatingassistanttracker as cat\n"
        "cat.getcat().registerService('same', p, 'inbox')\np.run()"
    )
    before = coordinatingassistanttracker.getcat()
    assert found(program) == found(program) == ["a"]
    assert coordinatingassistanttracker.getcat() is before
    assert "same" not in before.servicesRegistered()


def test_a_file_may_be_named_alone_or_with_what_to_take(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    (tmp_path / "beside_it.py").write_text("NAME = 'a'\n", encoding="utf-8")
    path.write_text(
        HEAD + "from beside_it import NAME\nmade = Part(name='m')\n"
        "if __name__ == '__main__':\n    Part(name=NAME).run()\n",
        encoding="utf-8",
    )
    before = list(sys.path)
    for wish, name in [("", "a"), (":made", "m"), (":Part(name='e')", "e")]:
        assert [one.name for one in wished(f"{path}{wish}")] == [name]
    (made,) = wished(f"{path}:Part")
    assert type(made).__name__ == "Part"
    assert sys.path == before


def test_a_module_may_be_named() -> None:
    (made,) = wished("Kamaelia.Util.OneShot:OneShot('hello')")
    assert type(made).__name__ == "OneShot"


@pytest.mark.parametrize(
    ("wish", "text"),
    [
        ("no/such/file.py", "cannot be read"),
        ("no.such.module:x", "cannot be imported"),
        ("Kamaelia.Util.OneShot:Nothing", "Nothing"),
        ("Kamaelia.Util.OneShot:1 +", "invalid syntax"),
        ("Kamaelia.Util.OneShot:__name__", "no component"),
    ],
)
def test_what_cannot_be_drawn_is_told(wish: str, text: str) -> None:
    with pytest.raises(AssemblyError, match=text):
        wished(wish)


def test_a_program_that_runs_nothing_is_told(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text("x = 1\n", encoding="utf-8")
    with pytest.raises(AssemblyError, match="runs and activates nothing"):
        wished(str(path))
