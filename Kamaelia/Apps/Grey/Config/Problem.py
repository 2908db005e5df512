r"""
What is wrong with a configuration file, and where
==================================================
A Problem names the file, line and column, shows the line with a caret under the place, and says
what to do. A Report gathers the problems of one file, so that its author sees all of them at
once and not one a run. A ConfigError carries them to whoever asked for the file. What is odd but
can be used is a warning: the same form, in `Report.warnings`, and the file is good all the same.

Lines and columns count from 1, columns count characters (a tab is one). The caret still stands
under its place on a terminal: tabs are repeated, wide characters count twice and combining
ones not at all.

Example Usage
-------------
>>> report = Report("greylist.conf", "port = 99999\n")
>>> report.add(1, 8, '"99999" is more than 65535', "write a number from 1 to 65535")
>>> print(report.problems[0])
greylist.conf:1:8: "99999" is more than 65535
    port = 99999
           ^
    write a number from 1 to 65535
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

MAX_PROBLEMS = 100  # nobody reads further, and a file of noise must not fill the memory
DATA_ERROR = 65  # EX_DATAERR of sysexits.h: what stands in the file is wrong
OS_ERROR = 71  # EX_OSERR: it cannot be read; and, as it always was, a bad regular expression
_SHOWN_BEFORE, _SHOWN_AFTER = 100, 60  # characters of a long line around the place


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake. Line 0: it concerns the file as a whole; `cure` may be empty. `exit_code`: of
    a program that cannot go on because of it."""

    path: str
    line: int
    column: int
    source_line: str
    message: str
    cure: str = ""
    exit_code: int = DATA_ERROR

    def __str__(self) -> str:
        if self.line == 0:
            lines = [f"{self.path}: {self.message}"]
        else:
            shown, pad = self._excerpt()
            lines = [f"{self.path}:{self.line}:{self.column}: {self.message}", shown, f"{pad}^"]
        if self.cure:
            lines.append(self.cure)
        return "\n    ".join(lines)

    def _excerpt(self) -> tuple[str, str]:
        """Give the part of the line that is shown, and the blanks that go before the caret."""
        at = self.column - 1
        start = max(0, at - _SHOWN_BEFORE)
        head = ("..." if start else "") + printable(self.source_line[start:at])
        tail = printable(self.source_line[at : at + _SHOWN_AFTER])
        cut = "..." if len(self.source_line) > at + _SHOWN_AFTER else ""
        return head + tail + cut, "".join(map(_blank, head))


class ConfigError(Exception):
    """A configuration cannot be used; `problems` says why, in the order of the file. `exit_code`:
    the highest of theirs."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.line, p.column)))
        self.exit_code = max((problem.exit_code for problem in self.problems), default=DATA_ERROR)
        super().__init__(self.problems)  # the same argument again, so that it can be pickled

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class Report:
    """Report(path, text) -> gathers problems; knows where in `text` every offset is."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self._lines = text.split("\n")
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def place(self, offset: int) -> tuple[int, int]:
        """Turn an offset into line and column."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def add(
        self, line: int, column: int, message: str, cure: str = "", exit_code: int = DATA_ERROR
    ) -> None:
        """Note a problem; when there are too many, raise all of them."""
        self.problems.append(self._made(line, column, message, cure, exit_code))
        if len(self.problems) >= MAX_PROBLEMS:
            message = f"stopped after {MAX_PROBLEMS} problems: is this a greylist.conf?"
            self.problems.append(Problem(self.path, 0, 0, "", message))
            raise ConfigError(self.problems)

    def add_at(
        self, offset: int, message: str, cure: str = "", exit_code: int = DATA_ERROR
    ) -> None:
        """Note a problem at an offset."""
        self.add(*self.place(offset), message, cure, exit_code)

    def warn(self, line: int, column: int, message: str, cure: str = "") -> None:
        """Note what is odd but can be used; after MAX_PROBLEMS of them no more."""
        if len(self.warnings) < MAX_PROBLEMS:
            self.warnings.append(self._made(line, column, message, cure, 0))

    def warn_at(self, offset: int, message: str, cure: str = "") -> None:
        """The same at an offset."""
        self.warn(*self.place(offset), message, cure)

    def _made(self, line: int, column: int, message: str, cure: str, exit_code: int) -> Problem:
        source_line = self._lines[line - 1].rstrip("\r") if line else ""
        return Problem(self.path, line, column, source_line, message, cure, exit_code)


def printable(text: str) -> str:
    """Replace what could upset a terminal, one character for one."""
    return "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def shown(text: str, limit: int = 60) -> str:
    """Quote a text for a message: escaped, and cut when it is long."""
    cut = text if len(text) <= limit else text[:limit] + "..."
    return '"' + "".join(map(_escaped, cut)) + '"'


def _escaped(character: str) -> str:
    if character == '"':
        return r"\""
    return character if character.isprintable() else ascii(character)[1:-1]


def _blank(character: str) -> str:
    """Give white space as wide as the character is on a terminal."""
    if character == "\t":
        return "\t"
    if unicodedata.combining(character):
        return ""
    return "  " if unicodedata.east_asian_width(character) in "WF" else " "
