"""
Your first component: what you type, in capitals, until the end of input (ctrl-D).

    python Examples/Pipelines/shout.py
    echo hello | python Examples/Pipelines/shout.py
"""

from collections.abc import Iterator

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Util.Console import ConsoleEchoer, ConsoleReader


class Shout(component):
    """Shout() -> text in, the same in capitals out."""

    Inboxes = {
        "inbox": "str: any text",
        "control": "producerFinished or shutdownMicroprocess: ends it",
    }
    Outboxes = {
        "outbox": "str: the text in capitals",
        "signal": "the shutdown that came in",
    }

    def main(self) -> Iterator[object]:
        while True:
            for text in self.Inbox("inbox"):
                self.send(text.upper(), "outbox")
            for message in self.Inbox("control"):
                if isinstance(message, producerFinished | shutdownMicroprocess):
                    self.send(message, "signal")  # whoever comes next ends too
                    return
            self.pause()  # from the yield on we sleep, until a message comes
            yield 1


Pipeline(ConsoleReader(prompt=""), Shout(), ConsoleEchoer()).run()
