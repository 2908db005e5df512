"""Step 6: who pauses has no turns until something wakes it."""


def sleeper(mine, log):
    """A component that writes down each of its turns, and sleeps after each."""

    class Sleeper(mine.component):
        def main(self):
            while True:
                log.append([self.recv() for _ in range(self.dataReady())])
                self.pause()
                yield 1

    return Sleeper()


def test_one_that_does_not_pause_has_all_its_turns(mine):
    log, engine = [], mine.scheduler()

    class Busy(mine.microprocess):
        def main(self):
            for number in range(3):
                log.append(number)
                yield 1

    Busy().activate(engine)
    engine.runThreads()
    assert log == [0, 1, 2]


def test_who_sleeps_has_no_turns(mine):
    log, engine = [], mine.scheduler()
    sleeper(mine, log).activate(engine)
    engine.runThreads()
    assert log == [[]], "its first turn, and no other; and the run ends when all are asleep"


def test_pause_takes_effect_at_the_yield_and_not_before(mine):
    log, engine = [], mine.scheduler()

    class Sleeper(mine.component):
        def main(self):
            self.pause()
            log.append("still here")
            yield 1
            log.append("woken")

    one = Sleeper().activate(engine)
    engine.runThreads()
    assert log == ["still here"]
    one.unpause()
    engine.runThreads()
    assert log == ["still here", "woken"]


def test_a_pause_is_for_one_sleep_only(mine):
    log, engine = [], mine.scheduler()

    class Sleeper(mine.component):
        def main(self):
            self.pause()
            yield 1
            for number in range(3):
                log.append(number)
                yield 1

    one = Sleeper().activate(engine)
    engine.runThreads()
    one.unpause()
    engine.runThreads()
    assert log == [0, 1, 2], "once woken it is awake until it calls pause() again"


def test_a_message_wakes_the_receiver(mine):
    log, engine = [], mine.scheduler()
    receiver, sender = sleeper(mine, log).activate(engine), mine.component()
    receiver.link((sender, "outbox"), (receiver, "inbox"))
    engine.runThreads()
    sender.send("letter")
    engine.runThreads()
    assert log == [[], ["letter"]], "an inbox must wake its owner when a message comes"


def test_a_message_in_any_box_wakes(mine):
    log, engine = [], mine.scheduler()
    receiver, sender = sleeper(mine, log).activate(engine), mine.component()
    receiver.link((sender, "outbox"), (receiver, "control"))
    engine.runThreads()
    sender.send("stop")
    engine.runThreads()
    assert len(log) == 2, "a message at control wakes as well"


def test_several_messages_wake_once(mine):
    log, engine = [], mine.scheduler()
    receiver, sender = sleeper(mine, log).activate(engine), mine.component()
    receiver.link((sender, "outbox"), (receiver, "inbox"))
    engine.runThreads()
    for number in range(3):
        sender.send(number)
    engine.runThreads()
    assert log == [[], [0, 1, 2]], "nobody stands in the line twice"


def test_who_is_awake_does_not_get_more_turns_by_messages(mine):
    log, engine = [], mine.scheduler()

    class Busy(mine.component):
        def main(self):
            for _ in range(3):
                log.append("busy")
                self.send("to myself")
                yield 1

    class Other(mine.component):
        def main(self):
            for _ in range(3):
                log.append("other")
                yield 1

    busy = Busy().activate(engine)
    busy.link((busy, "outbox"), (busy, "inbox"))
    Other().activate(engine)
    engine.runThreads()
    assert log == ["busy", "other"] * 3, "nobody stands in the line twice"


def test_a_message_that_comes_while_it_pauses_is_not_slept_through(mine):
    log, engine = [], mine.scheduler()

    class ToItself(mine.component):
        def main(self):
            self.send("remember me")
            self.pause()
            yield 1
            log.append(self.recv())

    one = ToItself().activate(engine)
    one.link((one, "outbox"), (one, "inbox"))
    engine.runThreads()
    assert log == ["remember me"], "it was woken in that very turn, so it must not sleep"


def test_messages_before_the_activation_wait(mine):
    log, engine = [], mine.scheduler()
    receiver, sender = sleeper(mine, log), mine.component()
    receiver.link((sender, "outbox"), (receiver, "inbox"))
    sender.send("early")
    receiver.activate(engine)
    engine.runThreads()
    assert log == [["early"]]


def test_a_message_to_one_that_has_ended_is_harmless(mine):
    ends, engine = [], mine.scheduler()

    class Short(mine.component):
        def main(self):
            yield 1

        def end(self):
            super().end()
            ends.append("ended")

    receiver, sender = Short().activate(engine), mine.component()
    receiver.link((sender, "outbox"), (receiver, "inbox"))
    engine.runThreads()
    sender.send("too late")
    engine.runThreads()
    assert ends == ["ended"], "the scheduler calls end() once, and who has ended is not woken"
