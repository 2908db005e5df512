"""
What a running program consists of, as data
===========================================
A snapshot says which components there are, who is awake, how many messages wait in which box and
what is linked to what, at one moment. It consists of plain values only, so it can be kept, compared
with a later one, sent to another process as JSON (Axon.Monitor) and drawn (Axon.Picture) without
holding the program in memory. Axon.Survey takes it.

Example Usage
-------------
::

    from Axon.Snapshot import from_json, to_json
    from Axon.Survey import snapshot

    taken = snapshot()
    assert from_json(to_json(taken)) == taken
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, TypeVar


class State(StrEnum):
    """What a component does at the moment."""

    AWAKE = "awake"
    ASLEEP = "asleep"  # until a message comes, or another component wakes it
    WAITING = "waiting"  # the same, or until a time
    INACTIVE = "inactive"  # not run by this scheduler: not activated yet, or over


class Direction(StrEnum):
    """Which way messages go through a box, seen from its component."""

    IN = "in"
    OUT = "out"


@dataclass(frozen=True, slots=True)
class BoxState:
    """One box of a component. waiting: messages that lie here; limit: the most it takes; messages:
    how many were sent to an outbox, or put into an inbox, since counting began."""

    name: str
    direction: Direction
    waiting: int
    limit: int | None
    messages: int | None
    description: str


@dataclass(frozen=True, slots=True)
class ComponentState:
    """One component. seconds: how long a WAITING one still sleeps at the longest; place: the line
    at which it stands; steps: turns it has had since counting began."""

    id: int
    name: str
    kind: str
    parent: int | None
    state: State
    seconds: float | None
    threaded: bool
    place: str | None
    steps: int | None
    boxes: tuple[BoxState, ...]


@dataclass(frozen=True, slots=True, order=True)
class End:
    """One end of a link: a box, by the id of its component."""

    component: int
    direction: Direction
    box: str


@dataclass(frozen=True, slots=True)
class LinkState:
    """One link. messages: how many went over it since counting began."""

    source: End
    sink: End
    passthrough: int
    messages: int | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One moment of one scheduler. time: seconds by its clock, to work out rates; omitted: how
    many components there are beyond the limit that was asked for."""

    pid: int
    time: float
    components: tuple[ComponentState, ...]
    links: tuple[LinkState, ...]
    timers: int
    files: int
    steps: int | None
    messages: int | None
    omitted: int


def to_json(taken: Snapshot) -> str:
    """One line of JSON, of ASCII characters only."""
    return json.dumps(taken, default=_fields, separators=(",", ":"))


def _fields(value: Any) -> dict[str, object]:
    return {name: getattr(value, name) for name in value.__slots__}


def from_json(text: str | bytes) -> Snapshot:
    """Undo to_json. Raises ValueError for anything else: what another program says is not
    trusted."""
    try:
        return _snapshot(json.loads(text))
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError("this is not a snapshot of a program") from error


def _snapshot(raw: Any) -> Snapshot:
    return _checked(
        Snapshot,
        raw,
        components=tuple(_component(one) for one in raw["components"]),
        links=tuple(
            _checked(LinkState, link, source=_end(link["source"]), sink=_end(link["sink"]))
            for link in raw["links"]
        ),
    )


def _component(raw: Any) -> ComponentState:
    boxes = tuple(
        _checked(BoxState, box, direction=Direction(box["direction"])) for box in raw["boxes"]
    )
    return _checked(ComponentState, raw, boxes=boxes, state=State(raw["state"]))


def _end(raw: Any) -> End:
    return _checked(End, raw, direction=Direction(raw["direction"]))


_Record = TypeVar("_Record")
_PLAIN: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "str": (str,),
    "None": (type(None),),
}


def _checked(record: type[_Record], raw: dict[str, Any], **made: object) -> _Record:
    """Make a record of the values read, each of the type that its field says; those that are
    records themselves are made already."""
    for field in fields(record):  # type: ignore[arg-type]
        if field.name not in made:
            allowed = [kind for name in str(field.type).split(" | ") for kind in _PLAIN[name]]
            if not isinstance(raw[field.name], tuple(allowed)):
                raise TypeError(field.name)
    return record(**{**raw, **made})
