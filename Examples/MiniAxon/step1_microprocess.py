"""
Step 1: a microprocess
======================
A generator is a function that can stop in the middle and go on later: it stops at each ``yield``,
and goes on when somebody calls ``next``. A microprocess is an object with such a function, called
``main``. What it does between two yields is its turn.

    python Examples/MiniAxon/step1_microprocess.py
"""


class microprocess:
    """Something that runs by turns: main() makes its generator, and each yield ends a turn."""

    def main(self):
        yield 1


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
    ann = Talker("Ann", 2).main()
    bob = Talker("Bob", 2).main()

    # Nothing has been said yet: a generator does nothing until it is asked.
    next(ann)
    next(bob)
    next(ann)
    next(bob)
    try:
        next(ann)
    except StopIteration:
        print("Ann has ended")
