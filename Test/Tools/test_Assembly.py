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


def test_a_program_gets_no_words_but_its_own_name(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(
        HEAD + "import sys\nmade = Part(name=str(sys.argv))\nmade.run()\n", encoding="utf-8"
    )
    before = sys.argv
    for wish in (str(path), f"{path}:made"):
        assert [one.name for one in wished(wish)] == [str([str(path)])]
    assert sys.argv is before


def test_a_module_gets_no_words_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "reads_words.py").write_text(
        HEAD + "import sys\nmade = Part(name=str(sys.argv[1:]))\n", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    assert [one.name for one in wished("reads_words:made")] == ["[]"]
    sys.modules.pop("reads_words")


BEFORE_IT_RUNS = """
def make(name="made"):
    return Part(name=name)

def serve(name="served"):
    make(name).run()

if __name__ == "__main__":
    make("first").activate()
    server = make("server")
    server.run()

def late():
    return make()
"""  # its first run() is line 19 of the file, below HEAD


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(HEAD + BEFORE_IT_RUNS, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("make", "made"),
        ("make('x')", "x"),
        ("server", "server"),
        ("serve", "served"),
        ("serve('y')", "y"),
    ],
)
def test_an_expression_is_looked_at_where_the_file_would_run(
    program: Path, expression: str, name: str
) -> None:
    assert [one.name for one in wished(f"{program}:{expression}")] == [name]


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("late()", r"'late' is not defined: .* its first run\(\), line 19; put .*'late' above"),
        ("nothing()", "'nothing' is not defined$"),
        ("make(1, 2)", r"make\(1, 2\): .*program.py: TypeError: make\(\) takes"),
        ("make().no_such", "AttributeError: .*no_such"),
        ("make(undefined)", "'undefined' is not defined$"),
        ("make(", r"make\(: .*SyntaxError: .* never closed"),
    ],
)
def test_a_wrong_expression_is_told(program: Path, expression: str, text: str) -> None:
    with pytest.raises(AssemblyError, match=text):
        wished(f"{program}:{expression}")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = (\n", r"program.py:1: SyntaxError: '\(' was never closed"),
        ("\n1 / 0\n", "program.py:2: ZeroDivisionError: division by zero"),
        ("\nimport nothing_of_that_name\n", "program.py:2: ModuleNotFoundError: No module"),
        ("def f():\n    raise SystemExit(2)\nf()\n", "program.py:2: SystemExit: 2"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line(
    tmp_path: Path, text: str, told: str
) -> None:
    path = tmp_path / "program.py"
    path.write_text(text, encoding="utf-8")
    for wish in (str(path), f"{path}:make"):
        with pytest.raises(AssemblyError, match=told):
            wished(wish)


def test_what_stands_above_an_error_may_be_named(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(HEAD + "def make():\n    return Part(name='m')\n1 / 0\n", encoding="utf-8")
    assert [one.name for one in wished(f"{path}:make")] == ["m"]


def test_what_is_missing_in_half_a_picture_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert found("p = Part(name='a').activate()\np.no_such_thing\nPart(name='b').run()") == ["a"]
    (record,) = caplog.records
    assert "program.py:10: AttributeError" in record.getMessage()


THREAD = """
from Axon.background import background
from Axon.Handle import Handle
with background():
    h = Handle(Part(name='a')).activate()
    h.put('x')
    {}
    Part(name='b').activate()
"""
TASK = """
import asyncio
from Axon.AsyncioBridge import AsyncHandle, embedded
async def main():
    async with embedded():
        h = AsyncHandle(Part(name='a')).activate()
        await h.put('x')
        {}
        Part(name='b').activate()
asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("program", "waits"),
    [
        (THREAD, "h.get(timeout=None)"),
        (THREAD, "list(h.messages())"),
        (THREAD, "h.join()"),
        (TASK, "await h.get()"),
        (TASK, "[x async for x in h.messages()]"),
        (TASK, "await h.join()"),
    ],
)
def test_ordinary_code_is_over_when_it_waits(program: str, waits: str) -> None:
    threads = threading.active_count()
    assert found(program.replace("{}", waits)) == ["a"]
    assert threading.active_count() == threads
