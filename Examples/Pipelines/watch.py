"""
Seeing inside: a pipeline that is looked at, counted and filmed while it runs.

    python Examples/Pipelines/watch.py

It leaves `watch.json` in the current folder: open it at https://ui.perfetto.dev.
"""

from collections.abc import Iterator
from pathlib import Path

from Axon.Component import component
from Axon.Instruments import Counts, SlowTurns
from Axon.Ipc import producerFinished
from Axon.Picture import table, tree
from Axon.Scheduler import scheduler
from Axon.Survey import snapshot
from Axon.Trace import recording
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Util.NullSink import nullSinkComponent


class Numbers(component):
    """Numbers() -> a thousand numbers; in the middle it looks around."""

    Inboxes = {"inbox": "object: not used", "control": "object: not used"}
    Outboxes = {"outbox": "int: a number", "signal": "producerFinished: those were all"}

    def main(self) -> Iterator[object]:
        for number in range(1000):
            self.send(number, "outbox")
            if number == 500:
                taken = snapshot()
                print(table(taken), tree(taken), sep="\n\n")
            yield 1
        self.send(producerFinished(self), "signal")


film = Path("watch.json")
scheduler.run.add_instrument(Counts())
scheduler.run.add_instrument(SlowTurns(limit=0.05))  # seconds; logs a warning
with recording(film):
    Pipeline(Numbers(), nullSinkComponent()).run()
print(f"\n{film}: {film.stat().st_size // 1000} kilobytes, for https://ui.perfetto.dev")
