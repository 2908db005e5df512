"""
``python -m Axon``: a prompt, and a look at programs that run
=============================================================
Without a word it gives a Python prompt in which components run while you type (Axon.Prompt); with
one it looks at a program that listens (Axon.Monitor)::

    python -m Axon -i Kamaelia.Chassis.Pipeline
    python -m Axon ps
    python -m Axon top 12345
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from Axon.Prompt import prompt
from Axon.Viewer import Viewer, ViewError, find

PROGRAM_HELP = "process number or path of its socket; not needed if only one program listens"


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 3600:
        raise argparse.ArgumentTypeError("must be from 0 to 3600")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m Axon",
        description="Without a command: a prompt in which components run while you type.",
    )
    made.add_argument(
        "-i",
        "--import",
        dest="imports",
        metavar="MODULE",
        action="append",
        default=[],
        help="have what this module offers at hand in the prompt; may be given several times",
    )
    commands = made.add_subparsers(dest="command", metavar="COMMAND")
    ps = commands.add_parser("ps", help="the components of a program, the busiest first")
    tree = commands.add_parser("tree", help="who contains whom, with boxes and links")
    top = commands.add_parser("top", help="the busiest components, again and again")
    for command in (ps, tree, top):
        command.add_argument("program", nargs="?", help=PROGRAM_HELP)
    for command in (ps, top):
        command.add_argument(
            "--interval",
            type=_seconds,
            default=1.0,
            metavar="SECONDS",
            help="between two looks (default: 1)" + ("; 0: look once" if command is ps else ""),
        )
    top.add_argument("-n", type=_count, metavar="COUNT", help="end after so many (default: never)")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what a command line says; the exit code."""
    options = parser().parse_args(arguments)
    if options.command is None:
        return prompt(options.imports)
    try:
        viewer = Viewer(find(options.program))
        match options.command:
            case "ps":
                viewer.ps(options.interval)
            case "tree":
                viewer.tree()
            case _:
                viewer.top(options.interval, options.n)
        sys.stdout.flush()  # in here: to a pipe nothing was written before
    except ViewError as error:
        print(f"axon: {error}", file=sys.stderr)  # noqa: T201 - the command line
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # head, or a pager that was left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
