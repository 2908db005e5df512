"""
Every component of the library can be found, is explained by its boxes, and has a test.

Catalogues and tools find components by the module's ``__kamaelia_components__``, and show a box by
the text beside its name in the class: ``type: meaning``. How each of them ends stands in the table
``SHUTDOWN`` of its test file, and is played here (see Test/Kamaelia/shutdown.py).
"""

import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

from Axon.Component import component
from Test.Kamaelia.shutdown import Ends, play, plays

ROOT = Path(__file__).resolve().parent.parent

# `bytes: from the socket`, `PolicyRequest | None: ...`, `list[Query]: ...`, `(host, port): ...`
TYPED = re.compile(r"[\w.\[\](), |\"']+: \S")
# Shutdown boxes are all of one type, so their texts name the messages themselves.
SHUTDOWN = re.compile(r"producerFinished|shutdownMicroprocess|the shutdown\b")


def module_names() -> list[str]:
    paths = sorted((ROOT / "Kamaelia").rglob("*.py"))
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in paths
        if not path.name.startswith("__")
    ]


def components_in(module: ModuleType) -> list[type[component]]:
    """The public component classes that a module defines, not those that it imports."""
    return [
        item
        for name, item in vars(module).items()
        if inspect.isclass(item)
        and issubclass(item, component)
        and item.__module__ == module.__name__
        and name == item.__name__  # an older name of it is no other component
        and not name.startswith("_")
    ]


def complaints_about(module: ModuleType) -> list[str]:
    found = components_in(module)
    listed = getattr(module, "__kamaelia_components__", ())
    if not isinstance(listed, tuple):
        return [f"{module.__name__}.__kamaelia_components__ is not a tuple"]
    return [
        *(
            f"{item.__name__} is not in __kamaelia_components__"
            for item in found
            if item not in listed
        ),
        *(f"{item!r} is listed and not defined here" for item in listed if item not in found),
        *(text for item in found for text in complaints_about_boxes(item)),
    ]


def complaints_about_boxes(item: type[component]) -> list[str]:
    complaints = []
    for table in ("Inboxes", "Outboxes"):
        boxes = vars(item).get(table)  # inherited boxes were judged where they are declared
        if boxes is None:
            continue
        if not isinstance(boxes, dict):
            complaints.append(f"{item.__name__}.{table} gives no texts")
            continue
        for name, text in boxes.items():
            shutdown = name in ("control", "signal") and SHUTDOWN.search(text)
            if not shutdown and not TYPED.match(text):
                complaints.append(
                    f"{item.__name__}.{table}[{name!r}] is not `type: meaning`: {text}"
                )
    return complaints


@pytest.mark.parametrize("name", module_names())
def test_components_are_listed_and_their_boxes_explained(name: str) -> None:
    assert complaints_about(importlib.import_module(name)) == []


@pytest.mark.parametrize("name", module_names())
def test_a_module_with_components_has_a_test_of_its_own(name: str) -> None:
    if components_in(importlib.import_module(name)):
        *folders, last = name.split(".")
        assert ROOT.joinpath("Test", *folders, f"test_{last}.py").is_file()


def shutdown_table(name: str) -> dict[type[component], Ends]:
    """What the test file of a module says about the ends of its components."""
    *folders, last = name.split(".")
    if not ROOT.joinpath("Test", *folders, f"test_{last}.py").is_file():
        return {}
    tests = importlib.import_module(".".join(["Test", *folders, f"test_{last}"]))
    table: dict[type[component], Ends] = getattr(tests, "SHUTDOWN", {})
    return table


LIBRARY = [name for name in module_names() if not name.startswith("Kamaelia.Apps.Grey")]
SCENES = [
    pytest.param(scene, ends, id=f"{name}.{item.__name__}-{scene}")
    for name in LIBRARY
    for item, ends in shutdown_table(name).items()
    for scene in plays(ends)
]


@pytest.mark.parametrize("name", LIBRARY)
def test_every_component_of_the_library_says_how_it_ends(name: str) -> None:
    components = components_in(importlib.import_module(name))
    assert sorted(item.__name__ for item in components) == sorted(
        item.__name__ for item in shutdown_table(name)
    )


@pytest.mark.parametrize(("scene", "ends"), SCENES)
def test_a_component_ends_as_it_says(scene: str, ends: Ends) -> None:
    play(scene, ends)


class Good(component):
    """What a component should look like."""

    Inboxes = {
        "inbox": "bytes: from the socket, sliced anywhere",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "PolicyRequest | None: one per request, in order",
        "signal": "the shutdown that came in, or producerFinished after a bad request",
    }


class Untexted(component):
    Inboxes = ["inbox", "control"]


class Vague(component):
    Outboxes = {"outbox": "where the data goes", "signal": "see above"}


def module_of(*items: type[component], listed: object) -> ModuleType:
    module = ModuleType(__name__)
    vars(module).update({item.__name__: item for item in items})
    vars(module)["__kamaelia_components__"] = listed
    return module


def test_a_good_component_passes() -> None:
    assert complaints_about(module_of(Good, listed=(Good,))) == []


@pytest.mark.parametrize(
    ("item", "listed", "number"),
    [
        (Good, (), 1),
        (Good, [Good], 1),
        (Good, (Good, component), 1),
        (Untexted, (Untexted,), 1),
        (Vague, (Vague,), 2),
    ],
)
def test_a_bad_component_is_caught(item: type[component], listed: object, number: int) -> None:
    assert len(complaints_about(module_of(item, listed=listed))) == number
