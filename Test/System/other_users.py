"""An interpreter that another user may run, too: root's own is often in a folder of root's."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pyparsing

PACKAGES = Path(pyparsing.__file__).parents[1]
_NEEDED = "import pyparsing, sqlite3, ssl, sys; sys.exit(sys.version_info < (3, 11))"


@cache
def python_for(user: str) -> str | None:
    """Its path; PYTHONPATH must name PACKAGES. None: there is none on this machine."""
    for path in (sys.executable, "/usr/bin/python3"):
        try:
            done = subprocess.run(
                [path, "-c", _NEEDED],
                user=user,
                cwd="/",
                env={**os.environ, "PYTHONPATH": str(PACKAGES)},
                capture_output=True,
                timeout=30,
                check=False,
            )
        except OSError:
            continue
        if done.returncode == 0:
            return path
    return None
