"""
Components written with `async def`: no event loop, they are stepped as generators are.

    python Examples/Pipelines/async_main.py

What comes in a burst leaves at an even pace. Only three messages may wait in between, so the sender
sleeps until there is room.
"""

from Axon.OnMessage import AsyncComponent
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Util.Console import ConsoleEchoer


class Burst(AsyncComponent):
    """Burst(count) -> numbers, as fast as they are taken."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    async def main(self) -> None:
        for number in range(self.count):
            await self.put(number)  # sleeps while there is no room
        print("all sent")


class Pace(AsyncComponent):
    """Pace(seconds) -> what comes in goes out, one message every so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.setInboxSize("inbox", 3)

    async def main(self) -> None:
        async for number in self.messages():
            self.send(f"{number}\n")
            await self.sleep(self.seconds)
        self.send("that was all\n")  # the one before us has finished, and all is read


Pipeline(Burst(8), Pace(0.05), ConsoleEchoer()).run()
