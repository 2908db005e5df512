"""``python -m Kamaelia.Apps.Grey`` is the program."""

import runpy
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(("text", "code"), [("", 0), ("prt = 25\n", 65)])
def test_its_exit_code_is_the_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, code: int
) -> None:
    path = tmp_path / "greylist.conf"
    path.write_text(f"database = {tmp_path / 'grey.sqlite3'}\n{text}")
    monkeypatch.setattr(sys, "argv", ["kamaelia-grey", "-c", "-f", str(path)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("Kamaelia.Apps.Grey", run_name="__main__")
    assert ended.value.code == code
