"""
Components used by a program that is not made of components: words go into a pipeline and come out
in capitals and reversed, while the pipeline runs in the background.

    python Examples/Pipelines/from_plain_code.py
"""

from collections.abc import Callable, Iterator

from Axon.background import background
from Axon.Component import component
from Axon.Handle import Handle
from Kamaelia.Chassis.Pipeline import Pipeline


class Change(component):
    """Change(how) -> text in, how(text) out."""

    Inboxes = {"inbox": "str: any text", "control": "producerFinished or shutdownMicroprocess"}
    Outboxes = {"outbox": "str: the text, changed", "signal": "the shutdown that came in"}

    def __init__(self, how: Callable[[str], str]) -> None:
        super().__init__()
        self.how = how

    def main(self) -> Iterator[object]:
        while True:
            stop = self.told_to_stop()
            for text in self.Inbox("inbox"):
                self.send(self.how(text), "outbox")
            if stop:
                return  # Axon passes it on
            self.pause()
            yield 1


with background():
    line = Pipeline(Change(str.upper), Change(lambda text: text[::-1]))
    handle = Handle(line).activate()
    for word in ("alpha", "beta", "gamma"):
        handle.put(word)
    print(handle.get(timeout=5))  # one answer, waited for at most five seconds
    handle.shutdown()  # nothing more will come from here
    for answer in handle.messages():  # the rest, until the pipeline has ended
        print(answer)
