#!/usr/bin/env python3
"""
Write the reference of the policy language from its tables
==========================================================
One page for each statement, clause and value of greylist.conf, with the tracks that its words may
take, one for all settings, and those parts of the manual page greylist.conf(5) that list them::

    python Tools/PolicyDoc.py            # write what is not as it would be written
    python Tools/PolicyDoc.py --check    # only say what that is; exit code 1

What they say comes from StatementTable, ClauseTable and Schema of Kamaelia.Apps.Grey.Config, from
the elements of the grammar itself, and from PolicyNotes beside this file. To draw what has changed
needs the package railroad-diagrams.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":  # in a checkout it need not be installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from DocText import cell, table
from DotText import Drawing
from PolicyCodes import CODES
from PolicyNotes import CLAUSE_NOTES, STATEMENT_NOTES, VALUE_NOTES, Note
from Railroad import NOTHING, Track, drawing, joined, svg, thing, track_of, word
from Svg import key, key_of

from Kamaelia.Apps.Grey.Config.Policy.ClauseTable import (
    CLAUSES,
    COLON,
    GLOB_TEST,
    PROPERTY_TEST,
    VALUES,
    ClauseRow,
    ValueRow,
)
from Kamaelia.Apps.Grey.Config.Policy.StatementTable import STATEMENTS, StatementRow
from Kamaelia.Apps.Grey.Config.Policy.Syntax import SHAPES
from Kamaelia.Apps.Grey.Config.Policy.Syntax import table as grammar
from Kamaelia.Apps.Grey.Config.Schema import SETTINGS
from Kamaelia.Apps.Grey.Core.Access.Rule import Stage

ROOT = Path(__file__).resolve().parents[1]
FOLDER = "Docs/operating/reference"
MANUAL = "Docs/man/greylist.conf.5.md"
MADE = "<!-- Made by Tools/PolicyDoc.py: change the tables, or PolicyNotes, and run it again. -->"
PART = re.compile(r"(<!-- made: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
LATER = frozenset({"peers", "syncaddr", "syncsrcaddr", "syncmaxqlen", "socket"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One page. kind: statement, clause or value; facts: what a table beside says."""

    kind: str
    keyword: str
    usage: str
    meaning: str
    note: Note
    track: Track
    facts: tuple[tuple[str, str], ...]
    missing: str = ""

    @property
    def name(self) -> str:
        """Of its page and its picture, without their ending."""
        plain = {"$property": "property", "*": "glob"}.get(self.keyword, self.keyword)
        return f"{self.kind}.{plain}"


# ---- the rows as entries


def entries() -> list[Entry]:
    """All pages, in the order of the tables."""
    clauses = [*CLAUSES.values(), PROPERTY_TEST, GLOB_TEST]
    return [
        *map(_statement, STATEMENTS.values()),
        *map(_clause, clauses),
        *map(_value, VALUES.values()),
    ]


def _statement(row: StatementRow) -> Entry:
    facts = [("In milter-greylist", _since(row.since_3_0))]
    if row.default:
        facts.append(("When the file is silent", f"`{row.default}`"))
    if row.field in SETTINGS:
        shape = str(SETTINGS[row.field].shape)
        facts.append(("Sets", f"[`{row.field}`](settings.md), {shape}"))
    element = grammar()[row.keyword]
    body = getattr(element, "_body")  # noqa: B009 - the grammar's own; None: the word alone
    track = NOTHING if body is None else track_of(body)
    if row.keyword == "acl":
        track = _without(track, thing("text in quotes"), word("continue"))
    return Entry(
        "statement",
        row.keyword,
        row.usage,
        row.meaning,
        STATEMENT_NOTES[row.keyword],
        joined("sequence", *_head(row.keyword), track),
        tuple(facts),
        row.missing,
    )


def _without(track: Track, *parts: Track) -> Track:
    kept = [_without(part, *parts) for part in track.parts if part not in parts]
    kept = [part for part in kept if part.kind not in ("maybe",) or part.parts]
    return Track(track.kind, track.text, tuple(kept))


def _head(keyword: str) -> list[Track]:
    return [word(keyword), *([joined("maybe", word(":"))] if keyword in COLON else [])]


def _clause(row: ClauseRow) -> Entry:
    once = "once"
    if row.keyword in ("domain", "from", "rawfrom", "helo"):
        once = "once as a text and once as an expression"
    facts = (
        ("Stands in", _stages(row.stages)),
        ("In one rule", once if row.once else "any number of times"),
        ("Lists of it", "yes" if row.listed else "no"),
        ("In milter-greylist", _since(row.since_3_0)),
    )
    head = [thing("$property")] if row.keyword == "$property" else _head(row.keyword)
    negated = joined("maybe", word("not"))
    track = joined("sequence", negated, *head, track_of(SHAPES[row.shape]))
    return Entry(
        *("clause", row.keyword, f"{row.keyword} {row.shape.value}".strip(), row.meaning),
        *(CLAUSE_NOTES[row.keyword], track, facts, row.missing),
    )


def _stages(stages: frozenset[Stage]) -> str:
    if stages == frozenset(Stage):
        return "`acl`, `racl`, `dacl`"
    return "`acl`, `racl`" if Stage.RCPT in stages else "`dacl`"


def _value(row: ValueRow) -> Entry:
    track = joined("sequence", *_head(row.keyword), track_of(SHAPES[row.shape]))
    return Entry(
        *("value", row.keyword, f"{row.keyword} {row.shape.value}".strip(), row.meaning),
        *(VALUE_NOTES[row.keyword], track, (("In milter-greylist", _since(row.since_3_0)),)),
    )


def _since(old: bool) -> str:
    return "3.0 and 4.6" if old else "4.6"


# ---- pages


def page(entry: Entry) -> str:
    """The text of an entry's page."""
    parts = [f"# {_heading(entry)}", MADE, f"`{entry.usage}`: {entry.meaning}."]
    parts.append(f"![How {entry.keyword} is written](pictures/{entry.name}.svg)")
    if entry.missing:
        parts.append(f"**Not offered**, and a problem of the file: {entry.missing}.")
    if entry.note.text:
        parts.append(entry.note.text)
    parts.append("\n".join(f"- {name}: {text}" for name, text in entry.facts))
    if entry.note.example:
        parts.append(f"```conf\n{entry.note.example}\n```")
    return "\n\n".join(parts) + "\n"


def _heading(entry: Entry) -> str:
    shown = {"*": "* $property"}.get(entry.keyword, entry.keyword)
    return f"The {entry.kind} {shown}".replace("*", "\\*").replace("_", "\\_")


def picture(entry: Entry) -> Drawing:
    """What an entry's picture is made of."""
    text = f"{entry.usage}: {entry.meaning}. The words of each track, from the left to the right."
    return drawing(entry.track, f"How {entry.keyword} is written", text)


_ABOUT = {
    "statement": (
        "Statements",
        "One a line; a backslash at its end joins the next line. Settings (`name = value`) and "
        "statements may stand in one file, in any order.",
    ),
    "clause": ("Clauses", "What must hold for a rule to match. `not` before one: it must not."),
    "value": ("Values", "What a rule says of the mail that it takes. They stand behind clauses."),
}


def index(found: Sequence[Entry]) -> str:
    """The page that leads to all others."""
    parts = [
        "# Reference of greylist.conf",
        MADE,
        "Every word of the file: [settings](settings.md), which are `name = value`, and "
        "milter-greylist's language. To learn it, begin with [the guide](../policy.md).",
    ]
    for kind, (title, about) in _ABOUT.items():
        rows = [
            [f"[`{entry.keyword}`]({entry.name}.md)", cell(_short(entry))]
            for entry in found
            if entry.kind == kind
        ]
        parts += [f"## {title}", about, table(["Word", "What it is for"], rows)]
    parts += [
        "## Codes",
        "Texts that are said to somebody, or written down, may have these in them; what else "
        "begins with `%` stays as it is.",
        table(["Code", "Stands for"], [[f"`{code}`", cell(text)] for code, text in CODES.items()]),
    ]
    return "\n\n".join(parts) + "\n"


def _short(entry: Entry) -> str:
    return f"{entry.meaning} (not offered)" if entry.missing else entry.meaning


def settings() -> str:
    """The page of all settings."""
    rows = [
        [f"`{name}`", cell(str(row.shape)), _default(row.default), cell(_also(name)), row.reason]
        for name, row in SETTINGS.items()
    ]
    heads = ["Setting", "Takes", "Default", "Statement", "What it does"]
    about = (
        "Written `name = value`, or `name:` with rows on the lines below. What they are for, with "
        "examples, is told in [greylist.conf](../greylist.conf.md). *Statement*: what "
        "milter-greylist's language has for it."
    )
    return "\n\n".join(["# Settings", MADE, about, table(heads, rows)]) + "\n"


def _default(text: str) -> str:
    return " ".join(f"`{line}`" for line in text.splitlines()) or "(empty)"


def _also(setting: str) -> str:
    names = [row.keyword for row in STATEMENTS.values() if row.field == setting]
    return " ".join(f"[`{name}`](statement.{name}.md)" for name in names)


# ---- the manual page


def manual(text: str, found: Sequence[Entry]) -> str:
    """The manual page with its lists written anew. Raises KeyError for one that is unknown."""
    makers: Mapping[str, Callable[[], Iterator[str]]] = {
        "statements": lambda: _terms(found, "statement"),
        "clauses": lambda: _terms(found, "clause"),
        "values": lambda: _terms(found, "value"),
        "settings": _setting_terms,
        "codes": _code_terms,
    }
    return PART.sub(
        lambda part: f"{part[1]}\n{_definitions(makers[part[2]]())}\n{part[3]}",
        text,
    )


def _definitions(terms: Iterable[str]) -> str:
    return "\n".join(terms)


def _terms(found: Sequence[Entry], kind: str) -> Iterator[str]:
    for entry in found:
        if entry.kind == kind:
            says = [f"{entry.meaning[0].upper()}{entry.meaning[1:]}."]
            says += _said(entry)
            if entry.note.text:
                says.append(re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", entry.note.text))
            yield f"`{entry.usage}`\n: {' '.join(says)}\n"


def _said(entry: Entry) -> Iterator[str]:
    facts = dict(entry.facts)
    if entry.missing:
        yield f"Not offered: {entry.missing}."
    if "When the file is silent" in facts:
        yield f"Default: {facts['When the file is silent']}."
    if "Sets" in facts:
        yield f"Sets {facts['Sets'].split('](')[0].removeprefix('[')}."
    if facts.get("Stands in", "").count("`") in (2, 4):
        yield f"In {facts['Stands in'].replace(', ', ' and ')} only."


def _setting_terms() -> Iterator[str]:
    for name, row in SETTINGS.items():
        reason = f"{row.reason[0].upper()}{row.reason[1:]}"
        yield f"`{name}`\n: {reason}. Takes {row.shape}. Default: {_default(row.default)}.\n"


def _code_terms() -> Iterator[str]:
    for code, text in CODES.items():
        yield f"`{code}`\n: {text[0].upper()}{text[1:]}.\n"


# ---- what is stale, and writing


def pages(found: Sequence[Entry], root: Path) -> dict[str, str]:
    """Path under the root -> text."""
    made = {f"{FOLDER}/{entry.name}.md": page(entry) for entry in found}
    made[f"{FOLDER}/README.md"] = index(found)
    made[f"{FOLDER}/settings.md"] = settings()
    text = _read(root / MANUAL)
    if text is not None:
        made[MANUAL] = manual(text, found)
    return made


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _image(entry: Entry) -> str:
    return f"{FOLDER}/pictures/{entry.name}.svg"


def stale(found: Sequence[Entry], root: Path) -> list[str]:
    """What is not as it would be written, not there, or too much. Of a picture its key is
    compared: layouts may differ from one version of railroad-diagrams to the next."""
    made = pages(found, root)
    folder = root / FOLDER
    there = {str(path.relative_to(root)) for path in folder.rglob("*.*") if path.is_file()}
    wrong = {name for name, text in made.items() if _read(root / name) != text}
    wrong |= {
        _image(entry)
        for entry in found
        if key_of(_read(root / _image(entry)) or "") != key(picture(entry))
    }
    return sorted(wrong | there - made.keys() - set(map(_image, found)))


def write(found: Sequence[Entry], root: Path, names: Sequence[str]) -> None:
    """Write those of the pages and pictures, and remove what is neither."""
    made = pages(found, root)
    drawn = {_image(entry): entry for entry in found}
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name in made:
            path.write_text(made[name], encoding="utf-8")
        elif name in drawn:
            path.write_text(svg(drawn[name].track, picture(drawn[name])), encoding="utf-8")
        else:
            path.unlink()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=f"Write {FOLDER} and lists of {MANUAL}.")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if pages are stale")
    options = parser.parse_args(arguments)
    found = entries()
    names = stale(found, ROOT)
    if not options.check:
        write(found, ROOT, names)
    for name in names:
        print(name, "is stale" if options.check else "done")
    return 1 if options.check and names else 0


if __name__ == "__main__":
    sys.exit(main())
