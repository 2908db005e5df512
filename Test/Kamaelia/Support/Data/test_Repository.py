"""The catalogue: it says of each module what an import would show, and imports nothing."""

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from Kamaelia.Support.Data import Repository
from Kamaelia.Support.Data.Repository import (
    GetAllKamaeliaComponents,
    GetAllKamaeliaComponentsNested,
    GetAllKamaeliaPrefabs,
    GetAllKamaeliaPrefabsNested,
    ModuleDoc,
)
from Kamaelia.Support.Data.SourceClasses import Argument

MODULE = '''
"""What it is for."""
raise RuntimeError("this module is not to be imported")

class Thing(Base):
    """Thing(size) -> things."""
    Inboxes = {"inbox": "int: numbers"}
    speed = 1
    def __init__(self, size: int = 3): ...

def Made(what): "Made of others."
Called = factory()

__kamaelia_components__ = (Thing, Absent)
__kamaelia_prefabs__ = [Made, Called]
'''


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "pack"
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").write_text('"""A package."""\n__kamaelia_components__ = (Own,)\n')
    (folder / "inner" / "__init__.py").write_text("")
    (folder / "inner" / "thing.py").write_text(MODULE)
    (folder / "inner" / "other.py").write_text("__kamaelia_components__ = make()\n")
    (folder / "broken.py").write_text("__kamaelia_components__ = (")
    (folder / "odd.py").write_bytes(b"\xff")
    return folder


def test_the_examples_are_true() -> None:
    assert doctest.testmod(Repository).failed == 0


def test_listings_of_a_package_leave_out_what_cannot_be_read(
    package: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert GetAllKamaeliaComponents(package) == {
        ("pack",): ["Own"],
        ("pack", "inner", "thing"): ["Thing", "Absent"],
    }
    assert sorted(Path(record.args[0]).name for record in caplog.records) == [  # type: ignore[index,arg-type]
        "broken.py",
        "odd.py",
    ]
    assert GetAllKamaeliaPrefabs(package) == {("pack", "inner", "thing"): ["Made", "Called"]}


def test_nested_listings_have_a_level_for_each_package(package: Path) -> None:
    assert GetAllKamaeliaComponentsNested(package) == {
        "pack": {"__init__": ["Own"], "inner": {"thing": ["Thing", "Absent"]}}
    }
    assert GetAllKamaeliaPrefabsNested(package) == {
        "pack": {"inner": {"thing": ["Made", "Called"]}}
    }


def test_a_module_that_cannot_be_imported_is_described(package: Path) -> None:
    module = ModuleDoc("pack.inner.thing", str(package / "inner" / "thing.py"))
    assert (module.name, module.docstring) == ("pack.inner.thing", "What it is for.")
    thing, absent = module.components
    assert (thing.name, thing.docstring) == ("Thing", "Thing(size) -> things.")
    assert (thing.inboxes, thing.outboxes) == ({"inbox": "int: numbers"}, {})
    assert thing.arguments == (Argument("size", "int", "3"),)
    assert thing.settings == {"speed": "1"}
    assert (absent.name, absent.docstring, absent.arguments) == ("Absent", "", ())
    made, called = module.prefabs
    assert (made.docstring, made.arguments) == ("Made of others.", (Argument("what"),))
    assert (called.name, called.arguments) == ("Called", ())


def test_a_package_itself_can_be_described(package: Path) -> None:
    module = ModuleDoc("pack", package / "__init__.py")
    assert [component.name for component in module.components] == ["Own"]


def test_a_module_that_cannot_be_read_is_an_error(package: Path) -> None:
    for name, error in {"broken": SyntaxError, "odd": ValueError, "absent": OSError}.items():
        with pytest.raises(error):
            ModuleDoc(f"pack.{name}", package / f"{name}.py")


def test_of_this_library_it_says_what_an_import_shows() -> None:
    root = Path(Repository.__file__).parents[3]
    for names in [n for n in GetAllKamaeliaComponents() if n[:2] == ("Kamaelia", "Util")]:
        imported = importlib.import_module(".".join(names))
        module = ModuleDoc(".".join(names), root.joinpath(*names).with_suffix(".py"))
        assert module.docstring in (imported.__doc__ or "")
        for one in module.components:
            real = getattr(imported, one.name)
            assert set(one.inboxes) == set(real.Inboxes), one.name
            assert set(one.outboxes) == set(real.Outboxes), one.name


def test_nothing_is_imported() -> None:
    program = (
        "import sys\nfrom Kamaelia.Support.Data import Repository\n"
        "assert Repository.GetAllKamaeliaComponents()\n"
        "path = Repository.Path(Repository.__file__).parents[2] / 'Util/Console.py'\n"
        "assert Repository.ModuleDoc('Kamaelia.Util.Console', path).components\n"
        "print([name for name in sys.modules if name.startswith(('Axon', 'Kamaelia.Util'))])\n"
    )
    root = Path(Repository.__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
