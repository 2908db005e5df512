"""
Step 8: a full box
==================
A fast sender and a slow receiver: messages pile up, and in the end the memory is full. So an inbox
may have a size. Sending to one that is full is an error; `put` waits instead until there is room.
Whoever takes a message out of such a box wakes those who send there.

What does not change comes from step 7; a component only gets new boxes and `put`.

    python Examples/MiniAxon/step8_full_box.py
"""

import step7_endings as step7
from step7_endings import producerFinished, scheduler, shutdownMicroprocess


class noSpaceInBox(Exception):
    """The message was not taken: keep it, and try again when there is room."""


def stops_at_once(ending):
    """Whether it is the ending that says "now". Who waits for room may have to know."""
    return isinstance(ending, shutdownMicroprocess)


class box(step7.box):
    """An inbox that holds `size` messages at most; None: any number. Without an owner it leads
    nowhere: that is what an outbox is until it is linked."""

    def __init__(self, owner):
        super().__init__(owner)
        self.size = None
        self.senders = []

    def isFull(self):
        return self.size is not None and len(self.messages) >= self.size

    def append(self, message):
        if self.isFull():
            raise noSpaceInBox(len(self.messages), self.size)
        if self.owner is not None:
            super().append(message)

    def take(self):
        message = self.messages.popleft()
        if self.size is not None:
            for sender in self.senders:
                sender.unpause()
        return message


class component(step7.component):
    """A microprocess with boxes, which may have a size."""

    def __init__(self):
        self.inboxes = {name: box(self) for name in self.Inboxes}
        self.outboxes = {name: box(None) for name in self.Outboxes}

    def link(self, source, sink, pipewidth=None):
        """As before; with a pipewidth the inbox holds so many messages at most."""
        (sender, outbox), (receiver, inbox) = source, sink
        if sender.outboxes[outbox].owner is not None:
            raise ValueError(f"the box {outbox!r} leads to another inbox already")
        target = sender.outboxes[outbox] = receiver.inboxes[inbox]
        target.senders.append(sender)
        target.size = pipewidth if pipewidth is not None else target.size

    def recv(self, boxname="inbox"):
        return self.inboxes[boxname].take()

    def Inbox(self, boxname="inbox"):
        """for message in self.Inbox(): takes messages until none is left."""
        while self.dataReady(boxname):
            yield self.recv(boxname)

    def anyReady(self):
        """True if a message waits in any of the inboxes."""
        return any(self.dataReady(name) for name in self.inboxes)

    def put(self, message, boxname="outbox"):
        """yield from self.put(message): sends it, and sleeps until there is room."""
        while self.outboxes[boxname].isFull():
            self.pause()
            yield 1
        self.send(message, boxname)


class Fast(component):
    """Fast() -> sends five numbers as fast as they are taken."""

    def main(self):
        for number in range(5):
            yield from self.put(number)
            print("sent", number)


class Slow(component):
    """Slow() -> takes one number a turn."""

    def main(self):
        while self.dataReady() or not self.told_to_stop():
            if self.dataReady():
                print("        took", self.recv())
            else:
                self.pause()
            yield 1


if __name__ == "__main__":
    engine = scheduler()
    fast, slow = Fast().activate(engine), Slow().activate(engine)
    slow.link((fast, "outbox"), (slow, "inbox"), pipewidth=2)
    slow.link((fast, "signal"), (slow, "control"))
    engine.runThreads()
    print("both have ended")
