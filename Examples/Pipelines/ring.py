"""
A ring: a hundred runners hand one baton round, a thousand hand-overs in all.

    python Examples/Pipelines/ring.py

Each runner sleeps until the baton comes, so a hundred or ten thousand of them cost the same.
"""

from collections.abc import Iterator

from Axon.Component import component
from Axon.Ipc import shutdownMicroprocess
from Kamaelia.Chassis.Pipeline import Pipeline

RUNNERS, HANDOVERS = 100, 1000


class Runner(component):
    """Runner(number) -> hands a baton on, which is the number of hand-overs left."""

    Inboxes = {"inbox": "int: the baton", "control": "shutdownMicroprocess: the race is over"}
    Outboxes = {"outbox": "int: the baton", "signal": "shutdownMicroprocess: the race is over"}

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def main(self) -> Iterator[object]:
        while not self.dataReady("control"):
            for baton in self.Inbox("inbox"):
                if baton:
                    self.send(baton - 1, "outbox")
                else:
                    print(f"runner {self.number} has the baton at the end")
                    self.send(shutdownMicroprocess(self), "signal")
                    return
            self.pause()
            yield 1
        self.send(self.recv("control"), "signal")


ring = Pipeline(*(Runner(number) for number in range(RUNNERS)), circular=True)
ring.inboxes["inbox"].deliver(HANDOVERS)
ring.run()
