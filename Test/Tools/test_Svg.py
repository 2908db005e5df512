"""Pictures: nothing loads or runs in them, and they say what they show and were made from."""

import importlib
import re
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from Test.Axon.test_Picture import TAKEN

sys.path.append(str(Path(__file__).parents[2] / "Tools"))
Svg = importlib.import_module("Svg")
DotText = importlib.import_module("DotText")

DRAWING = DotText.Drawing("digraph {}", 'Two <b> & "c"', "one leads to two.")
RAW = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN"
 "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg width="99pt" height="50pt" viewBox="0.00 0.00 99.00 50.00"
 xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">
<g id="graph0" class="graph" transform="translate(4 46)">
<title>picture</title>
<polygon fill="#ffffff" stroke="transparent" points="0,0 1,1"/>
<g id="node1" class="node"><title>c1</title>
<path fill="none" stroke="#3b6ea5" d="M0,0"/>
<text x="1" y="2" font-family="DejaVu Sans" font-size="13.00">Lead &amp; tin</text>
</g></g></svg>
"""


def test_graphvizs_output_is_dressed() -> None:
    svg = Svg.dressed(RAW, DRAWING)
    root = ElementTree.fromstring(svg)  # noqa: S314 - made here
    space = "{http://www.w3.org/2000/svg}"
    titles = [element.text for element in root.iter(f"{space}title")]
    assert titles == ['Two <b> & "c"']
    assert root.findtext(f"{space}desc") == "one leads to two."
    assert root.get("role") == "img"
    assert (root.get("width"), root.get("height")) == ("99", "50")
    ids = {element.get("id") for element in root.iter()} - {None}
    assert set((root.get("aria-labelledby") or "").split()) == ids
    path, text = root.find(f".//{space}path"), root.find(f".//{space}text")
    assert path is not None
    assert text is not None
    assert path.get("class") == "rim-line"
    assert (text.get("class"), text.text) == ("ink", "Lead & tin")
    ground = root.find(f".//{space}polygon")
    assert ground is not None
    assert (ground.get("class"), ground.get("stroke")) == ("ground", "none")


def test_nothing_in_it_loads_or_runs() -> None:
    svg = Svg.dressed(RAW, DRAWING)
    assert re.findall(r"https?://\S+", svg) == ['http://www.w3.org/2000/svg"']
    assert not re.search(r"<script|<image|<a |href|@import|url\(|\son\w+=|DOCTYPE", svg)


def test_a_link_in_graphvizs_output_is_refused() -> None:
    raw = RAW.replace("<title>c1</title>", '<a href="javascript:1">x</a>')
    with pytest.raises(Svg.GraphvizError, match="link"):
        Svg.dressed(raw, DRAWING)


def test_the_key_tells_one_drawing_from_another() -> None:
    svg = Svg.dressed(RAW, DRAWING)
    assert Svg.key_of(svg) == Svg.key(DRAWING)
    for other in (replace(DRAWING, dot="x"), replace(DRAWING, title="x")):
        assert Svg.key(other) != Svg.key(DRAWING)
    assert Svg.key_of("<svg/>") is None


def test_in_a_page_it_has_ids_of_its_own_and_the_pages_style() -> None:
    svg = Svg.dressed(RAW, DRAWING)
    first, second = Svg.inline(svg, 1), Svg.inline(svg, 2)
    ids = [set(re.findall(r'\bid="([^"]+)"', text)) for text in (first, second)]
    assert not ids[0] & ids[1]
    (named,) = re.findall(r'aria-labelledby="([^"]+)"', first)
    assert set(named.split()) == ids[0]
    assert "<style" not in first
    assert 'style="min-width:84px"' in first
    with pytest.raises(ValueError, match="not one of"):
        Svg.inline("<svg/>", 1)


def test_the_style_of_a_page_follows_its_switch_and_that_of_a_file_does_not() -> None:
    assert 'body[data-theme="dark"]' in Svg.style_sheet(page=True)
    assert "data-theme" not in Svg.style_sheet()
    assert "prefers-color-scheme:dark" in Svg.style_sheet()


def test_without_graphviz_the_cure_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Svg.MissingGraphviz, match="apt-get install graphviz"):
        Svg.picture(DRAWING)


def fake_dot(folder: Path, script: str) -> None:
    program = folder / "dot"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)


def test_what_graphviz_complains_of_is_handed_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_dot(tmp_path, "echo bad line >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(Svg.GraphvizError, match="dot says: bad line"):
        Svg.picture(DRAWING)


def test_a_layout_that_does_not_end_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_dot(tmp_path, "exec sleep 30")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(Svg, "SECONDS", 0.05)
    with pytest.raises(Svg.GraphvizError, match="no layout after"):
        Svg.picture(DRAWING)


@pytest.mark.needs("dot")
def test_a_real_picture_has_a_class_for_every_colour() -> None:
    svg = Svg.picture(DotText.of_snapshot(TAKEN))
    shown = ElementTree.fromstring(svg)  # noqa: S314 - made here
    for element in shown.iter():
        for kind in ("fill", "stroke"):
            colour = element.get(kind)
            if colour not in (None, "none"):
                assert element.get("class"), f"{element.tag} {kind}={colour}"
    texts = [element.text for element in shown.iter("{http://www.w3.org/2000/svg}text")]
    assert {"pipe", "reader", "writer", "outbox", "inbox", "control"} <= set(texts)
