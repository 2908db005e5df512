"""
Components of a library as people wrote them between 2004 and 2012, unchanged: a chooser, a
carousel, a dialogue, a producer on a narrow link, a service.

They run on the default scheduler of the process, as those programs do; each test has its own.
"""

# The programs are as they were: no annotations on their methods, old spellings.
# ruff: noqa: ANN001, ANN201, ANN204

from collections.abc import Iterator
from typing import Any

import pytest

from Axon.AdaptiveCommsComponent import AdaptiveCommsComponent
from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component, newComponent, scheduler
from Axon.CoordinatingAssistantTracker import coordinatingassistanttracker as cat
from Axon.Ipc import WaitComplete, producerFinished, shutdownMicroprocess
from Test.Axon.contract.old_fakes import Collector, steps


@pytest.fixture(autouse=True)
def _own_default() -> Iterator[None]:
    before = scheduler.run
    scheduler.run = None
    scheduler()
    yield
    scheduler.run = before
    cat.getcat().zap()


# ---- a chooser: first, next, previous, last


class Chooser(component):
    Inboxes = {
        "inbox": "receive commands",
        "control": "shutdown messages",
    }
    Outboxes = {
        "outbox": "emits chosen items",
        "signal": "shutdown messages",
    }

    def __init__(self, items=[], loop=False):  # noqa: B006 - as it was
        super(Chooser, self).__init__()  # noqa: UP008 - as it was
        self.items = list(items)
        self.index = 0
        self.loop = loop

    def shutdown(self):
        if self.dataReady("control"):
            message = self.recv("control")
            if isinstance(message, shutdownMicroprocess):
                self.send(message, "signal")
                return True
        return False

    def main(self):
        if self.items:
            self.send(self.items[0], "outbox")
        done = False
        while not done:
            yield 1
            while self.dataReady("inbox"):
                command = self.recv("inbox")
                if command == "NEXT":
                    self.index = self.index + 1
                elif command == "PREV":
                    self.index = self.index - 1
                elif command == "FIRST":
                    self.index = 0
                elif command == "LAST":
                    self.index = len(self.items) - 1
                if self.loop:
                    self.index = self.index % len(self.items)
                self.index = max(0, min(self.index, len(self.items) - 1))
                self.send(self.items[self.index], "outbox")
            done = self.shutdown()
            if not done and not self.anyReady():
                self.pause()


@pytest.mark.parametrize(
    ("loop", "commands", "expected"),
    [
        (False, ["NEXT", "NEXT", "NEXT", "PREV", "FIRST", "LAST", "LAST"], "abccbacc"),
        (True, ["NEXT", "NEXT", "NEXT", "NEXT", "FIRST", "LAST", "PREV"], "abcabacb"),
    ],
)
def test_a_chooser_driven_step_by_step(loop: bool, commands: list[str], expected: str) -> None:
    chooser, tester = Chooser("abc", loop=loop), component()
    tester.link((tester, "outbox"), (chooser, "inbox"))
    tester.link((tester, "signal"), (chooser, "control"))
    tester.link((chooser, "outbox"), (tester, "inbox"))
    chooser.activate()
    execute = scheduler.run.main()
    got = ""
    for command in [None, *commands]:
        if command:
            tester.send(command, "outbox")
        for _ in range(10):
            execute.next()
        got += "".join(tester.Inbox())
    assert got == expected
    tester.send(shutdownMicroprocess(tester), "signal")
    with pytest.raises(StopIteration):
        steps(execute, 10)


# ---- a carousel: one child at a time, made from what arrives


class OneShot(component):
    """Sends its name as often as it is told, and ends."""

    def __init__(self, name, times=2):
        super().__init__()
        self.label = name
        self.times = times

    def main(self):
        for i in range(self.times):
            self.send("%s%d" % (self.label, i))  # noqa: UP031 - as it was
            yield 1
        self.send(producerFinished(self), "signal")


class Carousel(component):
    Inboxes = {"inbox": "", "next": "arguments for the next child", "control": "", "_control": ""}
    Outboxes = {"outbox": "", "signal": "", "requestNext": "asks for the next", "_signal": ""}

    def __init__(self, factory):
        super().__init__()
        self.factory = factory
        self.child = None

    def main(self):
        self.send("NEXT", "requestNext")
        while 1:
            yield 1
            if self.dataReady("_control"):
                self.recv("_control")
                self.dropchild()
                self.send("NEXT", "requestNext")
            if self.dataReady("next"):
                self.dropchild()
                yield newComponent(self.makechild(self.recv("next")))
            if self.dataReady("control") and not self.child:
                self.send(self.recv("control"), "signal")
                return
            if not self.anyReady():
                self.pause()

    def makechild(self, argument):
        self.child = self.factory(argument)
        self.addChildren(self.child)
        self.link((self, "inbox"), (self.child, "inbox"), passthrough=1)
        self.link((self.child, "outbox"), (self, "outbox"), passthrough=2)
        self.link((self.child, "signal"), (self, "_control"))
        return self.child

    def dropchild(self):
        if self.child:
            self.removeChild(self.child)
            self.child = None


class Feeder(component):
    def __init__(self, items):
        super().__init__()
        self.items = list(items)

    def main(self):
        while self.items:
            while not self.dataReady("inbox"):
                self.pause()
                yield 1
            self.recv("inbox")
            self.send(self.items.pop(0), "outbox")
            yield 1
        self.send(producerFinished(self), "signal")


def test_a_carousel_plays_one_child_after_the_other() -> None:
    feeder, carousel, collector, system = Feeder("abc"), Carousel(OneShot), Collector(), component()
    system.link((carousel, "requestNext"), (feeder, "inbox"))
    system.link((feeder, "outbox"), (carousel, "next"))
    system.link((feeder, "signal"), (carousel, "control"))
    system.link((carousel, "outbox"), (collector, "inbox"))
    system.link((carousel, "signal"), (collector, "control"))
    for one in (feeder, carousel, collector):
        one.activate()
    scheduler.run.runThreads()
    assert collector.got == ["a0", "a1", "b0", "b1", "c0", "c1"]
    assert carousel.childComponents() == []


# ---- WaitComplete: nested, with messages and pauses inside


class Dialogue(component):
    """Reads lines with a helper generator, the way protocols were written."""

    def __init__(self):
        super().__init__()
        self.log = []
        self.buffer = ""

    def readline(self):
        while "\n" not in self.buffer:
            while not self.dataReady("inbox"):
                self.pause()
                yield 1
            self.buffer += self.recv("inbox")
        self.line, self.buffer = self.buffer.split("\n", 1)

    def login(self):
        yield WaitComplete(self.readline(), tag="_user")
        user = self.line
        self.send("password for " + user)
        yield WaitComplete(self.readline(), tag="_password")
        self.log.append((user, self.line))

    def main(self):
        self.send("user?")
        yield WaitComplete(self.login())
        self.send("welcome")
        yield WaitComplete(self.readline())
        self.send("bye " + self.line)


def test_a_dialogue_of_nested_wait_completes() -> None:
    d, tester = Dialogue(), component()
    tester.link((d, "outbox"), (tester, "inbox"))
    d.activate()
    execute = scheduler.run.main()
    for piece in ["al", "ice\nsec", "ret\n", "q", "uit\n"]:
        for _ in range(6):
            execute.next()
        d._deliver(piece)
    for _ in execute:
        pass
    assert list(tester.Inbox()) == ["user?", "password for alice", "welcome", "bye quit"]
    assert d.log == [("alice", "secret")]


# ---- synchronous links


class SyncProducer(component):
    def __init__(self, total, log):
        super().__init__()
        self.total = total
        self.log = log

    def main(self):
        for i in range(self.total):
            while 1:
                try:
                    self.send(i, "outbox")
                    self.log.append("sent %d" % i)  # noqa: UP031 - as it was
                    break
                except noSpaceInBox:
                    self.log.append("full")
                    self.pause()
                    yield 1
            yield 1
        self.send(producerFinished(), "signal")


class SlowConsumer(component):
    def __init__(self, every, log):
        super().__init__(every=every, log=log)

    def main(self):
        while 1:
            for _ in range(self.every):
                yield 1
            if self.dataReady("inbox"):
                self.log.append("got %d" % self.recv("inbox"))  # noqa: UP031 - as it was
            elif self.dataReady("control"):
                return


@pytest.mark.parametrize("options", [{"synchronous": True}, {"pipewidth": 1}])
def test_a_producer_on_a_synchronous_link_goes_at_the_pace_of_its_consumer(
    options: dict[str, Any],
) -> None:
    log: list[str] = []
    p, c, system = SyncProducer(5, log), SlowConsumer(4, log), component()
    system.link((p, "outbox"), (c, "inbox"), **options)
    system.link((p, "signal"), (c, "control"))
    c.activate()
    p.run()
    assert [entry for entry in log if entry != "full"] == [
        "sent 0",
        *(entry for i in range(4) for entry in (f"got {i}", f"sent {i + 1}")),
        "got 4",
    ]
    assert log.count("full") == 4, "asleep until there is room, and not asking again and again"


# ---- a service, found through the tracker; boxes made for each client


class Service(AdaptiveCommsComponent):
    def __init__(self, tracker=None):
        super().__init__()
        self.tracker = tracker or cat.getcat()
        self.tracker.registerService("upper", self, "inbox")

    def main(self):
        served = 0
        while served < 3:
            while not self.anyReady():
                self.pause()
                yield 1
            client, boxname, text = self.recv("inbox")
            out = self.addOutbox("toClient")
            self.trackResourceInformation(client, [], [out], text)
            link = self.link((self, out), (client, boxname))
            self.send(text.upper(), out)
            self.unlink(thelinkage=link)
            self.deleteOutbox(out)
            self.ceaseTrackingResource(client)
            served += 1
        self.tracker.deRegisterService("upper")


class Client(component):
    def __init__(self, text):
        super().__init__()
        self.text = text
        self.answer = None

    def main(self):
        self.link((self, "outbox"), self.tracker.retrieveService("upper"))
        self.send((self, "inbox", self.text), "outbox")
        while not self.dataReady("inbox"):
            self.pause()
            yield 1
        self.answer = self.recv("inbox")


def test_clients_find_a_service_through_the_tracker() -> None:
    Service().activate()
    clients = [Client(text).activate() for text in ("one", "two", "three")]
    scheduler.run.runThreads()
    assert [client.answer for client in clients] == ["ONE", "TWO", "THREE"]
    assert cat.getcat().servicesRegistered() == []
