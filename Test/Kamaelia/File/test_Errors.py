"""FileError: what people read."""

from dataclasses import FrozenInstanceError

import pytest

from Kamaelia.File.Errors import FileError, FileProblem

REPORT = FileError("notes.txt", "open", PermissionError(13, "Permission denied"))


def test_it_reads_as_a_sentence() -> None:
    assert str(REPORT) == "cannot open notes.txt: [Errno 13] Permission denied"


def test_receivers_cannot_change_it_for_each_other() -> None:
    with pytest.raises(FrozenInstanceError):
        REPORT.filename = "other.txt"  # type: ignore[misc]


def test_a_problem_says_what_its_report_says() -> None:
    problem = FileProblem(REPORT)
    assert (str(problem), problem.report) == (str(REPORT), REPORT)
