"""
A component in a process of its own
===================================
For work that keeps a processor busy: components in one process share one, however many there are.
``ProcessWrapComponent(thing)`` looks like the component in it, with the same boxes, and is wired
like it; the work is done in another process. Messages are pickled, so both sides have copies.

Example Usage
-------------
Three processes beside this one, in a line::

    if __name__ == "__main__":
        ProcessPipeline(Numbers(), Factors(), Printer())

One busy member in an otherwise ordinary pipeline::

    Pipeline(Numbers(), ProcessWrapComponent(Factors()), Printer()).run()

What to wrap: a component not yet active, whose class and contents can be pickled (a Pipeline goes
with its members), or what makes one over there: ``ProcessWrapComponent(Factors, 12)`` (class or
function, arguments). A factory that is no class has the default boxes, unless Inboxes= and
Outboxes= say others.

How it behaves:

* Order, limits and windows: see Axon.experimental.ProcessWire. A message that cannot be pickled is
  a TravelError of the wrapper that names the box.
* Shutdown messages go in and come out. When the component has ended, so does its process, with
  whatever else was activated there, and then the wrapper.
* An exception over there is raised here, with its traceback in a note. A process that dies is a
  ProcessDiedError with its exit status.
* Whatever becomes of the wrapper or of this process, the other one ends: at once if its components
  yield, after ``grace_seconds`` if they do not.
* Standard input over there is empty; trackers, loggers and module variables are its own.

Why new interpreters ("spawn") and not "fork", which starts in a millisecond instead of a hundred:
a fork copies only the thread that calls it, so a lock that another one holds stays locked for ever;
and it copies every socket, so a connection closed here would stay open there. Hence the guard: the
new interpreter imports the program, which must not start itself again.
"""

from __future__ import annotations

import logging
import multiprocessing
import pickle
import signal
import socket
from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from multiprocessing import resource_tracker, util
from typing import TYPE_CHECKING, Any

from Axon.AxonExceptions import AxonException
from Axon.Component import component
from Axon.experimental.ProcessChild import Start, live, unpack_failure
from Axon.experimental.ProcessPickle import Factory, pack_component, refuse_links_from_outside
from Axon.experimental.ProcessWire import Bridge, Frame, Kind, Wire
from Axon.Ipc import newComponent
from Axon.Scheduler import scheduler
from Axon.Waiter import EPOLLIN, EpollWaiter

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

log = logging.getLogger(__name__)

_CLOSE_FIRST = 10  # before multiprocessing waits, at exit, for processes that wait for our wires
_MOMENT = 0.01  # seconds between a process's last breath and its exit status

Linkages = Mapping[tuple[str, str], tuple[str, str]]


class ProcessDiedError(AxonException):
    """The process of a component ended before the component did. ``exit_status`` is that of
    multiprocessing: -9 if SIGKILL ended it.

    Usual causes: killed by hand or for want of memory; a component called sys.exit; the program
    lacks ``if __name__ == "__main__":``, then standard error says so."""

    def __init__(self, text: str, exit_status: int) -> None:
        super().__init__(text, exit_status)
        self.exit_status = exit_status

    def __str__(self) -> str:
        return str(self.args[0])


class ProcessWrapComponent(Bridge):
    """ProcessWrapComponent(component, **attributes), or (factory, *arguments, **attributes) -> runs
    it in a process of its own. Attributes: window (messages of a box on their way at once),
    grace_seconds, name, and for a factory Inboxes and Outboxes."""

    Inboxes = {
        "inbox": "object: handed to the component in the other process; pickled",
        "control": "the shutdown: handed to it after the data sent before",
    }
    Outboxes = {
        "outbox": "object: what the component in the other process sends; pickled",
        "signal": "the shutdown that the component sends",
    }
    grace_seconds = 5.0

    def __init__(self, what: component | Factory, *arguments: object, **attributes: Any) -> None:
        model = _model(what)
        if isinstance(what, component) and arguments:
            raise TypeError(f"{what.name} is made already: arguments are for a factory")
        if model is not None:
            attributes = {"announces_end": getattr(model, "announces_end", True), **attributes}
            attributes |= _boxes(model)
        super().__init__(**attributes)
        if "name" not in attributes:
            self.name = f"{self.name}({_label(what)})"
        self._what, self._arguments = what, arguments
        if isinstance(what, component):
            for name, box in what.inboxes.items():
                self.setInboxSize(name, box.getSize())
        self._process: SpawnProcess | None = None
        self._sentinel = -1
        self._has_gone = False

    @property
    def pid(self) -> int | None:
        """Of the other process; None while there is none."""
        return self._process.pid if self._process is not None else None

    def main(self) -> Iterator[object]:
        process = self._launch()
        pid = process.pid
        while True:
            last = self.exchange()
            if last is not None or not self.wire.open:
                break
            self.pause()  # until a message comes, is taken, or the wire has something
            yield 1
        while last is not None and last.kind is Kind.ENDED and self.hand_out():
            self.pause()  # the receivers take their time
            yield 1
        self.wire.close()
        status = yield from self._see_it_off(process)
        self._raise_failure(last, pid, status)

    def wait_for_process(self) -> None:
        """Block until the other process has ended, for callers that may."""
        if self._process is not None:
            self._process.join(self.grace_seconds)
            if self._process.exitcode is None:
                self._process.kill()
                self._process.join(self.grace_seconds)

    # ---- beginning and end of the process

    def _launch(self) -> SpawnProcess:
        if isinstance(self._what, component):
            refuse_links_from_outside(self._what)
        start = Start(
            parcel=pack_component(self._what, *self._arguments),
            inboxes=tuple(self.inboxes),
            outboxes=tuple(self.outboxes),
            limits=self._limits(),
            window=self.window,
            grace_seconds=self.grace_seconds,
        )
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = process = _started(theirs, self.name)
            except BaseException:
                ours.close()
                raise
        self.wire = Wire(ours)
        self._closer = util.Finalize(self, ours.close, exitpriority=_CLOSE_FIRST)
        self.call_on_close(self._release)
        self.wire.attach(self.scheduler, self.unpause)
        self._sentinel = process.sentinel
        self.scheduler.register(self._sentinel, EPOLLIN, self._process_gone)
        # Over the wire and not as an argument of the process: that would block us if it is long.
        self.wire.put(Kind.START, payload=pickle.dumps(start))
        return process

    def _limits(self) -> dict[str, int]:
        """Where what we send meets a limit, the sender over there is to meet the same."""
        sizes = {name: box.sink.size for name, box in self.outboxes.items()}
        return {name: size for name, size in sizes.items() if size is not None}

    def _process_gone(self, events: int) -> None:
        self._has_gone = True
        self._unwatch()
        self.unpause()

    def _unwatch(self) -> None:
        if self._sentinel >= 0:
            self.scheduler.unregister(self._sentinel)
            self._sentinel = -1

    def _see_it_off(self, process: SpawnProcess) -> Generator[object, None, int]:
        """Wait for the end of a process that has nothing more to do; returns its exit status."""
        deadline = self.now() + self.grace_seconds
        while (status := process.exitcode) is None:
            left = deadline - self.now()
            if left <= 0:
                log.warning("%s: process %s did not end and was killed", self.name, process.pid)
                process.kill()
                deadline += self.grace_seconds
            self.pause(min(_MOMENT, left) if self._has_gone else max(_MOMENT, left))
            yield 1
        self._unwatch()
        self._process = None
        process.close()
        return status

    def _raise_failure(self, last: Frame | None, pid: int | None, status: int) -> None:
        if last is None:
            raise ProcessDiedError(f"process {pid} of {self.name} {_how(status)}", status)
        if last.kind is Kind.FAILED:
            error, text = unpack_failure(last.payload)
            error.add_note(f"in process {pid} of {self.name}, where the traceback is:\n{text}")
            raise error

    def _release(self) -> None:
        """However it ends: the other process learns it from the wire."""
        self._unwatch()
        self.wire.close()
        self._closer.cancel()


def _model(what: object) -> component | type[component] | None:
    """Where to read which boxes there will be."""
    maker = what.func if isinstance(what, partial) else what
    if isinstance(maker, component) or (isinstance(maker, type) and issubclass(maker, component)):
        return maker
    if isinstance(maker, type) or not callable(maker):
        raise TypeError(f"neither a component nor what makes one: {what!r}")
    return None


def _label(what: object) -> str:
    maker = what.func if isinstance(what, partial) else what
    name: str = getattr(maker, "__name__", type(maker).__name__)
    return name


def _boxes(model: component | type[component]) -> dict[str, Any]:
    if isinstance(model, component):  # it may have more boxes than its class
        return {"Inboxes": tuple(model.inboxes), "Outboxes": tuple(model.outboxes)}
    return {"Inboxes": model.Inboxes, "Outboxes": model.Outboxes}


def _how(status: int) -> str:
    if status < 0:
        return f"was killed by {signal.Signals(-status).name} before the component had ended"
    return (
        f"ended with exit status {status} before the component had: see standard error. (A program"
        ' that starts processes does so under `if __name__ == "__main__":`.)'
    )


def _started(sock: socket.socket, name: str) -> SpawnProcess:
    process = multiprocessing.get_context("spawn").Process(target=live, args=(sock,), name=name)
    with _interrupts_held_back():
        process.start()
    return process


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Ctrl-C has to wait while a process is started: a new interpreter inherits that and is not
    interrupted in the middle of its imports, and here it is late by some milliseconds."""
    resource_tracker.ensure_running()  # started by the first Process, and would let Ctrl-C in again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# ---- lines and graphs of them


class _Company(component):
    """Runs its members, and ends when all have ended."""

    def __init__(self, members: Collection[component], **attributes: Any) -> None:
        super().__init__(**attributes)
        self.members = members

    def main(self) -> Iterator[object]:
        self.addChildren(*self.members)
        yield newComponent(*self.members)
        while not all(member._isStopped() for member in self.members):
            self.pause()  # until one of them ends: that wakes us
            yield 1

    def stop(self) -> None:
        super().stop()
        for member in self.members:
            if not member._isStopped():
                member.stop()


def _wrapped(what: component | Factory) -> ProcessWrapComponent:
    return what if isinstance(what, ProcessWrapComponent) else ProcessWrapComponent(what)


class ProcessPipelineComponent(_Company):
    """ProcessPipelineComponent(*components, **attributes) -> a Pipeline of them, each in a process
    of its own."""

    Inboxes = {
        "inbox": "object: handed to the first member; pickled",
        "control": "the shutdown: handed to the first member",
    }
    Outboxes = {
        "outbox": "object: what the last member sends; pickled",
        "signal": "the shutdown of the last member",
    }

    def __init__(self, *components: component | Factory, **attributes: Any) -> None:
        if not components:
            raise ValueError("a pipeline of nothing: give it at least one component")
        members = [_wrapped(what) for what in components]
        super().__init__(members, **attributes)
        here: component = self
        for place, member in enumerate(members):
            first = place == 0
            for source, sink in (("inbox", "inbox"), ("control", "control")) if first else _ONWARD:
                self.link((here, source), (member, sink), passthrough=1 if first else 0)
            here = member
        for box in ("outbox", "signal"):
            self.link((here, box), (self, box), passthrough=2)


_ONWARD = (("outbox", "inbox"), ("signal", "control"))


def ProcessPipeline(*components: component | Factory) -> None:  # noqa: N802 - the original's name
    """Run a line of components, each in a process of its own; returns when all have ended.

    Raises what a member raises, and KeyboardInterrupt on Ctrl-C; no process is left then."""
    line = ProcessPipelineComponent(*components)
    _run(line, line.members)


def ProcessGraphline(  # noqa: N802 - the original's name
    linkages: Linkages, **components: component | Factory
) -> None:
    """Run a graph of components, each in a process of its own, linked as {(name, box): (name, box)}
    says; otherwise as ProcessPipeline. Raises KeyError for a name or box that is not there."""
    members = {name: _wrapped(what) for name, what in components.items()}
    graph = _Company(members.values())
    for (name, box), (sinkname, sinkbox) in linkages.items():
        try:
            graph.link((members[name], box), (members[sinkname], sinkbox))
        except KeyError as error:
            error.add_note(f"in the linkage from {(name, box)} to {(sinkname, sinkbox)}")
            raise
    _run(graph, members.values())


def _run(top: component, members: Collection[Any]) -> None:
    """Run it in a scheduler of its own, so that the end of its members is the end of this call."""
    waiter = EpollWaiter()
    runner = scheduler(waiter=waiter)
    try:
        top.activate(Scheduler=runner)
        runner.runThreads()
    finally:
        for left in runner.listAllThreads():  # one has failed: the others go with it
            left.stop()
        runner.runThreads()
        for member in members:
            member.wait_for_process()
        waiter.close()
