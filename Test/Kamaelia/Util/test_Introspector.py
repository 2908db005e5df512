"""Introspector: Axon's, under the library's path."""

import Axon.Introspector
from Kamaelia.Util import Introspector


def test_it_is_the_one_of_axon() -> None:
    assert Introspector.Introspector is Axon.Introspector.Introspector
