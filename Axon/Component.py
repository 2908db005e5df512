"""
A microprocess with boxes: the class people subclass
====================================================
A component reads from its inboxes, writes to its outboxes and knows nobody: who is at the other end
of a box is decided by linkages. Declare the boxes with a sentence each, write ``main`` as a
generator, and let it sleep when there is nothing to do.

Ends are told. A component that returns from ``main`` without having sent a shutdown message out of
its "signal" is spoken for: what it was told to stop with, or ``producerFinished``, goes there. So a
component that forgets it does not hang those behind it; ``announces_end = False`` leaves it to the
component.

Keyword arguments become attributes before the boxes are made, so class attributes are settings with
defaults that a subclass or a caller changes: ``class Mine(Server): port = 1500`` and
``Server(port=1500)`` mean the same.

Example Usage
-------------
::

    class Doubler(component):
        Inboxes = {"inbox": "int: numbers", "control": "producerFinished or shutdownMicroprocess"}
        Outboxes = {"outbox": "int: twice the number", "signal": "the shutdown that came in"}

        def main(self):
            while True:
                for number in self.Inbox("inbox"):
                    self.send(2 * number, "outbox")
                if self.told_to_stop():
                    return  # Axon passes the message on
                if not self.anyReady():
                    self.pause()  # takes effect at the yield
                yield 1
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

from Axon.AxonExceptions import noSpaceInBox
from Axon.Box import Inbox, Outbox
from Axon.BoxTables import LazyInboxes, LazyOutboxes
from Axon.Declarations import extended
from Axon.Failures import call_all, left_in_the_middle
from Axon.Ipc import (
    is_shutdown,
    newComponent,
    producerFinished,
    shutdownMicroprocess,
    stops_at_once,
)
from Axon.Linkage import HasBoxes, linkage
from Axon.Microprocess import microprocess
from Axon.Observation import TAP
from Axon.Postoffice import postoffice as Postoffice
from Axon.Scheduler import scheduler
from Axon.Sinks import SignalSink
from Axon.Stages import DONE
from Axon.Storage import NOBODY

# True: components made from then on print a line for each message, as in the original. To look into
# a running program use Axon.Instruments or Axon.Trace.
TraceAllSends = False
TraceAllRecvs = False

AnyBox = Inbox | Outbox  # in the class below, Inbox is a method

_NOTHING: Iterator[Any] = iter(())
_NOT_ASKED = object()  # told_to_stop() has never been called


def _messages(box: Inbox) -> Iterator[Any]:
    try:
        while box.q:
            yield box.q.popleft()
    except GeneratorExit:
        # The loop was left in the middle, perhaps by an exception: then this is where it was.
        left_in_the_middle.append((id(box.owner), box.name))
        raise


class component(microprocess):
    """component(**attributes) -> a component with the declared boxes."""

    __slots__ = (
        "_axon_children",
        "_axon_told",
        "_callOnCloseDown",
        "_inlist",
        "_postoffice",
        "inboxes",
        "outboxes",
    )

    Inboxes: ClassVar[Any] = {
        "inbox": "object: what this component works on",
        "control": "producerFinished or shutdownMicroprocess",
    }
    Outboxes: ClassVar[Any] = {
        "outbox": "object: what this component makes of it",
        "signal": "the shutdown that came in, or producerFinished",
    }
    Usescomponents: ClassVar[Any] = ()
    # Boxes beside the inherited ones; Inboxes and Outboxes replace those.
    ExtraInboxes: ClassVar[Any] = {}
    ExtraOutboxes: ClassVar[Any] = {}
    announces_end: bool = True
    # False for one that never sleeps just until a message of its has been taken (it asks isFull(),
    # or uses put): spares it a wake-up for nothing after it has sent.
    woken_by_collection: bool = True
    # True: a box is made when it is first asked for, see Axon.BoxTables. For those of which there
    # are many.
    lazy_boxes: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # Once for each class and not for each component. A class with extra boxes gets tables of
        # its own: nothing is ever written into one that it inherits.
        for extra, boxes in (("ExtraInboxes", "Inboxes"), ("ExtraOutboxes", "Outboxes")):
            table = extended(cls, extra, boxes)
            if table is not None:
                setattr(cls, boxes, table)

    def __init__(self, *args: object, **argd: Any) -> None:
        # As _axon_start_state() does it: here too, for a call less with each component.
        self._asleep = None
        self._axon_gen = self._axon_stack = None
        self._axon_stopped = False
        self._axon_id = 0
        self._axon_name = None
        self._axon_alarm = None
        self._axon_parent = self._axon_guard = self._axon_scheduler = None
        self.closeDownValue = 0
        self._axon_children: dict[component, None] | None = None
        self._postoffice: Postoffice | None = None
        # A tuple: there are two at the most, and many components.
        self._callOnCloseDown: tuple[Callable[[], object], ...] = ()
        self._axon_told: object = _NOT_ASKED
        for attribute, value in argd.items():
            setattr(self, attribute, value)
        # The declarations are copied into boxes of the instance: nobody ever writes to the class.
        self.inboxes: dict[str, Inbox]
        self.outboxes: dict[str, Outbox]
        if self.lazy_boxes:
            self.inboxes, self.outboxes = LazyInboxes(), LazyOutboxes()
            self.inboxes.holder = self.outboxes.holder = self
            self.outboxes.wiring = None
            self._inlist: list[Inbox] = ()  # type: ignore[assignment]  # nobody may put one in
        else:
            self.inboxes = {name: Inbox(self, name) for name in self.Inboxes}
            self.outboxes = {name: Outbox(self, name) for name in self.Outboxes}
            # What anyReady walks: a list is a quarter faster than a dict.
            self._inlist = list(self.inboxes.values())
        if TraceAllSends or TraceAllRecvs:
            _trace(self)

    # ---- messages: the hot path

    def send(self, message: Any, boxname: str = "outbox") -> None:
        """Put a message into the inbox that this outbox leads to, and wake its owner; linked to
        nothing: discard it.

        Raises noSpaceInBox if that inbox is full (this component is then woken when there is room),
        KeyError for a box name that was not declared."""
        outbox = self.outboxes[boxname]
        sink = outbox.sink
        try:
            sink.q.append(message)
        except AttributeError:
            sink.open_(message, outbox)
        except noSpaceInBox:
            sink.wake_on_collection(self)
            raise
        if outbox.unused:
            outbox.note()
        owner = sink.owner
        wake = owner._asleep
        if wake is not None:
            owner._asleep = None
            wake(owner)

    def recv(self, boxname: str = "inbox") -> Any:
        """Take the oldest message. Raises IndexError if there is none."""
        try:
            return self.inboxes[boxname].q.popleft()
        except AttributeError:
            raise IndexError(f"recv from the empty box {boxname!r} of {self.name}") from None

    def dataReady(self, boxname: str = "inbox") -> int:
        """Number of messages waiting here."""
        return len(self.inboxes[boxname].q)

    def anyReady(self) -> str | bool:
        """Name of the first inbox in which something waits, or False."""
        for box in self._inlist or dict.values(self.inboxes):
            if box.q:
                return box.name or True
        return False

    def Inbox(self, boxname: str = "inbox") -> Iterator[Any]:
        """Take messages until the box is empty, including those that arrive meanwhile."""
        # Most boxes are empty most of the time, and to look into those is what a main does most.
        box = self.inboxes[boxname]
        return _messages(box) if box.q else _NOTHING

    def put(self, message: Any, boxname: str = "outbox") -> Iterator[object]:
        """Send, sleeping for as long as the receiver has no room: ``yield from self.put(message)``
        in a main."""
        while True:
            try:
                self.send(message, boxname)
            except noSpaceInBox:
                self.pause()
                yield 1
            else:
                return

    def told_to_stop(self, boxname: str = "control") -> Any:
        """The producerFinished or shutdownMicroprocess that has come to control, or None; from then
        on always, and the second kind rather than the first. Other control messages are handed on
        to "signal".

        producerFinished: finish what waits, then end; shutdownMicroprocess: end at once. Either way
        returning from main is enough, Axon sends the message on (see announces_end)."""
        if self._axon_told is _NOT_ASKED:
            self._axon_told = None
        while self.dataReady(boxname):
            message = self.recv(boxname)
            if not is_shutdown(message):
                self._axon_hand_on(message)
            elif self._axon_told is None or stops_at_once(message):
                self._axon_told = message
        return self._axon_told

    def _axon_hand_on(self, message: object) -> None:
        outbox = self.outboxes.get("signal")
        if outbox is None:
            return
        try:
            self.send(message, "signal")
        except noSpaceInBox:  # whoever asks told_to_stop() cannot wait for room there
            sink: Any = outbox.sink
            sink.say(message)

    def _axon_last_words(self) -> None:
        # dict.get: one that is made late and has not been made yet leads nowhere.
        outbox = dict.get(self.outboxes, "signal") if self.announces_end else None
        if outbox is None:
            return
        sink = outbox.sink
        if type(sink) is not SignalSink or sink.said:  # by itself, or by something inside of it
            return
        # A link to "control" says that the end is to be passed on. One to another box may be there
        # for somebody who counts what is sent; who uses told_to_stop() has left that to Axon.
        asked = self._axon_told is not _NOT_ASKED
        if asked or sink.box.name == "control":
            told = self._axon_told if asked else None
            sink.say(told or self._axon_untaken_shutdown() or producerFinished(self))

    def _axon_untaken_shutdown(self) -> object:
        control = self.inboxes.get("control")
        waiting = control.q if control is not None else ()
        return next((message for message in waiting if is_shutdown(message)), None)

    # ---- wiring

    @property
    def postoffice(self) -> Postoffice:
        """The linkages this component made; all are cut when it ends."""
        if self._postoffice is None:
            self._postoffice = Postoffice(self.name)
        return self._postoffice

    @postoffice.setter
    def postoffice(self, replacement: Postoffice) -> None:
        self._postoffice = replacement

    def link(
        self,
        source: tuple[HasBoxes, str],
        sink: tuple[HasBoxes, str],
        *options: Any,
        **named: Any,
    ) -> linkage:
        """Join two boxes, (component, box name) each, of any components. Options (passthrough,
        pipewidth, synchronous) and errors are those of Axon.Postoffice."""
        return self.postoffice.link(source, sink, *options, **named)

    def unlink(self, thecomponent: object = None, thelinkage: linkage | None = None) -> None:
        if self._postoffice is None:
            return
        if thelinkage is not None:
            self._postoffice.unlink(thelinkage=thelinkage)
        if thecomponent is not None:
            self._postoffice.unlink(thecomponent=thecomponent)

    def setInboxSize(self, boxname: str, size: int | None) -> None:
        """Limit an inbox to so many waiting messages; senders then get noSpaceInBox."""
        self.inboxes[boxname].setSize(size)

    @property
    def children(self) -> list[component]:
        """Those this component looks after, oldest first."""
        return list(self._axon_children or ())

    @children.setter
    def children(self, children: Iterable[component]) -> None:
        self._axon_children = dict.fromkeys(children)

    def addChildren(self, *children: component) -> None:
        """Look after these: woken when one ends, isolated with us. Does not activate them."""
        if self._axon_children is None:
            # A dict: a server drops one of ten thousand connections in constant time.
            self._axon_children = {}
        for child in children:
            if isinstance(child, type):
                raise AttributeError(  # noqa: TRY004 - what the original raises
                    f"addChildren was given the class {child.__name__}: give it an instance"
                )
            child._axon_parent = self
            child.call_on_close(self.unpause)
            self._axon_children[child] = None

    def removeChild(self, child: component) -> None:
        """Stop looking after a child, and cut our linkages with it."""
        if self._axon_children is not None:
            self._axon_children.pop(child, None)
        if self.unpause in child._callOnCloseDown:
            calls = list(child._callOnCloseDown)
            calls.remove(self.unpause)
            child._callOnCloseDown = tuple(calls)
        if child._axon_parent is self:
            child._axon_parent = None
        self.unlink(thecomponent=child)

    def childComponents(self) -> list[component]:
        return self.children

    def _deliver(self, message: Any, boxname: str = "inbox") -> None:
        self.inboxes[boxname].deliver(message)

    # ---- the three-part main of the original, for those who do not write a main

    def main(self) -> Any:  # an Iterator[object]; in a threaded component it returns nothing
        result = self.initialiseComponent() or 1
        yield result
        while result := self.mainBody():
            yield result
        yield self.closeDownComponent()

    def initialiseComponent(self) -> object:
        return 1

    def mainBody(self) -> object:
        return None

    def closeDownComponent(self) -> object:
        return 1

    # ---- ending

    def call_on_close(self, call: Callable[[], object]) -> None:
        """Have call() called, in the scheduler's thread, when this component has ended: at once if
        it has."""
        if self._axon_gen is DONE:
            call()
        else:
            self._callOnCloseDown = (*self._callOnCloseDown, call)

    def _closeDownMicroprocess(self) -> object:
        calls, self._callOnCloseDown = self._callOnCloseDown, ()
        try:
            if len(calls) == 1:
                calls[0]()
            elif calls:
                call_all(calls)
        finally:
            if self._postoffice is not None:
                self._postoffice.unlinkAll()
        return None

    def _axon_forget(self) -> None:
        microprocess._axon_forget(self)  # not super(): it is found anew with each call
        # Nobody reads these inboxes any more: they take no new message, and no bounded one blocks
        # its sender for ever. Cutting the boxes' way back to their owner breaks the reference
        # cycle: no collector is needed to free it.
        for box in dict.values(self.inboxes):  # those that were made, if they are made late
            box.close()
        for outbox in dict.values(self.outboxes):
            outbox.owner = NOBODY
        if self.lazy_boxes:
            self.inboxes.holder = self.outboxes.holder = type(self)  # type: ignore[attr-defined]
            self.outboxes.wiring = None  # type: ignore[attr-defined]
        self._axon_parent = None
        self._axon_told = None

    def axon_box_made(self, box: AnyBox) -> None:
        """Called with each box that is made late, see lazy_boxes."""

    def __str__(self) -> str:
        inboxes = ", ".join(
            f"{name!r}: {list(self.inboxes[name].q)}" for name in sorted(self.inboxes)
        )
        outboxes = ", ".join(
            f"{name!r}: {_content(self.outboxes[name])}" for name in sorted(self.outboxes)
        )
        return f"Component {self.name} [ inboxes : {{{inboxes}}} outboxes : {{{outboxes}}}"


def _content(outbox: Outbox) -> str:
    sink = outbox.sink
    return str(list(sink.q)) if isinstance(sink, Inbox) else "<>"


def _trace(one: component) -> None:
    """Have this one print a line for each message."""
    short = one.name.rpartition(".")[2]
    send, recv = one.send, one.recv

    def traced_send(message: Any, boxname: str = "outbox") -> None:
        print("send", id(message), short, boxname, repr(message))  # noqa: T201
        send(message, boxname)

    def traced_recv(boxname: str = "inbox") -> Any:
        message = recv(boxname)
        print("recv", id(message), short, boxname, repr(message))  # noqa: T201
        return message

    if TraceAllSends:
        one.__dict__["send"] = traced_send
    if TraceAllRecvs:
        one.__dict__["recv"] = traced_recv


TAP.serve(component)

# The original's ``from Axon.Component import *`` gives these too.
postoffice = Postoffice

__all__ = [
    "component",
    "linkage",
    "microprocess",
    "newComponent",
    "noSpaceInBox",
    "postoffice",
    "producerFinished",
    "scheduler",
    "shutdownMicroprocess",
]
