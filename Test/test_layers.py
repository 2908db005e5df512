"""
Who may import whom, read from every import of Axon and Kamaelia.

`LAYERS` is the table of Docs/architecture.md: the row with the longest matching prefix speaks for
a module. A new package needs a row of its own before anything in it may import anything.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Row:
    """What the modules under one prefix may import beside the standard library."""

    ours: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()  # from outside, by name
    never: tuple[str, ...] = ()  # parts of the standard library


IO = (
    "asyncio",
    "select",
    "selectors",
    "signal",
    "socket",
    "ssl",
    "subprocess",
    "threading",
    "time",
)
GREY = "Kamaelia.Apps.Grey"
CORE, CONFIG, STORE = f"{GREY}.Core", f"{GREY}.Config", f"{GREY}.Store"
WIRING = tuple(
    f"Kamaelia.Chassis.{name}"
    for name in ("Pipeline", "Graphline", "Seq", "PAR", "Carousel", "Prefab")
)
# The library from left to right; each stands on what stands before it.
PLAIN = ("Kamaelia.Support", "Kamaelia.Exceptions")
BASE = ("Axon", "Kamaelia.IPC", *PLAIN)
UTIL = (*BASE, *WIRING, "Kamaelia.Util")
INTERNET = (*UTIL, "Kamaelia.Internet")
SERVERS = (*INTERNET, "Kamaelia.Chassis.ConnectedServer")
FILES = (*SERVERS, "Kamaelia.File")
LIBRARY = (
    *FILES,
    "Kamaelia.Protocol",
    *(f"Kamaelia.{name}" for name in ("XML", "Visualisation", "Automata", "Experimental")),
    "Kamaelia.Apps.SA",
)
PARTS = (CORE, CONFIG, STORE, f"{GREY}.GreylistDecider")
DOORS = tuple(f"{GREY}.{name}" for name in ("FrontDoor", "Lookups", "Sync", "Watch"))
LOOKUPS = f"{GREY}.Lookups"
TOP = tuple(
    f"{GREY}.{name}"
    for name in (
        *("Server", "Daemon", "Control", "Demo", "__main__", "OwnComponents"),
        *("Certificates", "Checks", "Doors", "DoorServers", "Era", "ExpectFile", "Importers"),
        *("Logs", "Options", "Process", "Program", "Settings", "Workers"),
    )
)
OF_THE_SYSTEM = tuple(
    f"{GREY}.{name}" for name in ("Detach", "PidFile", "Privileges", "SystemdSockets")
)
EVERYTHING = (*LIBRARY, *PARTS, *DOORS, *OF_THE_SYSTEM, *TOP)

LAYERS: dict[str, Row] = {
    "Axon": Row(ours=("Axon",)),
    "Axon.TestingPlugin": Row(ours=("Axon",), packages=("pytest",)),
    "Kamaelia.Support": Row(ours=PLAIN, never=IO),
    "Kamaelia.Support.Protocol.DNS": Row(ours=PLAIN, packages=("dns",), never=IO),
    "Kamaelia.Support.Protocol.HTTP": Row(ours=PLAIN, packages=("h11", "websockets"), never=IO),
    "Kamaelia.Exceptions": Row(ours=PLAIN, never=IO),
    "Kamaelia.IPC": Row(ours=("Axon", *PLAIN)),
    "Kamaelia.Chassis": Row(ours=(*BASE, *WIRING)),
    "Kamaelia.Util": Row(ours=UTIL),
    "Kamaelia.Internet": Row(ours=INTERNET),
    "Kamaelia.Chassis.ConnectedServer": Row(ours=SERVERS),
    "Kamaelia.File": Row(ours=FILES),
    **{
        f"Kamaelia.{name}": Row(ours=LIBRARY)
        for name in ("Protocol", "XML", "Visualisation", "Automata", "Experimental", "Apps.SA")
    },
    # Pure: what it knows of the world comes in as arguments.
    CORE: Row(ours=(CORE,), never=(*IO, "logging", "os", "pathlib", "sqlite3")),
    CONFIG: Row(ours=(CORE, CONFIG)),
    f"{CONFIG}.Grammar": Row(ours=(CORE, CONFIG), packages=("pyparsing",)),
    f"{CONFIG}.Policy": Row(ours=(CORE, CONFIG), packages=("pyparsing",)),
    f"{CONFIG}.Policy.Expressions": Row(ours=(CORE, CONFIG), packages=("re2",)),
    f"{CONFIG}.PostgreyPatterns": Row(ours=(CORE, CONFIG), packages=("re2",)),
    STORE: Row(ours=(CORE, STORE), never=("sqlite3",)),
    f"{STORE}.Sqlite": Row(ours=(CORE, STORE)),
    f"{STORE}.Valkey": Row(ours=(CORE, STORE), packages=("valkey",), never=("sqlite3",)),
    f"{STORE}.SqliteSchema": Row(ours=(CORE, STORE)),
    f"{STORE}.StoreService": Row(ours=("Axon", CORE, STORE), never=("sqlite3",)),
    f"{STORE}.DumpService": Row(ours=("Axon", CORE, STORE), never=("sqlite3",)),
    # Each of these knows the library and the policy, and nothing of its neighbours.
    **{name: Row(ours=(*LIBRARY, CORE, name)) for name in (*DOORS, f"{GREY}.GreylistDecider")},
    **{
        f"{LOOKUPS}.{name}": Row(ours=(*LIBRARY, CORE, LOOKUPS), packages=packages)
        for name, packages in {
            "Spf": ("spftrace", "dns"),
            "SpfEvaluator": ("spftrace", "dns"),
            "Dkim": ("dkim",),
            "Country": ("maxminddb",),
            "LdapChecks": ("ldap3",),
            "Organisations": ("publicsuffixlist",),
        }.items()
    },
    GREY: Row(ours=(*LIBRARY, *PARTS, *DOORS)),  # the original's names: thin faces of the parts
    **{name: Row(ours=EVERYTHING) for name in TOP},
}

# The reading order of the engine: a module imports only from names to its left.
# fmt: off
AXON_ORDER = (
    # messages and boxes
    "AxonExceptions", "util", "idGen", "Base", "debugConfigDefaults", "debugConfigFile", "debug",
    "Ipc", "Storage", "Sinks", "Box", "Linkage", "Postoffice",
    # what runs
    "Stages", "Microprocess", "Waiter", "Timers", "Interrupts", "Failures", "Guards", "Guests",
    "Instruments", "Observation", "Watched", "Turns", "Scheduler",
    # components
    "Declarations", "BoxTables", "Component", "AtOnce", "AdaptiveCommsComponent",
    "ThreadedComponent", "CoordinatingAssistantTracker", "STM", "OnMessage",
    # from outside
    "background", "Handle", "AsyncioBridge", "experimental", "experimental.ProcessPickle",
    "experimental.ProcessWire", "experimental.ProcessChild", "experimental.Process",
    # seeing inside
    "Snapshot", "Survey", "Picture", "Introspector", "Trace", "Monitor", "Viewer", "Prompt",
    # testing
    "TestingTime", "TestingMatchers", "TestingFakes", "TestingReport", "TestingHarness", "Testing",
    "TestingPlugin", "__main__",
)
# fmt: on
SHOW_ALL = ("Prompt",)  # gives its user the whole package by name


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name, `from a.b import c` being a.b.c."""

    target: str
    line: int
    for_types_only: bool


def imports_of(module: str, source: str, *, is_package: bool = False) -> Iterator[Import]:
    """Every import of a module, wherever it stands, relative ones resolved."""
    tree = ast.parse(source)
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for branch in node.body
        for inner in ast.walk(branch)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                targets = [alias.name for alias in names]
            case ast.ImportFrom(source_module, names, level):
                parents = module.split(".")[: -level + is_package or None] if level else []
                base = ".".join([*parents, *([source_module] if source_module else [])])
                targets = [f"{base}.{alias.name}" for alias in names]
            case _:
                continue
        for target in targets:
            yield Import(target, node.lineno, id(node) in typing_only)


def is_under(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def row_for(module: str) -> Row:
    matching = [prefix for prefix in LAYERS if is_under(module, (prefix,))]
    return LAYERS[max(matching, key=len)] if matching else Row()


def breaks_order(module: str, target: str) -> bool:
    """Tell whether an Axon module imports one that does not stand before it."""
    if not module.startswith("Axon.") or not is_under(target, ("Axon",)):
        return False  # the package itself shows everything
    name, path = module.partition(".")[2], target.split(".")[1:]
    # The longest part of it that is a module: the rest is a name in there.
    wanted = [".".join(path[:length]) for length in (2, 1) if ".".join(path[:length]) in AXON_ORDER]
    if not path:
        return name not in SHOW_ALL
    if name not in AXON_ORDER or not wanted:
        return True
    return AXON_ORDER.index(wanted[0]) >= AXON_ORDER.index(name)


def violations(module: str, source: str, *, is_package: bool = False) -> list[str]:
    row, found = row_for(module), []
    for item in imports_of(module, source, is_package=is_package):
        top = item.target.partition(".")[0]
        if top in sys.stdlib_module_names:
            allowed = not is_under(item.target, row.never)
        elif top in ("Axon", "Kamaelia"):
            allowed = is_under(item.target, row.ours)
        else:
            allowed = top in row.packages
        if not allowed:
            found.append(f"{module}:{item.line} may not import {item.target}")
        elif not item.for_types_only and breaks_order(module, item.target):
            found.append(f"{module}:{item.line} stands before {item.target}")
    return found


def modules() -> list[Path]:
    found = [path for top in ("Axon", "Kamaelia") for path in sorted((ROOT / top).rglob("*.py"))]
    return [path.relative_to(ROOT) for path in found]


@pytest.mark.parametrize("path", modules(), ids=str)
def test_a_module_imports_only_what_its_layer_may(path: Path) -> None:
    parts = path.with_suffix("").parts
    is_package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if is_package else parts)
    source = (ROOT / path).read_text(encoding="utf-8")
    assert violations(name, source, is_package=is_package) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("Axon.Box", "import Kamaelia.IPC"),
        ("Axon.Box", "from Axon.Component import component"),
        ("Axon.Box", "from . import Component"),
        ("Axon.Box", "import Axon"),
        ("Axon.Box", "import pyparsing"),
        ("Axon.Unlisted", "from Axon.Box import postbox"),
        ("Axon.Box", "if TYPE_CHECKING:\n    from Kamaelia.IPC import newCSA"),
        ("Kamaelia", "from Kamaelia.IPC import newCSA"),
        ("Kamaelia.Unlisted.Thing", "import Axon.Component"),
        ("Kamaelia.Support.Protocol.Lines", "import Axon"),
        ("Kamaelia.Support.Protocol.Lines", "from socket import socket"),
        ("Kamaelia.Support.Protocol.Lines", "def now():\n    import time"),
        ("Kamaelia.Exceptions", "from Kamaelia.IPC import newCSA"),
        ("Kamaelia.Chassis.Pipeline", "from Kamaelia.Util.Console import ConsoleEchoer"),
        ("Kamaelia.Chassis.Prefab", "from Kamaelia.Chassis.ConnectedServer import ServerCore"),
        ("Kamaelia.Util.Console", "from Kamaelia.Internet.TCPServer import TCPServer"),
        ("Kamaelia.Internet.TCPServer", "from Kamaelia.Chassis.ConnectedServer import ServerCore"),
        ("Kamaelia.File.Reading", "from Kamaelia.Protocol.SMTP import SMTPServerSession"),
        ("Kamaelia.Protocol.SMTP", "from Kamaelia.Apps.Grey.Core.Types import Attempt"),
        ("Kamaelia.Protocol.HTTP.HTTPServer", "import h11"),
        ("Kamaelia.Support.Protocol.DNS.Message", "import h11"),
        ("Kamaelia.Apps.SA.Time", "from Kamaelia.Apps.Grey.Core.Types import Attempt"),
        ("Kamaelia.Apps.Grey.Core.Decide", "import logging"),
        ("Kamaelia.Apps.Grey.Core.Decide", "from Kamaelia.Support.Protocol.Lines import Lines"),
        ("Kamaelia.Apps.Grey.Core.Decide", "from ..Store.Interface import Store"),
        ("Kamaelia.Apps.Grey.Config.Schema", "import pyparsing"),
        ("Kamaelia.Apps.Grey.Store.Memory", "import sqlite3"),
        ("Kamaelia.Apps.Grey.Store.Sqlite", "from Axon.Component import component"),
        ("Kamaelia.Apps.Grey.FrontDoor.SMTPProxy", "from Kamaelia.Apps.Grey.Store import Memory"),
        ("Kamaelia.Apps.Grey.FrontDoor.SMTPProxy", "from Kamaelia.Apps.Grey import Watch"),
        ("Kamaelia.Apps.Grey.Watch.MailLog", "from Kamaelia.Apps.Grey.Server import build"),
    ],
)
def test_a_planted_violation_is_caught(module: str, source: str) -> None:
    assert len(violations(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("Axon", "from . import Component\nimport Axon.Base"),
        ("Axon.Component", "import threading\nfrom Axon.Box import postbox\nfrom .Ipc import ipc"),
        ("Axon.Box", "if typing.TYPE_CHECKING:\n    from Axon.Component import component"),
        ("Kamaelia.Support.Protocol.SMTP.Events", "from ..Lines import Lines\nimport re"),
        ("Kamaelia.Chassis.ConnectedServer", "from Kamaelia.Internet.TCPServer import TCPServer"),
        ("Kamaelia.Apps.Grey.Config.Grammar", "import pyparsing as pp\nfrom .Schema import Config"),
        ("Kamaelia.Apps.Grey.Store.StoreService", "from Axon.Component import component"),
        ("Kamaelia.Apps.Grey.Server", "from Kamaelia.Apps.Grey.Store.Sqlite import SqliteStore"),
    ],
)
def test_a_permitted_import_passes(module: str, source: str) -> None:
    assert violations(module, source, is_package=module == "Axon") == []


def test_a_relative_import_of_a_package_is_resolved_from_the_package_itself() -> None:
    (item,) = imports_of("Kamaelia.Support", "from .Protocol import Lines", is_package=True)
    assert item.target == "Kamaelia.Support.Protocol.Lines"


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {path.parent for path in modules()}
    assert [folder for folder in folders if not (ROOT / folder / "__init__.py").exists()] == []


def test_packages_of_the_library_export_nothing() -> None:
    """`Kamaelia.Chassis.Pipeline` must stay the module and not become the class in it."""
    packages = [
        path for path in modules() if path.name == "__init__.py" and path.parts[0] != "Axon"
    ]
    trees = {path: ast.parse((ROOT / path).read_text(encoding="utf-8")) for path in packages}
    assert [p for p, tree in trees.items() if any(not is_text(node) for node in tree.body)] == []


def is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def test_no_two_modules_differ_only_in_the_case_of_their_names() -> None:
    names = [str(path).lower() for path in modules()]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("package", ["Axon", "Kamaelia"])
def test_a_package_says_that_it_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
