"""
Step 7: endings
===============
Two messages say that it is over. They go from "signal" to "control", beside the data, and everybody
passes them on: `told_to_stop` reads "control", and when a component ends, the core sends the ending
for it. So nobody can forget to, and nobody is left asleep.

    python Examples/MiniAxon/step7_endings.py
"""

from collections import deque


class producerFinished:
    """Nothing more will come: finish what waits, then end."""

    def __init__(self, caller=None):
        self.caller = caller


class shutdownMicroprocess:
    """Stop now."""


ENDINGS = (producerFinished, shutdownMicroprocess)


class microprocess:  # as in step 6
    scheduler = None  # until it is activated
    paused = ended = False

    def activate(self, the_scheduler):
        self.scheduler = the_scheduler
        self.turns = self.main()
        self.unpause()
        return self

    def main(self):
        yield 1

    def pause(self):
        self.paused = True  # from the next yield on

    def unpause(self):
        if self.scheduler and not self.ended:
            self.scheduler.wake(self)

    def end(self):
        self.ended = True


class scheduler:  # as in step 6
    def __init__(self):
        self.line = deque()

    def wake(self, process):
        if process not in self.line:
            self.line.append(process)

    def runThreads(self):
        while self.line:
            process = self.line.popleft()
            process.paused = False
            try:
                next(process.turns)
            except StopIteration:
                process.end()
                continue
            if not process.paused:
                self.wake(process)


class box:  # as in step 6
    def __init__(self, owner):
        self.owner = owner
        self.messages = deque()

    def append(self, message):
        self.messages.append(message)
        self.owner.unpause()


class component(microprocess):
    """A microprocess with boxes. A class that needs other boxes declares them."""

    Inboxes = ["inbox", "control"]
    Outboxes = ["outbox", "signal"]
    told = said = None  # the ending that came to "control", and that went out of "signal"

    def __init__(self):
        self.inboxes = {name: box(self) for name in self.Inboxes}
        self.outboxes = dict.fromkeys(self.Outboxes)  # None: linked to nothing

    def link(self, source, sink):
        (sender, outbox), (receiver, inbox) = source, sink
        if sender.outboxes[outbox] is not None:
            raise ValueError(f"the box {outbox!r} leads to another inbox already")
        sender.outboxes[outbox] = receiver.inboxes[inbox]

    def send(self, message, boxname="outbox"):
        if boxname == "signal" and isinstance(message, ENDINGS):
            self.said = message
        if self.outboxes[boxname] is not None:
            self.outboxes[boxname].append(message)

    def recv(self, boxname="inbox"):
        return self.inboxes[boxname].messages.popleft()

    def dataReady(self, boxname="inbox"):
        return len(self.inboxes[boxname].messages)

    def told_to_stop(self):
        """The ending that came to "control", or None. What else comes there is passed on."""
        while self.dataReady("control"):
            message = self.recv("control")
            if not isinstance(message, ENDINGS):
                self.send(message, "signal")
            elif not isinstance(self.told, shutdownMicroprocess):  # "now" is not taken back
                self.told = message
        return self.told

    def end(self):
        super().end()
        if self.said is None and "signal" in self.outboxes:
            self.send(self.told or producerFinished(self), "signal")


class Adder(component):
    """Adder() -> numbers in; their sum out, when there are no more."""

    def main(self):
        while not self.told_to_stop():
            self.pause()
            yield 1
        print(self.dataReady(), "numbers wait; told to stop by", type(self.told).__name__)
        if isinstance(self.told, producerFinished):
            self.send(sum(self.recv() for _ in range(self.dataReady())))


if __name__ == "__main__":
    for ending in (producerFinished(), shutdownMicroprocess()):
        engine = scheduler()
        first, second = Adder().activate(engine), Adder().activate(engine)
        first.link((first, "outbox"), (second, "inbox"))
        first.link((first, "signal"), (second, "control"))
        first.inboxes["inbox"].append(20)
        first.inboxes["inbox"].append(22)
        first.inboxes["control"].append(ending)
        engine.runThreads()
