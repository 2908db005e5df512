#!/usr/bin/env python3
"""
Write the reference from the code
=================================
Imports every module of Axon and of the component library and writes one Markdown page for each from
what it finds: docstrings, signatures, and the box tables of components (``type: meaning``)::

    python Tools/DocGen.py            # write the pages anew
    python Tools/DocGen.py --check    # only say which are not as they would be written; exit code 1

The pages are the same on every machine: nothing in them is an address, a date or a number that was
given at run time. Private names are left out; what a class inherits is only named. The application
Kamaelia.Apps.Grey is not part of the reference: its parts are promised to nobody, and
Docs/architecture.md shows how they stand together.

The components of the library have pictures, drawn from their boxes and their examples and laid out
by Graphviz (``dot``, which is needed only to draw anew what has changed).

Beside this file: DocText.py makes Markdown of the docstrings, DocMembers.py says what there is to
say of a class, DocPurpose.py sorts the catalogue, DocPictures.py draws, and DocScenes.py has the
pictures of the other documents.
"""

from __future__ import annotations

import argparse
import ast
import enum
import importlib
import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

if __name__ == "__main__":  # in a checkout it need not be installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from DocMembers import (
    LONGEST_VALUE,
    boxes,
    constructor,
    described,
    is_public,
    members,
    settings,
)
from DocPictures import FOLDER, of_component, of_example, with_picture
from DocPurpose import Purpose, purpose
from DocScenes import SCENES
from DocText import cell, markdown, opening, prose, summary, table, title
from DotText import Drawing
from Svg import GraphvizError, key, key_of, picture

ROOT = Path(__file__).resolve().parents[1]
MADE = "<!-- Made by Tools/DocGen.py: change the docstrings, and run it again. -->"


@dataclass(frozen=True, slots=True)
class Shelf:
    """One set of pages: what they describe and where they stand."""

    package: str
    folder: str
    title: str
    about: str
    leave_out: tuple[str, ...] = ()
    pictures: bool = False


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
        ("Kamaelia.Apps.Grey",),
        pictures=True,
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


# ---- pages


class Writer:
    """Writer(shelves) -> pages(): path under the root -> text; then also pictures: path -> drawing,
    for those pages."""

    def __init__(self, shelves: Sequence[Shelf] = SHELVES) -> None:
        self._shelves = shelves
        self.pictures: dict[str, Drawing] = {}
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
        parts += self._catalogue(modules, page)
        rows = [
            [f"[{module.__name__}]({self._file(shelf, module.__name__)})", cell(title(module))]
            for module in modules
        ]
        parts += ["## Modules", table(["Module", "What it is"], rows)]
        return "\n\n".join(parts) + "\n"

    def _catalogue(self, modules: list[ModuleType], page: str) -> Iterator[str]:
        """All components by what they are for."""
        rows: dict[Purpose, list[list[str]]] = {kind: [] for kind in Purpose}
        for module in modules:
            for item in offered(module):
                text = cell(summary(item) or title(module))
                rows[purpose(item)].append([self._link(item, page), text])
        if any(rows.values()):
            yield "## Components"
        for kind, found in rows.items():
            if found:
                yield f"### {kind.title}"
                yield f"{kind.about[0].upper()}{kind.about[1:]}."
                yield table(["Component", "What it does"], found)

    def _image(self, page: str, name: str, drawing: Drawing | None) -> str:
        """The line that shows a picture, which is remembered; nothing if there is none."""
        if drawing is None:
            return ""
        self.pictures[f"{page.rpartition('/')[0]}/{FOLDER}/{name}.svg"] = drawing
        return f"![{drawing.title}]({FOLDER}/{name}.svg)"

    def _module(self, module: ModuleType) -> Iterator[str]:
        page = self._page_of[module.__name__]
        yield f"# {module.__name__}"
        yield MADE
        first, rest = opening(module)
        yield f"**{prose(first)}**"
        with_pictures = any(
            shelf.pictures and page.startswith(shelf.folder) for shelf in self._shelves
        )
        text, name = markdown(rest, 2), page.rpartition("/")[2].removesuffix(".md")
        if with_pictures and offered(module):
            image = self._image(page, f"{name}.example", of_example(module))
            text = with_picture(text, image) if image else text
        yield text
        yield from self._also(module, page)
        for item in own(module, type).values():
            shown = with_pictures and item in offered(module)
            drawing = of_component(item) if shown else None
            yield from self._class(
                item, page, self._image(page, f"{name}.{item.__name__}", drawing)
            )
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

    def _class(self, item: type, page: str, image: str = "") -> Iterator[str]:
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
            yield markdown(text, 3)
        if image:
            yield image
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


def offered(module: ModuleType) -> tuple[Any, ...]:
    """The components and prefabs that a module lists."""
    return (
        *getattr(module, "__kamaelia_components__", ()),
        *getattr(module, "__kamaelia_prefabs__", ()),
    )


def _is_engine(item: type) -> bool:
    return item.__module__.partition(".")[0] == "Axon"


def _common(one: str, other: str) -> int:
    """How many leading folders two paths share."""
    folders = zip(one.split("/")[:-1], other.split("/")[:-1], strict=False)
    return next((at for at, (a, b) in enumerate(folders) if a != b), one.count("/"))


# ---- the command line


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def stale(
    pages: Mapping[str, str],
    root: Path,
    shelves: Sequence[Shelf] = SHELVES,
    pictures: Mapping[str, Drawing] | None = None,
) -> list[str]:
    """The pages and pictures that are not as they would be written, are not there, or are too
    many. Of a picture its key is compared: layouts differ from one Graphviz to the next."""
    drawings = pictures or {}
    there = {
        str(path.relative_to(root))
        for shelf in shelves
        for pattern in ("*.md", f"{FOLDER}/*.svg")
        for path in (root / shelf.folder).glob(pattern)
    }
    wrong = [name for name, text in pages.items() if _read(root / name) != text]
    wrong += [
        name
        for name, drawing in drawings.items()
        if key_of(_read(root / name) or "") != key(drawing)
    ]
    return sorted({*wrong, *(there - pages.keys() - drawings.keys())})


def write(
    pages: Mapping[str, str],
    root: Path,
    names: Sequence[str],
    pictures: Mapping[str, Drawing] | None = None,
) -> None:
    """Write those of the pages and pictures, and remove what is neither. Raises GraphvizError."""
    drawings = pictures or {}
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name in pages:
            path.write_text(pages[name], encoding="utf-8")
        elif name in drawings:
            path.write_text(picture(drawings[name]), encoding="utf-8")
        else:
            path.unlink()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write Docs/*/reference from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if pages are stale")
    options = parser.parse_args(arguments)
    writer = Writer()
    pages = writer.pages()
    pictures = {**writer.pictures, **{path: draw() for path, draw in SCENES.items()}}
    names = stale(pages, ROOT, pictures=pictures)
    if not options.check:
        try:
            write(pages, ROOT, names, pictures)
        except GraphvizError as error:
            print(f"DocGen: {error}", file=sys.stderr)
            return 1
    kept = {*pages, *pictures}
    for name in names:
        print(name, "is stale" if options.check else "written" if name in kept else "removed")
    return 1 if options.check and names else 0


if __name__ == "__main__":
    sys.exit(main())
