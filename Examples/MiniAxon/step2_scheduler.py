"""
Step 2: a scheduler
===================
Calling ``next`` by hand is dull work, so an object does it. The scheduler keeps a line of
microprocesses, like people at a counter: the first one in the line has a turn, and then goes to the
end of the line. One that has ended does not come back.

    python Examples/MiniAxon/step2_scheduler.py
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
        self.line = deque()  # a list that is quick at both ends

    def runThreads(self):
        while self.line:
            process = self.line.popleft()
            try:
                next(process.turns)
            except StopIteration:
                continue  # it has ended, and does not get in line again
            self.line.append(process)


class Talker(microprocess):
    """Talker(name, count) -> says its name so many times, once a turn."""

    def __init__(self, name, count):
        self.name = name
        self.count = count

    def main(self):
        for number in range(1, self.count + 1):
            print(self.name, "says", number)
            yield 1


if __name__ == "__main__":
    engine = scheduler()
    Talker("Ann", 3).activate(engine)
    Talker("Bob", 1).activate(engine)
    Talker("Cid", 2).activate(engine)
    engine.runThreads()
    print("nobody is left")
