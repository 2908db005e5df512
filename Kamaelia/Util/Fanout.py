"""
Copy messages to several receivers
==================================
An outbox leads to one inbox only. A Fanout has as many outboxes as you name, and sends each message
to all of them; and a shutdown to "signal", where it belongs.

Example Usage
-------------
Numbers, to a screen and to what adds them up::

    from Kamaelia.Chassis.Graphline import Graphline
    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Util.Collate import Collate
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.DataSource import DataSource
    from Kamaelia.Util.Fanout import Fanout
    from Kamaelia.Util.PureTransformer import PureTransformer

    Graphline(
        NUMBERS=DataSource([1, 2, 3]),
        FANOUT=Fanout(["copy"]),
        SUM=Pipeline(Collate(), PureTransformer(sum)),
        SCREEN=ConsoleEchoer(tag="|"),
        linkages={
            ("NUMBERS", "outbox"): ("FANOUT", "inbox"),
            ("FANOUT", "outbox"): ("SCREEN", "inbox"),
            ("FANOUT", "copy"): ("SUM", "inbox"),
            ("SUM", "outbox"): ("SCREEN", "inbox"),
            ("NUMBERS", "signal"): ("FANOUT", "control"),
            ("FANOUT", "signal"): ("SUM", "control"),
            ("SUM", "signal"): ("SCREEN", "control"),
        },
    ).run()

It prints::

    |1|2|3|6

The copies are the very same object: send what nobody changes. While one receiver is full the others
still get the message at hand; then all wait, so nothing is lost. Receivers that come and go while
the program runs are for a PlugSplitter (Kamaelia.Util.Splitter), or a Backplane.
"""

from __future__ import annotations

from collections.abc import Iterable

from Kamaelia.Util.MessageLoop import MessageLoop


class Fanout(MessageLoop):
    """Fanout(boxnames) -> copies what comes to "outbox" and to each outbox named.

    Raises ValueError if one of them is to be called "signal"."""

    Inboxes = {
        "inbox": "object: to be copied",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "object: as it came, as in all the others",
        "signal": "the shutdown that came in",
    }

    def __init__(self, boxnames: Iterable[str], **attributes: object) -> None:
        names = dict.fromkeys(("outbox", *boxnames))
        if "signal" in names:
            raise ValueError("Fanout: 'signal' is for shutdowns and not for data")
        texts = dict.fromkeys(names, "object: as it came, as in all the others")
        super().__init__(Outboxes={**texts, "signal": self.Outboxes["signal"]}, **attributes)
        self.boxnames = tuple(names)


fanout = Fanout  # the original's older name

__kamaelia_components__ = (Fanout,)
