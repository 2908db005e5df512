#!/usr/bin/env python3
"""
A prompt with the library at hand
=================================
``python -m Axon`` with the everyday components of Kamaelia: make them at the prompt, link them,
activate them, and type on while they run::

    $ python Tools/AxonShell.py
    >>> p = Pipeline(UnixProcess("ping -c 3 localhost"), ConsoleEchoer()).activate()
    >>> ps()
    >>> reader, writer = ReadFileAdaptor("/etc/passwd", readmode="line"), ConsoleEchoer()
    >>> l = writer.link((reader, "outbox"), (writer, "inbox"))
    >>> reader.activate(); writer.activate()

``-i`` has the components of further modules at hand. Axon.Prompt says what else there is to know.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

if __name__ == "__main__":  # from a checkout, without having been installed
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from Axon.Prompt import prompt

# Where two folders have components of one name, the later one is meant.
FOLDERS = ("Protocol", "File", "Internet", "Util", "Chassis")


def everyday() -> Iterator[str]:
    """Modules of the library that have components to offer. One that cannot be imported, since it
    needs something that is not installed here, is told of and left out."""
    for folder in FOLDERS:
        package = importlib.import_module(f"Kamaelia.{folder}")
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            try:
                module = importlib.import_module(found.name)
            except ImportError as error:
                print(f"AxonShell: without {found.name}: {error}", file=sys.stderr)
                continue
            if hasattr(module, "__kamaelia_components__") or hasattr(
                module, "__kamaelia_prefabs__"
            ):
                yield found.name


def main(arguments: Sequence[str] | None = None, read: Callable[[str], str] | None = None) -> int:
    """Do what a command line says; the exit code. read: where lines come from (the terminal)."""
    parser = argparse.ArgumentParser(
        prog="AxonShell", description="A prompt in which the library's components run."
    )
    parser.add_argument(
        "-i",
        "--import",
        dest="imports",
        metavar="MODULE",
        action="append",
        default=[],
        help="have what this module offers at hand as well; may be given several times",
    )
    options = parser.parse_args(arguments)
    return prompt([*everyday(), *options.imports], read)


if __name__ == "__main__":
    sys.exit(main())
