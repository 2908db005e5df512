"""Step 2: a scheduler gives turns, one after the other."""

import pytest


def counter(mine, log, name, turns):
    """A microprocess that writes its name into the log, once a turn."""

    class Counter(mine.microprocess):
        def main(self):
            for _ in range(turns):
                log.append(name)
                yield 1

    return Counter()


def test_activate_gives_the_microprocess_back(mine):
    process = mine.microprocess()
    assert process.activate(mine.scheduler()) is process, "activate must end with: return self"


def test_nobody_has_a_turn_before_the_scheduler_runs(mine):
    log = []
    counter(mine, log, "a", 1).activate(mine.scheduler())
    assert log == [], "activate() only puts it in line"


def test_each_has_a_turn_in_the_order_of_activation(mine):
    log, engine = [], mine.scheduler()
    for name in "abc":
        counter(mine, log, name, 2).activate(engine)
    engine.runThreads()
    assert log == list("abcabc"), (
        "everybody has one turn, and nobody a second one before all had their first"
    )


def test_others_go_on_when_one_has_ended(mine):
    log, engine = [], mine.scheduler()
    for name, turns in (("a", 1), ("b", 3), ("c", 2)):
        counter(mine, log, name, turns).activate(engine)
    engine.runThreads()
    assert log == list("abcbcb"), "who has ended leaves the line, and all others keep their place"


def test_an_empty_scheduler_ends_at_once(mine):
    mine.scheduler().runThreads()


def test_it_may_run_again(mine):
    log, engine = [], mine.scheduler()
    counter(mine, log, "a", 1).activate(engine)
    engine.runThreads()
    counter(mine, log, "b", 1).activate(engine)
    engine.runThreads()
    assert log == ["a", "b"], "runThreads() may be called again, with new microprocesses"


def test_one_that_is_activated_during_the_run_joins_in(mine):
    log, engine = [], mine.scheduler()

    class Parent(mine.microprocess):
        def main(self):
            yield 1
            counter(mine, log, "child", 1).activate(engine)

    Parent().activate(engine)
    engine.runThreads()
    assert log == ["child"], "the scheduler must look at its line again after every turn"


def test_two_schedulers_know_nothing_of_each_other(mine):
    log, one, other = [], mine.scheduler(), mine.scheduler()
    counter(mine, log, "a", 1).activate(one)
    counter(mine, log, "b", 1).activate(other)
    one.runThreads()
    assert log == ["a"], "the line must be made in __init__, as self.line, and not in the class"


def test_an_error_of_a_microprocess_is_not_hidden(mine):
    class Wrong(mine.microprocess):
        def main(self):
            yield 1
            raise ValueError("this must be seen")

    engine = mine.scheduler()
    Wrong().activate(engine)
    with pytest.raises(ValueError, match="this must be seen"):
        engine.runThreads()
