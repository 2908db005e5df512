"""
What a program puts together, without running it
================================================
A program that ends in ``Pipeline(...).run()`` is carried out up to that point: what would be run or
activated there is noted instead, and at the first ``run()`` it is over. So nothing has a turn, no
port is bound, no thread begins. All that stands before (imports, constructors, files that are read)
does happen: it is the program of whoever asks for its picture.

Example Usage
-------------
::

    from Assembly import assembled

    program = '''
    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.OneShot import OneShot
    Pipeline(OneShot("hello"), ConsoleEchoer()).run()
    '''
    print(assembled(program, "hello.py"))
"""

from __future__ import annotations

import ast
import importlib
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import CodeType

from Axon.background import background
from Axon.Component import component
from Axon.CoordinatingAssistantTracker import coordinatingassistanttracker
from Axon.Scheduler import scheduler
from Axon.TestingHarness import as_default
from Axon.TestingTime import virtual_scheduler

NOTED = frozenset({"run", "activate", "start", "runThreads"})
_NOTE = "__assembly_note__"


class AssemblyError(Exception):
    """There is nothing to draw: why, and what to do."""


class _Over(BaseException):
    """Ends the program; its own ``except Exception`` does not stop this."""


class _Calls(ast.NodeTransformer):
    """`x.run(...)` becomes a question to us."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Attribute) and node.func.attr in NOTED:
            asked = ast.Call(
                ast.Name(_NOTE, ast.Load()), [node.func.value, ast.Constant(node.func.attr)], []
            )
            node.func = ast.copy_location(asked, node.func)
        return node


def assembled(program: str, name: str) -> list[component]:
    """The components that a program would run, in the order in which it would. Raises
    AssemblyError if it fails before that."""
    found: list[component] = []

    def note(thing: object, called: str) -> object:
        def noted(*_args: object, **_options: object) -> object:
            if isinstance(thing, component) and called in ("run", "activate"):
                found.append(thing)
            if called in ("run", "runThreads"):
                raise _Over
            return thing

        ours = isinstance(thing, component | scheduler | background)
        return noted if ours else getattr(thing, called)

    space = {_NOTE: note, "__name__": "__main__", "__file__": name}
    try:
        with _empty_world(), suppress(_Over):
            exec(_code(program, name), space)  # noqa: S102 - the program of whoever asks
    except Exception as error:
        if not found:
            raise AssemblyError(f"{name} fails before it runs anything: {error!r}") from error
        # It wants what only a running system has, such as the port of a server. What it has put
        # together until there is known.
    return list(dict.fromkeys(found))


@contextmanager
def _empty_world() -> Iterator[None]:
    """No services but those that the program makes, and a scheduler that nobody runs: two programs
    may each have a Backplane of the same name."""
    before = coordinatingassistanttracker.basecat
    coordinatingassistanttracker.basecat = coordinatingassistanttracker()
    try:
        with as_default(virtual_scheduler()):
            yield
    finally:
        coordinatingassistanttracker.basecat = before


def _code(program: str, name: str) -> CodeType:
    tree = ast.parse(textwrap.dedent(program), name)
    return compile(ast.fix_missing_locations(_Calls().visit(tree)), name, "exec")


# ---- what a command line says


def wished(wish: str) -> list[component]:
    """What ``file.py``, ``file.py:expression`` or ``module:expression`` gives. Raises
    AssemblyError."""
    where, _, expression = wish.partition(":")
    made: Sequence[object]
    if where.endswith(".py"):
        made = _of_file(Path(where), expression)
    else:
        with _first_on_the_path(Path.cwd()):
            made = [_value(_module(where), expression, wish)]
    for one in made:
        if not isinstance(one, component):
            raise AssemblyError(f"{wish} gives {one!r}, which is no component")
    if not made:
        raise AssemblyError(f"{wish} runs and activates nothing: say what, as in {wish}:make()")
    return [one for one in made if isinstance(one, component)]


def _of_file(path: Path, expression: str) -> Sequence[object]:
    try:
        program = path.read_text(encoding="utf-8")
    except OSError as error:
        raise AssemblyError(f"{path} cannot be read: {error.strerror}") from None
    with _first_on_the_path(path.resolve().parent):
        if not expression:
            return assembled(program, str(path))
        space: dict[str, object] = {"__name__": path.stem, "__file__": str(path)}
        exec(compile(program, str(path), "exec"), space)  # noqa: S102 - whoever asks wants that
        return [_value(space, expression, f"{path}:{expression}")]


@contextmanager
def _first_on_the_path(folder: Path) -> Iterator[None]:
    """A program finds what lies beside it, as it does when it runs."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _module(name: str) -> dict[str, object]:
    try:
        return vars(importlib.import_module(name))
    except ImportError as error:
        raise AssemblyError(f"{name} cannot be imported: {error}") from None


def _value(space: dict[str, object], expression: str, wish: str) -> object:
    try:
        value: object = eval(expression, dict(space))  # noqa: S307 - of whoever asks
    except (SyntaxError, NameError) as error:
        raise AssemblyError(f"{wish}: {error}") from None
    # A class or a function that makes one may be named without its brackets.
    return value() if callable(value) and not isinstance(value, component) else value
