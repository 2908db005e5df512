"""Both ends of a wire, in one process."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Axon.Component import component
from Axon.experimental import ProcessWire
from Axon.experimental.ProcessPickle import TravelError
from Axon.experimental.ProcessWire import HEADER, Bridge, Frame, Kind, Wire
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Scheduler import scheduler
from Test.Axon.experimental.workers import Numbers, Touchy
from Test.Axon.scripts import Script

Pair = tuple[Wire, Wire]


@pytest.fixture
def wires() -> Iterator[Pair]:
    """Both ends of one wire."""
    with ExitStack() as stack:
        pair = [Wire(sock) for sock in socket.socketpair()]
        for wire in pair:
            stack.callback(wire.close)
        yield pair[0], pair[1]


class End(Bridge):
    """Runs until the wire ends, or it has handed out so many messages."""

    def __init__(self, wire: Wire, **attributes: object) -> None:
        super().__init__(**attributes)
        self.wire = wire
        self.turns = 0

    def main(self) -> Iterator[object]:
        self.wire.attach(self.scheduler, self.unpause)
        while self.wire.open:
            self.turns += 1
            self.exchange()
            self.pause()
            yield 1


def both(engine: scheduler, wires: Pair, **attributes: object) -> tuple[End, End]:
    ends = End(wires[0], **attributes), End(wires[1], **attributes)
    for end in ends:
        end.activate(Scheduler=engine)
    return ends


def play(engine: scheduler, script: Callable[[Script], Iterator[object]]) -> Script:
    """A component that runs the script and then ends the run."""

    def whole(self: Script) -> Iterator[object]:
        yield from script(self)
        engine.stop()

    return Script(whole).activate(Scheduler=engine)


# ---- frames


frames = st.lists(
    st.one_of(
        st.builds(Frame, st.just(Kind.TAKEN), st.integers(0, 9), st.integers(1, 99), st.just(b"")),
        st.builds(
            lambda kind, box, data: Frame(kind, box, len(data), data),
            st.sampled_from([Kind.START, Kind.MESSAGE, Kind.FAILED, Kind.ENDED]),
            st.integers(0, 9),
            st.binary(max_size=40),
        ),
    ),
    max_size=8,
)


@given(frames, st.integers(1, 50))
def test_frames_survive_any_slicing_of_the_stream(sent: list[Frame], size: int) -> None:
    stream = b"".join(
        HEADER.pack(frame.kind, frame.box, frame.count) + frame.payload for frame in sent
    )
    ours, theirs = socket.socketpair()
    wire = Wire(ours)
    heard: list[Frame] = []
    with theirs:
        for start in range(0, len(stream), size):
            theirs.sendall(stream[start : start + size])
            wire._receive()
            heard += wire.frames()
    wire.close()
    assert heard == sent


def test_what_no_frame_can_be_is_an_error() -> None:
    ours, theirs = socket.socketpair()
    wire = Wire(ours)
    with theirs:
        theirs.sendall(HEADER.pack(99, 0, 0))
        wire._receive()
        with pytest.raises(ValueError, match="99"):
            list(wire.frames())
    wire.close()


def test_waiting_for_a_frame_ends_when_the_other_hangs_up(wires: Pair) -> None:
    here, there = wires
    here.put(Kind.START, payload=b"go")
    here.flush()
    assert there.wait_for_frame() == Frame(Kind.START, 0, 2, b"go")
    here.close()
    assert there.wait_for_frame() is None
    assert not there.open


def test_the_last_words_are_all_sent_before_finish_returns(wires: Pair) -> None:
    here, there = wires
    here.put(Kind.FAILED, payload=b"x")
    here.finish(5)
    frame = there.wait_for_frame()
    assert frame is not None
    assert frame.payload == b"x"


def test_nothing_is_said_to_one_who_has_gone(wires: Pair) -> None:
    here, there = wires
    here.put(Kind.MESSAGE, payload=b"x")
    there.close()
    here.flush()  # a broken pipe
    assert here.backlog == 0
    here._receive()
    assert not here.open
    here.put(Kind.MESSAGE, payload=b"x")
    assert here.backlog == 0
    here.finish(0.1)


def test_an_end_with_something_of_ours_unread_is_an_end(wires: Pair) -> None:
    here, there = wires
    here.put(Kind.MESSAGE, payload=b"x")
    here.flush()
    there.close()  # the kernel says "reset"
    here._receive()
    assert not here.open


def test_a_report_with_nothing_behind_it_is_harmless(wires: Pair, engine: scheduler) -> None:
    here, _ = wires
    here.attach(engine, lambda: None)
    here._receive()
    assert here.open


def test_a_long_message_goes_by_itself_and_never_blocks(wires: Pair, engine: scheduler) -> None:
    near, far = both(engine, wires)
    long = bytes(5_000_000)

    def script(self: Script) -> Iterator[object]:
        self.link((self, "outbox"), (near, "inbox"))
        self.link((far, "outbox"), (self, "inbox"))
        self.send(long, "outbox")
        self.send("after", "outbox")
        while self.dataReady("inbox") < 2:
            self.pause()
            yield 1

    player = play(engine, script)
    engine.runThreads()
    assert [player.recv("inbox"), player.recv("inbox")] == [long, "after"]


# ---- bridges


@pytest.mark.parametrize("window", [1, 2, 64])
def test_every_message_crosses_in_order(wires: Pair, engine: scheduler, window: int) -> None:
    near, far = both(engine, wires, window=window)
    got: list[object] = []

    def script(self: Script) -> Iterator[object]:
        numbers = Numbers(500)
        self.link((numbers, "outbox"), (near, "inbox"))
        self.link((numbers, "signal"), (near, "control"))
        self.link((far, "outbox"), (self, "inbox"))
        self.link((far, "signal"), (self, "control"))
        numbers.activate(Scheduler=engine)
        while not self.dataReady("control"):
            got.extend(self.Inbox("inbox"))
            self.pause()
            yield 1
        got.extend(self.Inbox("inbox"))

    # The far end gives to its outboxes what the near end takes in; "signal" is its second.
    play(engine, script)
    engine.runThreads()
    assert got == list(range(500))


def test_no_more_than_a_window_is_on_its_way_uncollected(wires: Pair, engine: scheduler) -> None:
    near, far = both(engine, wires, window=3)
    got: dict[str, list[int]] = {"inbox": [], "control": []}

    def script(self: Script) -> Iterator[object]:
        for number in range(50):
            near.inboxes["inbox"].deliver(number)
            far.inboxes["inbox"].deliver(-number)
        self.link((far, "outbox"), (self, "inbox"))
        self.link((near, "outbox"), (self, "control"))
        while self.dataReady("inbox") < 3 or self.dataReady("control") < 3:
            self.pause()
            yield 1
        assert (near.dataReady("inbox"), far.dataReady("inbox")) == (47, 47)
        while len(got["inbox"]) < 50 or len(got["control"]) < 50:
            while not self.anyReady():
                self.pause()
                yield 1
            for name, messages in got.items():
                assert self.dataReady(name) <= 3
                if self.dataReady(name):
                    messages.append(self.recv(name))
            yield 1

    play(engine, script)
    engine.runThreads()
    assert got == {"inbox": list(range(50)), "control": [-n for n in range(50)]}


def test_a_receiver_with_a_limit_is_waited_for(wires: Pair, engine: scheduler) -> None:
    near, far = both(engine, wires, window=8)

    def script(self: Script) -> Iterator[object]:
        self.setInboxSize("inbox", 2)
        self.link((far, "outbox"), (self, "inbox"))
        self.link((far, "signal"), (self, "control"))
        for number in range(20):
            near.inboxes["inbox"].deliver(number)
        near.inboxes["control"].deliver(producerFinished())
        for number in range(20):
            while not self.dataReady("inbox"):
                assert not self.dataReady("control")  # it has not overtaken the data
                self.pause()
                yield 1
            assert self.recv("inbox") == number
        while not self.dataReady("control"):
            self.pause()
            yield 1

    play(engine, script)
    engine.runThreads()


@pytest.mark.parametrize("stop", [shutdownMicroprocess(), shutdownMicroprocess])
def test_only_stop_now_overtakes_data_for_which_there_is_no_room(
    wires: Pair, engine: scheduler, stop: object
) -> None:
    near, far = both(engine, wires, window=2)

    def script(self: Script) -> Iterator[object]:
        self.setInboxSize("inbox", 1)
        self.link((far, "outbox"), (self, "inbox"))
        self.link((far, "signal"), (self, "control"))
        for number in range(9):
            near.inboxes["inbox"].deliver(number)
        near.inboxes["control"].deliver(producerFinished())
        while not self.dataReady("inbox"):
            self.pause()
            yield 1
        assert not self.dataReady("control")
        near.inboxes["control"].deliver(stop)
        while self.dataReady("control") < 2:
            self.pause()
            yield 1
        assert self.dataReady("inbox") == 1

    play(engine, script)
    engine.runThreads()


def test_data_that_is_looked_at_only_at_the_end_does_not_hold_the_end_up(
    wires: Pair, engine: scheduler
) -> None:
    near, far = both(engine, wires, window=2)

    def script(self: Script) -> Iterator[object]:
        self.link((far, "outbox"), (self, "inbox"))
        self.link((far, "signal"), (self, "control"))
        for number in range(99):
            near.inboxes["inbox"].deliver(number)
        while self.dataReady("inbox") < 2:
            self.pause()
            yield 1
        near.inboxes["control"].deliver(producerFinished())
        while not self.dataReady("control"):
            self.pause()
            yield 1
        assert list(self.Inbox("inbox")) == list(range(99))

    play(engine, script)
    engine.runThreads()


def test_messages_for_nobody_do_not_hold_the_sender_up(wires: Pair, engine: scheduler) -> None:
    near, far = both(engine, wires, window=2)
    ended = component()
    for _ in range(2):
        ended.inboxes["inbox"].deliver("never collected")

    def script(self: Script) -> Iterator[object]:
        self.link((far, "outbox"), (ended, "inbox"))
        ended.activate(Scheduler=engine)
        ended.stop()
        yield 1
        for number in range(9):
            near.inboxes["inbox"].deliver(number)
        while near.dataReady("inbox"):
            yield 1

    play(engine, script)
    engine.runThreads()


def test_the_end_does_not_overtake_what_the_socket_has_no_room_for(
    wires: Pair, engine: scheduler
) -> None:
    near, far = both(engine, wires)
    long = bytes(ProcessWire.BACKLOG_BYTES)

    def script(self: Script) -> Iterator[object]:
        self.link((far, "outbox"), (self, "inbox"))
        self.link((far, "signal"), (self, "control"))
        for _ in range(9):
            near.inboxes["inbox"].deliver(long)
        near.inboxes["control"].deliver(producerFinished())
        while not self.dataReady("control"):
            self.pause()
            yield 1
        assert self.dataReady("inbox") == 9

    play(engine, script)
    engine.runThreads()


@pytest.mark.parametrize("window", [0, 65_536])
def test_a_window_that_cannot_be_is_refused(window: int) -> None:
    with pytest.raises(ValueError, match="window must be"):
        Bridge(window=window)


@pytest.mark.parametrize("message", [lambda: None, component()])
def test_a_message_that_cannot_cross_is_named_with_its_box(
    wires: Pair, engine: scheduler, message: object
) -> None:
    near, _ = both(engine, wires, name="the end")
    near.inboxes["inbox"].deliver("x" * 999)
    near.inboxes["inbox"].deliver(message)
    with pytest.raises(TravelError, match=r"the end: the message .* in 'inbox' cannot cross"):
        engine.runThreads()


def test_a_message_longer_than_any_frame_is_refused(
    wires: Pair, engine: scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ProcessWire, "LONGEST_BYTES", 100)
    near, _ = both(engine, wires)
    near.inboxes["inbox"].deliver("x" * 101)
    with pytest.raises(TravelError, match="more than 100 bytes"):
        engine.runThreads()


def test_a_message_that_cannot_be_put_together_names_the_box(
    wires: Pair, engine: scheduler
) -> None:
    near, _ = both(engine, wires)
    near.inboxes["inbox"].deliver(Touchy())
    with pytest.raises(TravelError, match=r"for 'outbox' cannot be put together here: not here"):
        engine.runThreads()
