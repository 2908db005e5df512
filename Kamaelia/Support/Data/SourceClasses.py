"""
Classes, read from the source
=============================
What an imported class would tell about its boxes, its arguments and its bases, found in the syntax
tree of its module and of those that it imports from:

>>> classes = Classes(Path(__file__).parents[3])
>>> family = classes.family("Kamaelia.Util.Chunkifier", "Chunkifier")
>>> [one.name for one in family][:3]
['Chunkifier', 'MessageLoop', 'component']
>>> list(classes.boxes(family, "Inboxes"))
['inbox', 'control']

Only what is written at the top of a module and of a class is seen: no class that is made in a
function, no box that is added at run time.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument, as it is written. name: with its stars, "*" alone if only names may follow."""

    name: str
    annotation: str = ""
    default: str = ""

    def __str__(self) -> str:
        return (
            self.name
            + (f": {self.annotation}" if self.annotation else "")
            + (f"={self.default}" if self.default else "")
        )


@dataclass(frozen=True, slots=True)
class SourceClass:
    """One class. assigned: what stands in its body, name = value."""

    name: str
    module: str
    docstring: str
    bases: tuple[str, ...]
    assigned: dict[str, ast.expr] = field(repr=False)
    init: Function | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Module:
    classes: dict[str, SourceClass]
    imported: dict[str, str]  # what a name at the top of the module stands for, dotted


class Classes:
    """Classes(root) -> finds classes in the modules below root, and keeps what it has read."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._modules: dict[str, _Module | None] = {}

    def add(self, name: str, tree: ast.Module) -> None:
        """Make a module known that has been parsed already."""
        classes = {
            statement.name: _source_class(name, statement)
            for statement in tree.body
            if isinstance(statement, ast.ClassDef)
        }
        self._modules[name] = _Module(classes, _imported(tree))

    def family(self, module: str, name: str) -> list[SourceClass]:
        """The class and those that it inherits from, the nearest first; those whose source is not
        found are left out."""
        found: dict[tuple[str, str], SourceClass] = {}
        self._collect(module, name, found)
        return list(found.values())

    def boxes(self, family: Sequence[SourceClass], table: str) -> dict[str, str]:
        """Name and text of its boxes. table: Inboxes or Outboxes."""
        boxes: dict[str, str] = {}
        for one in reversed(family):
            if table in one.assigned:
                boxes = _texts(one.assigned[table])
            boxes = {**boxes, **_texts(one.assigned.get(f"Extra{table}"))}
        return boxes

    def arguments(self, family: Sequence[SourceClass]) -> tuple[Argument, ...]:
        """Those of its __init__, or of the one that it inherits, without self."""
        for one in family:
            if one.init is not None:
                return arguments_of(one.init)[1:]
        return ()

    def settings(self, family: Sequence[SourceClass]) -> dict[str, str]:
        """Its public class attributes in small letters, but for those that the engine reads, and
        what is assigned to them."""
        ours = [one for one in family if one.module.partition(".")[0] != "Axon"]
        engine = {name for one in family if one not in ours for name in one.assigned}
        return {
            name: ast.unparse(value)
            for one in reversed(ours)
            for name, value in one.assigned.items()
            if name[0].islower() and name not in engine
        }

    def _collect(self, module: str, name: str, found: dict[tuple[str, str], SourceClass]) -> None:
        known = self._module(module)
        if known is None or (module, name) in found:
            return
        one = known.classes.get(name)
        if one is None:
            where = known.imported.get(name, "")  # it only hands the name on
            if where:
                self._collect(*_halves(where), found)
            return
        found[module, name] = one
        for base in one.bases:
            first, dot, rest = base.partition(".")
            if first in known.imported:
                self._collect(*_halves(known.imported[first] + dot + rest), found)
            else:
                self._collect(module, base, found)

    def _module(self, name: str) -> _Module | None:
        if name not in self._modules:
            self._modules[name] = None
            path = self._root.joinpath(*name.split("."))
            for source in (path.with_suffix(".py"), path / "__init__.py"):
                if source.is_file():
                    self.add(name, ast.parse(source.read_text(encoding="utf-8")))
                    break
        return self._modules[name]


def arguments_of(function: Function) -> tuple[Argument, ...]:
    """What a function takes, self too."""
    given = function.args
    plain = [*given.posonlyargs, *given.args]
    without = len(plain) - len(given.defaults)
    defaults = [None] * without + list(given.defaults)
    arguments = [_argument(*pair) for pair in zip(plain, defaults, strict=True)]
    if given.vararg:
        arguments.append(_argument(given.vararg, None, "*"))
    elif given.kwonlyargs:
        arguments.append(Argument("*"))
    arguments += [
        _argument(*pair) for pair in zip(given.kwonlyargs, given.kw_defaults, strict=True)
    ]
    if given.kwarg:
        arguments.append(_argument(given.kwarg, None, "**"))
    return tuple(arguments)


def function_in(body: Sequence[ast.stmt], name: str) -> Function | None:
    """The function of that name in the body of a module or a class."""
    for statement in body:
        if isinstance(statement, Function) and statement.name == name:
            return statement
    return None


def _argument(given: ast.arg, default: ast.expr | None, stars: str = "") -> Argument:
    return Argument(
        stars + given.arg,
        ast.unparse(given.annotation) if given.annotation else "",
        ast.unparse(default) if default else "",
    )


def _source_class(module: str, written: ast.ClassDef) -> SourceClass:
    assigned: dict[str, ast.expr] = {}
    for statement in written.body:
        if isinstance(statement, ast.Assign):
            names = [target for target in statement.targets if isinstance(target, ast.Name)]
            assigned |= {name.id: statement.value for name in names}
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            assigned |= {statement.target.id: statement.value} if statement.value else {}
    return SourceClass(
        written.name,
        module,
        ast.get_docstring(written) or "",
        tuple(ast.unparse(base) for base in written.bases),
        assigned,
        function_in(written.body, "__init__"),
    )


def _imported(tree: ast.Module) -> dict[str, str]:
    names: dict[str, str] = {}
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            for alias in statement.names:
                names[alias.asname or alias.name] = f"{statement.module}.{alias.name}"
        elif isinstance(statement, ast.Import):
            for alias in statement.names:
                first = alias.name.partition(".")[0]
                names[alias.asname or first] = alias.name if alias.asname else first
    return names


def _halves(dotted: str) -> tuple[str, str]:
    module, _, name = dotted.rpartition(".")
    return module, name


def _texts(table: ast.expr | None) -> dict[str, str]:
    """Name and text of the boxes that a table declares: a dict, or only names."""
    if isinstance(table, ast.Dict):
        pairs = zip(table.keys, table.values, strict=True)
        return {_text(key): _text(value) for key, value in pairs if key is not None}
    if isinstance(table, ast.List | ast.Tuple | ast.Set):
        return {_text(name): "" for name in table.elts}
    return {}


def _text(written: ast.expr) -> str:
    if isinstance(written, ast.Constant) and isinstance(written.value, str):
        return written.value
    return ast.unparse(written)
