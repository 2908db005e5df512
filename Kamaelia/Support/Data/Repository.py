"""
A catalogue of components
=========================
Which components and prefabs there are, and what is to be known of each to use it: read from the
source of the modules, none of which is imported. So it may be asked about modules that need what
is not installed, or that do something when they are imported.

>>> GetAllKamaeliaComponents()["Kamaelia", "Util", "Chunkifier"]
['Chunkifier']
>>> GetAllKamaeliaComponentsNested()["Kamaelia"]["Util"]["Chunkifier"]
['Chunkifier']

>>> folder = Path(__file__).parents[2]
>>> module = ModuleDoc("Kamaelia.Util.Chunkifier", folder / "Util" / "Chunkifier.py")
>>> chunkifier = module.components[0]
>>> [str(argument) for argument in chunkifier.arguments]
['chunksize: int=1048576', 'nodelay: bool=False', '**attributes: object']
>>> chunkifier.inboxes["inbox"]
'bytes: cut anywhere'

A module says what it offers by ``__kamaelia_components__`` and ``__kamaelia_prefabs__``. Boxes,
arguments and settings (class attributes, which keyword arguments override) are also those that a
class inherits, as far as the source of its bases can be found beside it.
"""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from Kamaelia.Support.Data.SourceClasses import Argument, Classes, arguments_of, function_in

Listing = dict[tuple[str, ...], list[str]]
NestedListing: TypeAlias = "dict[str, NestedListing | list[str]]"

log = logging.getLogger(__name__)

COMPONENTS, PREFABS = "__kamaelia_components__", "__kamaelia_prefabs__"


@dataclass(frozen=True, slots=True)
class ComponentDoc:
    """A component class. inboxes, outboxes: names and texts. settings: names and, as it is written
    in the source, what they are by default."""

    name: str
    docstring: str
    inboxes: dict[str, str]
    outboxes: dict[str, str]
    arguments: tuple[Argument, ...]
    settings: dict[str, str]


@dataclass(frozen=True, slots=True)
class PrefabDoc:
    """A function that makes a component of others."""

    name: str
    docstring: str
    arguments: tuple[Argument, ...]


class ModuleDoc:
    """ModuleDoc(name, path) -> what the module of that name, whose source is there, offers:
    docstring, components and prefabs.

    Raises OSError, SyntaxError or ValueError if the source cannot be read."""

    def __init__(self, name: str, path: str | Path) -> None:
        self.name = name
        self.path = Path(path)
        tree = ast.parse(self.path.read_text(encoding="utf-8"))
        self.docstring = ast.get_docstring(tree) or ""
        parts = len(name.split(".")) + (self.path.name == "__init__.py")
        classes = Classes(self.path.resolve().parents[parts - 1])
        classes.add(name, tree)
        self.components = tuple(
            _component(classes, name, component) for component in _names(tree, COMPONENTS)
        )
        self.prefabs = tuple(_prefab(tree, prefab) for prefab in _names(tree, PREFABS))


def _component(classes: Classes, module: str, name: str) -> ComponentDoc:
    family = classes.family(module, name)
    return ComponentDoc(
        name,
        (family[0].docstring if family else ""),
        classes.boxes(family, "Inboxes"),
        classes.boxes(family, "Outboxes"),
        classes.arguments(family),
        classes.settings(family),
    )


def _prefab(tree: ast.Module, name: str) -> PrefabDoc:
    function = function_in(tree.body, name)
    if function is None:  # made by a call, perhaps
        return PrefabDoc(name, "", ())
    return PrefabDoc(name, ast.get_docstring(function) or "", arguments_of(function))


def _names(tree: ast.Module, table: str) -> list[str]:
    """The names in such a tuple at the top of a module."""
    for statement in tree.body:
        if (
            isinstance(statement, ast.Assign)
            and any(
                isinstance(target, ast.Name) and target.id == table for target in statement.targets
            )
            and isinstance(statement.value, ast.Tuple | ast.List)
        ):
            return [item.id for item in statement.value.elts if isinstance(item, ast.Name)]
    return []


# ---- listings


def GetAllKamaeliaComponents(folder: Path | None = None) -> Listing:  # noqa: N802 - the original's
    """Module, as a tuple of its names -> the names of its components; of the package in folder, by
    default this library's."""
    return _listing(COMPONENTS, folder)


def GetAllKamaeliaPrefabs(folder: Path | None = None) -> Listing:  # noqa: N802 - the original's
    """Module, as a tuple of its names -> the names of its prefabs."""
    return _listing(PREFABS, folder)


def GetAllKamaeliaComponentsNested(  # noqa: N802 - the original's name
    folder: Path | None = None,
) -> NestedListing:
    """Package -> package -> ... -> module -> the names of its components."""
    return _nested(_listing(COMPONENTS, folder))


def GetAllKamaeliaPrefabsNested(  # noqa: N802 - the original's name
    folder: Path | None = None,
) -> NestedListing:
    """Package -> package -> ... -> module -> the names of its prefabs."""
    return _nested(_listing(PREFABS, folder))


def _listing(table: str, folder: Path | None) -> Listing:
    folder = Path(__file__).parents[2] if folder is None else folder
    return {module: names for module, names in _modules(table, folder) if names}


def _modules(table: str, folder: Path) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder.parent).with_suffix("").parts
        module = parts[:-1] if parts[-1] == "__init__" else parts
        try:
            source = path.read_text(encoding="utf-8")
            # Most of the time is for parsing.
            yield module, _names(ast.parse(source), table) if table in source else []
        except (OSError, SyntaxError, ValueError) as error:
            log.warning("%s is not in the catalogue: %s", path, error)


def _nested(listing: Listing) -> NestedListing:
    nested: NestedListing = {}
    for (*packages, module), names in listing.items():
        inner = nested
        for package in packages:
            below = inner.setdefault(package, {})
            if isinstance(below, list):  # the package itself offers something, too
                below = inner[package] = {"__init__": below}
            inner = below
        inner[module] = names
    return nested
