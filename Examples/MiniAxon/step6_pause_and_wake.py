"""
Step 6: pausing and waking
==========================
Whoever has nothing to do gets out of the line and sleeps. A message in one of its boxes wakes it,
which means that it gets in line again. So an inbox must know whose it is.

``pause()`` does not sleep at once. It says "from the next yield on", so the turn goes on to its
end. And a component that is woken looks again before it believes that there is something: a wait
is always a loop.

    python Examples/MiniAxon/step6_pause_and_wake.py
"""

from collections import deque


class microprocess:
    """Something that runs by turns: main() makes its generator, and each yield ends a turn."""

    scheduler = None  # until it is activated
    paused = ended = False

    def activate(self, the_scheduler):
        """Get in line for the first time."""
        self.scheduler = the_scheduler
        self.turns = self.main()
        self.unpause()
        return self

    def main(self):
        yield 1

    def pause(self):
        """Sleep, from the next yield on."""
        self.paused = True

    def unpause(self):
        """Get in line again; harmless for one that stands there, or has ended."""
        if self.scheduler and not self.ended:
            self.scheduler.wake(self)

    def end(self):
        """Called by the scheduler when main is over."""
        self.ended = True


class scheduler:
    """Gives those in its line a turn, one after the other, until nobody is awake."""

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


class box:
    """An inbox: what comes in wakes its owner."""

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

    def __init__(self):
        self.inboxes = {name: box(self) for name in self.Inboxes}
        self.outboxes = dict.fromkeys(self.Outboxes)  # None: linked to nothing

    def link(self, source, sink):
        """Let an outbox lead to an inbox: link((sender, "outbox"), (receiver, "inbox"))."""
        (sender, outbox), (receiver, inbox) = source, sink
        if sender.outboxes[outbox] is not None:
            raise ValueError(f"the box {outbox!r} leads to another inbox already")
        sender.outboxes[outbox] = receiver.inboxes[inbox]

    def send(self, message, boxname="outbox"):
        target = self.outboxes[boxname]
        if target is not None:
            target.append(message)

    def recv(self, boxname="inbox"):
        return self.inboxes[boxname].messages.popleft()

    def dataReady(self, boxname="inbox"):
        """How many messages wait there."""
        return len(self.inboxes[boxname].messages)


class Producer(component):
    """Producer() -> sends three numbers, with a rest of five turns before each."""

    def main(self):
        for number in (1, 2, 3):
            for _ in range(5):
                yield 1
            self.send(number)


class Consumer(component):
    """Consumer() -> shows what it gets, and how often it looked in vain."""

    def main(self):
        in_vain = 0
        while True:
            while not self.dataReady():
                in_vain += 1
                self.pause()
                yield 1
            print("got", self.recv(), "after", in_vain, "looks for nothing")


if __name__ == "__main__":
    engine = scheduler()
    producer, consumer = Producer().activate(engine), Consumer().activate(engine)
    consumer.link((producer, "outbox"), (consumer, "inbox"))
    engine.runThreads()
    print("the consumer sleeps, and nobody is left to wake it")
