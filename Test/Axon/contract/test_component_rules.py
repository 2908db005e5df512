"""
Components as they were declared, configured, stepped and imported in 2004 to 2010.
"""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import Axon
from Axon.Component import component
from Axon.Ipc import newComponent, producerFinished, shutdownMicroprocess
from Axon.Scheduler import scheduler
from Test.Axon.contract.old_fakes import OldScheduler, steps

DECLARATIONS: list[Any] = [
    ["a", "b"],
    ("a", "b"),
    {"a": "first", "b": "second"},
]


# ---- declarations


@pytest.mark.parametrize("declared", DECLARATIONS)
def test_boxes_are_declared_for_a_class(declared: Any) -> None:  # noqa: ANN401
    class Declared(component):
        Inboxes = declared
        Outboxes = declared

    made = Declared()
    assert sorted(made.inboxes) == sorted(made.outboxes) == ["a", "b"]
    made._deliver("hello", "a")
    assert made.anyReady() == "a"


@pytest.mark.parametrize("declared", DECLARATIONS)
def test_boxes_are_declared_for_an_instance(declared: Any) -> None:  # noqa: ANN401
    made = component(Inboxes=declared, Outboxes=declared)
    assert sorted(made.inboxes) == sorted(made.outboxes) == ["a", "b"]
    assert sorted(component().inboxes) == ["control", "inbox"]


@pytest.mark.parametrize("none", [[], (), {}])
def test_there_may_be_no_boxes_at_all(none: Any) -> None:  # noqa: ANN401
    class Boxless(component):
        Inboxes = none
        Outboxes = none

    made = Boxless()
    assert (made.inboxes, made.outboxes, made.anyReady()) == ({}, {}, False)
    made.activate(Scheduler=scheduler())
    made.scheduler.runThreads()
    assert made._isStopped()


def test_a_subclass_replaces_what_it_inherits() -> None:
    class Parent(component):
        Inboxes = ["one", "two"]

    class Child(Parent):
        Outboxes = {"only": "this one"}

    assert (sorted(Child().inboxes), sorted(Child().outboxes)) == (["one", "two"], ["only"])


def test_making_instances_writes_nothing_into_the_class() -> None:
    class Declared(component):
        Inboxes = {"a": "first"}
        Outboxes = ["b"]

    one, other = Declared(), Declared(Inboxes=["x"])
    one._deliver("hello", "a")
    assert Declared.Inboxes == {"a": "first"}
    assert Declared.Outboxes == ["b"]
    assert Declared().dataReady("a") == 0
    assert list(other.inboxes) == ["x"]


def test_keywords_are_attributes_over_the_defaults_of_the_class() -> None:
    class Server(component):
        port = 1500
        host = "localhost"

        def __init__(self, **argd: Any) -> None:  # noqa: ANN401 - handed on
            super().__init__(**argd)
            self.where = f"{self.host}:{self.port}"

    class Mine(Server):
        port = 25

    assert [one.where for one in (Server(), Server(port=80), Mine(), Mine(host="x"))] == [
        "localhost:1500",
        "localhost:80",
        "localhost:25",
        "x:25",
    ]
    assert (Server.port, Mine.port) == (1500, 25)


def test_positional_arguments_are_ignored() -> None:
    made: Any = component(1, "two", None, three=3)
    assert (sorted(made.inboxes), made.three) == (["control", "inbox"], 3)


@pytest.mark.parametrize("name", ["children", "name", "id", "tracker", "scheduler", "debugger"])
def test_an_attribute_of_the_base_may_be_assigned(name: str) -> None:
    """Older programs reset these in their own initialisers."""
    value: Any = [] if name == "children" else 7 if name == "id" else "mine"
    made = component()
    setattr(made, name, value)
    assert getattr(made, name) == value


@pytest.mark.parametrize(
    "name", ["thread", "parent", "message", "target", "size", "queue", "alarm", "state", "stack"]
)
def test_an_attribute_of_ones_own_may_have_any_usual_name(engine: scheduler, name: str) -> None:
    made = component(**{name: "mine", "_" + name: "mine too"})
    made.activate(Scheduler=engine)
    engine.runThreads()
    assert (getattr(made, name), getattr(made, "_" + name)) == ("mine", "mine too")


def test_usescomponents_is_there_and_empty() -> None:
    assert list(component.Usescomponents) == []


# ---- boxes of an instance


@pytest.mark.parametrize("boxname", ["inbox", "control"])
def test_a_delivery_by_the_back_door_arrives(boxname: str) -> None:
    made = component()
    made._deliver("hello", boxname)
    assert made.dataReady(boxname) == 1
    assert made.recv(boxname) == "hello"
    assert made.dataReady(boxname) == 0


def test_the_back_door_leads_to_the_inbox_unless_said() -> None:
    made = component()
    made._deliver("first")
    made._deliver("second")
    assert [made.recv(), made.recv("inbox")] == ["first", "second"]
    with pytest.raises(IndexError):
        made.recv()


@pytest.mark.parametrize("call", ["recv", "dataReady", "_deliver", "send"])
def test_an_unknown_box_is_a_key_error(call: str) -> None:
    made = component()
    arguments = ["message", "nobox"] if call in ("_deliver", "send") else ["nobox"]
    with pytest.raises(KeyError):
        getattr(made, call)(*arguments)


def test_the_default_boxes_of_send_recv_and_data_ready() -> None:
    a, b = component(), component()
    a.link((a, "outbox"), (b, "inbox"))
    a.send("hello")
    assert (b.dataReady(), b.anyReady(), b.recv()) == (1, "inbox", "hello")
    assert (b.dataReady(), b.anyReady()) == (0, False)


def test_a_ready_box_without_a_name_is_true() -> None:
    made = component(Inboxes=["", "other"])
    made._deliver("hello", "")
    assert made.anyReady() is True


def test_a_generator_over_a_box_takes_what_arrives_meanwhile() -> None:
    made = component()
    made._deliver(3)
    taken = []
    for number in made.Inbox("inbox"):
        taken.append(number)
        if number:
            made._deliver(number - 1)
    assert taken == [3, 2, 1, 0]
    assert list(made.Inbox()) == []


# ---- children


def test_children_are_a_list_in_order_and_child_components_a_copy() -> None:
    parent, a, b, c = (component() for _ in range(4))
    parent.addChildren(a, b)
    parent.addChildren(c)
    assert parent.children == [a, b, c]
    assert isinstance(parent.children, list)
    copy = parent.childComponents()
    copy.remove(a)
    assert parent.childComponents() == [a, b, c]
    parent.removeChild(b)
    assert parent.children == [a, c]


def test_adding_children_does_not_activate_them() -> None:
    parent, child = component(), component()
    parent.addChildren(child)
    assert not child.scheduler


# ---- stepped by hand


def test_main_without_parts_of_its_own_ends(engine: scheduler) -> None:
    made = component().activate(Scheduler=engine)
    for _ in range(10):
        try:
            made.next()
        except StopIteration:
            break
    else:
        pytest.fail("did not end")


def three_parts(results: list[object], log: list[str]) -> component:
    class Parts(component):
        def initialiseComponent(self) -> object:
            log.append("initialise")
            return results[0]

        def mainBody(self) -> object:
            log.append("body")
            return results[log.count("body")]

        def closeDownComponent(self) -> object:
            log.append("close")
            return "closed"

    return Parts()


def test_the_three_parts_stepped_by_hand() -> None:
    log: list[str] = []
    made = three_parts(["initialised", "a", "b", 0], log).activate(Scheduler=OldScheduler())
    yielded = []
    while True:
        try:
            yielded.append(made.next())
        except StopIteration:
            break
    assert log == ["initialise", "body", "body", "body", "close"]
    assert yielded[:3] == ["initialised", "a", "b"]


@pytest.mark.parametrize("nothing", [None, 0, False])
def test_a_false_result_of_the_first_part_is_yielded_as_1(nothing: object) -> None:
    made = three_parts([nothing, 0], []).activate(Scheduler=OldScheduler())
    assert made.next() == 1


@pytest.mark.parametrize("where", ["initialise", "body"])
def test_a_part_may_return_new_components(engine: scheduler, where: str) -> None:
    log: list[str] = []
    child = three_parts([1, 0], [])
    results = [newComponent(child), 0] if where == "initialise" else [1, newComponent(child), 0]
    three_parts(results, log).activate(Scheduler=engine)
    engine.runThreads()
    assert child._isStopped()


def test_with_a_main_of_its_own_none_of_the_parts_is_called(engine: scheduler) -> None:
    log: list[str] = []
    parts = three_parts([1, 1, 0], log)
    parts.__class__.main = component.main  # what it inherits: called

    class Own(type(parts)):  # type: ignore[misc]
        def main(self) -> Iterator[object]:
            yield 1

    Own().activate(Scheduler=engine)
    engine.runThreads()
    assert log == []


def test_two_components_stepped_by_hand_in_turn() -> None:
    class Producer(component):
        def main(self) -> Iterator[object]:
            for number in range(3):
                self.send(number)
                yield 1
            self.send(producerFinished(self), "signal")

    class Consumer(component):
        def __init__(self) -> None:
            super().__init__()
            self.got: list[object] = []

        def main(self) -> Iterator[object]:
            while not self.dataReady("control"):
                while self.dataReady("inbox"):
                    self.got.append(self.recv("inbox"))
                yield 1

    producer, consumer, wiring = Producer(), Consumer(), component()
    wiring.link((producer, "outbox"), (consumer, "inbox"))
    wiring.link((producer, "signal"), (consumer, "control"))
    for one in (producer, consumer):
        one.activate(Scheduler=OldScheduler())
    seen = []
    for _ in range(3):
        producer.next()
        consumer.next()
        seen.append(list(consumer.got))
    assert seen == [[0], [0, 1], [0, 1, 2]]
    for one in (producer, consumer):
        with pytest.raises(StopIteration):
            one.next()


def test_a_component_without_a_scheduler_may_talk_to_one_with_one(engine: scheduler) -> None:
    log = []

    class Consumer(component):
        def main(self) -> Iterator[object]:
            while not self.dataReady("control"):
                log.extend(self.Inbox("inbox"))
                self.pause()
                yield 1

    consumer = Consumer().activate(Scheduler=engine)
    tester = component()
    tester.link((tester, "outbox"), (consumer, "inbox"))
    tester.link((tester, "signal"), (consumer, "control"))
    stepper = engine.main()
    for number in range(3):
        for _ in range(6):
            stepper.next()
        tester.send(number)
    for _ in range(6):
        stepper.next()
    assert log == [0, 1, 2]
    tester.send(shutdownMicroprocess(), "signal")
    with pytest.raises(StopIteration):
        steps(stepper, 9)
    assert consumer._isStopped()


# ---- tracing


def test_every_send_and_recv_prints_a_line_when_told_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Axon.Component, "TraceAllSends", True)
    monkeypatch.setattr(Axon.Component, "TraceAllRecvs", True)
    a, b = component(), component()
    a.link((a, "outbox"), (b, "inbox"))
    message = "the message"
    a.send(message, "outbox")
    assert b.recv("inbox") == message
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    for line, one, boxname in zip(lines, (a, b), ("outbox", "inbox"), strict=True):
        for part in (str(id(message)), one.name.rpartition(".")[2], boxname, message):
            assert part in line


def test_components_made_before_are_not_traced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = component()
    monkeypatch.setattr(Axon.Component, "TraceAllSends", True)
    made.send("quiet")
    assert capsys.readouterr().out == ""


# ---- what a star or a bare import gives


STARS = {
    "Component": "component microprocess postoffice scheduler linkage noSpaceInBox newComponent "
    "producerFinished shutdownMicroprocess",
    "Microprocess": "microprocess",
    "Scheduler": "scheduler microprocess",
    "Linkage": "linkage",
    "Postoffice": "postoffice linkage",
    "Ipc": "ipc producerFinished shutdownMicroprocess shutdown notify newComponent WaitComplete "
    "reactivate status wouldblock errorInformation",
    "AdaptiveCommsComponent": "AdaptiveCommsComponent component",
    "ThreadedComponent": "threadedcomponent threadedadaptivecommscomponent",
    "CoordinatingAssistantTracker": "coordinatingassistanttracker",
    "AxonExceptions": "AxonException normalShutdown invalidComponentInterface noSpaceInBox "
    "BadParentTracker ServiceAlreadyExists BadComponent BadInbox MultipleServiceDeletion "
    "NamespaceClash AccessToUndeclaredTrackedVariable ArgumentsClash BoxAlreadyLinkedToDestination",
    "util": "sys production invalidComponentInterface logError axonRaise removeAll listSubset "
    "testInterface safeList Finality next vrange",
    "idGen": "idGen numId strId tupleId newId",
    "Box": "makeInbox makeOutbox postbox realsink nullsink",
    "STM": "Store ConcurrentUpdate BusyRetry",
    "Introspector": "Introspector",
}


@pytest.mark.parametrize(("module", "names"), STARS.items(), ids=list(STARS))
def test_a_star_import_gives_the_names(module: str, names: str) -> None:
    namespace: dict[str, Any] = {}
    exec(f"from Axon.{module} import *", namespace)  # noqa: S102 - as the old programs say it
    missing = [name for name in names.split() if name not in namespace]
    assert missing == []


def test_star_imports_of_several_modules_agree() -> None:
    namespace: dict[str, Any] = {}
    for module in ("Component", "Scheduler", "Microprocess", "Postoffice", "util"):
        exec(f"from Axon.{module} import *", namespace)  # noqa: S102 - as the old programs say it
    assert namespace["component"] is component
    assert namespace["scheduler"] is scheduler
    assert namespace["postoffice"] is Axon.Postoffice.postoffice


BARE = """
import Axon
for name in ("Component Ipc Linkage Microprocess Postoffice Scheduler debug util "
             "AdaptiveCommsComponent AxonExceptions CoordinatingAssistantTracker debugConfigFile "
             "Box ThreadedComponent Introspector AxonObject AxonType").split():
    getattr(Axon, name)
Axon.Component.component; Axon.Ipc.producerFinished; Axon.Scheduler.scheduler.run.runThreads
Axon.AdaptiveCommsComponent.AdaptiveCommsComponent; Axon.ThreadedComponent.threadedcomponent
Axon.CoordinatingAssistantTracker.coordinatingassistanttracker.basecat.servicesRegistered
Axon.Introspector.Introspector; Axon.debug.debug; Axon.debugConfigFile.readConfig
for name in "background Handle STM".split():
    __import__("Axon." + name)
assert callable(Axon.background.background) and callable(Axon.Handle.Handle) and Axon.STM.Store()
"""


def test_a_bare_import_reaches_everything_and_prints_nothing(tmp_path: Any) -> None:  # noqa: ANN401
    """Nor does it read a debug.conf that happens to lie in the current folder."""
    (tmp_path / "debug.conf").write_text("this is not a configuration\n")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BARE],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Axon.__path__[0]).removesuffix("Axon")},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
