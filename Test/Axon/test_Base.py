"""The common base of Axon's classes. For ``self.__super`` see contract/test_auto_super.py."""

import pytest

from Axon.Base import AxonObject, AxonType
from Axon.Box import Inbox
from Axon.Component import component
from Axon.Linkage import linkage
from Axon.Postoffice import postoffice


@pytest.mark.parametrize("kind", [component, linkage, postoffice, Inbox])
def test_what_is_made_of_it_is_of_its_type(kind: type) -> None:
    assert isinstance(kind, AxonType)
    assert issubclass(kind, AxonObject)


def test_the_base_costs_an_instance_nothing() -> None:
    class Small(AxonObject):
        __slots__ = ("one",)

    assert not hasattr(Small(), "__dict__")


def test_a_name_without_letters_is_left_alone() -> None:
    """Python mangles no name in such a class, so there would be nobody to find it."""
    made = AxonType("__", (AxonObject,), {})
    assert not [name for name in vars(made) if name.endswith("__super")]


def test_the_name_is_kept_by_the_class_and_not_by_what_derives_from_it() -> None:
    class Older(AxonObject):
        pass

    class Younger(Older):
        pass

    assert "_Older__super" in vars(Older)
    assert [name for name in vars(Younger) if name.endswith("__super")] == ["_Younger__super"]
