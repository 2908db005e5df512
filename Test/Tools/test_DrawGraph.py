"""The drawing of a running program."""

import importlib
import os
import sys
from pathlib import Path

import pytest

from Axon.Picture import mermaid
from Test.Axon.test_Picture import TAKEN
from Test.Axon.test_Viewer import Program, line

sys.path.append(str(Path(__file__).parents[2] / "Tools"))
DrawGraph = importlib.import_module("DrawGraph")


def test_a_program_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = Program(tmp_path / "m", line(TAKEN))
    assert DrawGraph.main([os.fspath(tmp_path / "m")]) == 0
    program.close()
    assert capsys.readouterr().out == mermaid(TAKEN)


def test_one_that_cannot_be_asked_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert DrawGraph.main([os.fspath(tmp_path / "m")]) == 1
    assert "is the program over?" in capsys.readouterr().err
