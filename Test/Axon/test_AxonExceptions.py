"""What Axon raises: one family, arguments kept."""

import inspect

import pytest

from Axon import AxonExceptions
from Axon.AxonExceptions import AxonException

OTHERS = [
    thing
    for _, thing in inspect.getmembers(AxonExceptions, inspect.isclass)
    if thing is not AxonException
]


def test_the_original_names_are_all_there() -> None:
    promised = {
        "normalShutdown",
        "invalidComponentInterface",
        "noSpaceInBox",
        "BadParentTracker",
        "ServiceAlreadyExists",
        "BadComponent",
        "BadInbox",
        "MultipleServiceDeletion",
        "NamespaceClash",
        "AccessToUndeclaredTrackedVariable",
        "ArgumentsClash",
        "BoxAlreadyLinkedToDestination",
    }
    assert promised <= {kind.__name__ for kind in OTHERS}


@pytest.mark.parametrize("kind", OTHERS, ids=lambda kind: kind.__name__)
def test_each_is_a_direct_subclass_that_keeps_its_arguments_and_names_its_cause(
    kind: type[AxonException],
) -> None:
    assert kind.__bases__ == (AxonException,)
    assert kind(1, "two").args == (1, "two")
    assert kind.__doc__
