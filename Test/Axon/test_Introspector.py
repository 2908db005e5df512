"""The Introspector's text (contract 3.17), and how it idles and ends."""

import re
from collections.abc import Iterator

import pytest

from Axon.AdaptiveCommsComponent import AdaptiveCommsComponent
from Axon.Component import component
from Axon.Introspector import Introspector, Topology
from Axon.Ipc import WaitComplete, producerFinished, shutdownMicroprocess
from Axon.Scheduler import scheduler
from Axon.Survey import snapshot
from Axon.Testing import FakeClock, collect, virtual_scheduler
from Test.Axon.scripts import Script, sleeper

LINE = re.compile(
    r"""DEL\ ALL
    | ADD\ NODE\ "[^"]+"\ "[^"]*"\ randompos\ (component|inbox|outbox)
    | DEL\ NODE\ "[^"]+"
    | (ADD|DEL)\ LINK\ "[^"]+"\ "[^"]+" """,
    re.VERBOSE,
)


def lasting(seconds: float) -> Script:
    def script(self: Script) -> Iterator[object]:
        until = self.now() + seconds
        while (left := until - self.now()) > 0:
            self.pause(left)
            yield 1

    return Script(script, "lasting")


def watch(*parts: component, **settings: float) -> tuple[Introspector, list[str], scheduler]:
    engine = virtual_scheduler(FakeClock())
    watcher = Introspector(**settings)
    sent = collect(watcher, ["outbox"])
    for part in (*parts, watcher):
        part.activate(Scheduler=engine)
    return watcher, sent["outbox"], engine


def test_it_begins_with_del_all_and_then_adds_what_there_is() -> None:
    """Contract 3.17: DEL ALL first; a node each component, a node and a link each box."""
    one = lasting(1)
    _, out, engine = watch(one)
    engine.runThreads()
    number = one.id
    assert out[0] == "DEL ALL\n"
    lines = out[1].splitlines()
    assert lines[:3] == [
        f'ADD NODE "{number}" "lasting" randompos component',
        f"""ADD NODE "({number}, 'i', 'inbox')" "inbox" randompos inbox""",
        f"""ADD LINK "{number}" "({number}, 'i', 'inbox')\"""",
    ]
    assert f"""ADD NODE "({number}, 'o', 'signal')" "signal" randompos outbox""" in lines


def test_every_line_has_the_form_of_the_contract() -> None:
    odd = lasting(1)
    odd.name = 'quo"te\nnew line'
    adaptive = AdaptiveCommsComponent()
    adaptive.addInbox('it\'s "odd"\n')
    odd.link((odd, "outbox"), (adaptive, "inbox"))
    _, out, engine = watch(odd)
    engine.runThreads()
    text = "".join(out)
    assert text.endswith("\n")
    assert [line for line in text.splitlines() if not LINE.fullmatch(line)] == []


def test_nothing_is_said_when_nothing_changes() -> None:
    _, out, engine = watch(lasting(100), interval=0.5)
    engine.runThreads()
    assert len(out) == 3  # DEL ALL, what there is, and that it is gone


def test_changes_come_in_the_order_of_the_contract(engine: scheduler) -> None:
    """Contract 3.17: deleted links, deleted nodes, added nodes, added links."""
    a, b, new = (Script(sleeper, name) for name in ("a", "b", "new"))
    a.activate(Scheduler=engine)
    old = a.link((a, "outbox"), (b, "inbox"))
    before = Topology.of(snapshot(engine))
    a.unlink(thelinkage=old)
    a.link((a, "outbox"), (new, "inbox"))
    text = before.changes(Topology.of(snapshot(engine)))
    kinds = [" ".join(line.split()[:2]) for line in text.splitlines()]
    assert kinds[0] == "DEL LINK"
    assert kinds[1:6] == ["DEL NODE"] * 5
    assert kinds[6:15] == ["ADD NODE"] + ["ADD NODE", "ADD LINK"] * 4
    assert kinds[15:] == ["ADD LINK"]
    assert Topology.of(snapshot(engine)).changes(Topology.of(snapshot(engine))) == ""


def test_a_component_in_a_waitcomplete_stays_in_view() -> None:
    """Contract 3.17 DEFECT: it vanished."""

    def inner(self: Script) -> Iterator[object]:
        until = self.now() + 1
        while (left := until - self.now()) > 0:
            self.pause(left)
            yield 1

    def waits(self: Script) -> Iterator[object]:
        yield WaitComplete(inner(self))

    _, out, engine = watch(Script(waits, "waits"), interval=0.1)
    engine.runThreads()
    assert sum('"waits"' in text for text in out) == 1


@pytest.mark.parametrize("message", [producerFinished(), shutdownMicroprocess()])
def test_it_ends_when_told_to_and_passes_that_on(message: object) -> None:
    """Contract 3.17 DEFECT: it ignored producerFinished."""
    watcher, _, engine = watch(Script(sleeper))
    signal = collect(watcher, ["signal"])["signal"]
    watcher.inboxes["control"].deliver("not a shutdown")
    watcher.inboxes["control"].deliver(message)
    engine.runThreads()
    assert signal == [message]


def test_it_sleeps_between_its_looks_also_when_messages_come() -> None:
    """Contract 3.17 DEFECT: it ran in every cycle. It must not look more often for being sent
    something either."""
    clock = FakeClock()
    engine = virtual_scheduler(clock)
    looks: list[float] = []

    class Counted(Introspector):
        def _others(self) -> bool:
            looks.append(clock())
            return super()._others()

    def pest(self: Script) -> Iterator[object]:
        for _ in range(100):
            self.send("x", "outbox")
            self.pause(0.01)
            yield 1

    watcher, nuisance = Counted(interval=0.5), Script(pest)
    nuisance.link((nuisance, "outbox"), (watcher, "inbox"))
    for part in (watcher, nuisance, lasting(1.75)):
        part.activate(Scheduler=engine)
    engine.runThreads()
    assert len(looks) == 5
    assert len(watcher.inboxes["inbox"]) == 0


def test_it_does_not_keep_a_program_running() -> None:
    one = lasting(3)
    watcher, _, engine = watch(one)
    signal = collect(watcher, ["signal"])["signal"]
    engine.runThreads()
    assert isinstance(signal[0], producerFinished)
    assert watcher._isStopped()
    assert engine.clock() < 4


def test_those_it_talks_to_and_what_contains_it_are_no_company() -> None:
    """Else the Introspector and the one that prints for it would wait for each other."""

    def printer(self: Script) -> Iterator[object]:
        while not self.dataReady("control"):
            self.pause()
            yield 1

    engine = virtual_scheduler()
    watcher, second, sink, box = Introspector(), Introspector(), Script(printer), Script(printer)
    box.addChildren(watcher, sink)
    watcher.link((watcher, "outbox"), (sink, "inbox"))
    watcher.link((watcher, "signal"), (sink, "control"))
    sink.link((sink, "signal"), (box, "control"))
    sink.link((sink, "outbox"), (box, "outbox"), passthrough=2)
    for part in (box, watcher, sink, second, lasting(1)):
        part.activate(Scheduler=engine)
    engine.call_later(50, engine.stop)
    engine.runThreads()
    assert watcher._isStopped()
    assert second._isStopped()
    assert engine.clock() <= 50


def test_alone_from_the_beginning_it_waits_for_company() -> None:
    watcher, _, engine = watch(interval=1)
    engine.call_later(10, lambda: lasting(5).activate(Scheduler=engine))
    ended: list[float] = []
    watcher.call_on_close(lambda: ended.append(engine.clock()))
    engine.runThreads()
    assert 15 <= ended[0] <= 17
