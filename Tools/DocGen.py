#!/usr/bin/env python3
"""
Write the reference from the code
=================================
Imports every module of Axon and of the component library and writes one Markdown page for each from
what it finds: docstrings, signatures, and the box tables of components (``type: meaning``)::

    python Tools/DocGen.py            # write the pages anew
    python Tools/DocGen.py --check    # only say which are not as they would be written; exit code 1

The pages are the same on every machine: nothing in them is an address, a date or a number that was
given at run time. Private names are left out; what a class inherits is only named. Applications
(Kamaelia.Apps) are not part of the reference: their parts are promised to nobody, and
Docs/architecture.md shows how they stand together.

DocText.py beside this file makes Markdown of the docstrings.
"""

from __future__ import annotations

import argparse
import ast
import enum
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from types import FunctionType, MemberDescriptorType, ModuleType
from typing import Any

from DocText import cell, markdown, opening, prose, summary, table, title

ROOT = Path(__file__).resolve().parents[1]
MADE = "<!-- Made by Tools/DocGen.py: change the docstrings, and run it again. -->"
TYPED = re.compile(r"(?P<type>[\w.\[\](), |\"'*]+): (?P<meaning>\S.*)", re.DOTALL)
LONGEST_VALUE = 60


@dataclass(frozen=True, slots=True)
class Shelf:
    """One set of pages: what they describe and where they stand."""

    package: str
    folder: str
    title: str
    about: str
    leave_out: tuple[str, ...] = ()


SHELVES = (
    Shelf(
        "Axon",
        "Docs/axon/reference",
        "Reference of Axon",
        "The engine, module by module. To learn it, begin with [the concepts](../README.md).",
    ),
    Shelf(
        "Kamaelia",
        "Docs/kamaelia/reference",
        "Reference of the component library",
        "What is there to be wired together. How components work is told in "
        "[the concepts](../../axon/README.md).",
        ("Kamaelia.Apps",),
    ),
)


# ---- what is in a module


def module_names(shelf: Shelf) -> list[str]:
    """Every public module of the shelf's package, alphabetically, the package itself first."""
    found = []
    for path in (ROOT / shelf.package).rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[-1] == "__init__" and len(parts) > 2:
            continue  # packages inside export nothing
        name = ".".join(part for part in parts if part != "__init__")
        private = any(part.startswith("_") for part in name.split("."))
        if not private and not name.startswith(shelf.leave_out or ("\0",)):
            found.append(name)
    return sorted(found, key=lambda name: (name.count(".") > 0, name.lower()))


def is_public(name: str) -> bool:
    return not name.startswith("_")


def own(module: ModuleType, kind: type | tuple[type, ...]) -> dict[str, Any]:
    """The public things of a kind that a module defines, not those that it imports."""
    return {
        name: item
        for name, item in vars(module).items()
        if is_public(name)
        and isinstance(item, kind)
        and getattr(item, "__module__", None) == module.__name__
        and (
            kind is not type or getattr(item, "__name__", "") == name
        )  # another name of a class is a value
    }


def assignments(module: ModuleType) -> dict[str, str]:
    """The public names that a module assigns at its top level, and the source of their values."""
    source = inspect.getsource(module)
    found: dict[str, str] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign):
            targets: list[ast.expr] = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        else:
            continue
        value = ast.get_source_segment(source, node.value) if node.value else None
        for target in targets:
            for name in ast.walk(target):
                if isinstance(name, ast.Name) and is_public(name.id):
                    found[name.id] = value or ""
    return {name: value for name, value in found.items() if name not in ("log", "__all__")}


class _Text:
    """Stands in a signature for something whose repr would show an address or a module's path."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def type_text(annotation: object) -> str:
    if isinstance(annotation, str):
        text = annotation
    elif isinstance(annotation, type) and not hasattr(annotation, "__args__"):
        text = annotation.__qualname__
    else:
        text = str(annotation)
    return re.sub(r"\b(?:[a-zA-Z_]\w*\.)+(?=[A-Za-z_])", "", text).replace("NoneType", "None")


def value_text(value: object) -> str:
    """A default as it would be written, or dots where that cannot be told shortly."""
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, type | FunctionType) or inspect.isbuiltin(value):
        return str(value.__name__)
    if isinstance(value, set | frozenset):
        inner = ", ".join(sorted(map(value_text, value)))
        return f"{{{inner}}}" if inner else f"{type(value).__name__}()"
    text = repr(value)
    plain = isinstance(value, bool | int | float | str | bytes | tuple | list | dict | None)
    return text if plain and len(text) <= LONGEST_VALUE and " at 0x" not in text else "..."


def signature(function: Callable[..., object], *, bound: bool) -> str:
    try:
        found = inspect.signature(function)
    except (ValueError, TypeError):
        return "(...)"
    parameters = []
    for parameter in list(found.parameters.values())[int(bound) :]:
        if parameter.default is not parameter.empty:
            parameter = parameter.replace(default=_Text(value_text(parameter.default)))
        if parameter.annotation is not parameter.empty:
            parameter = parameter.replace(annotation=_Text(type_text(parameter.annotation)))
        parameters.append(parameter)
    result = found.return_annotation
    if result is not found.empty:
        result = _Text(type_text(result))
    return str(found.replace(parameters=parameters, return_annotation=result))


# ---- pages


class Writer:
    """Writer(shelves) -> pages(): path under the root -> text."""

    def __init__(self, shelves: Sequence[Shelf] = SHELVES) -> None:
        self._shelves = shelves
        self._names = {shelf: module_names(shelf) for shelf in shelves}
        self._page_of = {
            name: f"{shelf.folder}/{self._file(shelf, name)}"
            for shelf in shelves
            for name in self._names[shelf]
        }

    @staticmethod
    def _file(shelf: Shelf, name: str) -> str:
        return f"{name.removeprefix(shelf.package).removeprefix('.') or shelf.package}.md"

    def pages(self) -> dict[str, str]:
        made = {}
        for shelf in self._shelves:
            modules = [importlib.import_module(name) for name in self._names[shelf]]
            made[f"{shelf.folder}/README.md"] = self._index(shelf, modules)
            for module in modules:
                page = self._page_of[module.__name__]
                made[page] = "\n\n".join(part for part in self._module(module) if part) + "\n"
        return made

    def _link(self, item: type, page: str) -> str:
        """The name of a class, as a link from `page` if there is a place to link to."""
        target = self._page_of.get(item.__module__)
        if target is None or not is_public(item.__name__):
            return f"`{item.__name__}`"
        anchor = f"#{item.__name__.lower()}"
        if target == page:
            return f"[`{item.__name__}`]({anchor})"
        up = "../" * (page.count("/") - _common(page, target))
        down = "/".join(target.split("/")[_common(page, target) :])
        return f"[`{item.__name__}`]({up}{down}{anchor})"

    def _index(self, shelf: Shelf, modules: list[ModuleType]) -> str:
        page = f"{shelf.folder}/README.md"
        parts = [f"# {shelf.title}", MADE, shelf.about]
        offered = [row for module in modules for row in self._offers(module, page)]
        if offered:
            parts += ["## Components", table(["Component", "What it does"], offered)]
        rows = [
            [f"[{module.__name__}]({self._file(shelf, module.__name__)})", cell(title(module))]
            for module in modules
        ]
        parts += ["## Modules", table(["Module", "What it is"], rows)]
        return "\n\n".join(parts) + "\n"

    def _offers(self, module: ModuleType, page: str) -> Iterator[list[str]]:
        listed = getattr(module, "__kamaelia_components__", ())
        for item in (*listed, *getattr(module, "__kamaelia_prefabs__", ())):
            yield [self._link(item, page), cell(summary(item) or title(module))]

    def _module(self, module: ModuleType) -> Iterator[str]:
        page = self._page_of[module.__name__]
        yield f"# {module.__name__}"
        yield MADE
        first, rest = opening(module)
        yield f"**{prose(first)}**"
        yield markdown(rest, 2)
        yield from self._also(module, page)
        for item in own(module, type).values():
            yield from self._class(item, page)
        functions = own(module, FunctionType)
        prefabs = getattr(module, "__kamaelia_prefabs__", ())
        for name, item in functions.items():
            if item in prefabs:  # they have a heading each: the catalogue points to it
                yield f"## {name}"
                yield from described(name, item, bound=False)
        if not set(functions.values()) <= set(prefabs):
            yield "## Functions"
        for name, item in functions.items():
            if item not in prefabs:
                yield from described(name, item, bound=False)
        yield from self._values(module)

    def _also(self, module: ModuleType, page: str) -> Iterator[str]:
        """What may be imported from here and is at home elsewhere."""
        names = [
            (name, item)
            for name in getattr(module, "__all__", ())
            if getattr(item := getattr(module, name), "__module__", None) != module.__name__
            and isinstance(item, type)
        ]
        if names:
            listed = ", ".join(self._link(item, page) for _, item in sorted(names))
            yield f"Also to be imported from here: {listed}."

    def _values(self, module: ModuleType) -> Iterator[str]:
        defined = {**own(module, type), **own(module, FunctionType)}
        rows = []
        for name, source in assignments(module).items():
            one_line = " ".join(source.split())
            if name not in defined or defined[name].__name__ != name:
                text = one_line if len(one_line) <= LONGEST_VALUE else "..."
                rows.append([f"`{name}`", f"`{text}`".replace("|", "\\|") if text else ""])
        if rows:
            yield "## Values"
            yield table(["Name", "Value"], rows)

    def _class(self, item: type, page: str) -> Iterator[str]:
        yield f"## {item.__name__}"
        bases = [base for base in item.__bases__ if base is not object and is_public(base.__name__)]
        head = f"`class {item.__name__}{constructor(item)}`".replace(" -> None", "")
        if bases:
            head += ", a " + " and ".join(self._link(base, page) for base in bases)
        yield head
        text = item.__doc__ or ""
        if text and not (
            is_dataclass(item) and text.startswith(f"{item.__name__}(") and "->" not in text
        ):
            yield markdown(text, 4)
        yield from boxes(item)
        if issubclass(item, enum.Enum):
            rows = [
                [f"`{name}`", f"`{member.value!r}`"] for name, member in item.__members__.items()
            ]
            yield table(["Member", "Value"], rows)
            return
        yield from settings(item)
        for name, member in members(item).items():
            yield from described(name, member, bound=True)
        yield from self._inherited(item, page)

    def _inherited(self, item: type, page: str) -> Iterator[str]:
        seen = set(members(item)) | set(vars(item))
        parts = []
        for base in item.__mro__[1:]:
            names = [name for name in members(base) if name not in seen]
            seen.update(names)
            if base.__module__ not in self._page_of or not is_public(base.__name__):
                continue
            if names:
                listed = ", ".join(f"`{name}`" for name in names)
                everything = _is_engine(base) and not _is_engine(item)
                parts.append(
                    f"all of {self._link(base, page)}"
                    if everything
                    else f"{listed} from {self._link(base, page)}"
                )
            if parts and _is_engine(base) and not _is_engine(item):
                break  # the engine's own pages say what that class has from others
        if parts:
            yield "Inherited: " + "; ".join(parts) + "."


def _is_engine(item: type) -> bool:
    return item.__module__.partition(".")[0] == "Axon"


def _common(one: str, other: str) -> int:
    """How many leading folders two paths share."""
    folders = zip(one.split("/")[:-1], other.split("/")[:-1], strict=False)
    return next((at for at, (a, b) in enumerate(folders) if a != b), one.count("/"))


def constructor(item: type) -> str:
    """The arguments of a class, nothing if it brings none of its own."""
    if issubclass(item, enum.Enum) or getattr(item, "_is_protocol", False):
        return ""
    for made_by in (inspect.getattr_static(item, name) for name in ("__init__", "__new__")):
        if isinstance(made_by, FunctionType):
            return signature(made_by, bound=True)
    return ""


def boxes(item: type) -> Iterator[str]:
    """The box tables of a component, as the class sees them."""
    for kind in ("Inboxes", "Outboxes"):
        declared: Any = getattr(item, kind, None)
        if declared is None or inspect.isroutine(declared):
            continue
        texts = dict(declared) if isinstance(declared, dict) else dict.fromkeys(declared, "")
        rows = []
        for name, text in texts.items():
            typed = None if "(" in name else TYPED.fullmatch(text)
            parts = [typed["type"], typed["meaning"]] if typed else ["", text]
            rows.append([f"`{name}`", *(cell(part) for part in parts)])
        if rows:
            yield table([kind.removesuffix("es"), "Type", "Meaning"], rows)


def members(item: type) -> dict[str, object]:
    """Public methods and properties of a class, with those of its private bases, which are a
    matter of how it is written."""
    found: dict[str, object] = {}
    for base in [item, *_private_bases(item)]:
        for name, member in vars(base).items():
            known = isinstance(member, FunctionType | classmethod | staticmethod | property)
            if known and is_public(name) and name not in found:
                found[name] = member
    main = found.get("main")
    if isinstance(main, FunctionType) and not main.__doc__:
        del found["main"]  # every component has one
    return found


def _private_bases(item: type) -> list[type]:
    return [
        base
        for base in item.__mro__[1:]
        if not is_public(base.__name__)
        and base.__module__.partition(".")[0] not in sys.stdlib_module_names
    ]


def settings(item: type) -> Iterator[str]:
    """Class attributes with a value, and the attributes that instances have."""
    rows, slots = [], []
    for name, value in vars(item).items():
        if not is_public(name) or name in ("Inboxes", "Outboxes", "ExtraInboxes", "ExtraOutboxes"):
            continue
        if isinstance(value, MemberDescriptorType):
            slots.append(name)
        elif not callable(value) and not isinstance(value, classmethod | staticmethod | property):
            rows.append([f"`{name}`", f"`{value_text(value)}`".replace("|", "\\|")])
    if is_dataclass(item):
        return
    if rows:
        yield table(["Class attribute", "Value"], rows)
    if slots:
        yield "Attributes: " + ", ".join(f"`{name}`" for name in slots) + "."


def described(name: str, member: object, *, bound: bool) -> Iterator[str]:
    """A function, method or property: how it is called, and its docstring."""
    kind = ""
    if isinstance(member, property):
        result = inspect.signature(member.fget).return_annotation if member.fget else None
        known = result not in (None, inspect.Signature.empty)
        head = f"{name}{': ' + type_text(result) if known else ''}"
        kind = " (property)" if member.fset is None else " (property, may be set)"
    elif isinstance(member, classmethod):
        head, kind = name + signature(member.__func__, bound=True), " (class method)"
    elif isinstance(member, staticmethod):
        head, kind = name + signature(member.__func__, bound=False), " (static method)"
    elif isinstance(member, FunctionType):
        head = name + signature(member, bound=bound)
        if member.__name__ != name:
            yield f"**`{name}`**: another name of `{member.__name__}`"
            return
    yield f"**`{head}`**{kind}"
    text = getattr(member, "__doc__", None)
    if text:
        yield markdown(text, 5)


# ---- the command line


def stale(pages: dict[str, str], root: Path, shelves: Sequence[Shelf] = SHELVES) -> list[str]:
    """The pages that are not as they would be written, are not there, or are too many."""
    there = {
        str(path.relative_to(root))
        for shelf in shelves
        for path in (root / shelf.folder).glob("*.md")
    }
    wrong = [
        name
        for name, text in pages.items()
        if name not in there or (root / name).read_text(encoding="utf-8") != text
    ]
    return sorted({*wrong, *(there - pages.keys())})


def write(pages: dict[str, str], root: Path, names: Sequence[str]) -> None:
    for name in names:
        path = root / name
        if name in pages:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(pages[name], encoding="utf-8")
        else:
            path.unlink()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write Docs/*/reference from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if pages are stale")
    options = parser.parse_args(arguments)
    pages = Writer().pages()
    names = stale(pages, ROOT)
    if not options.check:
        write(pages, ROOT, names)
    for name in names:
        print(name, "is stale" if options.check else "written" if name in pages else "removed")
    return 1 if options.check and names else 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
