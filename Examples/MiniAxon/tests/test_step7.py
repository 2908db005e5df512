"""Step 7: everybody hears of the end, and passes it on."""

import pytest


def waiting(mine):
    """A component that waits until it is told to stop."""

    class Waiting(mine.component):
        def main(self):
            while not self.told_to_stop():
                self.pause()
                yield 1

    return Waiting()


def chain(mine, *members):
    """Link each one's "signal" to the next one's "control"; give what comes out at the end."""
    for one, other in zip(members, [*members[1:], mine.component()], strict=True):
        other.link((one, "outbox"), (other, "inbox"))
        other.link((one, "signal"), (other, "control"))
    return other


def messages(one, boxname):
    return [one.recv(boxname) for _ in range(one.dataReady(boxname))]


def test_the_two_endings_are_not_related(mine):
    assert not issubclass(mine.producerFinished, mine.shutdownMicroprocess)
    assert not issubclass(mine.shutdownMicroprocess, mine.producerFinished)


def test_nobody_has_told_a_new_component(mine):
    assert mine.component().told_to_stop() is None


@pytest.mark.parametrize("kind", ["producerFinished", "shutdownMicroprocess"])
def test_both_endings_are_understood(mine, kind):
    one, ending = mine.component(), getattr(mine, kind)()
    one.inboxes["control"].append(ending)
    assert one.told_to_stop() is ending
    assert one.told_to_stop() is ending, "once told it stays told, though the box is empty now"


def test_stop_now_counts_more_than_finish(mine):
    one, now = mine.component(), mine.shutdownMicroprocess()
    for message in (mine.producerFinished(), now, mine.producerFinished()):
        one.inboxes["control"].append(message)
    assert one.told_to_stop() is now


def test_what_is_no_ending_is_passed_on(mine):
    one = mine.component()
    last = chain(mine, one)
    one.inboxes["control"].append("for somebody further down")
    assert one.told_to_stop() is None
    assert messages(last, "control") == ["for somebody further down"]


def test_who_ends_by_itself_says_so(mine):
    engine, one = mine.scheduler(), mine.component()
    last = chain(mine, one.activate(engine))
    engine.runThreads()
    (said,) = messages(last, "control")
    assert isinstance(said, mine.producerFinished)
    assert said.caller is one, "producerFinished(self): so that one can see who it was"


@pytest.mark.parametrize("kind", ["producerFinished", "shutdownMicroprocess"])
def test_who_is_told_passes_on_what_it_was_told(mine, kind):
    engine, ending = mine.scheduler(), getattr(mine, kind)()
    line = [waiting(mine).activate(engine) for _ in range(10)]
    last = chain(mine, *line)
    line[0].inboxes["control"].append(ending)
    engine.runThreads()
    said = messages(last, "control")
    assert said == [ending], "the same object must come out at the end of ten, and only that"


def test_an_ending_is_said_once(mine):
    class Polite(mine.component):
        def main(self):
            yield 1
            self.send(ending, "signal")

    engine, ending = mine.scheduler(), mine.producerFinished()
    last = chain(mine, Polite().activate(engine))
    engine.runThreads()
    assert messages(last, "control") == [ending], "it has said so itself: the core need not"


def test_other_words_at_signal_do_not_count_as_an_ending(mine):
    class Talkative(mine.component):
        def main(self):
            self.send("by the way", "signal")
            yield 1

    engine = mine.scheduler()
    last = chain(mine, Talkative().activate(engine))
    engine.runThreads()
    assert len(messages(last, "control")) == 2, "first its words, then its end"


def test_a_component_without_signal_ends_too(mine):
    class Mute(mine.component):
        Outboxes = ["outbox"]

    engine = mine.scheduler()
    Mute().activate(engine)
    engine.runThreads()


def test_data_is_there_before_the_end_is_heard(mine):
    class Source(mine.component):
        def main(self):
            for number in (1, 2, 3):
                self.send(number)
                yield 1

    engine = mine.scheduler()
    last = chain(mine, Source().activate(engine), mine.Adder().activate(engine))
    engine.runThreads()
    assert messages(last, "inbox") == [6], "who is told to finish works on what has arrived"


def test_stop_now_means_that_work_is_left(mine):
    engine = mine.scheduler()
    adder = mine.Adder().activate(engine)
    last = chain(mine, adder)
    adder.inboxes["inbox"].append(1)
    adder.inboxes["control"].append(mine.shutdownMicroprocess())
    engine.runThreads()
    assert messages(last, "inbox") == []
