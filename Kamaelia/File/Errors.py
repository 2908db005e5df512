"""
What went wrong with a file
===========================
The message that file components send out of "error".

Example Usage
-------------
::

    from Kamaelia.File.Errors import FileError

    print(FileError("notes.txt", "open", PermissionError(13, "Permission denied")))

It prints::

    cannot open notes.txt: [Errno 13] Permission denied
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileError:
    """What could not be done ("open", "read", "write", "close"), with which file, and why."""

    filename: str
    operation: str
    error: Exception

    def __str__(self) -> str:
        return f"cannot {self.operation} {self.filename}: {self.error}"


class FileProblem(Exception):  # noqa: N818 - never seen outside: it carries the error to the edge
    """Raised inside a file component, which turns it into the message."""

    def __init__(self, report: FileError) -> None:
        super().__init__(str(report))
        self.report = report
