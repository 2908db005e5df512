"""
Stop the program at the first message that is not true
======================================================
The end of a chain that checks itself: as long as what comes is true, nothing happens; the first
message that is not raises an AssertionError, which stops the program. A StopSystem at "control"
stops it too, with a StopSystemException, for a test of a program that would not end by itself.

Example Usage
-------------
::

    from Axon.Ipc import producerFinished
    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.TestResult import TestResult

    for results in ([True, 1, "yes"], [True, 0]):
        try:
            Pipeline(DataSource(results), TestResult()).run()
            print("all of them true")
        except AssertionError as error:
            print(error)

It prints::

    all of them true
    TestResult got a message that is not true: 0

Tests of components are better written with Axon.Testing, which also says what came instead.
"""

from __future__ import annotations

from collections.abc import Iterable

from Axon.Failures import shown
from Axon.Ipc import producerFinished
from Kamaelia.Util.MessageLoop import MessageLoop


class StopSystem(producerFinished):
    """StopSystem(): to a TestResult's control; check what has come, then stop the program."""

    __slots__ = ()


class StopSystemException(Exception):  # noqa: N818 - the original's name
    """What a TestResult raises when it is sent a StopSystem."""


class TestResult(MessageLoop):
    """TestResult() -> raises AssertionError at the first message that is not true."""

    __test__ = False  # not a class of tests

    Inboxes = {
        "inbox": "object: true, or it is an error",
        "control": "the shutdown; StopSystem stops the whole program",
    }
    Outboxes = {
        "outbox": "object: never sent",
        "signal": "the shutdown that came in",
    }

    def results(self, message: object) -> Iterable[object]:
        if not message:
            raise AssertionError(f"TestResult got a message that is not true: {shown(message)}")
        return ()

    def last_results(self) -> Iterable[object]:
        if isinstance(self.told_to_stop(), StopSystem):
            raise StopSystemException("a TestResult was sent a StopSystem")
        return ()


__kamaelia_components__ = (TestResult,)
