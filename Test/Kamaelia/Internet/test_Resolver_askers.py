"""The resolver and those who ask: boxes of their own, boxes that are full, and the end."""

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.Experimental.Services import RegisterService
from Kamaelia.Internet.Resolver import Resolver, find_resolver
from Kamaelia.Support.Protocol.DNS.Messages import Answer, Failure, Question
from Kamaelia.Support.Protocol.DNS.Settings import Settings
from Test.Kamaelia.Internet.test_Resolver import ZONE, ask, put, resolver_for
from Test.Kamaelia.network import Script, Silent, World, taken
from Test.Kamaelia.zone_server import ZoneServer, silent


class Asker(Silent):
    ExtraInboxes = {"names": "Answer: to its own questions"}


def test_each_asker_is_answered_in_its_own_box_through_the_service(world: World) -> None:
    def script() -> Script:
        server = ZoneServer(world, ZONE)
        resolver, owner = resolver_for(world, server)
        assert find_resolver(resolver.tracker) is None
        RegisterService(resolver, {"resolver": "inbox"})
        askers = [Asker() for _ in range(3)]
        for number, asker in enumerate(askers):
            service = find_resolver(asker.tracker)
            assert service is not None
            asker.link((asker, "outbox"), service)
            question = Question("www.example.test", tag=number, reply_to=(asker, "names"))
            asker.send(question, "outbox")
        yield from world.until(lambda: all(len(each.inboxes["names"]) for each in askers))
        for number, asker in enumerate(askers):
            assert asker.recv("names").question.tag == number
        assert taken(owner) == []
        assert len(server.asked) == 1
        resolver.inboxes["control"].deliver(producerFinished())
        yield from world.until(resolver._isStopped)
        assert find_resolver(resolver.tracker) is None

    world.play(script())


def test_an_asker_that_is_full_holds_nobody_else_up_and_loses_nothing(world: World) -> None:
    def script() -> Script:
        resolver, owner = resolver_for(world, ZoneServer(world, ZONE))
        slow = Asker()
        slow.setInboxSize("names", 1)
        world.run(slow)
        put(resolver, *(Question("localhost", tag=n, reply_to=(slow, "names")) for n in range(4)))
        answer = yield from ask(world, (resolver, owner), "www.example.test")
        assert len(answer.records) == 2
        assert len(slow.inboxes["names"]) == 1
        resolver.inboxes["control"].deliver(producerFinished())
        for number in range(4):
            yield from world.until(lambda: slow.dataReady("names"))
            assert not resolver._isStopped() or number == 3
            assert slow.recv("names").question.tag == number
        yield from world.until(resolver._isStopped)

    world.play(script())


def test_a_full_receiver_is_not_overrun_and_questions_are_held_back() -> None:
    resolver = Resolver([("127.0.0.1", 53)], Settings(waiting_limit=3))
    with harness(resolver) as h:
        h.limit(0)
        for number in range(10):
            h.put(Question("localhost", tag=number))
        h.settle()
        assert resolver.dataReady("inbox") == 7
        h.limit(1)
        for number in range(10):
            assert h.expect("outbox", Answer).question.tag == number
        h.finish()


def test_an_asker_that_has_ended_is_no_trouble(world: World) -> None:
    def script() -> Script:
        to = resolver_for(world, ZoneServer(world, ZONE))
        gone = Asker()
        put(to[0], Question("localhost", reply_to=(gone, "names")))
        world.run(gone)
        gone.stop()
        answer = yield from ask(world, to, "localhost")
        assert answer.records == ("127.0.0.1",)

    world.play(script())


def test_what_is_no_question_is_an_error_that_says_so() -> None:
    with pytest.raises(TypeError, match=r"'inbox' takes a Question, not 'www\.example\.org'"):
        drive(Resolver([("127.0.0.1", 53)]), inbox=["www.example.org"])


# ---- the end


def test_told_to_finish_it_answers_all_that_was_asked_first(world: World) -> None:
    def script() -> Script:
        resolver, owner = resolver_for(world, ZoneServer(world, ZONE), in_flight_limit=1)
        finish = producerFinished()
        put(resolver, Question("www.example.test"), Question("mail.example.test", "AAAA"))
        resolver.inboxes["control"].deliver(finish)
        yield from world.until(resolver._isStopped)
        assert [len(answer.records) for answer in taken(owner)] == [2, 1]  # type: ignore[attr-defined]
        assert taken(owner, "control") == [finish]

    world.play(script())


def test_told_to_stop_it_ends_now_and_tells_those_who_wait(world: World) -> None:
    def script() -> Script:
        server = ZoneServer(world, silent)
        resolver, owner = resolver_for(world, server, in_flight_limit=1)
        asker = Asker()
        world.run(asker)
        for name in ("first.test", "second.test"):
            put(resolver, Question(name, reply_to=(asker, "names")), Question(name))
        yield from world.until(lambda: server.asked)
        stop = shutdownMicroprocess()
        put(resolver, Question("third.test", reply_to=(asker, "names")))
        resolver.inboxes["control"].deliver(stop)
        yield from world.until(resolver._isStopped)
        told = {(a.question.name, a.failure) for a in taken(asker, "names")}  # type: ignore[attr-defined]
        assert told == {(f"{n}.test", Failure.STOPPED) for n in ("first", "second", "third")}
        assert taken(owner) == []
        assert taken(owner, "control") == [stop]
        server.peer.inboxes["control"].deliver(shutdownMicroprocess())
        server.tcp.inboxes["control"].deliver(shutdownMicroprocess())
        yield from world.settle()
        assert world.waiter.watched() == set()

    world.play(script())
