"""
What a program puts together, without running it
================================================
A program that ends in ``Pipeline(...).run()`` is carried out up to that point: what would be run or
activated there is noted instead, and at the first ``run()`` it is over. So nothing has a turn, no
port is bound, no thread begins. All that stands before (imports, constructors, files that are read)
does happen: it is the program of whoever asks for its picture. It finds no words on its command
line but its own name.

A program that uses components from ordinary code (Axon.Handle, Axon.AsyncioBridge) is over when it
waits for what one of them sends: it would wait for ever.

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
import dis
import importlib
import logging
import sys
import textwrap
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from types import CodeType
from typing import NoReturn

from Axon.AsyncioBridge import Embedding
from Axon.background import background
from Axon.Component import component
from Axon.CoordinatingAssistantTracker import coordinatingassistanttracker
from Axon.Handle import Port
from Axon.Scheduler import scheduler
from Axon.TestingHarness import as_default
from Axon.TestingTime import virtual_scheduler

log = logging.getLogger(__name__)

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
    with _empty_world(name, found):
        _, error = _carried_out(_code(program, name), name, found)
    if not isinstance(error, _Over | None):
        if not found:
            raise AssemblyError(f"{_told(error, name)}, before it runs anything") from error
        # It wants what only a running system has, such as the port of a server.
        log.warning("%s; what it has put together until there is known", _told(error, name))
    return list(dict.fromkeys(found))


def _carried_out(
    code: CodeType, name: str, found: list[component]
) -> tuple[dict[str, object], BaseException | None]:
    """The names that a program has when it is over, and what ended it: _Over, an error of its own,
    or nothing."""

    def note(thing: object, called: str) -> object:
        def noted(*_args: object, **_options: object) -> object:
            if isinstance(thing, component) and called in ("run", "activate"):
                found.append(thing)
            if called in ("run", "runThreads"):
                raise _Over
            return thing

        ours = isinstance(thing, component | scheduler | background)
        return noted if ours else getattr(thing, called)

    space: dict[str, object] = {_NOTE: note, "__name__": "__main__", "__file__": name}
    try:
        exec(code, space)  # noqa: S102 - the program of whoever asks
    except (_Over, Exception, SystemExit) as error:  # noqa: BLE001 - handed back
        return space, error
    return space, None


@contextmanager
def _empty_world(name: str, found: list[component]) -> Iterator[None]:
    """No services but those that the program makes, a scheduler that nobody runs, and a command
    line of its own: two programs may each have a Backplane of the same name."""
    tracker, words = coordinatingassistanttracker.basecat, sys.argv
    coordinatingassistanttracker.basecat = coordinatingassistanttracker()
    sys.argv = [name]
    try:
        with as_default(virtual_scheduler()), _nothing_in_the_background(found):
            yield
    finally:
        coordinatingassistanttracker.basecat, sys.argv = tracker, words


@contextmanager
def _nothing_in_the_background(found: list[component]) -> Iterator[None]:
    """Ordinary code may begin to run things, too, and then nobody would answer it."""

    def over(*_: object) -> NoReturn:
        raise _Over

    async def entered(embedding: Embedding) -> scheduler:
        return embedding._running

    async def left(*_: object) -> None:
        pass

    with ExitStack() as undo:
        for kind, name, ours in (
            (background, "start", lambda it: it),
            (background, "__exit__", lambda *_: None),
            (Embedding, "__aenter__", entered),
            (Embedding, "__aexit__", left),
            (Port, "activate", lambda port, _scheduler=None: found.append(port.component)),
            (Port, "collect", over),
            (Port, "listen", over),
        ):
            undo.callback(setattr, kind, name, getattr(kind, name))
            setattr(kind, name, ours)
        yield


def _code(program: str, name: str) -> CodeType:
    try:
        tree = ast.parse(textwrap.dedent(program), name)
        return compile(ast.fix_missing_locations(_Calls().visit(tree)), name, "exec")
    except (SyntaxError, ValueError) as error:  # ValueError: a zero byte
        raise AssemblyError(_told(error, name)) from error


def _line(error: BaseException, file: str) -> int | None:
    """The last line of a file that had to do with an error."""
    if isinstance(error, SyntaxError) and error.filename == file:
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno for frame in reversed(frames) if frame.filename == file), None)


def _told(error: BaseException, file: str) -> str:
    line = _line(error, file)
    text = error.msg if isinstance(error, SyntaxError) and line else str(error)
    return f"{file}{f':{line}' if line else ''}: {type(error).__name__}: {text}"


# ---- what a command line says


def wished(wish: str) -> list[component]:
    """What ``file.py``, ``file.py:expression`` or ``module:expression`` gives; what it prints goes
    to stderr. Raises AssemblyError."""
    where, _, expression = wish.partition(":")
    made: Sequence[object]
    with redirect_stdout(sys.stderr):  # stdout is for the picture
        if where.endswith(".py"):
            made = _of_file(Path(where), expression)
        else:
            made = _of_module(where, expression)
    for one in made:
        if not isinstance(one, component):
            raise AssemblyError(f"{wish} gives {one!r}, which is no component")
    if not made:
        raise AssemblyError(f"{wish} runs and activates nothing: say what, as in {wish}:make()")
    return [one for one in made if isinstance(one, component)]


def _of_file(path: Path, expression: str) -> Sequence[object]:
    try:
        program = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AssemblyError(f"{path} cannot be read: {error}") from None
    name = str(path)
    with _first_on_the_path(path.resolve().parent):
        if not expression:
            return assembled(program, name)
        found: list[component] = []
        code = _code(program, name)
        with _empty_world(name, found):
            space, end = _carried_out(code, name, found)
            found.clear()
            try:
                return [_value(space, expression, name)]
            except _Over:  # the expression runs something: then that is meant
                return list(dict.fromkeys(found))
            except NameError as error:
                raise AssemblyError(_missing(error, code, name, end)) from error


def _missing(error: NameError, code: CodeType, name: str, end: BaseException | None) -> str:
    """Why a name is not there."""
    told = _told(error, name)
    if not isinstance(end, _Over | None):
        return f"{told}, since the file was over at {_told(end, name)}"
    given = {step.argval for step in dis.get_instructions(code) if step.opname == "STORE_NAME"}
    if end is not None and error.name in given:
        return (
            f"{told}: the file is carried out up to its first run(), line {_line(end, name)};"
            f" put what gives {error.name!r} above that"
        )
    return told


def _of_module(name: str, expression: str) -> Sequence[object]:
    with _first_on_the_path(Path.cwd()), _empty_world(name, []):
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            raise AssemblyError(f"{name} cannot be imported: {error}") from None
        file = module.__file__ or name
        try:
            return [_value(vars(module), expression, file)]
        except NameError as error:
            raise AssemblyError(f"{name}:{expression}: {error}") from error


@contextmanager
def _first_on_the_path(folder: Path) -> Iterator[None]:
    """A program finds what lies beside it, as it does when it runs."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _value(space: dict[str, object], expression: str, file: str) -> object:
    """Raises NameError, and AssemblyError for every other error."""
    try:
        value: object = eval(expression, dict(space))  # noqa: S307 - of whoever asks
        # A class or a function that makes one may be named without its brackets.
        return value() if callable(value) and not isinstance(value, component) else value
    except NameError:
        raise
    except (Exception, SystemExit) as error:
        raise AssemblyError(f"{expression}: {_told(error, file)}") from error
