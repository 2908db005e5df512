"""
``self.__super``: how a method called its base class before super() could be written without
arguments. Each class finds the one above itself, whatever it and they are called.
"""

from collections.abc import Iterator
from typing import Any

import pytest

import Axon
from Axon.AdaptiveCommsComponent import AdaptiveCommsComponent
from Axon.Base import AxonObject, AxonType
from Axon.Component import component
from Axon.Microprocess import microprocess
from Axon.Scheduler import scheduler
from Axon.ThreadedComponent import threadedadaptivecommscomponent, threadedcomponent

BASES = [
    microprocess,
    component,
    AdaptiveCommsComponent,
    threadedcomponent,
    threadedadaptivecommscomponent,
]


@pytest.mark.parametrize("base", BASES)
def test_a_class_of_every_kind_initialises_its_base(base: type[Any]) -> None:
    class Sub(base):  # type: ignore[misc]
        def __init__(self) -> None:
            self.__super.__init__()
            self.mine = True

    made = Sub()
    assert made.init == 1
    assert made.name.rpartition(".")[2].startswith("Sub_")
    assert made.mine


@pytest.mark.parametrize("base", BASES)
def test_leading_underscores_of_the_class_name_are_stripped(base: type[Any]) -> None:
    class _Sub(base):  # type: ignore[misc]
        def __init__(self) -> None:
            self.__super.__init__()

    class __TestSub(base):  # type: ignore[misc]
        def __init__(self) -> None:
            self.__super.__init__()

    assert (_Sub().init, __TestSub().init) == (1, 1)
    assert hasattr(_Sub, "_Sub__super")
    assert hasattr(__TestSub, "_TestSub__super")


def test_each_of_several_levels_finds_the_one_above_itself() -> None:
    order = []

    class A(component):
        def __init__(self, label: str, **argd: object) -> None:
            order.append("A")
            self.__super.__init__(**argd)
            self.label = label

    class B(A):
        def __init__(self, **argd: object) -> None:
            order.append("B")
            self.__super.__init__("from B", **argd)

    class C(B):
        pass

    class D(C):
        def __init__(self) -> None:
            order.append("D")
            self.__super.__init__(colour="red")

    made: Any = D()
    assert order == ["D", "B", "A"]
    assert (made.label, made.colour) == ("from B", "red")


def test_a_class_named_like_its_base_finds_the_base() -> None:
    class Same(component):
        def __init__(self) -> None:
            self.__super.__init__()
            self.depth = 1

    First = Same  # noqa: N806

    class Same(First):  # type: ignore[no-redef]
        pass

    assert hasattr(Same, "_Same__super")
    with pytest.raises(RecursionError):
        # Python gives both the same mangled name: as in the original, the names must differ.
        Same()


def test_it_follows_the_order_of_several_bases() -> None:
    order = []

    class Root(component):
        def __init__(self) -> None:
            order.append("Root")
            self.__super.__init__()

    class Left(Root):
        def __init__(self) -> None:
            order.append("Left")
            self.__super.__init__()

    class Right(Root):
        def __init__(self) -> None:
            order.append("Right")
            self.__super.__init__()

    class Both(Left, Right):
        def __init__(self) -> None:
            order.append("Both")
            self.__super.__init__()

    Both()
    assert order == ["Both", "Left", "Right", "Root"]


def test_a_class_outside_of_axon_may_be_mixed_in() -> None:
    class Plain:
        def greet(self) -> str:
            return "hello"

    class Mixed(Plain, component):
        def __init__(self) -> None:
            self.__super.__init__()

        def greet(self) -> str:
            greeting: str = self.__super.greet()
            return greeting + "!"

    mixed = Mixed()
    assert mixed.greet() == "hello!"
    assert set(mixed.inboxes) == {"inbox", "control"}


def test_every_method_can_use_it(engine: scheduler) -> None:
    log = []

    class Sub(component):
        def main(self) -> Iterator[object]:
            log.append("main")
            yield from self.__super.main()

        def initialiseComponent(self) -> object:
            log.append("initialise")
            return self.__super.initialiseComponent()

        def stop(self) -> None:
            log.append("stop")
            self.__super.stop()

        def _closeDownMicroprocess(self) -> object:
            log.append("closed")
            result: object = self.__super._closeDownMicroprocess()
            return result

        def activate(self, *args: Any, **argd: Any) -> Any:  # noqa: ANN401 - handed on
            log.append("activate")
            return self.__super.activate(*args, **argd)

    Sub().activate(Scheduler=engine)
    engine.runThreads()
    assert log == ["activate", "main", "initialise", "stop", "closed"]


def test_any_class_of_the_common_base_has_it() -> None:
    class Thing(AxonObject):
        def __init__(self) -> None:
            self.__super.__init__()

    assert type(Thing) is AxonType
    assert Thing()
    assert isinstance(component(), AxonObject)
    assert isinstance(microprocess, AxonType)


def test_a_scheduler_of_ones_own_can_be_derived_with_it() -> None:
    class Mine(scheduler):
        def __init__(self, **argd: Any) -> None:  # noqa: ANN401 - handed on
            self.__super.__init__(**argd)

    mine = Mine()
    component().activate(Scheduler=mine)
    mine.runThreads()
    assert mine.listAllThreads() == []


def test_the_package_names_the_base_and_its_type() -> None:
    assert Axon.AxonObject is AxonObject
    assert Axon.AxonType is AxonType
