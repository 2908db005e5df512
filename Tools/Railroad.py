"""
Tracks of the grammar
=====================
Draws an element of pyparsing as a railroad diagram: whoever follows a track from the left to the
right has written something that the parser takes. Round boxes are written as they stand, square
ones stand for what is named in them.

A drawing is a `Track` first, a value made of the element alone (`track_of`), so that whether a
picture is stale can be told without drawing it. `svg` needs the package railroad-diagrams.

Example Usage
-------------
>>> from Kamaelia.Apps.Grey.Config.Policy.ClauseTable import Shape
>>> from Kamaelia.Apps.Grey.Config.Policy.Syntax import SHAPES
>>> print(track_of(SHAPES[Shape.NETWORK]))
sequence(<IP address> maybe(<length of a prefix>))
"""

from __future__ import annotations

import html
import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyparsing as pp
from DotText import Drawing
from Svg import CLASS, NAMESPACE, key, style_sheet

from Kamaelia.Apps.Grey.Config.Policy.Syntax import ListBody, RuleBody
from Kamaelia.Apps.Grey.Config.Policy.Tokens import Choice

MONOSPACED = "'DejaVu Sans Mono', Consolas, Menlo, monospace"  # as wide as railroad-diagrams thinks
# A slip of milter-greylist's pen, which is taken but need not be taught.
_UNSAID = frozenset({"comand"})
_SIGNS = {
    "a slash": "/",
    "a brace": "{",
    "a closing brace": "}",
    "a comma": ",",
}


@dataclass(frozen=True, slots=True)
class Track:
    """kind: word (as it stands), thing (what is named), or how `parts` are joined: sequence,
    choice, maybe (one part), some (any number, or none), many (at least one)."""

    kind: str
    text: str = ""
    parts: tuple[Track, ...] = ()

    def __str__(self) -> str:
        if self.kind == "word":
            return repr(self.text)
        if self.kind == "thing":
            return f"<{self.text}>"
        return f"{self.kind}({' '.join(map(str, self.parts))})"


def word(text: str) -> Track:
    """What is written as it stands."""
    return Track("word", text)


def thing(text: str) -> Track:
    """What is named."""
    return Track("thing", text)


def joined(kind: str, *parts: Track) -> Track:
    """Parts without those that are nothing; a sequence or choice of one is that one."""
    flat: list[Track] = []
    for part in parts:
        if part.kind == kind == "sequence":
            flat += part.parts
        elif part.parts or part.text:
            flat.append(part)
    if kind in ("sequence", "choice") and len(flat) == 1:
        return flat[0]
    return Track(kind, "", tuple(flat))


NOTHING = Track("sequence")
# What RuleBody takes. (It goes by the tables, and so has no elements inside.)
RULE = joined(
    "sequence",
    joined(
        "choice",
        joined("many", joined("sequence", joined("maybe", word("not")), thing("clause"))),
        word("default"),
    ),
    joined("some", thing("value")),
)
ITEMS = joined("sequence", word("{"), joined("many", thing("item")), word("}"))


def track_of(element: pp.ParserElement) -> Track:
    """What that element takes. Raises TypeError for one that is not known here."""
    match element:
        case pp.And():
            return joined("sequence", *map(track_of, element.exprs))
        case pp.MatchFirst():
            return joined("choice", *map(track_of, element.exprs))
        case pp.Opt():
            return joined("maybe", track_of(element.expr))
        case pp.ZeroOrMore():
            return joined("some", track_of(element.expr))
        case pp.Empty():
            return NOTHING
        case RuleBody():
            return RULE
        case ListBody():
            return ITEMS
        case Choice():
            listed = element.cure.removeprefix("write ").replace(" or ", ", ").split(", ")
            return joined("choice", *(word(each) for each in listed if each not in _UNSAID))
    return _leaf(element)


def _leaf(element: pp.ParserElement) -> Track:
    name = str(element.name)
    if name == "a colon":  # of a rule's action: said once, in the text of the page
        return NOTHING
    if not hasattr(element, "cure"):
        raise TypeError(f"no track for {type(element).__name__} {name}")
    if name in _SIGNS:
        return word(_SIGNS[name])
    return thing(re.sub(r"^(?:an?|the) ", "", name))


def drawing(track: Track, title: str, description: str) -> Drawing:
    """What Svg.key() tells apart: the track, not its layout."""
    return Drawing(str(track), title, description)


# ---- as a picture


def svg(track: Track, made: Drawing) -> str:
    """An SVG file in the colours of our pictures (see Svg): light and dark, nothing from
    elsewhere."""
    # Only to draw: whoever checks or reads need not have it.
    import railroad  # type: ignore[import-untyped]

    makers: Mapping[str, Callable[[Track], railroad.DiagramItem]] = {
        "word": lambda part: railroad.Terminal(part.text),
        "thing": lambda part: railroad.NonTerminal(part.text),
        "sequence": lambda part: railroad.Sequence(*map(item, part.parts)),
        "choice": lambda part: railroad.Choice(0, *map(item, part.parts)),
        "maybe": lambda part: railroad.Optional(item(part.parts[0])),
        "some": lambda part: railroad.ZeroOrMore(item(part.parts[0])),
        "many": lambda part: railroad.OneOrMore(item(part.parts[0])),
    }

    def item(part: Track) -> railroad.DiagramItem:
        return makers[part.kind](part)

    written = io.StringIO()
    railroad.Diagram(item(track), type="complex").writeSvg(written.write)
    return _dressed(written.getvalue(), made)


def _dressed(raw: str, made: Drawing) -> str:
    root = ElementTree.fromstring(raw)  # noqa: S314 - written just now
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    _undress(root, "")
    body = "".join(ElementTree.tostring(child, encoding="unicode") for child in root)
    body = "\n".join(line for line in map(str.strip, body.splitlines()) if line)
    name = key(made)
    return (
        f'<svg xmlns="{NAMESPACE}" class="{CLASS}" role="img" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:g} {height:g}" '
        f'aria-labelledby="t{name[:8]} d{name[:8]}">\n<!-- key: {name} -->\n'
        f'<title id="t{name[:8]}">{html.escape(made.title)}</title>\n'
        f'<desc id="d{name[:8]}">{html.escape(made.description)}</desc>\n'
        f"<style>{style_sheet()}</style>\n"
        f'<rect class="ground" width="{width:g}" height="{height:g}" fill="#ffffff"/>\n'
        f"{body}\n</svg>\n"
    )


_PARTS = {
    "terminal": {"class": "component rim-line", "fill": "#ffffff", "stroke": "#000000"},
    "non-terminal": {"class": "frame frame-edge-line", "fill": "#ffffff", "stroke": "#000000"},
}


def _undress(element: ElementTree.Element, around: str) -> None:
    """Its classes become ours; paths without a length go."""
    inside = element.attrib.pop("class", "").strip() or around
    for child in list(element):
        child.tag = child.tag.rpartition("}")[2]
        if child.tag == "path" and child.attrib["d"].endswith("h0.0"):
            element.remove(child)
            continue
        if child.tag == "path":
            child.attrib |= {"class": "rim-line", "fill": "none", "stroke": "#000000"}
        elif child.tag == "rect":
            child.attrib |= _PARTS[inside]
        elif child.tag == "text":
            child.attrib |= {"class": "ink", "font-size": "14", "text-anchor": "middle"}
            child.attrib["font-family"] = MONOSPACED
        elif child.tag == "g":
            _undress(child, inside)
