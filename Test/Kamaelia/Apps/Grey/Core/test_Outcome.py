"""The record of a message's end; its values are an interface."""

import dataclasses
import doctest
import sys

import pytest

from Kamaelia.Apps.Grey.Core.Outcome import Fate, Outcome


def test_the_words_in_the_log_are_an_interface() -> None:
    words = ["delivered", "deferred", "refused", "abandoned", "unknown"]
    assert [fate.value for fate in Fate] == words


def test_an_outcome_cannot_be_changed() -> None:
    outcome = Outcome("k3f9", "192.0.2.7", "a@b", ("c@d",), 1204, Fate.DELIVERED, "250 Ok")
    assert outcome.now == 0.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        outcome.size = 1  # type: ignore[misc]


def test_the_example_of_the_module() -> None:
    assert doctest.testmod(sys.modules[Outcome.__module__]) == (0, 2)
