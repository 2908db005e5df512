"""
A graph of components, linked by names
======================================
The members are keyword arguments, and a dictionary says which box leads to which:
``{(name, box): (name, box)}``. A name that is no member's, "self" or "" by custom, means the
Graphline: as a source it is an inbox of it that is passed on, as a sink an outbox. Boxes that are
not there yet are made, on this instance.

Example Usage
-------------
An echo in the middle, whose Graphline shows its two ends as its own::

    from Kamaelia.Chassis.Graphline import Graphline
    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Protocol.EchoProtocol import EchoProtocol
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.OneShot import OneShot

    echo = Graphline(
        ECHO=EchoProtocol(),
        linkages={
            ("self", "inbox"): ("ECHO", "inbox"),
            ("self", "control"): ("ECHO", "control"),
            ("ECHO", "outbox"): ("self", "outbox"),
            ("ECHO", "signal"): ("self", "signal"),
        },
    )
    Pipeline(OneShot("hello"), echo, ConsoleEchoer()).run()

It prints::

    hello

Rules. The members are activated, and become its children, when it runs, linked or not; it ends
when all of them have ended. About shutdowns:

* "control" of the Graphline not in the linkages: every message there goes to the "control" of each
  member to whose "control" no linkage leads. In the linkages: it goes only there.
* "signal" not in the linkages: after the end of all members it sends one message, the
  shutdownMicroprocess that it was told to hand on, or else a producerFinished. In the linkages: it
  sends nothing of its own.
* Stopping it from outside (``stop()``) stops the members.

``boxsizes={(name, box): size}`` limits how many messages may wait in an inbox, so that a slow
member holds a fast one back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches

from Axon.Component import component
from Axon.Ipc import producerFinished, stops_at_once
from Axon.Linkage import Passthrough
from Kamaelia.Chassis.Pipeline import MembersMixin, limit_inbox

Linkages = Mapping[tuple[str, str], tuple[str, str]]
BoxSizes = Mapping[tuple[str, str], int | None]
_Boxes = Mapping[str, str] | Collection[str]

_NEAR = 0.8  # of difflib: one wrong or swapped letter in a short name


class BadLinkages(TypeError, ValueError):  # noqa: N818 - said by what is wrong, as in Axon
    """The linkages given to a Graphline are missing, misshapen, or name what is not there."""


class Graphline(MembersMixin, component):
    """Graphline(linkages, boxsizes=None, **components) -> the components, linked as the dictionary
    says.

    Raises BadLinkages (both a TypeError and a ValueError), and KeyError for a box that a member
    does not have."""

    Inboxes = {
        "inbox": "object: wherever the linkages lead it",
        "control": "the shutdown: wherever the linkages lead it, else to all members",
    }
    Outboxes = {
        "outbox": "object: whatever the linkages lead to it",
        "signal": "the shutdown that the linkages lead to it, else one when all members have ended",
        "_cs": "object: unused; the original told its members by it",
    }

    def __init__(
        self,
        linkages: Linkages | None = None,
        boxsizes: BoxSizes | None = None,
        **components: component,
    ) -> None:
        layout = _checked(linkages, components)
        implied_in = [box for name, box in layout if name not in components]
        implied_out = [box for name, box in layout.values() if name not in components]
        super().__init__(
            Inboxes=_with(implied_in, self.Inboxes), Outboxes=_with(implied_out, self.Outboxes)
        )
        self.components = components
        # Not copied, since a server makes thousands from one dictionary. It is the caller's, who
        # may change it, so what is asked later is found out now.
        self.layout = layout
        fed = {name for name, box in layout.values() if box == "control"}
        self._to_tell = tuple(member for name, member in components.items() if name not in fed)
        signals = [name for name, box in layout.values() if box == "signal"]
        self._speaks = all(name in components for name in signals)  # none of them is ours
        for (name, box), (sinkname, sinkbox) in layout.items():
            source, sink = components.get(name, self), components.get(sinkname, self)
            direction = Passthrough.OUTBOX_TO_INBOX
            if source is self:
                direction = Passthrough.INBOX_TO_INBOX
            elif sink is self:
                direction = Passthrough.OUTBOX_TO_OUTBOX
            try:
                self.link((source, box), (sink, sinkbox), direction)
            except KeyError as error:
                error.add_note(f"in the linkage from {(name, box)} to {(sinkname, sinkbox)}")
                raise
        if boxsizes:
            self._limit(boxsizes)

    def _limit(self, boxsizes: BoxSizes) -> None:
        for end, size in boxsizes.items():
            if not _is_end(end):
                raise BadLinkages(f"boxsizes must be {{(name, box): size}}, not of {end!r}")
            name, box = end
            if name not in self.components:
                _refuse_misspelt(name, self.components)
            try:
                limit_inbox(self.components.get(name, self), box, size)
            except (KeyError, TypeError, ValueError) as error:
                error.add_note(f"in the boxsizes, of {end}")
                raise

    def main(self) -> Iterator[object]:
        yield self._start(*self.components.values())
        members = list(self.components.values())
        stop: object = None
        while True:
            # Linked onwards, "control" is always empty here: what came to it has gone that way.
            for message in self.Inbox("control"):
                if stops_at_once(message):
                    stop = message
                yield from self._tell_members(message)
            if self._ended(members):
                break
            self.pause()  # until a message comes there, or a member ends
            yield 1
        if self._speaks:
            yield from self.put(stop if stop is not None else producerFinished(self), "signal")

    def _tell_members(self, message: object) -> Iterator[object]:
        # No linkages stand for this: it happens once in the life of most graphs, and a box and a
        # linkage for each member would have to be kept for as long.
        for member in self._to_tell:
            if "control" in member.inboxes:
                yield from self._tell(member, message)


def _checked(linkages: Linkages | None, components: Mapping[str, object]) -> Linkages:
    """The linkages, in which every name and every shape is right."""
    if linkages is None:
        raise BadLinkages("Graphline() needs linkages={(name, box): (name, box)}, if only {}")
    for name, member in components.items():
        if not isinstance(member, component):
            raise BadLinkages(f"Graphline takes component instances: {name}={member!r}")
    if not isinstance(linkages, Mapping) or not all(map(_is_pair_of_ends, linkages.items())):
        raise BadLinkages(f"linkages must be {{(name, box): (name, box)}}, this is {linkages!r}")
    for source, sink in linkages.items():
        foreign = [name for name, _ in (source, sink) if name not in components]
        for name in foreign:
            _refuse_misspelt(name, components)
        if len(foreign) == 2:
            raise BadLinkages(
                f"the linkage from {source} to {sink} has no member at either end; the members are"
                f" {list(components)}"
            )
    return linkages


def _is_pair_of_ends(pair: tuple[object, object]) -> bool:
    return all(map(_is_end, pair))


def _is_end(end: object) -> bool:
    match end:
        case [str(), str()]:
            return True
        case _:
            return False


def _refuse_misspelt(name: str, components: Iterable[str]) -> None:
    """Any other name means the Graphline, but one so close to a member's was meant to be that."""
    near = get_close_matches(name, components, 1, _NEAR) if name not in ("self", "") else None
    if near:
        raise BadLinkages(
            f"{name!r} in the linkages is no member: was {near[0]!r} meant? (Call it 'self' for"
            " the Graphline.)"
        )


def _with(implied: Iterable[str], boxes: _Boxes) -> _Boxes:
    """The table of boxes and those implied; the class's own table itself if there are none."""
    extra = [name for name in implied if name not in boxes]
    if not extra:
        return boxes
    texts = boxes if isinstance(boxes, Mapping) else dict.fromkeys(boxes, "")
    return {**texts, **dict.fromkeys(extra, "object: wherever the linkages lead it")}


__kamaelia_components__ = (Graphline,)
