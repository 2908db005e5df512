"""Classes read from source: bases, boxes, arguments and settings, without an import."""

import ast
import doctest
from pathlib import Path

import pytest

from Kamaelia.Support.Data import SourceClasses
from Kamaelia.Support.Data.SourceClasses import Classes, arguments_of, function_in

BASE = '''
class Base:
    """The base."""
    Inboxes = {"inbox": "int: numbers", "control": "the shutdown"}
    Outboxes = ["outbox", "signal"]
    ExtraInboxes = {"more": "str: more"}
    pace, size = 1, 2
    speed: float = 3.0
    unset: int
    _private = 4
    def __init__(self, one, /, two: int = 2, *rest, three, **others): ...
'''
HANDED_ON = "from pack.base import Base as Renamed\nfrom elsewhere import Unknown\n"
BELOW = """
import pack.base
import pack.base as short
from . import nothing
from pack.handed import Renamed

class ByPath(pack.base.Base): ...
class ByShortName(short.Base): ...
class ByName(Renamed, Missing):
    Outboxes = {"outbox": TEXT, NAME: "str: computed", **others}
    speed = 4.0
class Local(ByName):
    ExtraOutboxes = ("late",)
class Circle(Circle): ...
class Plain: ...
"""


@pytest.fixture
def classes(tmp_path: Path) -> Classes:
    folder = tmp_path / "pack"
    folder.mkdir()
    (folder / "__init__.py").write_text("class InPackage: ...\n")
    for name, source in {"base": BASE, "handed": HANDED_ON, "below": BELOW}.items():
        (folder / f"{name}.py").write_text(source)
    return Classes(tmp_path)


def test_the_examples_are_true() -> None:
    assert doctest.testmod(SourceClasses).failed == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ByPath", ["ByPath", "Base"]),
        ("ByShortName", ["ByShortName", "Base"]),
        ("ByName", ["ByName", "Base"]),
        ("Local", ["Local", "ByName", "Base"]),
        ("Circle", ["Circle"]),
        ("Nobody", []),
        ("Unknown", []),
    ],
)
def test_bases_are_found_where_they_come_from(
    classes: Classes, name: str, expected: list[str]
) -> None:
    assert [one.name for one in classes.family("pack.below", name)] == expected


def test_a_package_may_hold_classes_and_a_module_may_be_missing(classes: Classes) -> None:
    assert [one.name for one in classes.family("pack", "InPackage")] == ["InPackage"]
    assert classes.family("pack.not_there", "Base") == []


def test_boxes_are_inherited_replaced_and_added_to(classes: Classes) -> None:
    family = classes.family("pack.below", "Local")
    assert classes.boxes(family, "Inboxes") == {
        "inbox": "int: numbers",
        "control": "the shutdown",
        "more": "str: more",
    }
    assert classes.boxes(family, "Outboxes") == {
        "outbox": "TEXT",
        "NAME": "str: computed",
        "late": "",
    }
    assert classes.boxes(classes.family("pack.base", "Base"), "Outboxes") == {
        "outbox": "",
        "signal": "",
    }


def test_arguments_are_those_of_the_nearest_constructor(classes: Classes) -> None:
    family = classes.family("pack.below", "Local")
    assert [str(one) for one in classes.arguments(family)] == [
        "one",
        "two: int=2",
        "*rest",
        "three",
        "**others",
    ]
    assert classes.arguments(classes.family("pack.below", "Plain")) == ()


def test_settings_are_public_attributes_in_small_letters(classes: Classes) -> None:
    assert classes.settings(classes.family("pack.below", "Local")) == {"speed": "4.0"}


def test_settings_of_the_engine_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "Axon").mkdir()
    (tmp_path / "Axon" / "Base.py").write_text("class Base:\n    waits = True\n    fast = True\n")
    (tmp_path / "mine.py").write_text(
        "from Axon.Base import Base\nclass Mine(Base):\n    waits = False\n    port = 25\n"
    )
    classes = Classes(tmp_path)
    assert classes.settings(classes.family("mine", "Mine")) == {"port": "25"}


def test_names_only_and_functions_that_are_not_there() -> None:
    body = ast.parse("x = 1\nasync def f(a, *, b=1): ...").body
    function = function_in(body, "f")
    assert function is not None
    assert [str(one) for one in arguments_of(function)] == ["a", "*", "b=1"]
    assert function_in(body, "g") is None
