"""
One more who hears of each decision
===================================
A decider tells one component of its decisions: the mail log. Where others want to know them, too
(the statistics, other machines), a tap stands before it; several stand one behind the other.

Example Usage
-------------
::

    tap = DecisionTap(mail_log, stat)
    decider.link((decider, "log"), (tap, "inbox"))
"""

from Axon.AtOnce import act_at_once
from Axon.Component import component
from Kamaelia.Apps.Grey.Core.Types import Decided


class DecisionTap(component):
    """DecisionTap(first, second) -> gives both what it gets. It acts at once and has no turn: it
    need not be activated."""

    Inboxes = {
        "inbox": "Decided: for both; acted on at once",
        "control": "object: unused",
    }
    Outboxes = {
        "outbox": "Decided: to the first, linked here",
        "tapped": "Decided: to the second, linked here",
        "signal": "object: unused",
    }

    def __init__(self, first: component, second: component) -> None:
        super().__init__()
        self.link((self, "outbox"), (first, "inbox"))
        self.link((self, "tapped"), (second, "inbox"))
        act_at_once(self, "inbox", self._take)

    def _take(self, event: Decided) -> None:
        self.send(event, "outbox")
        self.send(event, "tapped")


__kamaelia_components__ = (DecisionTap,)
