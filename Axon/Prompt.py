"""
A prompt in which components run while you type
===============================================
``python -m Axon`` gives a Python prompt with a scheduler in the background: what is activated at
the prompt runs at once, and goes on while the next line is typed. ``ps()`` and ``tree()`` show what
there is. An exception in a component is printed and ends only that component; Ctrl-C interrupts the
line; Ctrl-D stops everything.

A line is carried out between two turns of the scheduler, which waits for it: so sending, linking
and delivering are as safe at the prompt as in a component. A line that takes longer than a tenth of
a second (it sleeps, or waits for a Handle) is not waited for any more: then it runs beside the
scheduler, and should use what is made for that: activate(), unpause(), a Handle.

Example Usage
-------------
::

    $ python -m Axon -i Kamaelia.Chassis.Pipeline -i Kamaelia.Util.Console
    >>> class Dots(component):
    ...     def main(self):
    ...         while True:
    ...             self.send(".", "outbox")
    ...             self.pause(1)
    ...             yield 1
    ...
    >>> p = Pipeline(Dots(), ConsoleEchoer()).activate()
    >>> ps()

Axon knows nothing of the library: ``-i`` says which modules to have at hand.
"""

from __future__ import annotations

import code
import importlib
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import CodeType, ModuleType
from typing import Any

import Axon
from Axon.AdaptiveCommsComponent import AdaptiveCommsComponent
from Axon.background import background
from Axon.Component import component
from Axon.Handle import Handle
from Axon.Instruments import Counts, Instrument
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Microprocess import microprocess
from Axon.Picture import summary, table, tree
from Axon.Scheduler import scheduler
from Axon.Snapshot import Snapshot
from Axon.Survey import snapshot
from Axon.ThreadedComponent import threadedcomponent

LINE_SECONDS = 0.1  # for which the scheduler waits for a line
TURN_SECONDS = 1.0  # for which a line waits for the turn of a component
END_SECONDS = 5.0
BANNER = """\
Axon, a prompt in which components run while you type.
At hand: component, threadedcomponent, AdaptiveCommsComponent, Handle, producerFinished,
shutdownMicroprocess, Axon{more}
ps() and tree() show what runs; Ctrl-D stops everything."""


class OffersError(Exception):
    """A module that was asked for cannot be had: which, and why."""


def prompt(modules: Iterable[str] = (), read: Callable[[str], str] | None = None) -> int:
    """Run the prompt to its end; the exit code. read: where lines come from (the terminal)."""
    try:
        offered = {name: thing for module in modules for name, thing in offers(module).items()}
    except OffersError as error:
        print(f"axon: {error}", file=sys.stderr)  # noqa: T201 - the command line
        return 1
    session = Session(scheduler.run)
    names = {**session.names(), **offered}
    console = Console(session, names)
    if read is not None:
        setattr(console, "raw_input", read)  # noqa: B010 - mypy would have it a method
    else:
        _complete(names)
    more = f"\nand {', '.join(sorted(offered))}" if offered else ""
    session.start()
    try:
        console.interact(BANNER.format(more=more), exitmsg="")
    finally:
        session.stop()
    return 0


def offers(module: str) -> dict[str, Any]:
    """What a module of a library offers: its components and prefabs, else its ``__all__``, else
    itself. Raises OffersError."""
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise OffersError(f"cannot import {module}: {error}") from error
    things = (
        *getattr(found, "__kamaelia_components__", ()),
        *getattr(found, "__kamaelia_prefabs__", ()),
    )
    if things:
        return {thing.__name__: thing for thing in things}
    names: Iterable[str] = getattr(found, "__all__", ())
    return {name: getattr(found, name) for name in names} or _itself(module, found)


def _itself(module: str, found: ModuleType) -> dict[str, Any]:
    top = module.partition(".")[0]
    return {top: sys.modules[top]} if top != module else {module: found}


def _complete(names: dict[str, Any]) -> None:
    """Editing of lines and completion with the tab key, where Python was built with it."""
    with suppress(ImportError):
        import readline
        import rlcompleter

        readline.set_completer(rlcompleter.Completer(names).complete)
        readline.parse_and_bind("tab: complete")


class Failures(Instrument):
    """Failures(show=print to stderr) -> isolates every component that nobody else does, so that an
    exception is shown and ends only the component."""

    def __init__(self, show: Callable[[BaseException], object] = traceback.print_exception) -> None:
        self._show = show

    def activated(self, process: microprocess) -> None:
        above: microprocess | None = process
        while above is not None:
            if above._axon_guard is not None:
                return
            above = above._axon_parent
        process.isolate(self._failed)

    def _failed(self, culprit: microprocess, error: Exception) -> None:
        self._show(error)


class Session:
    """Session(running) -> the scheduler behind a prompt: start(), stop(), and turn-taking with
    it."""

    def __init__(self, running: scheduler) -> None:
        self.running = running
        self._runner: Any = None
        self._counts = Counts()
        self._failures = Failures()
        self._before: Snapshot | None = None

    def names(self) -> dict[str, Any]:
        """What is at hand in the prompt."""
        return {
            "__name__": "__console__",
            "__doc__": None,
            "Axon": Axon,
            "AdaptiveCommsComponent": AdaptiveCommsComponent,
            "Handle": Handle,
            "component": component,
            "producerFinished": producerFinished,
            "ps": self.ps,
            "shutdownMicroprocess": shutdownMicroprocess,
            "threadedcomponent": threadedcomponent,
            "tree": self.tree,
        }

    def start(self) -> None:
        self.running.add_instrument(self._counts)
        self.running.add_instrument(self._failures)
        self._begin()

    def _begin(self) -> None:
        self._runner = background()
        self._runner.start()

    def stop(self) -> None:
        """Stop everything that runs."""
        with suppress(Exception, SystemExit):  # what ended it was shown when it did
            self._runner.stop()
            self._runner.join(END_SECONDS)
        self.running.remove_instrument(self._counts)
        self.running.remove_instrument(self._failures)

    def ps(self) -> None:
        """Print all components, the busiest first; rates are those since the last ps()."""
        taken = snapshot(self.running, self._counts)
        print(summary(taken), table(taken, self._before), sep="\n", file=sys.stdout)  # noqa: T201 - what it is for
        self._before = taken

    def tree(self) -> None:
        """Print who contains whom, with boxes and links."""
        print(tree(snapshot(self.running, self._counts)), file=sys.stdout)  # noqa: T201 - what it is for

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Have the scheduler wait, for a moment, while this thread acts in its place."""
        if self.running.thread_id is None:
            print("the scheduler has ended: beginning again", file=sys.stderr)  # noqa: T201
            self._begin()
        begun, over = threading.Event(), threading.Event()
        here = threading.get_ident()

        def wait_for_line() -> None:
            if over.is_set():
                return
            there, self.running.thread_id = self.running.thread_id, here
            begun.set()
            over.wait(LINE_SECONDS)
            self.running.thread_id = there

        self.running.call_from_thread(wait_for_line)
        try:
            if not begun.wait(TURN_SECONDS):
                print("(a component does not yield: this line does not wait)", file=sys.stderr)  # noqa: T201
            yield
        finally:
            over.set()


class Console(code.InteractiveConsole):
    """Console(session, names) -> a Python prompt whose lines are carried out between turns."""

    def __init__(self, session: Session, names: dict[str, Any]) -> None:
        super().__init__(names, filename="<prompt>")
        self._session = session

    def runcode(self, code: CodeType) -> None:
        with self._session.turn():
            super().runcode(code)
