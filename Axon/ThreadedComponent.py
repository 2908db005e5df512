"""
A component whose main may block
================================
``main`` is an ordinary method and runs in a daemon thread of its own, for files, databases and
libraries that block. The rest of the system sees an ordinary component.

Between the two stand queues, one a box. A generator in the scheduler (the thread's agent there)
moves messages between boxes and queues; the thread only ever touches queues, whose append and
popleft are atomic. One call into the scheduler serves a whole batch of messages: a flag says that
the agent will look anyway.

Order of things that keeps wake-ups from getting lost: the side that has something says so *after*
putting it in place (event set, flag set), the side that sleeps clears the event *before* it looks
at the queues.

Data goes before control, so that a shutdown does not overtake what was sent before it. When main
returns, the agent goes on until all that the thread sent has been delivered. An exception in the
thread is raised in the agent, with its traceback: to the scheduler it is an exception of this
component like any other.

Example Usage
-------------
::

    class Hasher(threadedcomponent):
        def main(self):
            stop = None
            while stop is None:
                if self.dataReady("control"):  # first: what was sent before it is there by now
                    stop = self.recv("control")
                for path in self.Inbox("inbox"):
                    self.send(slow_hash(path), "outbox")
                if stop is None:
                    self.pause()  # blocks this thread until a message comes
            self.send(stop, "signal")
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, ClassVar, TypeVar

from Axon.AdaptiveCommsComponent import AdaptiveMixin
from Axon.AxonExceptions import normalShutdown, noSpaceInBox
from Axon.Component import component
from Axon.Ipc import stops_at_once
from Axon.Linkage import HasBoxes, linkage
from Axon.Scheduler import scheduler

_T = TypeVar("_T")


def _refuse_generator(thecomponent: component, result: object) -> None:
    """A main with a yield in it would do nothing, and say nothing."""
    if hasattr(result, "__next__"):
        raise TypeError(
            f"{type(thecomponent).__qualname__}.main() is a generator: in a thread it must be an "
            "ordinary method, without a yield"
        )


class threadedcomponent(component):
    """threadedcomponent(queuelengths=1000, **attributes) -> a component with a thread; queuelengths
    limits each queue."""

    DefaultQueueSize: ClassVar[int] = 1000

    def __init__(self, queuelengths: int | None = None, **argd: Any) -> None:
        super().__init__(**argd)
        self.queuelengths = self.DefaultQueueSize if queuelengths is None else queuelengths
        self._to_thread: dict[str, deque[Any]] = {name: deque() for name in self.inboxes}
        self._from_thread: dict[str, deque[Any]] = {name: deque() for name in self.outboxes}
        self._axon_something = threading.Event()  # for the thread: look at your queues
        self._agent_told = False  # the agent will look at the queues anyway
        self._wants_room = False  # the thread found a queue to the outside full
        self._told_to_stop = False
        self._urgent = False  # a shutdownMicroprocess has come in
        self._axon_thread: threading.Thread | None = None
        self._axon_held = False
        self._axon_ended = False
        self._axon_error: BaseException | None = None
        self._axon_mainmethod = "main"
        self._axon_requests: deque[Callable[[], None]] = deque()  # for the agent, from the thread

    def activate(
        self, Scheduler: Any = None, Tracker: object = None, mainmethod: str = "main"
    ) -> Any:
        if self._axon_gen is None:
            self._axon_mainmethod = mainmethod
            self._axon_gen = self._agent()
        return super().activate(Scheduler, Tracker)

    def stop(self) -> None:
        """Tell the thread to stop: its next pause() or recv() raises normalShutdown."""
        self._told_to_stop = True
        self._axon_something.set()
        super().stop()

    def axon_wake_thread(self) -> None:
        """For a subclass that hands things to its thread by itself: the thread's pause() ends."""
        self._axon_something.set()

    # ---- in the scheduler's thread

    def _agent(self) -> Iterator[object]:
        self._axon_thread = threading.Thread(target=self._run_thread, name=self.name, daemon=True)
        running = self._own_scheduler()
        if running is not None:
            running.hold()
            self._axon_held = True
        self._axon_thread.start()
        ended = False
        while not ended:
            ended = self._axon_ended  # asked first: what it sent before its end is moved below
            self._agent_told = False
            while self._axon_requests:
                self._axon_requests.popleft()()
            self._exchange()
            if not ended and not self._axon_ended:
                component.pause(self)
            yield 1
        # The thread is over: deliver the rest, however long the receivers take; but one that was
        # told to stop at once waits for nobody.
        while self._exchange() and not self._is_urgent():
            component.pause(self)
            yield 1
        if "signal" in self._from_thread:
            self._send_out("signal", self._from_thread["signal"], None)
        yield 1  # one more turn after the end, so that receivers have theirs before we are gone
        if self._axon_error is not None:
            raise self._axon_error

    def _is_urgent(self) -> bool:
        control = self.inboxes.get("control")
        return self._urgent or any(map(stops_at_once, control.q if control is not None else ()))

    def _exchange(self) -> bool:
        """Move messages both ways; True if some for the outside are left because a receiver is
        full."""
        # Counted before the data is looked at: what the thread sent before these is seen below.
        signals = self._from_thread.get("signal", ())
        how_many = len(signals)
        moved = self._take_all_in()
        sent = 0
        left = False
        for name, queue in self._from_thread.items():
            if name != "signal":
                sent += self._send_out(name, queue, None)
                left |= bool(queue)
        if how_many and not left:  # a shutdown must not overtake data
            sent += self._send_out("signal", self._from_thread["signal"], how_many)
        if sent and self._wants_room:
            self._wants_room = False
            moved = True
        if moved:
            self._axon_something.set()
        return left or bool(signals)

    def _send_out(self, name: str, queue: deque[Any], most: int | None) -> int:
        """Send what the receiver has room for; how many that were."""
        sent = 0
        with suppress(noSpaceInBox):  # we are woken when there is room
            while queue and sent != most:
                component.send(self, queue[0], name)
                queue.popleft()
                sent += 1
        return sent

    def _take_all_in(self) -> bool:
        """Fill the thread's queues, data before control; True if anything moved."""
        moved = False
        data_left = False
        for name, queue in self._to_thread.items():
            if name != "control":
                moved |= self._take_in(name, queue)
                data_left |= bool(self.inboxes[name].q)
        if "control" in self._to_thread and not data_left:
            moved |= self._take_in("control", self._to_thread["control"])
        return moved

    def _take_in(self, name: str, queue: deque[Any]) -> bool:
        box = self.inboxes[name]
        moved = False
        while box.q and len(queue) < self.queuelengths:
            message = box.q.popleft()
            queue.append(message)
            moved = True
            if name == "control" and stops_at_once(message):
                self._urgent = True
        return moved

    def _axon_forget(self) -> None:
        super()._axon_forget()
        running = self._own_scheduler()
        if self._axon_held and running is not None:
            self._axon_held = False
            running.release()

    # ---- in the component's own thread

    def _run_thread(self) -> None:
        try:
            _refuse_generator(self, getattr(self, self._axon_mainmethod)())
        except normalShutdown:
            pass  # told to stop, and did
        except BaseException as error:  # noqa: BLE001 - handed over: raised again in the scheduler's thread
            self._axon_error = error
        self._axon_ended = True
        self._tell_agent()

    def main(self) -> Any:
        """The three-part form, for those who do not write a main."""
        self.initialiseComponent()
        while self.mainBody():
            pass
        self.closeDownComponent()

    def _tell_agent(self) -> None:
        self._agent_told = True
        running = self._own_scheduler()
        if running is not None:
            running.call_from_thread(self.unpause)
        else:
            self.unpause()  # a scheduler of another make takes requests from any thread

    def _own_scheduler(self) -> scheduler | None:
        """The scheduler that runs the agent, if it is of our make: one that can be called."""
        running = self._axon_scheduler
        return running if isinstance(running, scheduler) else None

    def _in_own_thread(self) -> bool:
        return threading.current_thread() is self._axon_thread

    def _axon_hand_on(self, message: object) -> None:
        if not self._in_own_thread():
            super()._axon_hand_on(message)
        elif "signal" in self.outboxes:
            self.send(message, "signal")

    def _check_stop(self) -> None:
        if self._told_to_stop:
            raise normalShutdown(self.name)

    def send(self, message: Any, boxname: str = "outbox") -> None:
        """Queue a message for the outside. Raises noSpaceInBox if queuelengths messages wait in
        that queue already."""
        if not self._in_own_thread():
            super().send(message, boxname)
            return
        queue = self._from_thread[boxname]
        if len(queue) >= self.queuelengths:
            # Said first, then looked at again: the agent makes room first, then asks who wants it.
            self._wants_room = True
            if len(queue) >= self.queuelengths:
                raise noSpaceInBox(len(queue), self.queuelengths)
        queue.append(message)
        if not self._agent_told:
            self._tell_agent()

    def recv(self, boxname: str = "inbox") -> Any:
        """Take the oldest message. Raises IndexError if there is none, normalShutdown once stop()
        was called."""
        if not self._in_own_thread():
            return super().recv(boxname)
        self._check_stop()
        queue = self._to_thread[boxname]
        message = queue.popleft()
        if len(queue) == self.queuelengths - 1 and not self._agent_told:
            self._tell_agent()  # there was no room: more may wait in the box
        return message

    def dataReady(self, boxname: str = "inbox") -> int:
        if not self._in_own_thread():
            return super().dataReady(boxname)
        return len(self._to_thread[boxname])

    def anyReady(self) -> str | bool:
        if not self._in_own_thread():
            return super().anyReady()
        for name, queue in list(self._to_thread.items()):
            if queue:
                return name or True
        return False

    def Inbox(self, boxname: str = "inbox") -> Iterator[Any]:
        while self.dataReady(boxname):
            yield self.recv(boxname)

    def pause(self, timeout: float | None = None) -> None:
        """Block this thread until a message comes, a full queue has room again, or timeout seconds
        are over; it may also return early. Raises normalShutdown once stop() was called."""
        if not self._in_own_thread():
            super().pause(timeout)
            return
        self._check_stop()
        self._axon_something.wait(timeout)
        self._axon_something.clear()
        self._check_stop()

    def sync(self) -> None:
        """Block until the scheduler has done what this thread asked of it so far."""
        self._in_scheduler(self._exchange)

    def link(
        self,
        source: tuple[HasBoxes, str],
        sink: tuple[HasBoxes, str],
        passthrough: int = 0,
        pipewidth: int | None = None,
        synchronous: bool | None = None,
    ) -> linkage:
        """As of any component; done in the scheduler's thread, this one waits for it."""
        join = super().link
        return self._in_scheduler(lambda: join(source, sink, passthrough, pipewidth, synchronous))

    def unlink(self, thecomponent: object = None, thelinkage: linkage | None = None) -> None:
        cut = super().unlink
        self._in_scheduler(lambda: cut(thecomponent, thelinkage))

    def _in_scheduler(self, call: Callable[[], _T]) -> _T:
        """Do call() in the scheduler's thread and wait for what it returns or raises."""
        if not self._in_own_thread():
            return call()
        outcome: list[_T] = []
        failure: list[BaseException] = []
        done = threading.Event()

        def there() -> None:
            try:
                outcome.append(call())
            except BaseException as error:  # noqa: BLE001 - raised again below, in the thread that asked
                failure.append(error)
            done.set()

        self._axon_requests.append(there)
        self._tell_agent()
        while not done.wait(1.0):
            self._check_stop()  # a scheduler that was stopped will never answer
        if failure:
            raise failure[0]
        return outcome[0]


class threadedadaptivecommscomponent(AdaptiveMixin, threadedcomponent):
    """threadedadaptivecommscomponent(queuelengths=1000, **attributes) -> threaded, and may add and
    delete boxes."""

    def addInbox(self, name: str = "inbox") -> str:
        def add() -> str:
            actual = AdaptiveMixin.addInbox(self, name)
            self._to_thread = {**self._to_thread, actual: deque()}
            return actual

        return self._in_scheduler(add)

    def addOutbox(self, name: str = "outbox") -> str:
        def add() -> str:
            actual = AdaptiveMixin.addOutbox(self, name)
            self._from_thread = {**self._from_thread, actual: deque()}
            return actual

        return self._in_scheduler(add)

    def deleteInbox(self, name: str) -> None:
        def delete() -> None:
            AdaptiveMixin.deleteInbox(self, name)
            self._to_thread = {key: queue for key, queue in self._to_thread.items() if key != name}

        self._in_scheduler(delete)

    def deleteOutbox(self, name: str) -> None:
        """As of any adaptive component. Raises noSpaceInBox while the receiver has no room for what
        was sent: pause() and try again."""

        def delete() -> None:
            self._exchange()  # what was sent on it goes first
            left = len(self._from_thread.get(name, ()))
            if left:
                self._wants_room = True
                raise noSpaceInBox(left, self.queuelengths)
            AdaptiveMixin.deleteOutbox(self, name)
            self._from_thread = {
                key: queue for key, queue in self._from_thread.items() if key != name
            }

        self._in_scheduler(delete)
