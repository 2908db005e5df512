"""Memory: what it has beyond test_Stores.py, which is nothing but its example."""

import doctest
import sys

from Kamaelia.Apps.Grey.Store.Memory import MemoryStore


def test_the_example_in_the_docstring_is_true() -> None:
    result = doctest.testmod(sys.modules[MemoryStore.__module__])
    assert result.attempted
    assert not result.failed
