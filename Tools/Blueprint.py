"""
What a component consists of, before it has ever run
====================================================
Axon.Survey takes a snapshot of a system that runs. This makes the same record (Axon.Snapshot) of
one that was only put together: a Pipeline, a Graphline, any component, with all that it holds and
all that is linked to it, and nothing of it is run or activated. What holds what is known by the
``components`` of a chassis, by its children, and by links that pass a box on to a member.

Numbers and names are given anew in the order of the drawing, so the same program always gives the
same record. A member of a graph is called by the name that it has there.

Example Usage
-------------
::

    from Axon.Picture import mermaid
    from Blueprint import blueprint
    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.OneShot import OneShot

    print(mermaid(blueprint(Pipeline(OneShot("hello"), ConsoleEchoer()))))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from Axon.Box import Inbox, Outbox
from Axon.Component import component
from Axon.Linkage import Passthrough
from Axon.Snapshot import (
    BoxState,
    ComponentState,
    Direction,
    End,
    LinkState,
    Snapshot,
    State,
)

MOST = 2000  # components in a drawing; nobody could read more, nor wait for it
AnyBox = Inbox | Outbox


class TooLarge(ValueError):  # noqa: N818 - said by what is wrong, as in Axon
    """There are more components than can be drawn."""


def blueprint(*made: component) -> Snapshot:
    """The record of these components, and of whatever they hold or are linked to."""
    parents = _reachable(made)
    order = list(_in_order(parents))
    ids = {one: number for number, one in enumerate(order, 1)}
    names = {member: name for one in order for name, member in _members(one) if name}
    return Snapshot(
        pid=0,
        time=0.0,
        components=tuple(_state(one, ids, parents, names.get(one)) for one in order),
        links=tuple(_links(ids)),
        timers=0,
        files=0,
        steps=None,
        messages=None,
        omitted=0,
    )


def of_class(kind: type[component], name: str | None = None) -> Snapshot:
    """The record of one component of a class, made from its box tables alone."""
    boxes = tuple(
        BoxState(box, direction, 0, None, None, "")
        for table, direction in ((kind.Inboxes, Direction.IN), (kind.Outboxes, Direction.OUT))
        for box in table
    )
    alone = _record(1, name or kind.__name__, kind, None, boxes)
    return Snapshot(0, 0.0, (alone,), (), 0, 0, None, None, 0)


# ---- what belongs to it


def _members(one: component) -> Iterator[tuple[str | None, component]]:
    """What a chassis was given to hold, with the names that it knows them by."""
    given: Any = getattr(one, "components", ())
    if isinstance(given, Mapping):
        pairs: list[tuple[object, object]] = list(given.items())
    else:
        pairs = [(None, member) for member in (given if isinstance(given, tuple | list) else ())]
    for name, member in pairs:
        if isinstance(member, component):
            yield (name if isinstance(name, str) else None), member


def _boxes(one: component) -> Iterator[AnyBox]:
    yield from one.inboxes.values()
    yield from one.outboxes.values()


def _neighbours(one: component) -> Iterator[tuple[component, component | None]]:
    """(another one that this one leads to, which of the two is inside the other)."""
    for _, member in _members(one):
        yield member, member
    for child in one.children:
        yield child, child
    for box in _boxes(one):
        for source, sink in [*((s, box) for s in box.sources), *((box, t) for t in [box.target])]:
            if sink is None or not isinstance(source.owner, component):
                continue
            other: Any = sink.owner if source is box else source.owner
            if not isinstance(other, component) or other is one:
                continue
            passed = _passthrough(source, sink)
            outer = {Passthrough.INBOX_TO_INBOX: source, Passthrough.OUTBOX_TO_OUTBOX: sink}
            holder: Any = outer[passed].owner if passed in outer else None
            yield other, None if holder is None else other if holder is one else one


def _passthrough(source: AnyBox, sink: AnyBox) -> Passthrough:
    if isinstance(source, Inbox):
        return Passthrough.INBOX_TO_INBOX
    return Passthrough.OUTBOX_TO_OUTBOX if isinstance(sink, Outbox) else Passthrough.OUTBOX_TO_INBOX


def _reachable(made: tuple[component, ...]) -> dict[component, component | None]:
    """Those and all that they lead to, breadth first, each with the one that it is inside of."""
    found: dict[component, component | None] = dict.fromkeys(made)
    waiting = list(found)
    for one in waiting:  # which grows meanwhile
        for other, inner in _neighbours(one):
            if other not in found:
                found[other] = None
                waiting.append(other)
                if len(found) > MOST:
                    raise TooLarge(f"more than {MOST} components belong to this: draw a part of it")
            if inner is not None and found[inner] is None and _free(inner, other, one, found):
                found[inner] = other if inner is one else one
    return found


def _free(
    inner: component,
    other: component,
    one: component,
    found: Mapping[component, component | None],
) -> bool:
    """True if it may be put there: nothing is, by some detour, inside itself."""
    holder: component | None = other if inner is one else one
    while holder is not None:
        if holder is inner:
            return False
        holder = found.get(holder)
    return True


def _in_order(parents: Mapping[component, component | None]) -> Iterator[component]:
    """Each before those inside it."""
    inside: dict[component | None, list[component]] = {}
    for one, parent in parents.items():
        inside.setdefault(parent, []).append(one)
    stack = list(reversed(inside.get(None, [])))
    while stack:
        one = stack.pop()
        yield one
        stack += reversed(inside.get(one, []))


# ---- the record


def _record(
    number: int, name: str, kind: type, parent: int | None, boxes: tuple[BoxState, ...]
) -> ComponentState:
    where = f"{kind.__module__}.{kind.__qualname__}"
    return ComponentState(
        number, name, where, parent, State.INACTIVE, None, False, None, None, boxes
    )


def _state(
    one: component,
    ids: Mapping[component, int],
    parents: Mapping[component, component | None],
    called: str | None,
) -> ComponentState:
    kind = type(one)
    # A name that nobody set ends in the component's number, which differs from run to run.
    own = kind.__name__ if one.name.endswith(f"_{one.id}") else one.name
    boxes = tuple(
        BoxState(
            box.name or "?",
            Direction.IN if isinstance(box, Inbox) else Direction.OUT,
            0,
            box.size if isinstance(box, Inbox) else None,
            None,
            "",
        )
        for box in _boxes(one)
    )
    parent = parents[one]
    name = f"{called}: {own}" if called and called != own else own
    return _record(ids[one], name, kind, None if parent is None else ids[parent], boxes)


def _links(ids: Mapping[component, int]) -> Iterator[LinkState]:
    for one in ids:
        for box in _boxes(one):
            target = box.target
            if target is not None and target.owner in ids:
                passed = _passthrough(box, target)
                yield LinkState(_end(box, ids), _end(target, ids), int(passed), None)


def _end(box: AnyBox, ids: Mapping[component, int]) -> End:
    direction = Direction.IN if isinstance(box, Inbox) else Direction.OUT
    owner: Any = box.owner
    return End(ids[owner], direction, box.name or "?")
