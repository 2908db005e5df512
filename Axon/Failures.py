"""
What is said about a component that failed
==========================================
A traceback shows where in a program an exception came from, and in a system of components that is
half of the answer: the same class runs a hundred times, and what broke it is a message. So an
exception that leaves a component is given a note that names the component, what waits in its boxes,
and the message it was at, as far as that can be known.

Nothing is recorded while all is well. The box is known from a ``for message in self.Inbox(box)``
loop, which notices that it was left in the middle, or from the call that failed; the message is
among the variables of the component's own method, which are shown. Everything is cut to a line's
length and escaped, as ``repr`` does, since it may come from the network.

Example Usage
-------------
::

    error.add_note(describe(culprit, error))
"""

from __future__ import annotations

import reprlib
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    _Frame = tuple[str, str, dict[str, Any]]

_LENGTH = 80
_LONGEST_NAME = 200
_VARIABLES = 6

# The last loop over a box that was left in the middle: (id() of the component, since it must not be
# kept alive by this; box), and the message where that is known. The scheduler forgets it whenever
# it waits.
left_in_the_middle: deque[tuple[Any, ...]] = deque(maxlen=1)


def shown(value: object) -> str:
    """A value in at most a line: its repr, cut, or why there is none."""
    try:
        if isinstance(value, (str, bytes, bytearray)):
            value = value[: _LENGTH + 1]  # a repr of all of a large message would be larger still
        text = reprlib.repr(value) if isinstance(value, (list, dict, set, tuple)) else repr(value)
    except Exception as error:  # noqa: BLE001 - a broken __repr__ must not hide the first failure
        text = f"<{type(value).__name__} without a repr: {type(error).__name__}>"
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= _LENGTH else text[:_LENGTH] + "..."


def _plain(name: object) -> str:
    """A name without quotes; it may have been made of what a peer sent."""
    text = str(name)[:_LONGEST_NAME]
    return text if text.isprintable() else ascii(text)[1:-1]


def describe(culprit: object, error: BaseException) -> str:
    """One or more lines for error.add_note: which component, its boxes, the message it was at.
    Never raises: whatever state the culprit left itself in, the first failure is the one that is
    told."""
    try:
        return _description(culprit, error)
    except Exception as second:  # noqa: BLE001 - see above
        return (
            f"raised in a {type(culprit).__name__}, of which {type(second).__name__} tells no more"
        )


def _description(culprit: object, error: BaseException) -> str:
    lines = [f"raised in component {_plain(getattr(culprit, 'name', culprit))}{_waiting(culprit)}"]
    if getattr(culprit, "handles_secrets", False):
        left_in_the_middle.clear()
        return lines[0]  # a password may be in any of its messages and variables
    frames = _frames(error.__traceback__)
    if call := _call(culprit, frames):
        lines.append(call)
    at = left_in_the_middle.pop() if left_in_the_middle else None
    if at is not None and at[0] == id(culprit):
        where = f"at message {shown(at[2])} from" if at[2:] else "while it went through its"
        lines.append(f"{where} box {at[1]!r}")
    if variables := _variables(culprit, frames):
        lines.append("where " + ", ".join(variables))
    return "\n".join(lines)


def call_all(calls: Iterable[Callable[[], object]]) -> None:
    """Make all the calls, whatever fails; then raise the first failure, the others as its notes."""
    first: Exception | None = None
    for call in calls:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - raised below
            if first is None:
                first = error
            else:
                first.add_note(f"after it another call failed: {shown(error)}")
    if first is not None:
        raise first


def _frames(traceback: TracebackType | None) -> list[_Frame]:
    """(package, function, variables) of each frame below the scheduler's, outermost first."""
    frames = []
    while traceback is not None:
        frame = traceback.tb_frame
        name = str(frame.f_globals.get("__name__", ""))
        # Reading the variables of a frame keeps them as long as it lives, and the scheduler's goes
        # on running.
        if name != "Axon.Turns":
            frames.append((name.partition(".")[0], frame.f_code.co_name, frame.f_locals))
        traceback = traceback.tb_next
    return frames


def _call(culprit: Any, frames: list[_Frame]) -> str:
    """What the component was asking of a box, if that is where the exception comes from."""
    function = ""
    seen: dict[str, Any] = {}
    for package, function, seen in reversed(frames):  # noqa: B007 - what it stops at is used below
        if package != "Axon":
            return ""  # it comes from the component's own code
        if "boxname" in seen and seen.get("self") is culprit:
            break
    if "boxname" not in seen:
        return ""
    boxname = seen["boxname"]
    boxes = culprit.outboxes if function == "send" else culprit.inboxes
    what = (
        f"in {function}({shown(seen['message'])}, {shown(boxname)})" if function == "send" else ""
    )
    what = what or f"in {function}({shown(boxname)})"
    # Not "in boxes": what was given for a name need not be hashable.
    known = any(boxname == name for name in boxes)
    return what if known else f"{what}: there is no such box, only {', '.join(map(_plain, boxes))}"


def _waiting(culprit: object) -> str:
    boxes = getattr(culprit, "inboxes", None) or {}
    waiting = [
        f"{_plain(name)}: {len(box.q)}"
        for name, box in boxes.items()
        if isinstance(box.q, deque) and box.q  # what else may stand there need not have a length
    ]
    return f" (waiting in {', '.join(waiting)})" if waiting else ""


def _variables(culprit: object, frames: list[_Frame]) -> list[str]:
    """The variables of the component's own innermost method in the traceback: of what its author
    wrote, not of send() and the like, which are not where one looks for a mistake."""
    for package, _, seen in reversed(frames):
        if package != "Axon" and seen.get("self") is culprit:
            names = [name for name in seen if name != "self" and name.isidentifier()]
            return [f"{name}={shown(seen[name])}" for name in names[:_VARIABLES]]
    return []
