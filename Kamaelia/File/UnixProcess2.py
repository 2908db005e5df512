"""
Another program as a component: its second interface
====================================================
A UnixProcess under the name, and with the arguments, of the original's second try: limits for its
boxes, and how much is read at a time. Everything else is described there.

Example Usage
-------------
::

    from Kamaelia.Chassis.Graphline import Graphline
    from Kamaelia.File.UnixProcess2 import UnixProcess2
    from Kamaelia.Util.Console import ConsoleEchoer

    Graphline(
        RUN=UnixProcess2("echo complaint >&2"),
        SHOW=ConsoleEchoer(use_repr=True),
        linkages={
            ("RUN", "error"): ("SHOW", "inbox"),
            ("RUN", "signal"): ("SHOW", "control"),
        },
    ).run()

It prints::

    b'complaint\\n'

Named pipes (``outpipes``, ``inpipes``) are not carried: a program that needs more than its three
standard files is better served by a component of its own. Asking for one is a ValueError.
"""

from __future__ import annotations

from collections.abc import Mapping

from Kamaelia.File.ChildProcess import Command
from Kamaelia.File.UnixProcess import UnixProcess


class UnixProcess2(UnixProcess):
    """UnixProcess2(command, buffersize=32768, outpipes={}, inpipes={}, boxsizes={}) -> a
    UnixProcess that reads buffersize bytes at a time, with limits for the inboxes in boxsizes."""

    ExtraOutboxes = {"_shutdownPipes": "object: unused"}

    def __init__(
        self,
        command: Command,
        buffersize: int = 32_768,
        outpipes: Mapping[str, str] | None = None,
        inpipes: Mapping[str, str] | None = None,
        boxsizes: Mapping[str, int | None] | None = None,
        **attributes: object,
    ) -> None:
        if outpipes or inpipes:
            raise ValueError(
                "UnixProcess2 does not carry named pipes (outpipes, inpipes): use the program's "
                "standard input and output"
            )
        if buffersize < 1:
            raise ValueError(f"buffersize must be 1 or more, not {buffersize}")
        super().__init__(command, buffersize=buffersize, **attributes)
        for box, size in (boxsizes or {}).items():
            if box not in self.inboxes:
                raise ValueError(f"boxsizes: UnixProcess2 has no inbox {box!r}")
            self.setInboxSize(box, size)


__kamaelia_components__ = (UnixProcess2,)
