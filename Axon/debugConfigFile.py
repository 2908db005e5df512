"""
Reading a file of debug levels
==============================
One section a line: its name, its level, and optionally a location, with any amount of blanks
between; ``#`` starts a comment. The level is a whole number; 0 is silent, and notes commonly use
1 to 20. The location is a column of the original's files: it is kept, but where the lines go is
decided by ``logging``.

Nothing here looks for a file by itself: Axon.debug says when one is read.

Example Usage
-------------
A file ``debug.conf``::

    # section          level   location
    component.main     5       default
    MyProtocol.reply   10      default

and what comes of it::

    # needs that file
    from Axon.debugConfigFile import readConfig

    readConfig("debug.conf")  # {"component.main": (5, "default"), "MyProtocol.reply": ...}
"""

import os
import re
from pathlib import Path

from Axon.AxonExceptions import AxonException

# At most nine digits: nobody means more, and int() refuses a line of thousands of them.
_LINE = re.compile(r"(?P<section>\S+)\s+(?P<level>[0-9]{1,9})(?:\s+(?P<location>\S+))?")


def readConfig(configFile: str | os.PathLike[str] = "debug.conf") -> dict[str, tuple[int, str]]:
    """Return section -> (level, location); of a section named twice the later line counts.

    OSError if the file cannot be read; AxonException, with file, line and cure, for a line that
    makes no sense."""
    # An odd byte becomes visible text in whatever complaint follows, rather than another error.
    text = Path(configFile).read_text(encoding="utf-8", errors="backslashreplace")
    sections = {}
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.partition("#")[0].strip()
        if not words:
            continue
        match = _LINE.fullmatch(words)
        if match is None:
            raise AxonException(
                f"{os.fspath(configFile)}, line {number}: {words[:80]!r} is not a section, "
                "a level and a location; write for instance 'component.main 5 default'"
            )
        sections[match["section"]] = (int(match["level"]), match["location"] or "default")
    return sections
