# ends: ctrl-c
"""
Watch a growing file: show the lines that fit a pattern, until ctrl-C or after so many of them.

    python Examples/Pipelines/log_watcher.py [FILE [PATTERN [COUNT]]]

The file need not be there yet. In another terminal, for instance:

    echo "error: no more coffee" >> watched.log

    +------+ bytes +-------+ lines +------+ text +------+
    | TAIL | ----> | LINES | ----> | PICK | ---> | SHOW |
    +------+       +-------+       +------+      +------+
        ^ the end, if PICK has seen enough           |
        +--------------------------------------------+

A program of the system is a component like any other: tail -F sleeps until the file grows, and
goes on with the new one when a log is rotated. The pipeline is a ring for the sake of the end only.
"""

import re
import sys
from contextlib import suppress

from Axon.Ipc import shutdownMicroprocess
from Axon.OnMessage import AsyncComponent
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.File.UnixProcess import UnixProcess
from Kamaelia.Util.Console import ConsoleEchoer
from Kamaelia.Util.LineSplit import LineSplit


class Pick(AsyncComponent):
    """Pick(pattern, count) -> lines in, those that fit out; it ends all after so many, if not 0."""

    def __init__(self, pattern: str, count: int) -> None:
        super().__init__()
        self.fits = re.compile(pattern).search
        self.left = count

    async def main(self) -> None:
        async for line in self.messages():
            text = line.decode("utf-8", "replace")
            if not self.fits(text):
                continue
            # A log holds what strangers sent: nothing in it may speak to the terminal.
            await self.put("".join(c if c.isprintable() else "?" for c in text) + "\n")
            self.left -= 1
            if self.left == 0:
                self.send(shutdownMicroprocess(self), "signal")  # tail would never finish
                return


file, pattern, count, *_ = [*sys.argv[1:], *("watched.log", "error", "0")[len(sys.argv) - 1 :]]
tail = UnixProcess(["tail", "-n", "0", "-F", "--", file])
with suppress(KeyboardInterrupt):
    print(f"watching {file} for {pattern!r}", flush=True)
    Pipeline(tail, LineSplit(), Pick(pattern, int(count)), ConsoleEchoer(), circular=True).run()
