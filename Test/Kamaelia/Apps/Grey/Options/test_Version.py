"""-r: what a report of a fault begins with."""

from __future__ import annotations

from importlib import metadata

import pytest

from Kamaelia.Apps.Grey.Daemon import main
from Kamaelia.Apps.Grey.Options import Version


def test_it_is_said_on_standard_output_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-r"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("kamaelia-grey-")
    assert "SQLite" in said.out
    assert said.err == ""


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "ldap3":
            raise metadata.PackageNotFoundError
        return "7.0"

    monkeypatch.setattr(metadata, "version", version)
    assert Version.version() == "7.0"
    lines = Version.version_lines()
    assert "ldap3 is not installed" in lines
    assert "pyparsing 7.0" in lines
