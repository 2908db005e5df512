"""
Pictures from Graphviz
======================
``picture`` has Graphviz's ``dot`` lay a Drawing out and dresses what comes: the colours follow the
reader's light or dark setting, a screen reader is told a title and a description, there is nothing
in it that loads, runs or tips up, and it says (``key``) from which text it was made. It reads well
as a file of its own, as an image in a page, and inside a page (``inline``), whose style sheet then
has ``style_sheet()``.

``dot`` is of the Debian package ``graphviz``; without it MissingGraphviz says so.

Example Usage
-------------
::

    # needs Graphviz
    from pathlib import Path

    from Axon.Survey import snapshot
    from DotText import of_snapshot
    from Svg import picture

    Path("picture.svg").write_text(picture(of_snapshot(snapshot())))
"""

from __future__ import annotations

import hashlib
import html
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import DotText
from DotText import Drawing

SECONDS = 60.0  # for a layout: those of our sizes take a tenth of one
VERSION = "1"  # of the dressing below: a higher number makes all pictures stale
SMALLEST = 0.85  # to which a page may shrink it
FONTS = "'DejaVu Sans', Verdana, 'Segoe UI', Helvetica, Arial, sans-serif"
NAMESPACE = "http://www.w3.org/2000/svg"
KEY = re.compile(r"<!-- key: ([0-9a-f]{32}) -->")
CLASS = "axon-picture"

# Part of the picture: (on a light ground, on a dark one).
COLOURS = {
    "ground": (DotText.PLATE, "#14181d"),
    "ink": (DotText.INK, "#e6ebf0"),
    "component": (DotText.COMPONENT, "#1f3247"),
    "rim": (DotText.RIM, "#7fb0e2"),
    "frame": (DotText.FRAME, "#1d2127"),
    "frame-edge": (DotText.EDGE_OF_FRAME, "#9a9a8e"),
    "data": (DotText.DATA, "#9cc7f2"),
    "control": (DotText.CONTROL, "#dcc674"),
}
_PART_OF = {light: part for part, (light, _) in COLOURS.items()}
_NAMED = {"white": DotText.PLATE, "black": DotText.INK}


class GraphvizError(RuntimeError):
    """The picture could not be laid out."""


class MissingGraphviz(GraphvizError):  # noqa: N818 - said by what is wrong, as in Axon
    """Graphviz is not installed."""


def key(drawing: Drawing) -> str:
    """What a picture of this drawing says about itself: two are the same if their keys are."""
    whole = "\0".join((VERSION, drawing.dot, drawing.title, drawing.description))
    return hashlib.sha256(whole.encode()).hexdigest()[:32]


def key_of(svg: str) -> str | None:
    """The key of the drawing from which a picture was made, None if it is not one of ours."""
    found = KEY.search(svg[:2000])
    return found[1] if found else None


def picture(drawing: Drawing) -> str:
    """The drawing as an SVG file. Raises GraphvizError."""
    return dressed(laid_out(drawing.dot), drawing)


def laid_out(dot: str, program: str = "dot") -> str:
    """What Graphviz makes of a text. Raises GraphvizError."""
    path = shutil.which(program)
    if path is None:
        raise MissingGraphviz(
            f"{program} is not installed, and pictures are laid out by it: it is in the package"
            " graphviz (apt-get install graphviz). Mermaid (.mmd) and text need nothing"
        )
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program; what it reads is escaped
            [path, "-Tsvg"],
            input=dot,
            capture_output=True,
            encoding="utf-8",
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise GraphvizError(
            f"no layout after {SECONDS:.0f} seconds: draw a part of it, or Mermaid (.mmd)"
        ) from None
    if done.returncode != 0:
        raise GraphvizError(f"{program} says: {done.stderr.strip()[:500]}")
    return done.stdout


# ---- what becomes of Graphviz's output


def dressed(raw: str, drawing: Drawing) -> str:
    """An SVG file of ours, made of one by Graphviz."""
    root = ElementTree.fromstring(raw)  # noqa: S314 - written by dot just now
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        _undress(element)
    body = "".join(ElementTree.tostring(child, encoding="unicode") for child in root)
    body = re.sub(r"\s*\n\s*", "\n", body).strip()
    _, _, width, height = (float(part) for part in root.attrib["viewBox"].split())
    name = key(drawing)
    return (
        f'<svg xmlns="{NAMESPACE}" class="{CLASS}" role="img" '
        f'width="{width:.0f}" height="{height:.0f}" viewBox="{root.attrib["viewBox"]}" '
        f'aria-labelledby="t{name[:8]} d{name[:8]}">\n<!-- key: {name} -->\n'
        f'<title id="t{name[:8]}">{html.escape(drawing.title)}</title>\n'
        f'<desc id="d{name[:8]}">{html.escape(drawing.description)}</desc>\n'
        f"<style>{style_sheet()}</style>\n{body}\n</svg>\n"
    )


def _undress(element: ElementTree.Element) -> None:
    """Colours become classes, and what only Graphviz needs is left out."""
    classes = []
    for kind, mark in (("fill", ""), ("stroke", "-line")):
        value = element.attrib.get(kind, "")
        value = _NAMED.get(value, value)
        if value == "transparent":  # a word that only newer readers of SVG know
            element.attrib[kind] = "none"
        if value in _PART_OF:
            element.attrib[kind] = value
            classes.append(_PART_OF[value] + mark)
    if element.tag == "text" and "fill" not in element.attrib:
        classes.append("ink")
    for name in ("id", "class", "font-family"):
        element.attrib.pop(name, None)
    if element.attrib.get("text-anchor") == "start":  # as it is anyway
        del element.attrib["text-anchor"]
    if "font-size" in element.attrib:
        element.attrib["font-size"] = element.attrib["font-size"].removesuffix(".00")
    if classes:
        element.attrib["class"] = " ".join(classes)
    element.attrib.pop("{http://www.w3.org/XML/1998/namespace}space", None)
    # A title inside tips up under the mouse, and says only what Graphviz calls the part.
    for child in [child for child in element if child.tag.rpartition("}")[2] == "title"]:
        element.remove(child)
    for child in [child for child in element if child.tag.rpartition("}")[2] == "a"]:
        raise GraphvizError(f"a link in a picture: {child.attrib}")


def style_sheet(*, page: bool = False) -> str:
    """The colours of all pictures, by the reader's setting. page: for one that has a switch of its
    own and names the ground by data-theme at its body, as Furo does."""
    light, dark = (
        "".join(f"--{part}:{pair[ground]};" for part, pair in COLOURS.items()) for ground in (0, 1)
    )
    rules = "".join(
        f".{CLASS} .{part}{{fill:var(--{part})}}.{CLASS} .{part}-line{{stroke:var(--{part})}}"
        for part in COLOURS
    )
    switch = f'body[data-theme="{{}}"] .{CLASS}{{{{{{}}}}}}'
    return (
        f".{CLASS}{{{light}font-family:{FONTS}}}"
        f"@media (prefers-color-scheme:dark){{.{CLASS}{{{dark}}}}}"
        + (switch.format("light", light) + switch.format("dark", dark) if page else "")
        + rules
    )


def inline(svg: str, number: int) -> str:
    """A picture of ours as part of a page, the number-th of it: without the style sheet, which the
    page has, and with ids that are its own."""
    if key_of(svg) is None:
        raise ValueError("this picture is not one of Tools/Svg.py")
    svg = re.sub(r"<style>.*?</style>\n", "", svg, count=1, flags=re.DOTALL)
    svg = KEY.sub("", svg, count=1)
    svg = re.sub(r' width="(\d+)"', _narrowest, svg, count=1)
    return re.sub(r'((?:id|aria-labelledby)="[^"]*")', lambda m: _numbered(m[1], number), svg)


def _narrowest(width: re.Match[str]) -> str:
    """A page may make it smaller, by so much that its letters can still be read."""
    return f'{width[0]} style="min-width:{int(width[1]) * SMALLEST:.0f}px"'


def _numbered(attribute: str, number: int) -> str:
    return re.sub(r"\b([td][0-9a-f]{8})\b", rf"\1-{number}", attribute)
