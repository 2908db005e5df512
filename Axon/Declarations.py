"""
Which boxes a class of components has
=====================================
``Inboxes`` and ``Outboxes`` of a class replace what it inherits, as they always did;
``ExtraInboxes`` and ``ExtraOutboxes`` add to it, through several bases as well. What comes of it is
worked out once, when the class is made, and never written into a class that it inherits from.

Example Usage
-------------
::

    class Log(component):
        ExtraInboxes = {"level": "int: what is less than this is not written"}
        # has "inbox", "control" and "level"
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def described(boxes: Any) -> dict[str, str]:
    """A declaration as a table: a list or tuple of names has no descriptions."""
    return dict(boxes) if isinstance(boxes, Mapping) else dict.fromkeys(boxes, "")


class Extended(dict[str, str]):
    """A table of boxes that was put together here, not declared by an author."""


def extended(kind: type, extra: str, boxes: str) -> Extended | None:
    """The boxes that a class declares or inherits and, of it and its bases up to the one that
    declared them, all extra ones. None: there are no extra ones."""
    lineage = []
    declared: Any = {}
    for each in kind.__mro__:
        lineage.append(each)
        declared = vars(each).get(boxes, declared)
        if declared and type(declared) is not Extended:
            break
    extras = [vars(each)[extra] for each in reversed(lineage) if vars(each).get(extra)]
    if not extras:
        return None
    table = Extended(described(declared))
    for more in extras:
        table.update(described(more))
    return table
