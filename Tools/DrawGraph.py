#!/usr/bin/env python3
"""
Draw a running program
======================
Prints a Mermaid drawing of the components and links of a program that listens (see Axon.Monitor),
for a document or a report::

    python Tools/DrawGraph.py 12345 > picture.mmd
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from Axon.Picture import mermaid
from Axon.Viewer import ViewError, ask, find


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what a command line says; the exit code."""
    parser = argparse.ArgumentParser(description="Draw a running program, in Mermaid's language.")
    parser.add_argument("program", nargs="?", help="process number or path of its socket")
    options = parser.parse_args(arguments)
    try:
        print(mermaid(ask(find(options.program))), end="")
    except ViewError as error:
        print(f"DrawGraph: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
