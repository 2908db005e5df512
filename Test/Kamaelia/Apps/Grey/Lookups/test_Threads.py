"""Functions that block, in threads."""

import threading

import pytest

from Axon.Ipc import shutdownMicroprocess
from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Core.Access.Definitions import Definitions
from Kamaelia.Apps.Grey.Core.Access.Questions import Country, LookupFailed
from Kamaelia.Apps.Grey.Core.Types import Found
from Kamaelia.Apps.Grey.Lookups.LookupService import ThreadedHandler
from Test.Kamaelia.Apps.Grey.Lookups.lookups import Asked
from Test.Kamaelia.network import Script, World
from Test.Kamaelia.zone_server import nobody_there

WAIT_SECONDS = 10.0  # a thread that nobody lets go on


class Blocking:
    """Each call waits until the test lets it go on."""

    def __init__(self) -> None:
        self.go = threading.Semaphore(0)
        self.began: list[str] = []
        self.threads: set[int] = set()

    def __call__(self, question: Country) -> tuple[object, float]:
        self.threads.add(threading.get_ident())
        self.began.append(question.client)
        assert self.go.acquire(timeout=WAIT_SECONDS)
        return question.client[-1:], 60.0


def asked_with(world: World, handler: ThreadedHandler) -> Asked:
    return Asked(world, nobody_there(world), handlers={Country: handler})


def test_it_answers_in_the_schedulers_thread_and_blocks_nobody(world: World) -> None:
    def script() -> Script:
        blocking = Blocking()
        asked = asked_with(world, ThreadedHandler(blocking, threads=2))
        asked.put(*(Country(f"192.0.2.{n}") for n in range(5)))
        yield from world.until(lambda: len(blocking.began) == 2)
        blocking.go.release(5)
        found = yield from asked.found(5)
        assert {each.answer for each in found} == {"0", "1", "2", "3", "4"}
        assert len(blocking.threads) == 2
        assert threading.get_ident() not in blocking.threads

    world.play(script())


def test_too_many_fail_at_once(world: World) -> None:
    def script() -> Script:
        blocking = Blocking()
        asked = asked_with(world, ThreadedHandler(blocking, threads=1, queue=2))
        asked.put(*(Country(f"192.0.2.{n}") for n in range(5)))
        failed = yield from asked.found(2)
        assert [each.answer for each in failed] == [LookupFailed("")] * 2
        blocking.go.release(3)
        yield from asked.found(3)

    world.play(script())


def test_what_it_raises_is_a_failure_and_the_thread_goes_on(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def country(question: Country) -> tuple[object, float]:
        if question.client == "bad":
            raise OSError("the file is broken")
        return "DE", 60.0

    def script() -> Script:
        asked = asked_with(world, ThreadedHandler(country, threads=1))
        failed = yield from asked(Country("bad"))
        assert isinstance(failed, LookupFailed)
        assert failed.reason == "OSError in the look-up"
        assert (yield from asked(Country("192.0.2.1"))) == "DE"

    world.play(script())
    assert "the file is broken" in caplog.text


def test_a_thread_that_hangs_costs_its_asker_the_time_limit_only(
    world: World, clock: FakeClock
) -> None:
    def script() -> Script:
        blocking = Blocking()
        asked = asked_with(world, ThreadedHandler(blocking, threads=1))
        asked.put(Country("192.0.2.1"))
        yield from world.until(lambda: blocking.began)
        clock.advance(3.1)
        (found,) = yield from asked.found()
        assert found.answer == LookupFailed("")
        blocking.go.release()
        while (yield from asked(Country("192.0.2.1"))) != "1":
            yield 1  # the late answer is for the next who asks

    world.play(script())


@pytest.mark.parametrize("end", ["reconfigure", "stop"])
def test_at_the_end_threads_end_and_nobody_is_left_waiting(world: World, end: str) -> None:
    def script() -> Script:
        blocking = Blocking()
        handler = ThreadedHandler(blocking, threads=1)
        asked = asked_with(world, handler)
        asked.put(Country("192.0.2.1"), Country("192.0.2.2"))
        yield from world.until(lambda: blocking.began)
        (worker,) = handler._workers
        if end == "stop":
            asked.service.inboxes["control"].deliver(shutdownMicroprocess())
        else:
            asked.service.reconfigure(Definitions(), {})
        blocking.go.release()
        found = yield from asked.found(2)
        assert Found(Country("192.0.2.2"), LookupFailed("")) in found
        yield from world.until(worker._isStopped)
        assert worker._axon_thread is not None
        worker._axon_thread.join(WAIT_SECONDS)
        assert not worker._axon_thread.is_alive()

    world.play(script())


def test_without_a_service_nothing_starts() -> None:
    with pytest.raises(RuntimeError):
        ThreadedHandler(Blocking()).start(Country("192.0.2.1"), lambda _answer, _ttl: None)
