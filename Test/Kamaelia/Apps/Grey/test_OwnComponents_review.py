"""A file of an administrator's own that was made to be run, not to be loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from Kamaelia.Apps.Grey.OwnComponents import OwnComponentError, load

COMPONENT = "from Axon.Component import component\n\n\nclass Own(component):\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import sys\n\nsys.exit('usage: own FILE')\n", "line 3: SystemExit: usage: own FILE"),
        (f"{COMPONENT}    def __init__(self):\n        raise SystemExit\n", "line 6: SystemExit"),
    ],
    ids=["when loaded", "when made"],
)
def test_one_that_ends_the_program_is_a_bad_one(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "own.py"
    path.write_text(text)
    with pytest.raises(OwnComponentError, match=why):
        load(path, "Own")
