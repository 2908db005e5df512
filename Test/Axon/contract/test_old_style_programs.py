"""
Whole little programs as people wrote them between 2004 and 2012, unchanged.

They run on the default scheduler of the process, as those programs do; each test has its own.
"""

# The programs are as they were: no annotations on their methods, old spellings.
# ruff: noqa: ANN001, ANN201, ANN204

from collections.abc import Iterator

import pytest

import Axon
from Axon.Component import component, newComponent, scheduler
from Axon.CoordinatingAssistantTracker import coordinatingassistanttracker as cat
from Axon.Ipc import producerFinished
from Axon.ThreadedComponent import threadedcomponent
from Test.Axon.contract.old_fakes import Collector, steps


@pytest.fixture(autouse=True)
def _own_default() -> Iterator[None]:
    before = scheduler.run
    scheduler.run = None
    scheduler()
    yield
    scheduler.run = before
    cat.getcat().zap()


# ---- producer, consumer, and a system that wires them


class Producer(component):
    Inboxes = []
    Outboxes = ["result"]

    def __init__(self, count=10):
        self.__super.__init__()
        self.count = count

    def main(self):
        i = self.count
        while i:
            i = i - 1
            self.send("hello" + str(i), "result")
            yield 1


class Consumer(component):
    Inboxes = ["source"]
    Outboxes = ["result"]

    def __init__(self, count=10):
        self.__super.__init__()
        self.count = count
        self.i = count
        self.log = []

    def dosomething(self):
        if self.dataReady("source"):
            self.log.append(self.recv("source"))
            self.i = self.i - 1

    def main(self):
        yield 1
        while self.i:
            self.dosomething()
            yield 1
        self.send(self.log, "result")


class System(component):
    Inboxes = ["_input"]
    Outboxes = []

    def __init__(self):
        super().__init__()
        self.result = None

    def main(self):
        p = Producer()
        c = Consumer()
        self.link((p, "result"), (c, "source"))
        linkage = self.link(source=(c, "result"), sink=(self, "_input"))
        assert linkage in self.postoffice.linkages
        self.addChildren(p, c)
        yield newComponent(p, c)
        while not self.dataReady("_input"):
            yield 1
        self.result = self.recv("_input")


def test_a_producer_and_a_consumer_report_to_their_system() -> None:
    expected = ["hello" + str(i) for i in range(9, -1, -1)]
    r = System()
    r.activate()
    scheduler.run.runThreads()
    assert r.result == expected


def test_the_same_with_slow_motion_and_a_scheduler_named_in_full() -> None:
    r = System()
    r.activate()
    Axon.Scheduler.scheduler.run.runThreads(slowmo=0)
    assert r.result is not None


def test_several_systems_run_one_after_the_other() -> None:
    for _ in range(3):
        r = System()
        r.run()
        assert len(r.result) == 10


# ---- the three parts


class Summer(component):
    total = 0

    def initialiseComponent(self):
        self.history = ["initialised"]

    def mainBody(self):
        if self.dataReady("control"):
            self.stop_message = self.recv("control")
            return 0
        while self.dataReady():
            self.total += self.recv()
        return 1

    def closeDownComponent(self):
        self.history.append("closed")
        self.send(self.total)
        self.send(self.stop_message, "signal")


def test_a_component_in_three_parts() -> None:
    s, sink = Summer(), component()
    sink.link((s, "outbox"), (sink, "inbox"))
    sink.link((s, "signal"), (sink, "control"))
    for i in range(10):
        s._deliver(i)
    s.activate()
    stepper = scheduler.run.main()
    for _ in range(10):
        stepper.next()
    message = producerFinished(sink)
    s._deliver(message, "control")
    for _ in stepper:
        pass
    assert (s.history, sink.recv()) == (["initialised", "closed"], 45)
    assert list(sink.Inbox("control")) == [message]


class Spawner(component):
    """initialiseComponent returns newComponent: the way of 2004."""

    def initialiseComponent(self):
        self.parts = [Producer(3), Consumer(3)]
        self.link((self.parts[0], "result"), (self.parts[1], "source"))
        self.link((self.parts[1], "result"), (self, "inbox"))
        self.addChildren(*self.parts)
        return newComponent(*self.parts)

    def mainBody(self):
        if self.dataReady("inbox"):
            self.result = self.recv("inbox")
            return False
        return True

    def closeDownComponent(self):
        for child in self.childComponents():
            self.removeChild(child)
        self.left = (self.childComponents(), self.postoffice.linkages[:])


def test_a_component_that_makes_its_parts_first() -> None:
    s = Spawner()
    s.run()
    assert s.result == ["hello2", "hello1", "hello0"]
    assert s.left == ([], [])


# ---- a parent that waits for its children


class Parent(component):
    def main(self):
        self.turns = 0
        children = [Producer(count) for count in (1, 5, 3)]
        self.addChildren(*children)
        for child in children:
            child.activate()
        while not self.childrenDone():
            self.turns += 1
            self.pause()
            yield 1

    def childrenDone(self):  # noqa: N802 - as it was
        for child in self.childComponents():
            if child._isStopped():
                self.removeChild(child)
        return len(self.childComponents()) == 0


def test_a_parent_sleeps_and_is_woken_when_a_child_ends() -> None:
    p = Parent()
    p.run()
    assert p.children == []
    assert p.turns <= 4, "once at first and once for each child but the last"


# ---- stopping everything, and surviving everything


class Clock(Axon.Component.component):
    """Ends the program after some ticks, in the way of emergencies."""

    ticks = 0
    last = 4

    def main(self):
        while 1:
            self.ticks += 1
            if self.ticks == self.last:
                Axon.Scheduler.scheduler.run.stop()
            yield 1


class Sleeper(Axon.Component.component):
    stopped = 0

    def main(self):
        while 1:
            self.pause()
            yield 1

    def stop(self):
        self.stopped += 1
        super(Sleeper, self).stop()  # noqa: UP008 - as it was


def test_an_emergency_stop_reaches_sleepers() -> None:
    s = Sleeper().activate()
    c = Clock(last=7)
    c.run()
    assert (c.ticks, s.stopped) == (7, 1)


class Crasher(Axon.Component.component):
    def __init__(self):
        super().__init__()
        self.stopped = 0

    def main(self):
        yield 1
        raise Exception("Crashed on purpose")  # noqa: TRY002 - as it was

    def stop(self):
        self.stopped += 1
        super().stop()


def test_an_immortal_scheduler_survives_a_crash() -> None:
    c = Crasher()
    collector = System()
    collector.activate()
    Axon.Scheduler.scheduler.run.immortalise()
    c.run()
    assert c.stopped == 1
    assert collector.result is not None


def test_a_mortal_one_does_not() -> None:
    with pytest.raises(Exception, match="Crashed on purpose"):
        Crasher().run()


# ---- threads, names, settings by keyword, traces


class Blocking(threadedcomponent):
    prefix = "read "

    def main(self):
        while 1:
            while self.dataReady("inbox"):
                self.send(self.prefix + self.recv("inbox"), "outbox")
            if self.dataReady("control"):
                self.send(self.recv("control"), "signal")
                return
            if not self.anyReady():
                self.pause()


class Words(component):
    words = "one two three"

    def main(self):
        for word in self.words.split():
            self.send(word, "outbox")
            yield 1
        yield 1
        self.send(producerFinished(self), "signal")


@pytest.mark.parametrize("words", ["one two three", "", "many " * 50])
def test_a_pipeline_with_a_thread_in_the_middle(words: str) -> None:
    w, b, c, system = Words(words=words), Blocking(prefix="# "), Collector(), component()
    for left, right in ((w, b), (b, c)):
        system.link((left, "outbox"), (right, "inbox"))
        system.link((left, "signal"), (right, "control"))
    for one in (w, b):
        one.activate()
    c.run()
    assert c.got == ["# " + word for word in words.split()]


def test_a_program_that_traces_all_its_messages(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Axon.Component, "TraceAllSends", True)
    monkeypatch.setattr(Axon.Component, "TraceAllRecvs", True)
    System().run()
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if "hello3" in line and "result" in line]) >= 1
    assert len([line for line in lines if "hello3" in line and "source" in line]) >= 1


def test_a_harness_with_a_scheduler_of_its_own_looks_into_boxes() -> None:
    Axon.Scheduler.scheduler.run = scheduler()
    p, tester = Producer(3), component()
    tester.link((p, "result"), (tester, "inbox"))
    p.activate()
    execute = Axon.Scheduler.scheduler.run.main()
    seen = []
    for _ in range(4):
        next(execute)
        next(execute)
        seen.append((len(p.outboxes["result"]), tester.dataReady("inbox")))
    assert seen == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert p.outboxes["result"].pop(0) == "hello2"
    with pytest.raises(StopIteration):
        steps(execute, 5)
