"""Questions in, answers out: once each, in time, and no more of them than there is room for."""

import logging
from collections.abc import Callable, Iterator

import pytest

from Axon.AtOnce import act_at_once
from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Core.Access.Definitions import Definitions
from Kamaelia.Apps.Grey.Core.Access.Questions import (
    Country,
    HostName,
    LookupFailed,
    P0f,
    Question,
)
from Kamaelia.Apps.Grey.Core.Types import Ask, Found
from Kamaelia.Apps.Grey.Lookups.DnsWalks import Done
from Kamaelia.Apps.Grey.Lookups.LookupService import LookupService, LookupSettings
from Test.Kamaelia.Apps.Grey.Lookups.lookups import Asked
from Test.Kamaelia.network import Script, Silent, World
from Test.Kamaelia.shutdown import Ends
from Test.Kamaelia.zone_server import Zone, ZoneServer, nobody_there, silent

SHUTDOWN = {LookupService: Ends(lambda: LookupService(Definitions(), resolver=Silent()))}
HERE, THERE = Country("192.0.2.1"), Country("192.0.2.2")


class ByHand:
    """A handler whose answers the test gives."""

    def __init__(self) -> None:
        self.asked: list[tuple[Question, Done]] = []

    def start(self, question: Question, done: Done) -> None:
        self.asked.append((question, done))


class Answering:
    """A handler that answers at once."""

    def __init__(self, answer: object, ttl: float = 60.0) -> None:
        self.answer, self.ttl, self.asked = answer, ttl, 0

    def start(self, _question: Question, done: Done) -> None:
        self.asked += 1
        done(self.answer, self.ttl)


class Slow(ByHand):
    def seconds(self, _question: Question) -> float:
        return 100.0


class Broken:
    def start(self, _question: Question, _done: Done) -> None:
        raise RuntimeError("two\nlines")


class Opened(Answering):
    def __init__(self) -> None:
        super().__init__("DE")
        self.calls: list[str] = []

    def open(self, _service: LookupService) -> None:
        self.calls.append("open")

    def close(self) -> None:
        self.calls.append("close")


def asked_with(world: World, handler: object, **settings: float) -> Asked:
    return Asked(
        world,
        nobody_there(world),
        settings=LookupSettings(**settings),  # type: ignore[arg-type]
        handlers={Country: handler},  # type: ignore[dict-item]
    )


def test_the_same_question_twice_is_one_look_up(world: World) -> None:
    def script() -> Script:
        handler = ByHand()
        asked = asked_with(world, handler)
        asked.put(HERE, HERE, THERE)
        yield from world.until(lambda: len(handler.asked) == 2)
        handler.asked[0][1]("DE", 60.0)
        assert (yield from asked.found(2)) == [Found(HERE, "DE")] * 2

    world.play(script())


def test_an_answer_that_is_known_comes_while_it_is_asked_for(world: World) -> None:
    class Asker(component):
        Inboxes = {"inbox": "Found: acted on at once", "control": "the shutdown"}

        def main(self) -> Iterator[object]:
            self.heard: list[Found] = []
            act_at_once(self, "inbox", self.heard.append)
            while not self.told_to_stop():
                self.pause()
                yield 1

    def script() -> Script:
        handler = Answering("DE")
        asked = asked_with(world, handler)
        asker = Asker()
        world.run(asker)
        assert (yield from asked(HERE)) == "DE"
        asked.service.inboxes["inbox"].deliver(Ask(HERE, (asker, "inbox")))
        assert asker.heard == [Found(HERE, "DE")]
        assert handler.asked == 1

    world.play(script())


@pytest.mark.parametrize(
    ("answer", "ttl", "known", "forgotten"),
    [
        ("DE", 1.0, 59.0, 60.0),
        ("DE", 600.0, 599.0, 600.0),
        ("DE", 1e9, 86_399.0, 86_400.0),
        (LookupFailed("nobody knows"), 600.0, 29.0, 30.0),
    ],
)
def test_an_answer_is_remembered_for_its_time_within_limits(
    world: World, clock: FakeClock, answer: object, ttl: float, known: float, forgotten: float
) -> None:
    def script() -> Script:
        handler = Answering(answer, ttl)
        asked = asked_with(world, handler)
        yield from asked(HERE)
        clock.advance(known)
        yield from asked(HERE)
        assert handler.asked == 1
        clock.advance(forgotten - known)
        yield from asked(HERE)
        assert handler.asked == 2

    world.play(script())


def test_an_answer_for_no_time_is_not_remembered(world: World) -> None:
    def script() -> Script:
        handler = Answering("DE", 0.0)
        asked = asked_with(world, handler)
        yield from asked(HERE)
        yield from asked(HERE)
        assert handler.asked == 2

    world.play(script())


def test_who_waits_too_long_is_told_and_the_late_answer_is_for_the_next(
    world: World, clock: FakeClock
) -> None:
    def script() -> Script:
        handler = ByHand()
        asked = asked_with(world, handler, lookup_timeout=3.0)
        asked.put(HERE)
        yield from world.until(lambda: handler.asked)
        clock.advance(2.9)
        yield from world.settle()
        assert not asked.owner.dataReady()
        clock.advance(0.2)
        (found,) = yield from asked.found()
        assert found.answer == LookupFailed("")
        assert (yield from asked(HERE)) == LookupFailed("")  # not asked again at once
        handler.asked[0][1]("DE", 60.0)
        assert (yield from asked(HERE)) == "DE"
        assert len(handler.asked) == 1

    world.play(script())


def test_a_handler_may_take_its_time(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        handler, quick = Slow(), ByHand()
        asked = Asked(world, nobody_there(world), handlers={Country: handler, P0f: quick})
        asked.put(HERE, P0f("192.0.2.1"))
        yield from world.until(lambda: quick.asked)
        clock.advance(4.0)
        (found,) = yield from asked.found()
        assert found == Found(P0f("192.0.2.1"), LookupFailed(""))
        clock.advance(97.0)
        (found,) = yield from asked.found()
        assert found == Found(HERE, LookupFailed(""))

    world.play(script())


def test_a_flood_is_refused_at_once_and_ends(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        handler = ByHand()
        asked = asked_with(world, handler, open_limit=700)
        asked.put(*(Country(f"10.0.{n >> 8}.{n & 255}") for n in range(1000)))
        assert len((yield from asked.found(300))) == 300
        assert len(handler.asked) == 700
        clock.advance(3.1)
        yield from asked.found(700)
        assert asked.service._waiting == 0
        assert asked.service._open == {}
        assert asked.service._deadlines == []
        asked.put(Country("192.0.2.9"))
        yield from world.until(lambda: len(handler.asked) == 701)

    world.play(script())


def test_failures_are_written_down_once_a_minute_and_kind(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    def script() -> Script:
        handler = Answering(LookupFailed("bad\r\nnews\x1b[31m"))
        asked = asked_with(world, handler)
        for number in range(50):
            yield from asked(Country(f"192.0.2.{number}"))
        assert len(caplog.records) == 1
        assert "bad??news?[31m" in caplog.text
        yield from asked(P0f("192.0.2.1"))
        assert len(caplog.records) == 2
        clock.advance(60.0)
        yield from asked(HERE)
        assert len(caplog.records) == 3

    with caplog.at_level(logging.WARNING):
        world.play(script())


def test_a_kind_that_nobody_answers_and_a_handler_that_breaks_are_failures(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def script() -> Script:
        asked = asked_with(world, Broken())
        failed = yield from asked(HERE)
        assert isinstance(failed, LookupFailed)
        assert failed.reason == "RuntimeError in the look-up"
        failed = yield from asked(P0f("192.0.2.1"))
        assert isinstance(failed, LookupFailed)
        assert failed.reason == "nothing here answers P0f"

    world.play(script())
    assert any(record.exc_info for record in caplog.records)


def test_a_handler_that_answers_twice_is_heard_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def script() -> Script:
        handler = ByHand()
        asked = asked_with(world, handler)
        asked.put(HERE)
        yield from world.until(lambda: handler.asked)
        handler.asked[0][1]("DE", 60.0)
        handler.asked[0][1]("FR", 60.0)
        assert (yield from asked.found()) == [Found(HERE, "DE")]
        assert (yield from asked(HERE)) == "DE"

    world.play(script())
    assert "answered twice" in caplog.text


def test_a_box_that_there_is_not_or_that_is_full_harms_nobody_else(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def script() -> Script:
        handler = ByHand()
        asked = asked_with(world, handler)
        full = Silent()
        full.setInboxSize("inbox", 1)
        world.run(full)
        service = asked.service.inboxes["inbox"]
        service.deliver(Ask(HERE, (full, "nowhere")))
        service.deliver(Ask(HERE, (full, "inbox")))
        service.deliver(Ask(HERE, (full, "inbox")))
        asked.put(HERE)
        yield from world.until(lambda: handler.asked)
        handler.asked[0][1]("DE", 60.0)
        assert (yield from asked.found()) == [Found(HERE, "DE")]

    world.play(script())
    assert "which there is not" in caplog.text
    assert "was dropped" in caplog.text


def test_an_asker_that_has_ended_harms_nobody(world: World) -> None:
    def script() -> Script:
        handler = ByHand()
        asked, gone = asked_with(world, handler), Silent()
        world.run(gone)
        asked.service.inboxes["inbox"].deliver(Ask(HERE, (gone, "inbox")))
        asked.put(HERE)
        yield from world.until(lambda: handler.asked)
        gone.stop()
        yield from world.until(gone._isStopped)
        handler.asked[0][1]("DE", 60.0)
        assert (yield from asked.found()) == [Found(HERE, "DE")]

    world.play(script())


# ---- other definitions


def test_after_a_change_nothing_old_is_remembered(world: World) -> None:
    def script() -> Script:
        old, new = ByHand(), Answering("FR")
        asked = asked_with(world, old)
        asked.put(HERE, THERE)
        yield from world.until(lambda: len(old.asked) == 2)
        old.asked[0][1]("DE", 60.0)
        asked.service.reconfigure(Definitions(), {Country: new})
        old.asked[1][1]("DE", 60.0)  # it was on its way: its asker gets it
        assert (yield from asked.found(2)) == [Found(HERE, "DE"), Found(THERE, "DE")]
        assert (yield from asked(HERE)) == "FR"
        assert (yield from asked(THERE)) == "FR"

    world.play(script())


def test_handlers_are_opened_and_closed_with_the_service(world: World) -> None:
    def script() -> Script:
        first, second = Opened(), Opened()
        asked = asked_with(world, first)
        yield from asked(HERE)
        asked.service.reconfigure(Definitions(), {Country: second, P0f: second})
        assert (first.calls, second.calls) == (["open", "close"], ["open"])
        asked.service.inboxes["control"].deliver(shutdownMicroprocess())
        yield from world.until(lambda: len(second.calls) == 2)
        assert second.calls == ["open", "close"]

    world.play(script())


# ---- ends


@pytest.mark.parametrize("message", [producerFinished, shutdownMicroprocess])
def test_at_its_end_nobody_is_left_waiting(world: World, message: Callable[[], object]) -> None:
    def script() -> Script:
        handler = ByHand()
        asked = asked_with(world, handler)
        asked.put(HERE)
        yield from world.until(lambda: handler.asked)
        asked.service.inboxes["control"].deliver(message())
        yield from world.settle()
        if message is producerFinished:
            handler.asked[0][1]("DE", 60.0)
        (found,) = yield from asked.found()
        assert found.answer == ("DE" if message is producerFinished else LookupFailed(""))
        yield from world.until(asked.service._isStopped)
        if message is shutdownMicroprocess:
            handler.asked[0][1]("DE", 60.0)  # too late, and no harm

    world.play(script())


def test_a_resolver_of_its_own_ends_with_it(world: World) -> None:
    def script() -> Script:
        server = ZoneServer(world, Zone("in-addr.arpa.", "7.2.0.192 60 PTR mx.example.test."))
        owner = Silent()
        service = LookupService(Definitions(), LookupSettings(resolvers=(server.address,)))
        world.run(owner, service)
        service.inboxes["inbox"].deliver(Ask(HostName("192.0.2.9"), (owner, "inbox")))
        yield from world.until(owner.dataReady)
        assert owner.recv() == Found(HostName("192.0.2.9"), "")
        resolver = service._resolver
        assert resolver is not None
        service.inboxes["control"].deliver(producerFinished())
        yield from world.until(resolver._isStopped)

    world.play(script())


def test_what_is_silent_fails_in_time_by_the_real_clock_too(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        server = ZoneServer(world, silent)
        owner = Silent()
        settings = LookupSettings(lookup_timeout=3.0, resolvers=(server.address,))
        service = LookupService(Definitions(), settings)
        world.run(owner, service)
        service.inboxes["inbox"].deliver(Ask(HostName("192.0.2.9"), (owner, "inbox")))
        yield from world.until(lambda: server.asked)
        for _ in range(30):
            clock.advance(0.1)
            yield from world.settle()
        assert isinstance(owner.recv().answer, LookupFailed)

    world.play(script())
