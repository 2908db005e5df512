"""
Ready-made combinations
=======================
Wirings that programs need again and again, as functions.

Example Usage
-------------
One source after the other, in the order of a list::

    from Kamaelia.Chassis.Carousel import Carousel
    from Kamaelia.Chassis.Pipeline import Pipeline
    from Kamaelia.Chassis.Prefab import JoinChooserToCarousel
    from Kamaelia.Util.Chooser import ForwardIteratingChooser
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.OneShot import OneShot

    player = JoinChooserToCarousel(
        chooser=ForwardIteratingChooser(["first\\n", "second\\n"]),
        carousel=Carousel(OneShot),
    )
    Pipeline(player, ConsoleEchoer()).run()

It prints::

    first
    second
"""

from __future__ import annotations

from Axon.Component import component
from Kamaelia.Chassis.Graphline import Graphline


def JoinChooserToCarousel(  # noqa: N802 - the original's name
    chooser: component, carousel: component
) -> Graphline:
    """The carousel runs what the chooser chooses, and asks it for the next when that has ended.

    From outside it is the carousel, but a shutdown goes to the chooser first: one that it does not
    end on, as a Chooser on a producerFinished, goes no further."""
    return Graphline(
        CHOOSER=chooser,
        CAROUSEL=carousel,
        linkages={
            ("CHOOSER", "outbox"): ("CAROUSEL", "next"),
            ("CHOOSER", "signal"): ("CAROUSEL", "control"),
            ("CAROUSEL", "requestNext"): ("CHOOSER", "inbox"),
            ("self", "inbox"): ("CAROUSEL", "inbox"),
            ("self", "control"): ("CHOOSER", "control"),
            ("CAROUSEL", "outbox"): ("self", "outbox"),
            ("CAROUSEL", "signal"): ("self", "signal"),
        },
    )


__kamaelia_prefabs__ = (JoinChooserToCarousel,)
