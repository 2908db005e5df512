"""
Step 5: direct delivery
=======================
The postman is not needed. An outbox need not be a box: it can be the name under which a component
knows somebody else's inbox. A link makes it that, and then a message lies in the receiver's inbox
as soon as it is sent. An outbox that is linked to nothing leads nowhere: what is sent there is
gone.

The consumer still looks into its inbox at every turn. It counts how often for nothing.

    python Examples/MiniAxon/step5_direct_delivery.py
"""

from collections import deque


class microprocess:
    """Something that runs by turns: main() makes its generator, and each yield ends a turn."""

    def activate(self, the_scheduler):
        """Get in line."""
        self.turns = self.main()
        the_scheduler.line.append(self)
        return self

    def main(self):
        yield 1


class scheduler:
    """Gives everybody in its line a turn, one after the other, until nobody is left."""

    def __init__(self):
        self.line = deque()

    def runThreads(self):
        while self.line:
            process = self.line.popleft()
            try:
                next(process.turns)
            except StopIteration:
                continue
            self.line.append(process)


class component(microprocess):
    """A microprocess with boxes. A class that needs other boxes declares them."""

    Inboxes = ["inbox", "control"]
    Outboxes = ["outbox", "signal"]

    def __init__(self):
        self.inboxes = {name: deque() for name in self.Inboxes}
        self.outboxes = dict.fromkeys(self.Outboxes)  # None: linked to nothing

    def link(self, source, sink):
        """Let an outbox lead to an inbox: link((sender, "outbox"), (receiver, "inbox"))."""
        (sender, outbox), (receiver, inbox) = source, sink
        if sender.outboxes[outbox] is not None:
            raise ValueError(f"the box {outbox!r} leads to another inbox already")
        sender.outboxes[outbox] = receiver.inboxes[inbox]

    def send(self, message, boxname="outbox"):
        box = self.outboxes[boxname]
        if box is not None:
            box.append(message)

    def recv(self, boxname="inbox"):
        return self.inboxes[boxname].popleft()

    def dataReady(self, boxname="inbox"):
        """How many messages wait there."""
        return len(self.inboxes[boxname])


class Producer(component):
    """Producer() -> sends three numbers, with a rest of five turns before each."""

    def main(self):
        for number in (1, 2, 3):
            for _ in range(5):
                yield 1
            self.send(number)


class Consumer(component):
    """Consumer() -> shows three messages, and how often it looked in vain."""

    def main(self):
        in_vain = 0
        for _ in range(3):
            while not self.dataReady():
                in_vain += 1
                yield 1
            print("got", self.recv())
        print("looked", in_vain, "times for nothing")


if __name__ == "__main__":
    engine = scheduler()
    producer, consumer = Producer().activate(engine), Consumer().activate(engine)
    consumer.link((producer, "outbox"), (consumer, "inbox"))
    engine.runThreads()
