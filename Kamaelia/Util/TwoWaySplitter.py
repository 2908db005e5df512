"""
Copy messages, and the shutdown, to two receivers
=================================================
What comes to "inbox" goes out of "outbox" and "outbox2", what comes to "control" out of "signal"
and "signal2". So two lines of components that begin here both end by themselves.

Example Usage
-------------
::

    from Kamaelia.Chassis.Graphline import Graphline
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.TwoWaySplitter import TwoWaySplitter

    Graphline(
        SOURCE=DataSource(["one\\n", "two\\n"]),
        SPLIT=TwoWaySplitter(),
        LEFT=ConsoleEchoer(tag="left: "),
        RIGHT=ConsoleEchoer(tag="right: "),
        linkages={
            ("SOURCE", "outbox"): ("SPLIT", "inbox"),
            ("SOURCE", "signal"): ("SPLIT", "control"),
            ("SPLIT", "outbox"): ("LEFT", "inbox"),
            ("SPLIT", "signal"): ("LEFT", "control"),
            ("SPLIT", "outbox2"): ("RIGHT", "inbox"),
            ("SPLIT", "signal2"): ("RIGHT", "control"),
        },
    ).run()

It prints::

    left: one
    right: one
    left: two
    right: two

While one receiver is full the other still gets the message at hand; then both wait.
"""

from __future__ import annotations

from Axon.Ipc import producerFinished
from Kamaelia.Chassis.Pipeline import deliver_though_full
from Kamaelia.Util.MessageLoop import MessageLoop


class TwoWaySplitter(MessageLoop):
    """TwoWaySplitter() -> copies what comes to two outboxes, and shutdowns to two signals."""

    Inboxes = {
        "inbox": "object: to be copied",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "object: as it came",
        "outbox2": "object: as it came",
        "signal": "the shutdown that came in",
        "signal2": "producerFinished or shutdownMicroprocess: what goes out of signal",
    }

    boxnames = ("outbox", "outbox2")

    def __init__(self, **attributes: object) -> None:
        super().__init__(**attributes)
        self._stop: object = None
        # However it ends, also those behind the second signal are told.
        self.call_on_close(self._tell_the_second)

    def _tell_the_second(self) -> None:
        deliver_though_full(self.outboxes["signal2"], self._stop or producerFinished(self))

    def commands(self) -> object:
        self._stop = self.told_to_stop()
        return self._stop

    def _axon_hand_on(self, message: object) -> None:
        super()._axon_hand_on(message)
        self.send(message, "signal2")


__kamaelia_components__ = (TwoWaySplitter,)
