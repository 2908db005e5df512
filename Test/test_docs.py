"""
What the documents show is tried: a reader who copies a block gets what the text promises.

* ``python`` blocks run, each in a new folder, within `SECONDS` (those whose output is shown:
  test_shown_output.py). One that cannot (it waits for a
  port of its own, say) has the word `notest` after `python`, and a comment that says why as its
  first line.
* ``conf`` blocks are read by the daemon's own loader.
* ``console`` blocks: of lines that start with `$ ./go` or `$ kamaelia-grey`, the command and each
  option must stand in the program's help. Other lines are for reading.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from Kamaelia.Apps.Grey.Config.Loader import loads
from Test.children import run_python
from Test.test_shown_output import PAGES, shown_in

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 30
FENCE = re.compile(r"^( *)```(\w+)([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
PROGRAMS = {
    "./go": [str(ROOT / "go"), "help"],
    "kamaelia-grey": ["-m", "Kamaelia.Apps.Grey.Daemon", "--help"],
}


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of a document."""

    language: str
    info: str
    text: str
    place: str


def blocks_of(document: str, name: str) -> Iterator[Block]:
    for fence in FENCE.finditer(document):
        indent, language, info, text = fence.groups()
        line = document.count("\n", 0, fence.start()) + 1
        text = "".join(part.removeprefix(indent) for part in text.splitlines(keepends=True))
        yield Block(language, info.strip(), text, f"{name}:{line}")


def documents() -> list[Path]:
    top = [ROOT / name for name in ("README.md", "CONTRIBUTING.md")]
    return [path for path in [*top, *sorted((ROOT / "Docs").rglob("*.md"))] if path.exists()]


def all_blocks(language: str) -> list[Block]:
    return [
        block
        for path in documents()
        for block in blocks_of(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))
        if block.language == language
    ]


def complaint_about_python(block: Block, folder: Path) -> str | None:
    if block.info == "notest":
        return None if block.text.startswith("# ") else "notest without a reason in its first line"
    if block.info:
        return f"unknown word after python: {block.info}"
    script = folder / "block.py"
    script.write_text(block.text, encoding="utf-8")
    done = run_python(script, folder=folder, seconds=SECONDS)
    return done.stderr or f"exit code {done.returncode}" if done.returncode else None


@cache
def help_of(program: str) -> str:
    done = run_python(*PROGRAMS[program], folder=ROOT, seconds=SECONDS)
    assert done.returncode == 0, done.stderr
    return done.stdout


def complaint_about_console(line: str) -> str | None:
    """Say which word of a shown command line the program's help does not know."""
    if not line.startswith("$ "):
        return None  # what the program says: no words of a shell
    words = shlex.split(line.removeprefix("$ "), comments=True)
    if not words or words[0] not in PROGRAMS:
        return None
    options = [word.partition("=")[0] for word in words[1:] if word.startswith("-")]
    commands = words[1:2] if words[0] == "./go" else []  # the daemon has options only
    known = set(re.findall(r"[\w-]+", help_of(words[0])))
    unknown = [word for word in commands + options if word not in known]
    # What follows `./go test` goes to pytest as it is.
    return f"{words[0]} has no {unknown[0]}" if unknown and commands != ["test"] else None


# Those whose output a page shows are run by test_shown_output.py, which also compares it.
COMPARED = {
    shown.program for page in PAGES for shown in shown_in(page.read_text("utf-8"), page.name)
}


@pytest.mark.parametrize(
    "block",
    [block for block in all_blocks("python") if block.text not in COMPARED],
    ids=lambda block: block.place,
)
def test_a_python_block_runs(block: Block, tmp_path: Path) -> None:
    assert complaint_about_python(block, tmp_path) is None


@pytest.mark.parametrize("block", all_blocks("conf"), ids=lambda block: block.place)
def test_a_conf_block_is_accepted_by_the_loader(block: Block) -> None:
    loads(block.text, block.place)


@pytest.mark.parametrize("block", all_blocks("console"), ids=lambda block: block.place)
def test_a_console_block_uses_commands_and_options_that_exist(block: Block) -> None:
    assert [c for line in block.text.splitlines() if (c := complaint_about_console(line))] == []


def test_a_list_item_may_hold_a_block_and_its_indent_is_removed() -> None:
    document = "one\n\n* item\n\n  ```python\n  if 1:\n      x()\n  ```\n"
    assert list(blocks_of(document, "x.md")) == [Block("python", "", "if 1:\n    x()\n", "x.md:5")]


@pytest.mark.parametrize(
    ("info", "text"),
    [
        ("", "raise SystemExit(3)"),
        ("", "import nothing.of.that.name"),
        ("notest", "x()"),
        ("no", ""),
    ],
)
def test_a_bad_python_block_is_caught(info: str, text: str, tmp_path: Path) -> None:
    assert complaint_about_python(Block("python", info, text, "x.md:1"), tmp_path) is not None


def test_a_python_block_with_a_reason_is_left_alone(tmp_path: Path) -> None:
    block = Block("python", "notest", "# serves until ctrl-c\nx()", "x.md:1")
    assert complaint_about_python(block, tmp_path) is None


@pytest.mark.parametrize("line", ["$ ./go tset", "$ ./go demo --twice", "$ kamaelia-grey --nosuch"])
def test_a_command_that_does_not_exist_is_caught(line: str) -> None:
    assert complaint_about_console(line) is not None


@pytest.mark.parametrize("line", ["$ ./go demo --once", "$ ./go test -k grey", "$ ls --nosuch", ""])
def test_a_command_that_exists_passes(line: str) -> None:
    assert complaint_about_console(line) is None
