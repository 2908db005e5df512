"""
Components of an administrator's own, before the decider
========================================================
The setting ``before_decider`` names Python files and a component in each. Every connection then has
one of each between its door and the decider, and nothing of this package is edited::

    DOOR --Attempt--> yours --Attempt--> DECIDER --Decision--> DOOR

Example Usage
-------------
In ``/etc/kamaelia-grey/untag.py``::

    from dataclasses import replace
    from Axon.OnMessage import MessageComponent

    class Untag(MessageComponent):
        def on_inbox(self, attempt):
            person = attempt.recipient_local.partition("+")[0]
            key = f"{person}@{attempt.recipient_domain}"
            self.send(replace(attempt, recipient=key))

and in greylist.conf::

    before_decider:
        /etc/kamaelia-grey/untag.py  Untag

What it must keep to: each Attempt that comes in goes out, in its order, as it is or changed; none
is kept back, or its client waits. It ends when told to, as all components do. An exception in it,
or an end before it is told, ends that connection and nobody else's, with a traceback in the log: a
client of the proxy hears 421, a mail server at the milter "try again later", and at the policy
service nothing.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from Axon.Component import component
from Kamaelia.Chassis.Pipeline import Pipeline

OwnComponent = type[component]


class OwnComponentError(Exception):
    """A component of the administrator's own cannot be used: which, where, and what to do."""


def load(path: Path, name: str) -> OwnComponent:
    """The component class of that name in a Python file. Raises OwnComponentError."""
    where = f"before_decider: {path} {name}"
    spec = importlib.util.spec_from_file_location(f"own_component_{path.stem}", path.absolute())
    if spec is None or spec.loader is None:
        raise OwnComponentError(f"{where}: this is no Python file: give one that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there for the module of a class
    try:
        spec.loader.exec_module(module)
    except OSError as error:
        raise OwnComponentError(f"{where}: {error.strerror or error}: mend the path") from error
    except (Exception, SystemExit) as error:  # sys.exit() there is not the end of this program
        raise OwnComponentError(f"{where}: {_at(path, error)}: mend the file") from error
    found = getattr(module, name, None)
    if not isinstance(found, type) or not issubclass(found, component):
        there = ", ".join(sorted(_components_of(vars(module)))) or "none"
        raise OwnComponentError(f"{where}: no component of this name; there: {there}")
    _try(where, path, found)
    return found


def _components_of(names: dict[str, object]) -> Iterator[str]:
    for name, value in names.items():
        if isinstance(value, type) and issubclass(value, component) and value is not component:
            yield name


def _try(where: str, path: Path, found: OwnComponent) -> None:
    """One is made now: what is wrong with it is to be known before the first client comes."""
    try:
        made = found()
    except (Exception, SystemExit) as error:
        raise OwnComponentError(
            f"{where}: it cannot be made without arguments: {_at(path, error)}"
        ) from error
    missing = [box for box in ("inbox", "control") if box not in made.inboxes]
    missing += [box for box in ("outbox", "signal") if box not in made.outboxes]
    if missing:
        raise OwnComponentError(f"{where}: it has no box {missing[0]!r}: declare it")


def _at(path: Path, error: BaseException) -> str:
    """What was wrong, with the line in the administrator's file if it is known."""
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {error.msg}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path.absolute())]
    place = f"line {lines[-1]}: " if lines else ""
    return f"{place}{type(error).__name__}: {error}"


def load_all(named: Iterable[tuple[Path, str]]) -> list[OwnComponent]:
    """The classes that a configuration names, in its order. Raises OwnComponentError."""
    return [load(path, name) for path, name in named]


def chain(own: Sequence[OwnComponent]) -> component:
    """One of each, in a line: for the Attempts of one client."""
    return Pipeline(*(each() for each in own))
