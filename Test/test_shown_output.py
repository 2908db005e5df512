"""
What a page under Docs says that a program prints is what it prints.

A ``text`` block that follows a ``python`` block after the line "It prints:" is that program's
output. (That the programs run at all is the business of test_docs.py, for every document.)
"""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from Test.children import run_python

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 30
SHOWN = re.compile(
    r"^```python\n(?P<program>.*?)^```\n\nIt prints:\n\n```text\n(?P<output>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
# A page of the reference whose program another test runs: Test/Kamaelia/test_module_examples.py.
UNTRIED = re.compile(
    r"^```python notest\n(?:(?!^```).*\n)*^```\n\nIt prints:\n\n```text\n", re.MULTILINE
)
PAGES = sorted((ROOT / "Docs").rglob("*.md"))


@dataclass(frozen=True, slots=True)
class Shown:
    """A program of a page, with the output that the page shows."""

    program: str
    output: str
    place: str


def shown_in(text: str, name: str) -> list[Shown]:
    found = []
    for match in SHOWN.finditer(text):
        # A program without output may stand before: then only the last of the two is meant.
        program = match["program"].rpartition("```python\n")[2]
        line = text.count("\n", 0, match.end()) + 1
        found.append(Shown(program, match["output"], f"{name}:{line}"))
    return found


def output_of(program: str, folder: Path) -> str:
    script = folder / "program.py"
    script.write_text(program, encoding="utf-8")
    done = run_python(script, folder=folder, seconds=SECONDS)
    # A line in the log is not what it prints; a traceback is.
    return done.stdout + (done.stderr if done.returncode else "")


@pytest.mark.parametrize(
    "shown",
    [
        shown
        for page in PAGES
        for shown in shown_in(page.read_text(encoding="utf-8"), str(page.relative_to(ROOT)))
    ],
    ids=lambda shown: shown.place,
)
def test_a_program_prints_what_its_page_shows(shown: Shown, tmp_path: Path) -> None:
    # What ends without a line break is shown with one.
    assert output_of(shown.program, tmp_path).rstrip("\n") == shown.output.rstrip("\n")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_nothing_that_a_page_says_is_printed_is_left_out(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    untried = len(UNTRIED.findall(text))
    assert len(shown_in(text, page.name)) + untried == text.count("\nIt prints:\n")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"\w+:", target):
            continue
        name, _, anchor = target.partition("#")
        goal = page.parent / name if name else page
        assert goal.exists(), f"{target} in {page.name}"
        if anchor:
            text = goal.read_text(encoding="utf-8")
            heads = [head.lower() for head in re.findall(r"^#+ (.+)$", text, re.MULTILINE)]
            anchors = {re.sub(r"[^\w -]", "", head).replace(" ", "-") for head in heads}
            assert anchor in anchors, f"{target} in {page.name}"


def test_a_wrong_output_is_caught(tmp_path: Path) -> None:
    page = "```python\nprint(1)\n```\n\nIt prints:\n\n```text\n2\n```\n"
    (shown,) = shown_in(page, "page.md")
    with pytest.raises(AssertionError):
        test_a_program_prints_what_its_page_shows(shown, tmp_path)
