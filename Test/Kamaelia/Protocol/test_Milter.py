"""The milter session as a component: in virtual time, and on sockets in front of an MTA's side."""

import gc
import logging
import threading
import weakref
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import FakeClock, collect, virtual_scheduler
from Kamaelia.Chassis.Graphline import Graphline
from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Protocol.Milter import IDLE_SECONDS, UNREAD_BYTES, MilterSession
from Kamaelia.Support.Protocol.Milter.Commands import (
    Abort,
    BodyChunk,
    Command,
    Connect,
    EndOfMessage,
    MailFrom,
    Quit,
    Recipient,
)
from Kamaelia.Support.Protocol.Milter.MTASession import MTASession, Response, macro_packet
from Kamaelia.Support.Protocol.Milter.Negotiation import Action, Wishes
from Kamaelia.Support.Protocol.Milter.Packets import packet
from Kamaelia.Support.Protocol.Milter.Responses import (
    CONTINUE,
    PROGRESS,
    TEMPFAIL,
    add_header,
    replace_body,
    reply,
)
from Test.Kamaelia.network import Script, World
from Test.Kamaelia.shutdown import Ends

BY_STATE = "a message under way is finished first, and what was said is sent: played below"
SHUTDOWN = {MilterSession: Ends(None, why=BY_STATE)}

WISHES = Wishes(Action.ADD_HEADERS, replies=b"R")
OFFER = MTASession().negotiate()
CONNECT = packet(b"C", b"mx.example.net\x004\x01\x00192.0.2.7\0")
MAIL, RCPT = packet(b"M", b"<a@b>\0"), packet(b"R", b"<c@d>\0")
END, ABORT, QUIT = packet(b"E"), packet(b"A"), packet(b"Q")
CLIENT = Connect("mx.example.net", "4", 256, "192.0.2.7")
LATER = reply(451, "4.7.1", "later")


class Owner(component):
    """Answers each event that waits after so many seconds; keeps all of them."""

    Outboxes = {"outbox": "bytes: to the session", "signal": "object: unused"}

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__()
        self.seconds = seconds
        self.events: list[object] = []

    def main(self) -> Iterator[object]:
        while True:
            for event in self.Inbox("inbox"):
                self.events.append(event)
                if isinstance(event, Recipient | EndOfMessage):
                    until = self.now() + self.seconds
                    while (left := until - self.now()) > 0:
                        self.pause(left)
                        yield 1
                    self.send(LATER if event == Recipient("<c@d>") else CONTINUE, "outbox")
                if isinstance(event, Quit):
                    return
            self.pause()
            yield 1


class Served:
    """A session with an owner, in virtual time."""

    def __init__(
        self,
        seconds: float = 0.0,
        room: int | None = None,
        wishes: Wishes = WISHES,
        **settings: Any,  # noqa: ANN401 - the session's
    ) -> None:
        self.clock = FakeClock(1000.0)
        self.scheduler = virtual_scheduler(self.clock)
        self.session = MilterSession(wishes, **settings)
        self.owner = Owner(seconds)
        if room is not None:
            self.owner.setInboxSize("inbox", room)
        self.session.link((self.session, "events"), (self.owner, "inbox"))
        self.session.link((self.owner, "outbox"), (self.session, "answers"))
        self.sent = collect(self.session, ["outbox", "signal"])
        self.owner.activate(Scheduler=self.scheduler)
        self.session.activate(Scheduler=self.scheduler)

    def later(self, *steps: tuple[float, object]) -> "Served":
        """Bytes for the inbox and messages for control, each so many seconds after the start."""
        for seconds, message in steps:
            box = "inbox" if isinstance(message, bytes) else "control"
            deliver = self.session.inboxes[box].deliver
            self.scheduler.call_later(seconds, lambda d=deliver, m=message: d(m))  # type: ignore[misc]
        return self

    def run(self, *slices: bytes, control: Iterable[object] = ()) -> "Served":
        self.later(*((0.0, data) for data in slices), *((0.0, message) for message in control))
        self.scheduler.runThreads()
        return self

    @property
    def wire(self) -> bytes:
        """All that was said behind the negotiation."""
        said = b"".join(self.sent["outbox"])
        return said[4 + int.from_bytes(said[:4], "big") :]


# ---- in virtual time


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_connection_is_the_same_in_any_slicing(size: int) -> None:
    wire = OFFER + CONNECT + MAIL + RCPT + END + MAIL + RCPT
    served = Served().later((1.0, ABORT + QUIT))
    served.run(*(wire[at : at + size] for at in range(0, len(wire), size)))
    assert served.owner.events == [
        *(CLIENT, MailFrom("<a@b>"), Recipient("<c@d>"), EndOfMessage()),
        *(MailFrom("<a@b>"), Recipient("<c@d>"), Abort(), Quit()),
    ]
    assert served.wire == LATER + CONTINUE + LATER
    assert isinstance(served.sent["signal"][-1], producerFinished)
    assert served.session._isStopped()


def test_an_answer_that_nobody_waits_for_any_more_is_thrown_away() -> None:
    another = packet(b"R", b"<e@f>\0")
    served = Served(seconds=5.0).later(
        (0.0, OFFER + CONNECT + MAIL + RCPT), (1.0, ABORT), (2.0, MAIL + another), (60.0, QUIT)
    )
    served.run()
    assert [event for event in served.owner.events if isinstance(event, Recipient)] == [
        Recipient("<c@d>"),
        Recipient("<e@f>"),
    ]
    assert served.wire == CONTINUE  # what was meant for the first is no answer to the second


def test_an_answer_to_nothing_is_thrown_away() -> None:
    served = Served()
    served.session.inboxes["answers"].deliver(LATER)
    assert served.run(OFFER + CONNECT, control=[producerFinished()]).wire == b""


def test_silence_is_left_after_two_hours(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    served = Served(peer="192.0.2.25").later((100.0, OFFER + CONNECT)).run()
    assert served.clock() == 1000.0 + 100.0 + IDLE_SECONDS
    assert served.owner.events == [CLIENT, Quit()]
    assert isinstance(served.sent["signal"][-1], producerFinished)
    assert caplog.messages == [
        "milter connection from 192.0.2.25 closed: nothing came for long",
    ]


def test_a_byte_now_and_then_is_no_word_of_an_mta() -> None:
    one_by_one = [(20.0 * (at + 1), MAIL[at : at + 1]) for at in range(len(MAIL) - 1)]
    served = Served(timeout=30.0).later((0.0, OFFER + CONNECT), *one_by_one).run()
    assert len(one_by_one) > 1
    assert served.clock() == 1000.0 + 30.0
    assert served.owner.events == [CLIENT, Quit()]


def test_a_whole_command_is_however_it_comes() -> None:
    at = len(MAIL) // 2
    pieces = ((20.0, MAIL[:at]), (25.0, MAIL[at:]))
    served = Served(timeout=30.0).later((0.0, OFFER + CONNECT), *pieces).run()
    assert served.clock() == 1000.0 + 25.0 + 30.0


def test_the_mtas_time_stands_still_while_its_answer_is_worked_on() -> None:
    served = Served(seconds=100.0, timeout=30.0).later((0.0, OFFER + CONNECT + MAIL + RCPT)).run()
    assert served.wire == LATER
    assert served.clock() == 1000.0 + 100.0 + 30.0


def test_an_mta_that_breaks_the_rules_is_left(caplog: pytest.LogCaptureFixture) -> None:
    served = Served().run(OFFER + CONNECT + RCPT + packet(b"H", b"secret\0"))
    assert served.owner.events == [CLIENT, Quit()]
    assert isinstance(served.sent["signal"][-1], producerFinished)
    assert caplog.messages == ["milter connection closed: the command b'R' is out of order"]


def test_one_that_floods_while_an_answer_is_due_is_left(caplog: pytest.LogCaptureFixture) -> None:
    flood = [bytes(1 << 20)] * 3
    served = Served(seconds=5.0).run(OFFER + CONNECT + MAIL + RCPT, *flood)
    assert served.owner.events == [CLIENT, MailFrom("<a@b>"), Recipient("<c@d>"), Quit()]
    assert served.wire == b""
    assert len(caplog.messages) == 1


def test_the_owner_hears_of_an_end_without_a_word() -> None:
    served = Served(seconds=5.0).run(OFFER + CONNECT + MAIL + RCPT, control=[producerFinished()])
    assert served.owner.events == [CLIENT, MailFrom("<a@b>"), Recipient("<c@d>"), Quit()]
    assert served.wire == b""
    assert isinstance(served.sent["signal"][-1], producerFinished)


def test_a_shutdown_between_two_messages_closes_at_once() -> None:
    served = Served().run(OFFER + CONNECT, control=["hello", shutdownMicroprocess()])
    assert served.owner.events == [CLIENT, Quit()]
    assert isinstance(served.sent["signal"][-1], producerFinished)
    assert served.clock() == 1000.0


def test_a_shutdown_lets_a_message_end() -> None:
    served = Served(seconds=1.0)
    served.later(
        (0.0, OFFER + CONNECT + MAIL),
        (1.0, shutdownMicroprocess()),
        (2.0, RCPT),
        (5.0, END),
        (9.0, MAIL),
    )
    served.run()
    assert served.wire == LATER + CONTINUE
    assert served.owner.events[-2:] == [EndOfMessage(), Quit()]
    assert isinstance(served.sent["signal"][-1], producerFinished)


def test_a_shutdown_before_anything_came_ends_it() -> None:
    served = Served().run(control=[shutdownMicroprocess()])
    assert served.owner.events == [Quit()]


def test_an_owner_without_room_holds_the_mta_back_and_loses_nothing() -> None:
    pieces = [b"%04d\r\n" % number for number in range(100)]
    body = b"".join(packet(b"B", piece) for piece in pieces)
    served = Served(room=1, wishes=Wishes(body=True))
    served.run(OFFER + CONNECT + MAIL + body + END, QUIT)
    found = [event.data for event in served.owner.events if isinstance(event, BodyChunk)]
    assert found == pieces
    assert served.owner.events[-2:] == [EndOfMessage(), Quit()]


def test_an_end_waits_for_room_too() -> None:
    served = Served(room=1, timeout=10.0).later((0.0, OFFER + CONNECT + MAIL)).run()
    assert served.owner.events == [CLIENT, MailFrom("<a@b>"), Quit()]
    assert isinstance(served.sent["signal"][-1], producerFinished)


def test_the_end_of_the_stream_waits_for_room_too() -> None:
    served = Served(seconds=5.0, room=1, wishes=Wishes())
    served.later((0.0, OFFER + CONNECT + MAIL), (1.0, RCPT), (2.0, MAIL), (3.0, producerFinished()))
    served.run()
    assert served.clock() == 1006.0
    assert served.owner.events[-3:] == [Recipient("<c@d>"), MailFrom("<a@b>"), Quit()]
    assert isinstance(served.sent["signal"][-1], producerFinished)


def test_one_that_is_over_is_freed_without_the_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        served = Served().run(OFFER + CONNECT + MAIL + RCPT + END + QUIT)
        served.sent["signal"].clear()  # what was said names who said it
        gone = weakref.ref(served.session)
        del served
        assert gone() is None
    finally:
        gc.enable()


# ---- as one's own class


class Door(MilterSession):
    """Answers at once, or when the test says so; fails if it is told to."""

    slow = False

    def __init__(self, wishes: Wishes = WISHES, **peer: Any) -> None:  # noqa: ANN401 - whose it is
        super().__init__(wishes, **peer)
        self.events: list[Command] = []

    def take(self, event: Command) -> None:
        self.events.append(event)
        if isinstance(event, Recipient) and not self.slow:
            if event.address == "<fault@d>":
                raise RuntimeError("on purpose")
            self.answer(LATER)
        if isinstance(event, EndOfMessage):
            edits = add_header("X-Seen", self.session.macro("i"))
            self.answer(edits + CONTINUE)


class SlowDoor(Door):
    slow = True


def activated(door: MilterSession) -> dict[str, list[Any]]:
    sent = collect(door, ["outbox", "signal"])
    scheduler = virtual_scheduler(FakeClock(1000.0))
    door.activate(Scheduler=scheduler)
    return sent


def test_a_command_and_its_answer_cost_no_turn_and_one_write() -> None:
    door = Door()
    sent = activated(door)
    door.inboxes["inbox"].deliver(OFFER + CONNECT)
    del sent["outbox"][:]
    for wire in (MAIL, RCPT, RCPT, macro_packet(b"E", {"i": "1A"}) + END, ABORT):
        door.inboxes["inbox"].deliver(wire)
    assert sent["outbox"] == [LATER, LATER, add_header("X-Seen", "1A") + CONTINUE]


def test_an_answer_may_come_later_and_signs_of_progress_before() -> None:
    door = SlowDoor()
    sent = activated(door)
    door.inboxes["inbox"].deliver(OFFER + CONNECT + MAIL + RCPT + RCPT)
    del sent["outbox"][:]
    door.progress()
    assert sent["outbox"] == [PROGRESS]
    assert len(door.events) == 3
    door.answer(CONTINUE)
    assert sent["outbox"] == [PROGRESS, CONTINUE]
    assert len(door.events) == 4  # the next recipient, at once
    door.answer(CONTINUE)
    with pytest.raises(LocalProtocolError):
        door.answer(CONTINUE)
    door.progress()
    assert sent["outbox"] == [PROGRESS, CONTINUE, CONTINUE]


def test_an_idle_one_has_few_boxes() -> None:
    door = Door()
    door.activate(Scheduler=virtual_scheduler(FakeClock(1000.0)))
    door.inboxes["inbox"].deliver(OFFER + CONNECT + MAIL + RCPT)
    assert set(dict.keys(door.inboxes)) == {"inbox"}
    assert "events" not in dict.keys(door.outboxes)


def test_last_words_are_never_silence() -> None:
    door = SlowDoor()
    assert door.last_words() == b""
    activated(door)
    door.inboxes["inbox"].deliver(OFFER + CONNECT + MAIL)
    assert door.last_words() == b""
    door.inboxes["inbox"].deliver(RCPT)
    assert door.last_words() == TEMPFAIL


# ---- on sockets


def ask(world: World, sock: Any, mta: MTASession, wire: bytes) -> Script:  # noqa: ANN401 - a socket
    """Send, and hear until nothing is waited for; the responses."""
    sock.sendall(wire)
    found: list[Response] = []
    while mta.waiting:
        mta.receive_data((yield from world.receive(sock, 1)))
        response = mta.next_response()
        if response is not None:
            found.append(response)
    return found


def test_an_mta_on_a_socket(world: World) -> None:
    def script() -> Script:
        server = world.serve(Door)
        sock, mta = world.connect(server), MTASession()
        yield from ask(world, sock, mta, mta.negotiate())
        wire = mta.connect("mx.example.net", "192.0.2.7") + mta.helo("x") + mta.mail("<a@b>")
        (deferred,) = yield from ask(world, sock, mta, wire + mta.rcpt("<c@d>"))
        assert deferred.text == "451 4.7.1 later"
        added, last = yield from ask(world, sock, mta, mta.end_of_message({"i": "1A"}))
        assert added.strings == (b"X-Seen", b"1A")
        assert last.kind == b"c"
        sock.sendall(mta.quit())
        assert (yield from world.receive_all(sock)) == b""
        yield from world.until(lambda: server.connections == 0)

    world.play(script())


def test_a_fault_is_answered_with_try_again_and_harms_nobody_else(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def script() -> Script:
        server = world.serve(Door)
        socks = [world.connect(server) for _ in range(2)]
        mtas = [MTASession() for _ in range(2)]
        for sock, mta in zip(socks, mtas, strict=True):
            yield from ask(world, sock, mta, mta.negotiate())
            yield from ask(world, sock, mta, mta.connect("x", "192.0.2.7") + mta.mail("<a@b>"))
        (failed,) = yield from ask(world, socks[0], mtas[0], mtas[0].rcpt("<fault@d>"))
        assert failed.kind == b"t"
        assert (yield from world.receive_all(socks[0])) == b""
        (fine,) = yield from ask(world, socks[1], mtas[1], mtas[1].rcpt("<c@d>"))
        assert fine.kind == b"y"

    world.play(script())
    assert "on purpose" in caplog.text


def test_a_large_edit_reaches_an_mta_before_a_shutdown_closes(world: World) -> None:
    new = b"0123456789abcd\r\n" * 100_000

    class Replacer(MilterSession):
        def take(self, event: Command) -> None:
            if isinstance(event, EndOfMessage):
                self.answer(b"".join(replace_body(new)) + CONTINUE)

    def script() -> Script:
        server = world.serve(lambda **peer: Replacer(Wishes(Action.CHANGE_BODY), **peer))
        sock, mta = world.connect(server), MTASession()
        yield from ask(world, sock, mta, mta.negotiate())
        sock.sendall(mta.connect("x") + mta.mail("<a@b>") + mta.end_of_message())
        yield from world.settle()
        server.inboxes["control"].deliver(shutdownMicroprocess())
        mta.receive_data((yield from world.receive_all(sock)))
        body = b""
        while (response := mta.next_response()) is not None and not response.final:
            body += response.payload
        assert body == new
        assert response is not None
        assert not mta.waiting

    world.play(script())


def test_events_and_answers_may_go_through_boxes(world: World) -> None:
    def serve(**peer: Any) -> component:  # noqa: ANN401 - whose it is
        return Graphline(
            SESSION=MilterSession(WISHES, **peer),
            OWNER=Owner(),
            linkages={
                ("self", "inbox"): ("SESSION", "inbox"),
                ("self", "control"): ("SESSION", "control"),
                ("SESSION", "outbox"): ("self", "outbox"),
                ("SESSION", "signal"): ("self", "signal"),
                ("SESSION", "events"): ("OWNER", "inbox"),
                ("OWNER", "outbox"): ("SESSION", "answers"),
            },
        )

    def script() -> Script:
        server = world.serve(serve)
        sock, mta = world.connect(server), MTASession()
        yield from ask(world, sock, mta, mta.negotiate())
        wire = mta.connect("x", "192.0.2.7") + mta.mail("<a@b>") + mta.rcpt("<c@d>")
        (deferred,) = yield from ask(world, sock, mta, wire)
        assert deferred.text == "451 4.7.1 later"
        sock.close()
        yield from world.until(lambda: server.connections == 0)

    world.play(script())


def test_who_sends_more_than_the_owner_takes_waits_at_the_socket(world: World) -> None:
    class Stuck(component):
        """Takes nothing before it is told to, then all."""

        may = False
        taken = 0

        def main(self) -> Iterator[object]:
            while True:
                for event in self.Inbox("inbox") if self.may else ():
                    self.taken += len(event.data) if isinstance(event, BodyChunk) else 0
                self.pause()
                yield 1

    made: list[tuple[MilterSession, Stuck]] = []

    def serve(**peer: Any) -> component:  # noqa: ANN401 - whose it is
        session, owner = MilterSession(Wishes(body=True), **peer), Stuck()
        owner.setInboxSize("inbox", 1)
        owner.link((session, "events"), (owner, "inbox"))
        made.append((session, owner))
        world.run(owner)
        return session

    def script() -> Script:
        server = world.serve(serve)
        sock, mta = world.connect(server), MTASession()
        yield from ask(world, sock, mta, mta.negotiate())
        sock.sendall(mta.connect("x") + mta.mail("<a@b>"))
        wire = packet(b"B", bytes(10_000)) * 2_000
        sock.setblocking(True)
        sender = threading.Thread(target=sock.sendall, args=(wire,))
        sender.start()
        yield from world.settle()
        milter, owner = made[0]
        session = milter.session
        yield from world.until(lambda: session.unread > UNREAD_BYTES)
        yield from world.settle()
        assert session.unread < 8 * UNREAD_BYTES
        assert sender.is_alive()
        owner.may = True
        owner.unpause()
        yield from world.until(lambda: owner.taken == 20_000_000)
        sender.join()

    world.play(script())
