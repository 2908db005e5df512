"""
A snapshot for people: a table, a tree, a drawing
=================================================
``table`` is one line for each component, the busiest first: what ``python -m Axon ps`` and ``top``
print. ``tree`` shows who contains whom, with boxes and where they lead. ``mermaid`` is the text of
a drawing that many document viewers, GitHub among them, show as a picture.

Names in a snapshot come from the program that was looked at, which may be somebody else's: all are
printed escaped and cut to a length, so that none of them can play tricks with a terminal.

Example Usage
-------------
::

    from Axon.Picture import tree
    from Axon.Survey import snapshot

    print(tree(snapshot()))
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from Axon.Instruments import plain
from Axon.Snapshot import BoxState, ComponentState, End, LinkState, Snapshot, State

_DEEPEST = 40  # levels of a tree that are indented; nobody reads more
_PLACE_WIDTH = 60
_NAME_WIDTH = 30  # so that the numbers fit into 80 columns


def summary(taken: Snapshot) -> str:
    """One line about the whole."""
    awake = sum(1 for one in taken.components if one.state is State.AWAKE)
    shown = len(taken.components)
    more = f" ({taken.omitted} more not shown)" if taken.omitted else ""
    return (
        f"process {taken.pid}: {shown} components{more}, {awake} awake, "
        f"{sum(map(_waiting, taken.components))} messages waiting, "
        f"{taken.timers} timers, {taken.files} files"
    )


def table(taken: Snapshot, before: Snapshot | None = None, rows: int | None = None) -> str:
    """One line a component, busiest first, at most rows of them; with an earlier snapshot also
    steps and messages (in and out) a second."""
    steps, messages = _rates(before, taken)

    def order(one: ComponentState) -> tuple[float, int, int]:
        return -steps.get(one.id, 0.0), -_waiting(one), one.id

    lines = [
        (
            str(one.id),
            _name(one),
            _state(one),
            str(_waiting(one)),
            _number(steps.get(one.id)),
            _number(messages.get(one.id)),
            plain(one.place or "", _PLACE_WIDTH),
        )
        for one in islice(sorted(taken.components, key=order), rows)
    ]
    titles = ("id", "component", "state", "waiting", "steps/s", "messages/s", "at")
    return "\n".join(_columns([titles, *lines]))


def _columns(lines: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (
            cell.ljust(width) if number in (1, 2, 6) else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def _name(one: ComponentState) -> str:
    """A name that nobody set, <module>.<Class>_<number>, without the module."""
    name = one.name
    return plain(name.rpartition(".")[2] if name.endswith(f"_{one.id}") else name, _NAME_WIDTH)


def _waiting(one: ComponentState) -> int:
    return sum(box.waiting for box in one.boxes)


def _state(one: ComponentState) -> str:
    text = str(one.state)
    if one.seconds is not None:
        text += f" {one.seconds:.1f} s"
    return f"{text}, thread" if one.threaded else text


def _number(rate: float | None) -> str:
    if rate is None:
        return "-"
    return f"{rate:.1f}" if 0 < rate < 10 else f"{rate:.0f}"


def _rates(before: Snapshot | None, after: Snapshot) -> tuple[dict[int, float], dict[int, float]]:
    """Steps, and messages, a second by component id; empty if nothing was counted."""
    if before is None or after.steps is None or after.time <= before.time:
        return {}, {}
    seconds = after.time - before.time
    return (
        _per_second(_steps(before), _steps(after), seconds),
        _per_second(_messages(before), _messages(after), seconds),
    )


def _per_second(earlier: dict[int, int], later: dict[int, int], seconds: float) -> dict[int, float]:
    return {one: max(0, now - earlier.get(one, 0)) / seconds for one, now in later.items()}


def _steps(taken: Snapshot) -> dict[int, int]:
    return {one.id: one.steps or 0 for one in taken.components}


def _messages(taken: Snapshot) -> dict[int, int]:
    return {one.id: sum(box.messages or 0 for box in one.boxes) for one in taken.components}


# ---- the tree


def tree(taken: Snapshot) -> str:
    """Who contains whom, each with its boxes and where they lead."""
    inside: dict[int | None, list[ComponentState]] = {}
    known = {one.id: one for one in taken.components}
    for one in taken.components:
        inside.setdefault(one.parent if one.parent in known else None, []).append(one)
    names = {id_: _name(one) for id_, one in known.items()}
    leads = {
        link.source: f"{names.get(link.sink.component, '?')}.{plain(link.sink.box, 40)}"
        for link in taken.links
    }
    lines: list[str] = []
    # A stack and not recursion: parents may be nested deeper than Python's calls, or, in what a
    # hostile program says, in a ring, which this never enters.
    stack = [(one, 0) for one in reversed(inside.get(None, []))]
    while stack:
        one, depth = stack.pop()
        lines += _branch(one, "  " * min(depth, _DEEPEST), leads)
        # Taken out: of two that claim the same id only one gets the children, else they might be
        # each other's for ever.
        stack += [(child, depth + 1) for child in reversed(inside.pop(one.id, []))]
    return "\n".join(lines)


def _branch(one: ComponentState, indent: str, leads: dict[End, str]) -> Iterator[str]:
    place = f", at {plain(one.place, _PLACE_WIDTH)}" if one.place else ""
    yield f"{indent}{_name(one)} ({one.id}, {_state(one)}{place})"
    for box in one.boxes:
        target = leads.get(End(one.id, box.direction, box.name))
        if target is not None or box.waiting:
            yield f"{indent}    {_box(box)}" + (f" -> {target}" if target is not None else "")


def _box(box: BoxState) -> str:
    text = f"{plain(box.name, 40)}"
    if box.waiting or box.limit is not None:
        text += f" [{box.waiting}" + (f" of {box.limit}]" if box.limit is not None else "]")
    return text


# ---- the drawing


def mermaid(taken: Snapshot) -> str:
    """A flowchart: a node each component, an arrow each link, with the messages on it if counted.

    A component that looks after others is a frame around them; those of its boxes that are linked
    are small round nodes inside, as Mermaid cannot draw an arrow from a frame to its content. Links
    that only pass a box on are dotted."""
    lines = ["flowchart LR"]
    ports: dict[End, str] = {}
    linked = linked_boxes(taken)
    for one, depth, opens in nested(taken):
        indent = "    " * (min(depth, _DEEPEST) + 1)
        if one is None:
            lines.append(f"{indent}end")
        elif not opens:
            lines.append(f'{indent}c{one.id}["{_label(_name(one))}"]')
        else:
            lines.append(f'{indent}subgraph s{one.id}["{_label(_name(one))}"]')
            for end in linked.get(one.id, ()):
                ports[end] = f"b{len(ports) + 1}"
                lines.append(f'{indent}    {ports[end]}(["{_label(end.box)}"])')
    lines += [_arrow(link, ports) for link in taken.links]
    return "\n".join(lines) + "\n"


def _arrow(link: LinkState, ports: dict[End, str]) -> str:
    source, sink = (ports.get(end, f"c{end.component}") for end in (link.source, link.sink))
    text = "" if link.source in ports else _label(link.source.box)
    if link.sink not in ports:
        text += f" to {_label(link.sink.box)}"
    if link.messages is not None:
        text += f": {link.messages}"
    arrow = "-.->" if link.passthrough else "-->"
    return f"    {source} {arrow}" + (f'|"{text.strip()}"| ' if text else " ") + sink


def linked_boxes(taken: Snapshot) -> dict[int, dict[End, None]]:
    """By a component's id: those of its boxes at which a link begins or ends, in that order."""
    found: dict[int, dict[End, None]] = {}
    for link in taken.links:
        for end in (link.source, link.sink):
            found.setdefault(end.component, {})[end] = None
    return found


def nested(taken: Snapshot) -> Iterator[tuple[ComponentState | None, int, bool]]:
    """All components, each before those it looks after: (component, depth, True if others are
    inside); (None, depth, False) after the last of these. Who claims to be inside himself, by
    whatever detour, is left out, and what is deeper than anybody reads is put side by side."""
    known = {one.id: one for one in taken.components}
    inside: dict[int | None, list[ComponentState]] = {}
    for one in known.values():
        inside.setdefault(one.parent if one.parent in known else None, []).append(one)
    # A stack and not recursion, as in tree().
    stack: list[tuple[ComponentState | None, int]] = [
        (one, 0) for one in reversed(inside.get(None, []))
    ]
    while stack:
        top, depth = stack.pop()
        within = [] if top is None else inside.get(top.id, [])
        opens = bool(within) and depth < _DEEPEST
        yield top, depth, opens
        if opens:
            stack.append((None, depth))
        stack += [(child, depth + opens) for child in reversed(within)]


def _label(name: str) -> str:
    """A name in a drawing: of letters, digits and a few signs that mean nothing to Mermaid."""
    return "".join(char if char.isalnum() or char in " ._:-" else "_" for char in plain(name, 60))
