"""
Pictures of the reference
=========================
Two kinds, both drawn from the code: a component with its boxes, from its box tables; and what the
example of a module puts together, from the program in its docstring, carried out up to where it
would run (Assembly), in an empty folder and without sockets, so that it depends on nothing of this
machine. An example of one component alone has no picture: it would be the first kind again.

Tools/DocGen.py has them written beside its pages. A picture that is there is taken for good as long
as its key is that of the drawing, so to look whether all is up to date needs no Graphviz.

Example Usage
-------------
::

    import importlib

    from DocPictures import of_example

    print(of_example(importlib.import_module("Kamaelia.Util.OneShot")))
"""

from __future__ import annotations

import inspect
import io
import os
import re
import socket
import tempfile
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from types import ModuleType
from typing import NoReturn

from Assembly import AssemblyError, assembled
from Blueprint import TooLarge, blueprint, of_class
from DotText import Drawing, of_snapshot

from Axon.Component import component

FOLDER = "pictures"
HEADING = "\nExample Usage\n"
LONGEST = 40  # components in the picture of an example


def of_component(kind: type[component]) -> Drawing:
    """A component and its boxes."""
    return of_snapshot(of_class(kind), f"The boxes of {kind.__name__}")


def of_example(module: ModuleType) -> Drawing | None:
    """What the example of a module puts together, None if that cannot be told."""
    program = example(module)
    if program is None or "# needs" in program:
        return None
    try:
        with _apart():
            made = assembled(program, f"the example of {module.__name__}")
            record = blueprint(*made)
    except (AssemblyError, TooLarge):
        return None
    if not 1 < len(record.components) <= LONGEST:
        return None
    return of_snapshot(record, f"The example of {module.__name__}")


def example(module: ModuleType) -> str | None:
    """The program after ``::`` under the heading Example Usage."""
    text = inspect.cleandoc(module.__doc__ or "").partition(HEADING)[2]
    _, found, rest = text.partition("::\n")
    if not found:
        return None
    lines = rest.lstrip("\n").splitlines()
    end = next((at for at, line in enumerate(lines) if line and line[0] != " "), len(lines))
    return textwrap.dedent("\n".join(lines[:end])).strip("\n") + "\n"


@contextmanager
def _apart() -> Iterator[None]:
    """In an empty folder, and silent."""
    before = os.getcwd()  # noqa: PTH109 - to go back there
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), _no_sockets():
        warnings.simplefilter("ignore")
        os.chdir(folder)
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                yield
        finally:
            os.chdir(before)


@contextmanager
def _no_sockets() -> Iterator[None]:
    """Whoever opens one has no picture: whether that port is free must not decide it."""

    def refused(*_args: object, **_options: object) -> NoReturn:
        raise PermissionError("no sockets in what is only drawn")

    before, pair = socket.socket.__init__, socket.socketpair
    socket.socket.__init__ = refused  # type: ignore[method-assign]
    socket.socketpair = refused
    try:
        yield
    finally:
        socket.socket.__init__ = before  # type: ignore[method-assign]
        socket.socketpair = pair


PROGRAM = re.compile(
    r"^```python[^\n]*\n.*?^```\n(?:\n[^\n]*prints:\n\n```text\n.*?^```(?:\n|\Z))?",
    re.MULTILINE | re.DOTALL,
)


def with_picture(text: str, image: str) -> str:
    """A page's text with the image after the program below its Example Usage, and what that
    prints."""
    start = text.find("## Example Usage")
    found = PROGRAM.search(f"{text}\n", start) if start >= 0 else None
    if found is None:
        return f"{text}\n\n{image}"
    return f"{text[: found.end()].rstrip()}\n\n{image}\n\n{text[found.end() :].lstrip()}".rstrip()
