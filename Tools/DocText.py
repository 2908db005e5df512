"""
Docstrings as Markdown
======================
What Tools/DocGen.py needs to know about text: the docstrings of this project are plain paragraphs
with underlined headings, ``code``, lists, and blocks of code after a line that ends in two colons.

Test/test_docs.py runs every ``python`` block of the documents, so each block says what it is. A
program that is complete runs there. One that lacks names, or talks to a network other than by a
free port of its own, is marked ``notest``, and its first line says why. What is not Python (a
diagram, a line for a shell) is ``text``. A program that never ends, or needs something that is not
there in a test, says so itself by a first line that begins ``# serves``, ``# runs``, ``# waits``,
``# needs`` or ``# ends: ctrl-c``.

Example Usage
-------------
::

    print(markdown("Take ``n`` of them::\n\n    take(n)\n", level=3))
"""

from __future__ import annotations

import ast
import builtins
import inspect
import re
from collections.abc import Sequence
from types import ModuleType

NETWORK = re.compile(r"\b(ServerCore|\w*Server|TCPClient|\w+Peer)\(|\.(bind|connect|listen)\(")
FREE_PORT = re.compile(r"\bport=0\b|, 0\)")
UNFIT = re.compile(r"# (runs |serves |waits |needs |ends: ctrl-c)")
PRINTS = ("prints::", "print::")
CALL = r"\w+\((?:[^()]|\([^()]*\))*\)"  # `Name(arguments)`, with which a class's text begins


def is_code(block: str) -> bool:
    try:
        return bool(ast.parse(block).body)
    except SyntaxError:
        return False


def missing_names(program: str) -> list[str]:
    """Names that a program uses and nowhere makes, in the order of their use."""
    made = set(dir(builtins)) | {"__name__", "__file__"}
    used: dict[str, None] = {}
    for node in ast.walk(ast.parse(program)):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                used[name] = None
            case ast.Name(id=name) | ast.arg(arg=name):
                made.add(name)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                made.add(name)
            case ast.AsyncFunctionDef(name=name):
                made.add(name)
            case ast.alias(name=name, asname=asname):
                made.add(asname or name.partition(".")[0])
            case ast.ExceptHandler(name=str(name)):
                made.add(name)
    return [name for name in used if name not in made]


def fenced(block: str) -> str:
    """A block of code, marked for what it is."""
    if not is_code(block):
        return f"```text\n{block}\n```"
    missing = missing_names(block)
    if missing:
        few = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        return f"```python notest\n# part of a program, which brings {few}\n{block}\n```"
    if UNFIT.match(block):
        return f"```python notest\n{block}\n```"
    if NETWORK.search(block) and not FREE_PORT.search(block):
        return f"```python notest\n# talks to a network\n{block}\n```"
    return f"```python\n{block}\n```"


def prose(text: str) -> str:
    """Markdown of plain paragraphs: code spans stay, what Markdown would take for markup is
    escaped."""
    text = re.sub(r"``(.+?)``", r"`\1`", text, flags=re.DOTALL)
    text = re.sub(rf"\A({CALL})(?=\s+->|[:.])", r"`\1`", text.lstrip("\n"))
    parts = re.split(r"(`[^`]+`)", text)
    for at in range(0, len(parts), 2):
        plain = re.sub(r"\b(_\w+|\w+_)\b", r"`\1`", parts[at])
        plain = re.sub(r"(?<=\S)\*|\*(?=\S)", r"\\*", plain)
        parts[at] = plain.replace("<", "\\<")
    return "".join(parts)


def markdown(docstring: str, level: int) -> str:
    """A docstring as Markdown; its underlined headings become headings of that level."""
    lines = inspect.cleandoc(docstring).splitlines()
    parts: list[str] = []
    plain: list[str] = []
    at = 0
    while at < len(lines):
        line, below = lines[at], lines[at + 1] if at + 1 < len(lines) else ""
        if line.strip() and re.fullmatch(r"-{3,}|={3,}", below):
            at, part = at + 2, f"{'#' * level} {prose(line)}"
        elif line.startswith(">>>"):
            end = next((i for i in range(at, len(lines)) if not lines[i].strip()), len(lines))
            at, part = end, "\n".join(["```pycon", *lines[at:end], "```"])
        elif line.endswith("::"):
            if line.strip() != "::":
                plain.append(line.removesuffix(":"))
            at, part = _code_after(lines, at)
        else:
            plain.append(line)
            at += 1
            continue
        parts += [prose("\n".join(plain)), part]
        plain = []
    parts.append(prose("\n".join(plain)))
    return "\n\n".join(part.strip("\n") for part in parts if part.strip())


def _code_after(lines: list[str], at: int) -> tuple[int, str]:
    """The fenced block that belongs to the line that ends in two colons, and where it ends."""
    indent = len(lines[at]) - len(lines[at].lstrip(" *"))
    end = at + 1
    while end < len(lines) and (
        not lines[end].strip() or len(lines[end]) - len(lines[end].lstrip()) > indent
    ):
        end += 1
    block = inspect.cleandoc("\n" + "\n".join(lines[at + 1 : end]))
    # What a program prints may happen to be Python, too.
    code = f"```text\n{block}\n```" if lines[at].endswith(PRINTS) else fenced(block)
    return end, "\n".join(" " * indent + part if part else "" for part in code.split("\n"))


def cell(text: str) -> str:
    return prose(" ".join(text.split())).replace("|", "\\|")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def opening(module: ModuleType) -> tuple[str, str]:
    """A module's title, and the text below it."""
    first, _, rest = inspect.cleandoc(module.__doc__ or "").partition("\n")
    return first, re.sub(r"\A={3,}\n", "", rest)


def title(module: ModuleType) -> str:
    return opening(module)[0]


def summary(item: object) -> str:
    """What a thing does, in one sentence: of `Name(arguments) -> what it does.` the latter."""
    text = " ".join((getattr(item, "__doc__", None) or "").split())
    text = re.sub(rf"\A{CALL}( ->|[:.])? ?", "", text)
    return re.split(r"(?<=[.;:]) ", text, maxsplit=1)[0].rstrip(".;:")
