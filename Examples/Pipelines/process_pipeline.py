"""
Programs of the system and a component of one's own in one pipeline: how many numbers below 200,000
have how many digits?

    python Examples/Pipelines/process_pipeline.py

    +-----+       +---------+       +------+       +------+       +------+
    | seq | ----> | LENGTHS | ----> | sort | ----> | uniq | ----> | SHOW |
    +-----+       +---------+       +------+       +------+       +------+

It is `seq 199999 | ... | sort -n | uniq -c` with boxes in the place of pipes. A 4 before a member
limits what may wait there: then whoever sends waits, back to the program that is not read from any
more. So no more than a few pieces are in memory, however long the list.
"""

from Axon.OnMessage import AsyncComponent
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.File.UnixProcess import UnixProcess
from Kamaelia.Util.Console import ConsoleEchoer
from Kamaelia.Util.PureTransformer import PureTransformer


class Lengths(AsyncComponent):
    """Lengths() -> lines as bytes, cut anywhere, in; the length of each, a line each, out."""

    most = 0  # pieces that waited

    async def main(self) -> None:
        rest = b""
        async for piece in self.messages():
            self.most = max(self.most, 1 + self.dataReady("inbox"))
            await self.sleep(0.01)  # be slow, so that there is something to see
            *lines, rest = (rest + piece).split(b"\n")
            await self.put(b"".join(b"%d\n" % len(line) for line in lines))


lengths = Lengths()
Pipeline(
    UnixProcess(["seq", "199999"]),
    4,
    lengths,
    4,
    UnixProcess("sort -n"),
    UnixProcess("uniq -c"),
    PureTransformer(bytes.decode),
    ConsoleEchoer(),
).run()
print(f"of all that, no more than {lengths.most} pieces ever waited for us")
