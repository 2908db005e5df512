"""
Step 3: boxes
=============
A component is a microprocess with boxes, like a desk with trays. It takes messages out of its
inboxes and puts messages into its outboxes, and knows nothing of anybody else. Somebody must carry
the messages from desk to desk: in this step, you.

    python Examples/MiniAxon/step3_boxes.py
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
        # Made here, and not in the class: each component has boxes of its own.
        self.inboxes = {name: deque() for name in self.Inboxes}
        self.outboxes = {name: deque() for name in self.Outboxes}

    def send(self, message, boxname="outbox"):
        self.outboxes[boxname].append(message)

    def recv(self, boxname="inbox"):
        return self.inboxes[boxname].popleft()

    def dataReady(self, boxname="inbox"):
        """How many messages wait there."""
        return len(self.inboxes[boxname])


class Doubler(component):
    """Doubler() -> numbers in, twice the numbers out."""

    def main(self):
        while self.dataReady():
            self.send(2 * self.recv())
            yield 1


if __name__ == "__main__":
    engine = scheduler()
    first, second = Doubler().activate(engine), Doubler()

    first.inboxes["inbox"].extend([1, 2, 3])  # somebody has put work on the desk
    engine.runThreads()
    print("the first one's outbox:", list(first.outboxes["outbox"]))

    # You are the postman: out of one tray and into the other.
    while first.outboxes["outbox"]:
        second.inboxes["inbox"].append(first.outboxes["outbox"].popleft())
    second.activate(engine)
    engine.runThreads()
    print("the second one's outbox:", list(second.outboxes["outbox"]))
