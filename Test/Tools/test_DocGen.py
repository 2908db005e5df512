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
    assert not [name for name in pages if "Apps" in name or "__main__" in name]


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
