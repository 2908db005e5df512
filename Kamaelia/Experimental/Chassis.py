"""
Chassis with limits
===================
The chassis by their names of the time when limits on boxes were an experiment. They are ordinary
features of Kamaelia.Chassis now, so Pipeline, Graphline and Carousel are the same classes:

* ``Pipeline(reader, 5, writer)``: an int or None before a component is the size of its inbox;
* ``Graphline(linkages, boxsizes={(name, box): size}, ...)``;
* ``Carousel(factory, make1stRequest=False, boxsize=None)``.

InboxControlledCarousel is a Carousel whose two inboxes have changed places, so that in a Pipeline
what comes from the left is what is to be made.

Example Usage
-------------
Each message is made a component, which repeats it and ends::

    from Kamaelia.Experimental.Chassis import InboxControlledCarousel, Pipeline
    from Kamaelia.Util.Chooser import ForwardIteratingChooser
    from Kamaelia.Util.Console import ConsoleEchoer
    from Kamaelia.Util.OneShot import OneShot

    def line(word):
        return OneShot(f"{word}\\n")

    Pipeline(OneShot("hello"), 1, InboxControlledCarousel(line), 5, ConsoleEchoer()).run()

It prints::

    hello
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from Axon.Component import component
from Kamaelia.Chassis.Carousel import Carousel
from Kamaelia.Chassis.Graphline import Graphline
from Kamaelia.Chassis.Pipeline import Pipeline


def InboxControlledCarousel(  # noqa: N802 - the original's name
    factory: Callable[[Any], component], make1stRequest: bool = False, boxsize: int | None = None
) -> Graphline:
    """A Carousel whose "inbox" is its "next"; data for the component that runs goes to
    "data_inbox"."""
    return Graphline(
        CAROUSEL=Carousel(factory, make1stRequest, boxsize),
        linkages={
            ("self", "inbox"): ("CAROUSEL", "next"),
            ("self", "data_inbox"): ("CAROUSEL", "inbox"),
            ("self", "control"): ("CAROUSEL", "control"),
            ("CAROUSEL", "outbox"): ("self", "outbox"),
            ("CAROUSEL", "requestNext"): ("self", "requestNext"),
            ("CAROUSEL", "signal"): ("self", "signal"),
        },
    )


__all__ = ["Carousel", "Graphline", "InboxControlledCarousel", "Pipeline"]

__kamaelia_prefabs__ = (InboxControlledCarousel,)
