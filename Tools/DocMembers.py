"""
What the reference says of one class or function
================================================
How it is called, its boxes, its settings, its methods: the parts of a page that Tools/DocGen.py
puts together. Everything is taken from the object itself, and written so that it is the same on
every machine: no addresses, no module paths in types, dots where a default cannot be told shortly.

Example Usage
-------------
::

    from DocMembers import boxes

    from Axon.Component import component

    print("\\n".join(boxes(component)))
"""

from __future__ import annotations

import enum
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from types import FunctionType, MemberDescriptorType
from typing import Any

from DocText import cell, markdown, table

TYPED = re.compile(r"(?P<type>[\w.\[\](), |\"'*]+): (?P<meaning>\S.*)", re.DOTALL)
LONGEST_VALUE = 60


def is_public(name: str) -> bool:
    return not name.startswith("_")


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
        yield markdown(text, 3)
