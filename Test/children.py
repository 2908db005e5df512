"""
What the environment of a program is that a test starts.

The coverage run measures child processes too (the daemon has to be one), which makes each of them
start in three times the time. Hundreds of examples and blocks of the documents are run only to see
what they print; what they reach of the library its own tests reach.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM_FLAGS = [  # a browser without a screen, as root in a container, that asks nobody outside
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def unmeasured(**more: str) -> dict[str, str]:
    """The environment for a child that the coverage run need not measure, with the project in its
    path."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
    return {**inherited, "PYTHONPATH": str(ROOT), **more}


def run_python(
    *arguments: object, folder: Path, seconds: float
) -> subprocess.CompletedProcess[str]:
    """Run a Python program in a folder, unmeasured and without input, to its end."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env=unmeasured(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
