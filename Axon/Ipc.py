"""
Messages about running, not about data
======================================
Two kinds: those that travel from "signal" to "control" boxes (producerFinished: no more data will
come, finish what you have; shutdownMicroprocess: stop now), and those that a ``main`` yields to the
scheduler (newComponent, WaitComplete).

The two shutdown messages are unrelated classes on purpose: a receiver may treat them differently.
For one that does not, ``is_shutdown(message)`` is the test, and ``component.told_to_stop`` does all
of it.

Example Usage
-------------
A component that has eyes for its "control" only::

    while not (stop := self.told_to_stop()):
        self.pause()
        yield 1
    self.send(stop, "signal")
"""

from collections.abc import Iterator


class ipc:
    """Base of every message in this module."""

    __slots__ = ()


class producerFinished(ipc):
    """producerFinished(caller=None, message=None): nothing more will come from the caller."""

    __slots__ = ("__dict__", "caller", "message")

    def __init__(self, caller: object = None, message: object = None) -> None:
        self.caller = caller
        self.message = message


class shutdownMicroprocess(ipc):
    """shutdownMicroprocess(*microprocesses): stop now, pending work may be dropped."""

    __slots__ = ("__dict__", "_microprocesses")

    def __init__(self, *microprocesses: object) -> None:
        self._microprocesses = microprocesses

    def microprocesses(self) -> tuple[object, ...]:
        return self._microprocesses


def is_shutdown(message: object) -> bool:
    """True for both shutdown messages, and for their classes: some senders forget to make one."""
    kinds = (producerFinished, shutdownMicroprocess)
    return isinstance(message, kinds) or (isinstance(message, type) and issubclass(message, kinds))


def stops_at_once(message: object) -> bool:
    """True for shutdownMicroprocess, instance or class: pending work may be dropped."""
    kind = message if isinstance(message, type) else type(message)
    return issubclass(kind, shutdownMicroprocess)


class shutdown(ipc):
    """shutdown(): the third, older way to say stop; understood by the Selector."""

    __slots__ = ()


class notify(ipc):
    """notify(caller, payload): something happened to the payload, kept as ``object``."""

    __slots__ = ("__dict__", "caller", "object")

    def __init__(self, caller: object, payload: object) -> None:
        self.caller = caller
        self.object = payload


class newComponent(ipc):
    """newComponent(*components): yielded by a main, asks the scheduler that runs it to activate
    them."""

    __slots__ = ("_components",)

    def __init__(self, *components: object) -> None:
        self._components = components

    def components(self) -> tuple[object, ...]:
        return self._components


class WaitComplete(ipc):
    """WaitComplete(generator): yielded by a main, runs the generator in its place until it ends.

    The component stays what is scheduled: messages wake it and ``pause()`` works inside the
    generator. In new code ``yield from generator`` does the same and also hands back the
    generator's return value."""

    __slots__ = ("argd", "args")

    def __init__(self, *args: Iterator[object], **argd: object) -> None:
        self.args = args
        self.argd = argd


class reactivate(ipc):
    """reactivate(original): names the microprocess that goes on when this one has ended."""

    __slots__ = ("original",)

    def __init__(self, original: object) -> None:
        self.original = original


class status(ipc):
    """status(value): a report about oneself."""

    __slots__ = ("_status",)

    def __init__(self, status: object) -> None:
        self._status = status

    def status(self) -> object:
        return self._status


class wouldblock(ipc):
    """wouldblock(caller): the caller cannot go on without blocking."""

    __slots__ = ("caller",)

    def __init__(self, caller: object) -> None:
        self.caller = caller


class errorInformation(ipc):
    """errorInformation(caller, exception=None, message=None): an error as a message."""

    __slots__ = ("caller", "exception", "message")

    def __init__(self, caller: object, exception: object = None, message: object = None) -> None:
        self.caller = caller
        self.exception = exception
        self.message = message
