"""
A component's method that is called for a descriptor, a timer or a thread, and fails: so has the
component. Any other function that fails ends the run. An instrument that fails only looked.
"""

import logging
import socket
from collections.abc import Callable, Iterator

import pytest

from Axon.Component import component
from Axon.Guards import log_only
from Axon.Instruments import Instrument
from Axon.Microprocess import microprocess
from Axon.Scheduler import scheduler
from Axon.Waiter import EPOLLIN
from Test.Axon.scripts import Script, counter, run, sleeper

Told = list[tuple[microprocess, Exception]]
Arrange = Callable[["Client"], None]


class Client(component):
    """Sleeps; has a callback with a mistake in it."""

    def __init__(self, arrange: Arrange, pair: tuple[socket.socket, socket.socket]) -> None:
        super().__init__()
        self.name = "client"
        self.arrange = arrange
        self.pair = pair
        self.calls = self.stops = 0

    def main(self) -> Iterator[object]:
        self.arrange(self)
        while True:
            self.pause()
            yield 1

    def ready(self, events: int) -> None:
        self.pair[0].recv(1)
        self.due()

    def due(self) -> None:
        self.calls += 1
        raise KeyError("a mistake")

    def stop(self) -> None:
        self.stops += 1
        super().stop()


def by_descriptor(self: Client) -> None:
    self.scheduler.register(self.pair[0].fileno(), EPOLLIN, self.ready)
    self.pair[1].send(b"x")


def by_timer(self: Client) -> None:
    self.scheduler.call_later(0.0, self.due)


def by_thread(self: Client) -> None:
    self.scheduler.call_from_thread(self.due)


WAYS = pytest.mark.parametrize("arrange", [by_descriptor, by_timer, by_thread])


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def end_without(client: Client) -> Script:
    """One that ends the run when the client has ended, at the latest after many turns."""

    def script(self: Script) -> Iterator[object]:
        for _ in range(5000):
            if client not in self.scheduler.listAllThreads():
                break
            yield 1
        self.scheduler.stop()
        yield 1

    return Script(script, "end")


@WAYS
def test_one_that_is_isolated_ends_alone_and_its_guard_is_told(
    engine: scheduler, arrange: Arrange, pair: tuple[socket.socket, socket.socket]
) -> None:
    told: Told = []
    client, other = Client(arrange, pair), Script(sleeper, "other")
    client.isolate(lambda culprit, error: told.append((culprit, error)))
    still_there: list[bool] = []

    def witness(self: Script) -> Iterator[object]:
        for _ in range(5000):
            if told:
                break
            yield 1
        still_there.append(other in engine.listAllThreads())
        engine.stop()
        yield 1

    run(engine, client, other, Script(witness, "witness"))
    assert [(culprit, repr(error)) for culprit, error in told] == [
        (client, "KeyError('a mistake')")
    ]
    assert (client.calls, client.stops) == (1, 1)
    assert still_there == [True]


@WAYS
def test_one_whose_parent_isolates_is_told_to_the_parents_guard(
    engine: scheduler, arrange: Arrange, pair: tuple[socket.socket, socket.socket]
) -> None:
    told: Told = []
    parent, client = Script(sleeper, "parent"), Client(arrange, pair)
    parent.addChildren(client)
    parent.isolate(lambda culprit, error: told.append((culprit, error)))
    run(engine, parent, client, end_without(client))
    assert [culprit for culprit, _ in told] == [client]


@WAYS
def test_one_that_nobody_isolates_ends_the_run_and_is_named(
    engine: scheduler, arrange: Arrange, pair: tuple[socket.socket, socket.socket]
) -> None:
    client, other = Client(arrange, pair), Script(sleeper, "other")
    with pytest.raises(KeyError, match="a mistake") as raised:
        run(engine, client, other, end_without(client))
    assert raised.value.__notes__[0].startswith("raised in component client")
    assert client.stops == 1
    assert client not in engine.listAllThreads()
    assert other in engine.listAllThreads()


@WAYS
def test_the_guard_that_only_logs_names_the_component_too(
    engine: scheduler,
    arrange: Arrange,
    pair: tuple[socket.socket, socket.socket],
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = Client(arrange, pair)
    client.isolate(log_only)
    with caplog.at_level(logging.ERROR):
        run(engine, client, end_without(client))
    assert caplog.messages == ["client has ended with an exception"]
    assert "raised in component client" in caplog.text


@pytest.mark.parametrize("how", ["timer", "thread", "descriptor"])
def test_a_function_of_no_component_that_fails_ends_the_run_although_all_are_isolated(
    engine: scheduler, how: str, pair: tuple[socket.socket, socket.socket]
) -> None:
    told: Told = []
    other = Script(sleeper, "other")
    other.isolate(lambda culprit, error: told.append((culprit, error)))

    def fail(*_: object) -> None:
        if how == "descriptor":
            pair[0].recv(1)
        raise KeyError("nobody's mistake")

    if how == "timer":
        engine.call_later(0.0, fail)
    elif how == "thread":
        engine.call_from_thread(fail)
    else:
        engine.register(pair[0].fileno(), EPOLLIN, fail)
        pair[1].send(b"x")
    with pytest.raises(KeyError, match="nobody's mistake") as raised:
        run(engine, other)
    assert not getattr(raised.value, "__notes__", [])
    assert told == []
    assert other in engine.listAllThreads()


@pytest.mark.parametrize("arrange", [by_timer, by_thread])
def test_the_calls_behind_one_that_fails_are_made_all_the_same(
    engine: scheduler, arrange: Arrange, pair: tuple[socket.socket, socket.socket]
) -> None:
    made: list[str] = []

    def in_a_row(self: Client) -> None:
        arrange(self)
        engine.call_later(0.0, lambda: made.append("timer"))
        engine.call_from_thread(lambda: made.append("thread"))

    client = Client(in_a_row, pair)
    client.isolate(log_only)
    run(engine, client, end_without(client))
    assert sorted(made) == ["thread", "timer"]


# ---- instruments


class BadInstrument(Instrument):
    """Fails whenever it is told of the given thing."""

    def __init__(self, at: str) -> None:
        self.calls = 0
        setattr(self, at, self._fail)

    def _fail(self, *about: object) -> None:
        self.calls += 1
        raise KeyError("the instrument's own")


def failing(self: Script) -> Iterator[object]:
    yield 1
    raise ValueError("the component's own")


@pytest.mark.parametrize(
    "at",
    ["activated", "before_step", "after_step", "paused", "woken", "message", "failed", "ended"],
)
def test_an_instrument_that_fails_is_logged_and_taken_off_and_nothing_else_changes(
    engine: scheduler, at: str, caplog: pytest.LogCaptureFixture
) -> None:
    instrument = BadInstrument(at)
    engine.add_instrument(instrument)
    told: list[str] = []
    got: list[object] = []

    def taker(self: Script) -> Iterator[object]:
        self.pause()
        yield 1
        got.append(self.recv())

    def sender(self: Script) -> Iterator[object]:
        self.link((self, "outbox"), (receiver, "inbox"))
        yield 1
        yield 1
        self.send("a message")
        yield from failing(self)

    receiver, culprit = Script(taker, "receiver"), Script(sender, "culprit")
    culprit.isolate(lambda _, error: told.append(str(error)))
    run(engine, receiver, culprit)
    assert told == ["the component's own"]
    assert got == ["a message"]
    assert instrument.calls == 1
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "has failed and is taken off" in caplog.text
    assert engine.listAllThreads() == []
    turns: list[str] = []
    run(engine, Script(counter(turns, 2), "next"))
    assert turns == ["next", "next"]


def test_the_instruments_beside_one_that_fails_go_on(engine: scheduler) -> None:
    class Failures(Instrument):
        def __init__(self) -> None:
            self.seen: list[str] = []

        def failed(self, process: microprocess, error: BaseException) -> None:
            self.seen.append(f"{process.name}: {error}")

    before, after = Failures(), Failures()
    for instrument in (before, BadInstrument("failed"), after):
        engine.add_instrument(instrument)
    for name in ("one", "two"):
        culprit = Script(failing, name)
        culprit.isolate(log_only)
        culprit.activate(Scheduler=engine)
    engine.runThreads()
    assert before.seen == ["one: the component's own", "two: the component's own"]
    assert after.seen == before.seen
    engine.remove_instrument(before)
    engine.remove_instrument(after)


# ---- calls that come after the end


@pytest.mark.parametrize("kind", ["descriptor", "timer"])
def test_what_still_calls_an_isolated_component_after_its_end_ends_nothing(
    engine: scheduler, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """It fails before it has read what is there, so its descriptor stays ready for ever."""
    reader, writer = socket.socketpair()

    class Client(component):
        calls = 0

        def main(self) -> Iterator[object]:
            if kind == "descriptor":
                engine.register(reader.fileno(), EPOLLIN, self.ready)
            else:
                engine.call_later(0.0, self.due)
                engine.call_later(0.001, self.due)
            while True:
                self.pause()
                yield 1

        def ready(self, events: int) -> None:
            self.due()

        def due(self) -> None:
            self.calls += 1
            raise KeyError("mistake")

    class Other(component):
        def main(self) -> Iterator[object]:
            self.pause(0.02)
            yield 1

    client = Client()
    client.isolate(log_only)
    client.activate(Scheduler=engine)
    writer.send(b"x")
    Other().activate(Scheduler=engine)
    with reader, writer:
        engine.runThreads()
        engine.unregister(reader.fileno())
    assert client.calls == (1 if kind == "descriptor" else 2)
    assert "mistake" in caplog.text


def test_the_finally_clause_of_a_stopped_main_fails_loudly(engine: scheduler) -> None:
    class Careful(component):
        def main(self) -> Iterator[object]:
            try:
                while True:
                    self.pause()
                    yield 1
            finally:
                raise ValueError("could not flush")

    one = Careful().activate(Scheduler=engine)
    engine.call_later(0.001, one.stop)
    with pytest.raises(ValueError, match="could not flush"):
        engine.runThreads()
