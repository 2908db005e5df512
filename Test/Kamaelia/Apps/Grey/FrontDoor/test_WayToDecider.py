"""The way from a session to its decider, straight or through a component of before_decider; and
that it is the same at each of the three doors."""

import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from Axon.AtOnce import act_at_once
from Axon.Component import component
from Axon.Ipc import producerFinished
from Axon.Testing import Harness, harness
from Kamaelia.Apps.Grey.Config.Sockets import place
from Kamaelia.Apps.Grey.Core.Types import Attempt
from Kamaelia.Apps.Grey.FrontDoor.WayToDecider import WayToDecider
from Kamaelia.Chassis.ConnectedServer import stop_tree
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Support.Protocol.Milter.Packets import packet
from Test.Kamaelia.Apps.Grey.FrontDoor.policies import Never, asks
from Test.Kamaelia.Apps.Grey.FrontDoor.ruled import Office, ToldDecider
from Test.Kamaelia.Apps.Grey.support import PATIENCE, STRANGER, FakeServer, Grey

TOO_EARLY = "a component of before_decider has ended before its session"
Make = Callable[[], component]


class Session(component):
    """What a door is to its way; its failures are kept apart from all others'."""

    Outboxes = {"attempts": "Attempt: to the decider", "signal": "unused"}

    def __init__(self, office: Office) -> None:
        super().__init__()
        self.office = office
        self.way: WayToDecider | None = None
        self.failures: list[str] = []
        self.isolate(lambda _, error: self.failures.append(str(error)))

    def main(self) -> Iterator[object]:
        while not self.told_to_stop():
            self.pause()
            yield 1

    def ask(self, who: str = "a") -> None:
        if self.way is None:
            self.way = WayToDecider(self.outboxes["attempts"], self.office, self)
        self.send(Attempt("192.0.2.7", "helo", "", f"{who}@x", "id1", who, "x"), "attempts")

    def _closeDownMicroprocess(self) -> object:
        if self.way is not None:
            self.way.end()
        return super()._closeDownMicroprocess()


class Slow(component):
    """Hands on in its turn, and notes what it is told; ends when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.over = False
        self.told: list[object] = []

    def main(self) -> Iterator[object]:
        while not self.over:
            self.told += self.Inbox("control")
            for attempt in self.Inbox("inbox"):
                self.send(attempt)
            self.pause()
            yield 1

    def end(self) -> None:
        self.over = True
        self.unpause()


class Prompt(component):
    """Hands on, and ends, in the moment in which it is told."""

    def __init__(self) -> None:
        super().__init__()
        act_at_once(self, "inbox", self.send)
        act_at_once(self, "control", lambda _: self.stop())

    def main(self) -> Iterator[object]:
        while True:
            self.pause()
            yield 1


class World:
    """A session, its decider, and the components of its own that were made."""

    h: Harness

    def __init__(self, make: Make | None = None) -> None:
        self.make = make
        self.decider = ToldDecider(Never())
        self.made: list[component] = []
        self.session = Session(self.new_office())

    def new_office(self) -> Office:
        return Office(self.decider, before_decider=self._one if self.make is not None else None)

    def _one(self) -> component:
        assert self.make is not None
        self.made.append(self.make())
        return self.made[-1]

    @property
    def asked(self) -> list[str]:
        self.h.settle()
        return [attempt.recipient_local for attempt in self.decider.attempts]


@contextmanager
def world(make: Make | None = None) -> Iterator[World]:
    made = World(make)
    with harness(made.decider, made.session, collecting=()) as made.h:
        made.h.settle()
        yield made


# ---- straight


def test_without_a_component_of_ones_own_it_is_a_link_to_the_decider() -> None:
    with world() as w:
        w.session.ask("a")
        assert [attempt.recipient_local for attempt in w.decider.attempts] == ["a"]
        assert w.session.outboxes["attempts"].target is w.decider.inboxes["inbox"]
        assert w.session.children == []


def test_its_end_cuts_the_link_once_for_all() -> None:
    with world() as w:
        w.session.ask("a")
        assert w.session.way is not None
        w.session.way.end()
        w.session.way.end()
        w.session.ask("b")
        assert w.asked == ["a"]
        assert not w.decider.inboxes["inbox"].sources


def test_such_a_way_costs_two_calls_to_make_and_two_to_end() -> None:
    calls: list[str] = []

    def called(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            calls.append(frame.f_code.co_name)

    with world() as w:
        session, office = w.session, w.session.office
        attempts = session.outboxes["attempts"]
        before = sys.getprofile()
        sys.setprofile(called)
        try:
            way = WayToDecider(attempts, office, session)
            way.end()
        finally:
            sys.setprofile(before)
    assert calls == ["__init__", "join", "end", "part"]


# ---- through a component of one's own


@pytest.mark.parametrize("make", [Slow, Prompt, lambda: Pipeline(Prompt(), Slow())])
def test_attempts_go_through_it_in_their_order_and_it_belongs_to_the_session(make: Make) -> None:
    with world(make) as w:
        assert w.made == []  # not before there is something to ask
        w.session.ask("a")
        w.session.ask("b")
        assert w.asked == ["a", "b"]
        (own,) = w.made
        assert w.session.children == [own]


@pytest.mark.parametrize("make", [Prompt, lambda: Pipeline(Prompt())])
def test_it_ends_with_its_session_and_nothing_of_it_is_left(make: Make) -> None:
    with world(make) as w:
        w.session.ask()
        w.session.inboxes["control"].deliver(producerFinished())
        w.h.expect_end(w.session)
        w.h.expect_end(w.made[0])
        w.h.settle()
        assert w.session.failures == []
        assert w.session.children == []
        assert not w.decider.inboxes["inbox"].sources


def test_one_that_takes_its_time_to_end_still_says_what_it_has_to() -> None:
    with world(Slow) as w:
        w.session.ask("a")
        w.session.inboxes["control"].deliver(producerFinished())
        w.h.expect_end(w.session)
        (own,) = w.made
        assert isinstance(own, Slow)
        w.h.settle()
        assert [type(each) for each in own.told] == [producerFinished]
        assert w.asked == ["a"]
        own.inboxes["inbox"].deliver(w.decider.attempts[0])
        assert w.asked == ["a", "a"]
        own.end()
        w.h.expect_end(own)
        assert w.session.failures == []


def test_the_next_office_has_another_one_and_the_first_is_nobodys_fault_any_more() -> None:
    with world(Slow) as w:
        session = w.session
        session.ask("a")
        assert session.way is not None
        session.way.end()
        session.way = WayToDecider(session.outboxes["attempts"], w.new_office(), session)
        session.ask("b")
        assert w.asked == ["a", "b"]
        first, second = w.made
        assert isinstance(first, Slow)
        assert isinstance(second, Slow)
        first.end()
        w.h.expect_end(first)
        assert session.children == [second]
        assert second.told == []
        session.ask("c")
        assert w.asked == ["a", "b", "c"]
        assert session.failures == []


# ---- faults


@pytest.mark.parametrize("inside", [Slow, lambda: Pipeline(Slow())], ids=["alone", "in a line"])
def test_one_that_ends_before_its_session_is_that_sessions_fault(inside: Make) -> None:
    with world(inside) as w:
        w.session.ask()
        (own,) = w.made
        w.h.settle()
        for each in own.children or [own]:
            assert isinstance(each, Slow)
            each.end()
        w.h.expect_end(own)
        (said,) = w.session.failures  # and the harness has not heard of it
        assert said == TOO_EARLY


def test_one_that_fails_is_that_sessions_fault() -> None:
    class Failing(Slow):
        def main(self) -> Iterator[object]:
            yield 1
            raise ValueError("planted")

    with world(lambda: Pipeline(Failing())) as w:

        def closed(_: object, error: Exception) -> None:
            w.session.failures.append(str(error))
            stop_tree(w.session)

        w.session.isolate(closed)
        w.session.ask()
        w.h.settle()
        w.h.expect_end(w.made[0])
        assert w.session.failures == ["planted"]  # once


def test_one_that_is_stopped_with_its_session_is_nobodys_fault() -> None:
    with world(Slow) as w:
        w.session.ask()
        stop_tree(w.session)
        w.h.expect_end(w.session)
        w.h.expect_end(w.made[0])
        assert w.session.failures == []


# ---- the same at each door

SHORT = """
from Axon.Component import component

class Own(component):
    def main(self):
        yield 1
"""
FAILING = """
from Axon.OnMessage import MessageComponent

class Own(MessageComponent):
    def on_inbox(self, attempt):
        raise ValueError("planted")
"""
COUNTED = """
from Axon.OnMessage import MessageComponent

class Own(MessageComponent):
    def on_inbox(self, attempt):
        self.send(attempt)
"""
DOORS = ("proxy", "milter", "policy")


class Three:
    """A greylister with the three doors, and a component of its own before its decider."""

    def __init__(self, folder: Path, text: str) -> None:
        (folder / "own.py").write_text(text)
        self.folder = folder
        self.server = FakeServer()
        self.grey = Grey(
            self.server.address,
            socket=place(f"unix:{folder}/milter"),
            policy_socket=place(f"unix:{folder}/policy"),
            before_decider=((folder / "own.py", "Own"),),
        ).start()
        self.open: list[socket.socket] = []

    def close(self) -> None:
        for sock in self.open:
            sock.close()
        self.grey.close()
        self.server.close()

    def _connected(self, name: str) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        self.open.append(sock)
        sock.settimeout(PATIENCE)
        sock.connect(f"{self.folder}/{name}")
        return sock

    def begun(self, door: str) -> "Callable[[], bytes]":
        """A client of that door before its first recipient; give the function that names one, and
        returns all that is said until the end of the connection, or the answer."""
        if door == "proxy":
            client = self.grey.client(STRANGER).begin()
            return lambda: client.ask(b"RCPT TO:<b@example.org>\r\n").encode()
        sock = self._connected(door)
        if door == "policy":
            question = asks()
        else:
            sock.sendall(packet(b"O", struct.pack(">III", 6, 0x1FF, 0x1FFFFF)))
            assert sock.recv(4096)
            sock.sendall(packet(b"C", b"mx\x004\x12\x34192.0.2.7\0") + packet(b"H", b"mx\0"))
            sock.sendall(packet(b"M", b"<a@example.net>\0"))
            question = packet(b"R", b"<b@example.org>\0")

        def ask() -> bytes:
            sock.sendall(question)
            return sock.recv(4096)

        return ask

    def own(self) -> int:
        return sum(type(each).__name__ == "Own" for each in self.grey.components())


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Callable[[str], Three]]:
    made: list[Three] = []

    def start(text: str) -> Three:
        made.append(Three(tmp_path, text))
        return made[-1]

    yield start
    for each in made:
        each.close()


DEFERRED = {"proxy": b"451 4.7.1 ", "milter": b"y451 4.7.1 ", "policy": b"action=DEFER_IF_PERMIT "}
FAULT = {"proxy": b"421 4.3.0 ", "milter": packet(b"t"), "policy": b""}


def test_it_is_made_with_the_first_recipient(three: Callable[[str], Three]) -> None:
    site = three(COUNTED)
    for number, door in enumerate(DOORS):
        ask = site.begun(door)
        site.grey.settle()
        assert site.own() == number
        assert DEFERRED[door] in ask()
        assert DEFERRED[door] in ask()
        assert site.own() == number + 1


@pytest.mark.parametrize("text", [SHORT, FAILING], ids=["that ends", "that fails"])
def test_one_ends_its_connection_with_a_line_in_the_log_and_no_other(
    three: Callable[[str], Three], text: str
) -> None:
    site = three(text)
    others = [site.begun(door) for door in DOORS]
    site.grey.settle()
    at_rest = len(site.grey.server_tree())
    for door in DOORS:
        before = len(site.grey.log.texts)
        said = site.begun(door)()
        assert FAULT[door] in said
        assert bool(FAULT[door]) == bool(said)
        site.grey.until(lambda: len(site.grey.server_tree()) == at_rest)
        (line,) = site.grey.log.texts[before:]
        assert "closed: component " in line
        assert (TOO_EARLY if text == SHORT else "planted") in line
    for door, ask in zip(DOORS, others, strict=True):  # they are there, to have the same happen
        assert FAULT[door] in ask()
