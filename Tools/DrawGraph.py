#!/usr/bin/env python3
"""
Draw a program
==============
Draws what a program is made of: components with their boxes and the links between them, those that
a chassis holds inside of it. Either one that was put together and does not run::

    python Tools/DrawGraph.py Examples/Pipelines/shout.py -o shout.svg
    python Tools/DrawGraph.py "Kamaelia.Util.OneShot:OneShot('hello')" --all-boxes -o oneshot.svg
    python Tools/DrawGraph.py server.py:make_server --text

or one that runs and listens (Axon.Monitor), by its process number or the path of its socket::

    python Tools/DrawGraph.py 12345 > picture.mmd
    python Tools/DrawGraph.py 12345 -o picture.svg

The end of the file's name says what is written: ``.svg`` (laid out by Graphviz), ``.mmd`` or
``.md`` (Mermaid, which many document viewers show), ``.dot``, ``.txt``. Without a file it is
Mermaid.

A program file is carried out up to its first ``run()``, and nothing of it is run or activated
(Assembly); draw only what you would also run. An expression is looked at where that ends. The
program finds no words on its command line, and what it prints goes to stderr.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":  # in a checkout it need not be installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from Assembly import AssemblyError, wished
from Blueprint import TooLarge, blueprint
from DotText import of_snapshot
from Svg import GraphvizError, picture

from Axon.Picture import mermaid, tree
from Axon.Snapshot import Snapshot
from Axon.Viewer import ViewError, ask, find

FORMATS = {".svg": "svg", ".mmd": "mermaid", ".md": "mermaid", ".dot": "dot", ".txt": "text"}


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description="Draw a program: components, boxes and links.")
    made.add_argument(
        "program",
        nargs="?",
        help="file.py, file.py:expression or module:expression that gives a component; or, of a"
        " program that runs, its process number or the path of its socket (which may be left out"
        " if only one listens)",
    )
    made.add_argument("-o", "--output", type=Path, metavar="FILE", help="write it there")
    made.add_argument("--format", choices=sorted(set(FORMATS.values())), help="default: see FILE")
    made.add_argument(
        "--text", dest="format", action="store_const", const="text", help="the same as a tree"
    )
    made.add_argument("--title", help="what a screen reader says about the picture")
    made.add_argument("--down", action="store_true", help="from top to bottom")
    made.add_argument(
        "--all-boxes", action="store_true", help="boxes too to which nothing is linked"
    )
    return made


def looked_at(program: str | None) -> Snapshot:
    """The record of what the command line names."""
    apart = program is not None and (program.partition(":")[0].endswith(".py") or ":" in program)
    if program is None or not apart or Path(program).is_socket():
        return ask(find(program))
    return blueprint(*wished(program))


def drawn(taken: Snapshot, options: argparse.Namespace, form: str) -> str:
    if form == "mermaid":
        text = mermaid(taken)
        if options.down:
            text = text.replace("flowchart LR", "flowchart TB", 1)
        fenced = options.output is not None and options.output.suffix == ".md"
        return f"```mermaid\n{text}```\n" if fenced else text
    if form == "text":
        return tree(taken) + "\n"
    direction = "TB" if options.down else "LR"
    drawing = of_snapshot(taken, options.title, all_boxes=options.all_boxes, direction=direction)
    return picture(drawing) if form == "svg" else drawing.dot


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what a command line says; the exit code."""
    options = parser().parse_args(arguments)
    suffix = "" if options.output is None else options.output.suffix
    form = options.format or FORMATS.get(suffix, "mermaid")
    if options.output is not None and options.format is None and suffix not in FORMATS:
        parser().error(f"what is {suffix or 'no suffix'} to be? known are {', '.join(FORMATS)}")
    try:
        text = drawn(looked_at(options.program), options, form)
    except (ViewError, AssemblyError, TooLarge, GraphvizError) as error:
        print(f"DrawGraph: {error}", file=sys.stderr)
        return 1
    if options.output is None:
        print(text, end="")
    else:
        options.output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    logging.basicConfig(format="DrawGraph: %(message)s")
    sys.exit(main())
