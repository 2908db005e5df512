"""The reference is what the code says: the pages are not stale, and code in them says whether it
runs."""

import enum
import importlib
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from Axon.Component import component

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "Tools"))
DocGen = importlib.import_module("DocGen")
DocText = importlib.import_module("DocText")


def test_the_pages_are_what_would_be_written_now() -> None:
    tool = [sys.executable, str(ROOT / "Tools" / "DocGen.py"), "--check"]
    done = subprocess.run(tool, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0), "run: python Tools/DocGen.py"


def test_a_changed_a_missing_and_a_left_over_page_are_found_and_mended(tmp_path: Path) -> None:
    shelf = DocGen.Shelf("Axon", "pages", "title", "about")
    pages = {"pages/one.md": "1\n", "pages/two.md": "2\n"}
    DocGen.write(pages, tmp_path, sorted(pages))
    assert DocGen.stale(pages, tmp_path, [shelf]) == []
    (tmp_path / "pages" / "one.md").unlink()
    (tmp_path / "pages" / "two.md").write_text("changed")
    (tmp_path / "pages" / "three.md").write_text("no module any more")
    stale = DocGen.stale(pages, tmp_path, [shelf])
    assert stale == ["pages/one.md", "pages/three.md", "pages/two.md"]
    DocGen.write(pages, tmp_path, stale)
    assert DocGen.stale(pages, tmp_path, [shelf]) == []


def test_a_picture_is_stale_when_its_drawing_is_another_one_and_not_when_its_layout_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DocGen, "picture", lambda drawing: f"<!-- key: {DocGen.key(drawing)} -->")
    shelf = DocGen.Shelf("Axon", "pages", "title", "about", pictures=True)
    name, drawing = "pages/pictures/one.svg", DocGen.Drawing("digraph {}", "One", "")
    assert DocGen.stale({}, tmp_path, [shelf], {name: drawing}) == [name]
    DocGen.write({}, tmp_path, [name], {name: drawing})
    path = tmp_path / name
    path.write_text(path.read_text(encoding="utf-8") + "<!-- another layout -->", encoding="utf-8")
    assert DocGen.stale({}, tmp_path, [shelf], {name: drawing}) == []
    changed = {name: DocGen.Drawing("digraph {a}", "One", "")}
    assert DocGen.stale({}, tmp_path, [shelf], changed) == [name]
    assert DocGen.stale({}, tmp_path, [shelf], {}) == [name]
    DocGen.write({}, tmp_path, [name], {})
    assert not path.exists()


def test_without_graphviz_only_what_must_be_drawn_anew_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(DocGen, "ROOT", tmp_path)
    monkeypatch.setattr(DocGen, "Writer", Nothing)
    monkeypatch.setattr(DocGen, "SCENES", {})
    assert DocGen.main([]) == 0
    monkeypatch.setattr(DocGen, "SCENES", {"a.svg": lambda: DocGen.Drawing("digraph {}", "", "")})
    assert DocGen.main(["--check"]) == 1
    assert DocGen.main([]) == 1
    assert "apt-get install graphviz" in capsys.readouterr().err


class Nothing:
    """A writer of no pages."""

    def __init__(self) -> None:
        self.pictures: dict[str, object] = {}

    def pages(self) -> dict[str, str]:
        return {}


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return DocGen.Writer().pages()


def test_two_runs_write_the_same_and_nothing_of_this_machine(pages: dict[str, str]) -> None:
    assert DocGen.Writer().pages() == pages
    whole = "".join(pages.values())
    assert " at 0x" not in whole
    assert str(ROOT) not in whole
    assert sys.executable not in whole


def test_every_public_module_has_its_page_and_applications_have_none(
    pages: dict[str, str],
) -> None:
    assert "Docs/axon/reference/Box.md" in pages
    assert "Docs/kamaelia/reference/Chassis.Pipeline.md" in pages
    assert not [name for name in pages if "Grey" in name or "__main__" in name]


def test_the_catalogue_is_sorted_and_has_every_component(pages: dict[str, str]) -> None:
    index = pages["Docs/kamaelia/reference/README.md"]
    components = index.partition("## Modules")[0]
    assert "### Chassis" in components
    assert "[`Pipeline`](Chassis.Pipeline.md#pipeline)" in components
    assert components.index("### Chassis") < components.index("### Networks")


def test_each_page_shows_pictures_that_are_drawn() -> None:
    writer = DocGen.Writer()
    for page, text in writer.pages().items():
        for target in re.findall(r"!\[[^]]+\]\(([^)]+)\)", text):
            assert f"{page.rpartition('/')[0]}/{target}" in writer.pictures
    shown = writer.pictures.keys()
    assert "Docs/kamaelia/reference/pictures/Chassis.Pipeline.Pipeline.svg" in shown
    assert "Docs/kamaelia/reference/pictures/Chassis.Graphline.example.svg" in shown
    assert not [name for name in shown if name.startswith("Docs/axon")]


def test_links_inside_the_reference_lead_to_a_heading(pages: dict[str, str]) -> None:
    for name, text in pages.items():
        for target in re.findall(r"\]\(([^)#]*\.md#\w+|#\w+)\)", text):
            path, _, anchor = target.partition("#")
            page = (ROOT / name).parent / path if path else ROOT / name
            goal = pages[str(page.resolve().relative_to(ROOT))]
            headings = {head.lower() for head in re.findall(r"^#+ (\w+)$", goal, re.MULTILINE)}
            assert anchor in headings, f"{target} in {name}"


# ---- one module with one of everything


class Greeter(component):
    """Greeter(greeting="hello") -> greets.

    It takes *names*, and `code`, and <angle> brackets."""

    Inboxes = {"inbox": "str: a name | two", "control": "producerFinished (at the end)"}
    Outboxes = {"outbox": "list[str]: the greetings", "signal": "the shutdown: as it came"}
    greeting = "hello"

    def greet(self, name: str | None, *, loud: bool = False) -> "str":
        """Say it."""
        return f"{self.greeting} {name} {loud}"

    salute = greet

    @property
    def volume(self) -> int:
        """How loud."""
        return 3

    @classmethod
    def of(cls, *names: str) -> "Greeter":
        return cls(names=names)

    @staticmethod
    def wave(how: object = object) -> None:
        """Wave."""

    def _private(self) -> None:
        """Not to be shown."""


class _Hidden:
    def shared(self) -> None:
        """From a private base."""


class Shown(_Hidden):
    """A class with a private base."""


class Colour(enum.Enum):
    """Colours."""

    RED = 1


@dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: int = 0


def helper(place: Path = Path("/nowhere"), what: object = object()) -> "dict[str, int]":
    """Help."""
    return {str(place): id(what)}


ALIAS = Greeter
LIMIT = 3


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> str:
    """The page of this very file."""
    here = sys.modules[__name__]
    source = Path(__file__).read_text(encoding="utf-8")
    monkeypatch.setattr("inspect.getsource", lambda _: source)
    writer = DocGen.Writer()
    writer._page_of[__name__] = "Docs/axon/reference/this.md"
    return "\n\n".join(writer._module(here))


@pytest.mark.parametrize(
    "part",
    [
        '`Greeter(greeting="hello")` -> greets.\n\nIt takes \\*names\\*, and `code`, and \\<angle>',
        "| Inbox | Type | Meaning |\n| --- | --- | --- |\n| `inbox` | str | a name \\| two |\n"
        "| `control` |  | producerFinished (at the end) |\n\n",
        "| `outbox` | list[str] | the greetings |\n| `signal` | the shutdown | as it came |",
        "| `greeting` | `'hello'` |",
        "**`greet(name: str | None, *, loud: bool = False) -> str`**\n\nSay it.\n\n",
        "**`salute`**: another name of `greet`",
        "**`volume: int`** (property)\n\nHow loud.",
        "**`of(*names: str) -> Greeter`** (class method)\n\n",
        "**`wave(how: object = object) -> None`** (static method)\n\nWave.",
        "Inherited: all of [`component`](Component.md#component).",
        "## Shown\n\n`class Shown`\n\nA class with a private base.\n\n**`shared() -> None`**",
        "| `RED` | `1` |",
        "## Point\n\n`class Point(x: int, y: int = 0)`\n\n## ",
        "## Functions",
        "**`helper(place: Path = ..., what: object = ...) -> dict[str, int]`**\n\nHelp.",
        "| `ALIAS` | `Greeter` |\n| `LIMIT` | `3` |",
    ],
)
def test_a_page_shows(part: str, page: str) -> None:
    assert part in page


@pytest.mark.parametrize("part", ["_private", "_Hidden", "## ALIAS", "ModuleType", "## component"])
def test_a_page_does_not_show(part: str, page: str) -> None:
    assert part not in page


def test_boxes_added_to_those_inherited_are_in_the_table() -> None:
    class More(Greeter):
        ExtraInboxes = {"volume": "int: how loud"}

    whole = "\n".join(DocGen.boxes(More))
    assert "| `volume` | int | how loud |" in whole
    assert "| `inbox` | str |" in whole


def test_box_names_without_texts_are_shown() -> None:
    class Terse(component):
        Inboxes = ["inbox"]

    assert "| `inbox` |  |  |" in "\n".join(DocGen.boxes(Terse))


# ---- docstrings


@pytest.mark.parametrize(
    ("block", "fence"),
    [
        ("import os\nprint(os.sep)", "```python\nimport os"),
        ("def f(a, *b, **c):\n    return a, b, c", "```python\ndef"),
        ("try:\n    x = 1\nexcept ValueError as e:\n    print(e, x)", "```python\ntry"),
        ("import a.b as c, d.e\nc, d", "```python\nimport"),
        ("self.send(1)", "```python notest\n# part of a program, which brings self\nself"),
        ("a, b, c, d", "```python notest\n# part of a program, which brings a, b, c, ...\na"),
        ("import x\nx.TCPClient(1)", "```python notest\n# talks to a network\nimport"),
        ("# serves until ctrl-c\nprint(1)", "```python notest\n# serves"),
        ("import x\nx.TCPServer(port=0)", "```python\nimport x"),
        ("# ends: ctrl-c\nimport x\nx.TCPServer(1)", "```python notest\n# ends: ctrl-c\nimport"),
        ("# needs a file\nprint(1)", "```python notest\n# needs"),
        ("A --> B", "```text\nA"),
        ("$ ./go test", "```text\n$"),
        ("# nothing but a comment", "```text\n#"),
    ],
)
def test_a_block_says_what_it_is(block: str, fence: str) -> None:
    assert DocText.fenced(block).startswith(fence)


def test_headings_lists_code_and_doctests_become_markdown() -> None:
    docstring = """
    First.

    Example
    -------
    Like this::

        a = 1


        b = 2

    * item ``one`` ends in::

        >-- inside

    * __init__ of *args

    >>> 1 + 1
    2

    The end."""
    assert DocText.markdown(docstring, 3) == (
        "First.\n\n### Example\n\nLike this:\n\n```python\na = 1\n\n\nb = 2\n```\n\n"
        "* item `one` ends in:\n\n  ```text\n  >-- inside\n  ```\n\n"
        "* `__init__` of \\*args\n\n```pycon\n>>> 1 + 1\n2\n```\n\nThe end."
    )


def test_what_a_program_prints_is_text_even_if_it_could_be_a_program() -> None:
    shown = DocText.markdown("It prints::\n\n    hello\n\nThe end.", 2)
    assert shown == "It prints:\n\n```text\nhello\n```\n\nThe end."


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Echo(a=(1, 2)) -> sends it back. Always.", "sends it back"),
        ("Echo(a): sends it back; always", "sends it back"),
        ("Sends it back.", "Sends it back"),
        (None, ""),
    ],
)
def test_the_summary_is_what_a_thing_does(text: str | None, sentence: str) -> None:
    module = ModuleType("thing", text)
    assert DocText.summary(module) == sentence
