"""
Every promised name of the original is there, spelt as it was.

Test/Compat/names.txt lists them; its head explains the four forms of a line. The tests of one
section fail apart from those of others, and name the section of the contract.
"""

import builtins
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

NAMES = Path(__file__).parent / "Compat" / "names.txt"
STAR = re.compile(r"from ([\w.]+) import \*: (\w+)")
CALL = re.compile(r"([\w.]+)\((\w+(?:, \w+)*)\)")
FORM = re.compile(r"[\w.]+(\(\))?[\w.]*(\(\)\.\w+)*")


@dataclass(frozen=True, slots=True)
class Promise:
    """One line of the list."""

    section: str
    text: str


def _instance(kind: Callable[..., object]) -> object:
    """One of what is called, made the way a program would make it."""
    arguments: dict[str, tuple[object, ...]] = {
        "notify": (None, "payload"),
        "WaitComplete": (iter(()),),
        "reactivate": (None,),
        "wouldblock": (None,),
        "errorInformation": (None,),
        "makeInbox": (_nothing,),
        "makeOutbox": (_nothing,),
    }
    if kind.__name__ == "linkage":
        component = importlib.import_module("Axon.Component").component
        return kind(component(), component())
    if kind.__name__ == "Value":
        return importlib.import_module("Axon.STM").Store().usevar("key")
    return kind(*arguments.get(kind.__name__, ()))


def _nothing() -> None:
    """What the original's boxes call when a message comes."""


def promises(text: str) -> list[Promise]:
    section, found = "", []
    for line in text.splitlines():
        if line.startswith("# == "):
            section = line.removeprefix("# == ")
        elif line and not line.startswith("#"):
            found.append(Promise(section, line))
    return found


def find(path: str) -> object:
    """What a dotted path leads to: modules as far as they go, attributes from there on; `name()`
    is an instance of it."""
    first, *rest = path.split(".")
    found: object = importlib.import_module(first)
    at = first
    for part in rest:
        name = part.removesuffix("()")
        at = f"{at}.{name}"
        if isinstance(found, ModuleType) and not hasattr(found, name):
            try:
                found = importlib.import_module(at)
            except ModuleNotFoundError as missing:
                if missing.name != at:
                    raise
                raise AttributeError(f"there is no {at}") from None
        else:
            found = getattr(found, name)
        if part.endswith("()"):
            found = _instance(found) if callable(found) else None
    return found


def missing_argument(function: object, wanted: list[str]) -> str | None:
    """The first argument that cannot be given by its name, or does not stand in its order.

    A component takes any keyword, and makes an attribute of it: then the class must have one of
    that name, as the setting's default."""
    assert callable(function)
    known = inspect.signature(function).parameters
    takes_any = isinstance(function, type) and any(
        parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()
    )
    for name in wanted:
        if name not in known and not (takes_any and hasattr(function, name)):
            return name
    named = [name for name in wanted if name in known]
    order = [name for name in known if name in named]
    return next((one for one, other in zip(named, order, strict=True) if one != other), None)


def complaint(promise: str) -> str | None:
    if star := STAR.fullmatch(promise):
        space: dict[str, object] = {}
        exec(f"from {star[1]} import *", space)  # noqa: S102 - the only way to try a star import
        return None if star[2] in space else "the star import does not bring it"
    if call := CALL.fullmatch(promise):
        wanted = missing_argument(find(call[1]), call[2].split(", "))
        return f"no argument {wanted} there" if wanted else None
    try:
        find(promise)
    except AttributeError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    "promise", promises(NAMES.read_text(encoding="utf-8")), ids=lambda promise: promise.text
)
def test_a_promised_name_is_there(promise: Promise) -> None:
    try:
        wrong = complaint(promise.text)
    except (ImportError, AttributeError) as error:
        wrong = str(error)
    assert wrong is None, f"{promise.text}, promised by section {promise.section}: {wrong}"


def test_import_axon_alone_brings_the_modules() -> None:
    """In a process of its own: in this one somebody has imported them all by now."""
    listed = promises(NAMES.read_text(encoding="utf-8"))
    names = [
        promise.text.removeprefix("Axon.")
        for promise in listed
        if promise.section.startswith("3.0") and promise.text.count(".") == 1
    ]
    program = f"import Axon; print([name for name in {names} if not hasattr(Axon, name)])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=NAMES.parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("[]\n", ""), "not there after `import Axon` alone"


def test_every_line_has_one_of_the_four_forms_and_a_section_and_stands_once() -> None:
    listed = promises(NAMES.read_text(encoding="utf-8"))
    assert [
        promise
        for promise in listed
        if not promise.section
        or not (
            STAR.fullmatch(promise.text)
            or CALL.fullmatch(promise.text)
            or FORM.fullmatch(promise.text)
        )
    ] == []
    texts = [promise.text for promise in listed]
    assert sorted({text for text in texts if texts.count(text) > 1}) == []


@pytest.mark.parametrize(
    "wrong",
    [
        "Axon.NoSuchModule",
        "Axon.Component.Component",
        "Axon.Ipc.producerFinished().sender",
        "Axon.Ipc.wouldblock(sender)",
        "Axon.Ipc.errorInformation(exception, caller)",
        "Axon.ThreadedComponent.threadedcomponent(queue_lengths)",
        "from Axon.Ipc import *: component",
        f"{builtins.__name__}.no_such_builtin",
    ],
)
def test_a_name_that_is_not_there_is_caught(wrong: str) -> None:
    with pytest.raises(AssertionError):
        test_a_promised_name_is_there(Promise("0", wrong))
