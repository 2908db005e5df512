"""
Environments for rivals that are not installed
==============================================
The original Axon (with its Kamaelia) and trio come from PyPI, each into an environment of its own
in a temporary folder that goes away with the run. Without a network they are left out, and the
report says so.

Example Usage
-------------
::

    with environments({"trio"}, {}) as (pythons, left_out):
        subprocess.run([pythons["trio"], "-c", "import trio"])
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

# What to install, and what must then be there.
RIVALS = {
    "original": (["kamaelia-axon", "kamaelia"], "import Axon.Component, Kamaelia.Chassis"),
    "trio": (["trio"], "import trio"),
}
INSTALL_SECONDS = 180


def clean_environment() -> dict[str, str]:
    """Without a PYTHONPATH, on which another Axon would be found."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def _tried(command: list[str]) -> str | None:
    """Run it; what was wrong, in one line, or None."""
    try:
        done = subprocess.run(
            command,
            env=clean_environment(),
            cwd=tempfile.gettempdir(),  # not here: a folder called Axon may lie about
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    said = done.stderr.strip().splitlines()
    return (said[-1] if said else f"exit code {done.returncode}") if done.returncode else None


def _python_for(rival: str, ready: Path | None, folder: Path) -> tuple[str, str | None]:
    """The interpreter for it, and why it cannot be had."""
    packages, test = RIVALS[rival]
    python = str((ready or folder / rival) / "bin" / "python")
    wrong = None
    if ready is None:
        wrong = _tried([sys.executable, "-m", "venv", str(folder / rival)]) or _tried(
            [python, "-m", "pip", "install", "--quiet", "--retries", "1", *packages]
        )
    return python, wrong or _tried([python, "-c", test])


@contextmanager
def environments(
    wanted: set[str], ready: Mapping[str, Path]
) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """({rival: interpreter}, {rival: why it is left out}); ready: environments that exist."""
    pythons: dict[str, str] = {}
    left_out: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="rivals-") as folder:
        for rival in sorted(wanted & set(RIVALS)):
            python, wrong = _python_for(rival, ready.get(rival), Path(folder))
            if wrong is None:
                pythons[rival] = python
            else:
                left_out[rival] = wrong
        yield pythons, left_out
