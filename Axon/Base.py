"""
What every class of Axon descends from
======================================
``AxonObject`` is the common base, ``AxonType`` its metaclass. The metaclass does one thing, for
programs of the original's time: it gives each class the name ``__super``, with which a method calls
its base class without naming its own class twice. Python writes a name with two underscores in a
class as ``_<Class>__super``, so each class of a hierarchy finds its own.

New code calls ``super()``.

Example Usage
-------------
::

    class Older(component):
        def __init__(self, **argd):
            self.__super.__init__(**argd)  # the same as super().__init__(**argd)
"""

from __future__ import annotations

from typing import Any


class AxonType(type):
    """AxonType(name, bases, namespace) -> a class whose methods can say ``self.__super``."""

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> None:
        super().__init__(name, bases, namespace)
        mangled = name.lstrip("_")
        if mangled:  # Python mangles nothing in a class whose name is all underscores
            # An unbound super object is a descriptor: read from an instance it is bound to it.
            unbound: Any = super
            setattr(cls, f"_{mangled}__super", unbound(cls))


class AxonObject(metaclass=AxonType):
    """Common base of microprocesses, linkages and postoffices."""

    __slots__ = ()
