"""
Step 4: a postman
=================
The messages are carried by a microprocess of their own. A postman knows one outbox and one inbox,
and at each turn brings over what is there. Now components can work together without knowing each
other: whoever sends the postman decides who works with whom.

The postman cannot know when its work is over, so this scheduler stops after some number of turns.
Count how many of them were for nothing: the next two steps get rid of those.

    python Examples/MiniAxon/step4_postman.py
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
    """Gives everybody in its line a turn, until nobody is left or `limit` turns are over."""

    def __init__(self):
        self.line = deque()

    def runThreads(self, limit=1000):
        while self.line and limit > 0:
            limit -= 1
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
        self.outboxes = {name: deque() for name in self.Outboxes}

    def send(self, message, boxname="outbox"):
        self.outboxes[boxname].append(message)

    def recv(self, boxname="inbox"):
        return self.inboxes[boxname].popleft()

    def dataReady(self, boxname="inbox"):
        """How many messages wait there."""
        return len(self.inboxes[boxname])


class postman(microprocess):
    """postman((sender, "outbox"), (receiver, "inbox")) -> carries messages from box to box."""

    def __init__(self, source, sink):
        sender, outbox = source
        receiver, inbox = sink
        self.outbox = sender.outboxes[outbox]
        self.inbox = receiver.inboxes[inbox]
        self.trips = 0
        self.carried = 0

    def main(self):
        while True:
            self.trips += 1
            while self.outbox:
                self.inbox.append(self.outbox.popleft())
                self.carried += 1
            yield 1


class Producer(component):
    """Producer() -> sends three numbers."""

    def main(self):
        for number in (1, 2, 3):
            self.send(number)
            yield 1


class Consumer(component):
    """Consumer() -> shows what it gets."""

    def main(self):
        while True:
            while self.dataReady():
                print("got", self.recv())
            yield 1


if __name__ == "__main__":
    engine = scheduler()
    producer, consumer = Producer().activate(engine), Consumer().activate(engine)
    carrier = postman((producer, "outbox"), (consumer, "inbox")).activate(engine)
    engine.runThreads(limit=100)
    print(f"the postman went {carrier.trips} times and carried {carrier.carried} messages")
