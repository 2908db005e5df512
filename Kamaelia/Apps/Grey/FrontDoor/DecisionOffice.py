"""
What the doors of a mail server share
=====================================
The doors at which a mail server asks (milter, policy service) need less than the one at which a
client brings mail: who decides, what the access rules want of a door, and identifiers. FrontOffice
has it all, and fakes of tests need no more than this.

Example Usage
-------------
By the server, for each connection::

    ServerCore(protocol=lambda **peer: MilterDoor(office), sock=listener)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from Axon.Component import component
from Kamaelia.Apps.Grey.FrontDoor.DoorRules import DoorRules


class DecisionOffice(Protocol):
    """decider: its "inbox" takes an Attempt or a MessageAttempt, and answers to the box that this
    names. clock: seconds since the epoch. rules: what the access rules want of a door.
    before_decider: makes a component through which the attempts of one connection go first
    ("inbox" to "outbox"); None: they go straight to the decider."""

    @property
    def decider(self) -> component: ...
    @property
    def clock(self) -> Callable[[], float]: ...
    @property
    def rules(self) -> DoorRules | None: ...
    @property
    def before_decider(self) -> Callable[[], component] | None: ...
    def new_id(self) -> str:
        """An identifier for a session, to find it in the log by: ten hexadecimal digits."""
