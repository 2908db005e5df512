"""EventStream: a feed for one client, which never holds its source back."""

from collections.abc import Iterator

import pytest

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import Harness, drive, harness
from Kamaelia.Protocol.HTTP.EventStream import EventStream, ServerSentEvent
from Kamaelia.Protocol.HTTP.HTTPServer import HTTPServer
from Kamaelia.Support.Protocol.HTTP.Messages import Request
from Kamaelia.Util.DataSource import DataSource
from Test.Kamaelia.Protocol.HTTP.handlers import get, post, sent
from Test.Kamaelia.shutdown import Ends

# A comment every fifteen seconds.
SHUTDOWN = {EventStream: Ends(lambda: EventStream(), turns=5)}


class Source(component):
    """Lets a test send, and knows what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: object = None

    def main(self) -> Iterator[object]:
        while not self.dataReady("control"):
            self.pause()
            yield 1
        self.heard = self.recv("control")


def data(h: Harness) -> bytes:
    h.settle()
    return b"".join(part.data for part in h.take("outbox"))


def test_the_head_goes_out_before_any_event() -> None:
    with harness(EventStream(retry_seconds=2, headers=(("X-A", "b"),))) as h:
        head = h.expect("outbox")
    assert (head.status, head.content_type) == (200, "text/event-stream")
    assert ("Cache-Control", "no-store") in head.headers
    assert ("X-A", "b") in head.headers
    assert head.data == b"retry: 2000\n\n: \n\n"


def test_messages_become_events_in_order() -> None:
    messages = ["text", ServerSentEvent("two\nlines", id="7"), b"of a request's body"]
    out = drive(EventStream(), inbox=messages, control=[producerFinished()])
    _, *events = out["outbox"]
    assert b"".join(part.data for part in events) == (
        b"data: text\n\nid: 7\ndata: two\ndata: lines\n\n"
    )
    assert isinstance(out["signal"][-1], producerFinished)


def test_what_is_no_event_is_refused() -> None:
    with pytest.raises(TypeError, match="ServerSentEvent or str"):
        drive(EventStream(), inbox=[3])


def test_a_client_that_does_not_read_loses_the_oldest_and_is_told_how_many() -> None:
    stream = EventStream(queue_limit=10)
    with harness(stream) as h:
        data(h)
        h.limit(0)
        for number in range(50):
            h.put(str(number))
            h.settle()
        assert stream.dataReady("inbox") == 0  # the source was never held back
        assert stream.dropped == 40
        h.limit(4)
        text = data(h)
        assert text.startswith(b"event: dropped\ndata: 40\n\ndata: 40\n\ndata: 41\n\n")
        assert text.endswith(b"data: 49\n\n")
        h.put("next")
        assert data(h) == b"data: next\n\n"


def test_many_waiting_events_go_out_in_pieces_of_a_bounded_size() -> None:
    with harness(EventStream(queue_limit=1000)) as h:
        data(h)
        h.limit(0)
        h.put_all("x" * 1000 for _ in range(300))
        h.settle()
        h.limit(None)
        h.settle()
        parts = [part.data for part in h.take("outbox")]
    assert max(map(len, parts)) <= 66_000
    assert b"".join(parts).count(b"data: ") == 300


def test_a_comment_shows_that_the_line_is_alive_when_nothing_else_does() -> None:
    with harness(EventStream(keep_alive=15.0)) as h:
        data(h)
        h.run_for(14)
        h.put("event")
        assert data(h) == b"data: event\n\n"
        h.run_for(14)
        assert data(h) == b""
        h.run_for(2)
        assert data(h) == b": \n\n"


def test_a_client_that_is_full_gets_no_comment_and_costs_nothing() -> None:
    with harness(EventStream(keep_alive=15.0)) as h:
        data(h)
        h.limit(0)
        h.run_for(1000)  # a component that spins fails here
        h.limit(4)
        assert data(h) == b": \n\n"


def test_the_source_is_told_when_the_client_is_gone() -> None:
    source, stop = Source(), shutdownMicroprocess()
    with harness(EventStream(source)) as h:
        h.settle()
        source.send("event", "outbox")
        assert data(h).endswith(b"data: event\n\n")
        h.finish(stop)
        assert h.expect("signal") is stop
        h.settle()
        assert source.heard is stop
    other = Source()
    with harness(EventStream(other)) as h:
        h.settle()
        h.finish()
        h.settle()
        assert isinstance(other.heard, shutdownMicroprocess)


def test_the_end_of_the_source_is_the_end_of_the_stream() -> None:
    out = drive(EventStream(DataSource(["a", "b"])), collecting=["outbox", "signal"])
    assert b"".join(part.data for part in out["outbox"]).endswith(b"data: a\n\ndata: b\n\n")
    assert isinstance(out["signal"][-1], producerFinished)


def test_a_source_that_cannot_say_so_ends_it_too() -> None:
    class Mute(component):
        Inboxes = {}
        Outboxes = {"outbox": "str: one"}

        def main(self) -> Iterator[object]:
            yield from self.put("last", "outbox")

    out = drive(EventStream(Mute()))
    assert out["outbox"][-1].data == b"data: last\n\n"


def test_stopped_from_outside_it_stops_its_source() -> None:
    source = Source()
    with harness(EventStream(source)) as h:
        h.settle()
        h.components[0].stop()
        h.settle()
        assert source._isStopped()


def test_a_source_that_does_not_end_is_stopped_after_a_while() -> None:
    class Stubborn(component):
        def main(self) -> Iterator[object]:
            while True:
                self.pause()
                yield 1

    source = Stubborn()
    with harness(EventStream(source)) as h:
        h.settle()
        h.put(shutdownMicroprocess(), "control")
        h.run_for(4)
        assert not source._isStopped()
        h.expect_end(within=2)
        h.settle()
        assert source._isStopped()


def test_a_queue_without_room_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="queue_limit"):
        EventStream(queue_limit=0)


def test_as_a_request_handler_it_goes_on_although_the_request_has_ended() -> None:
    source = Source()
    seen: list[str] = []

    def factory(request: Request) -> component:
        seen.append(request.header("last-event-id"))
        return EventStream(source)

    with harness(HTTPServer(factory)) as h:
        h.put(get("/", "Last-Event-ID: 41"))
        assert b"Content-Type: text/event-stream\r\n" in sent(h)
        source.send("now", "outbox")
        assert b"data: now\n\n" in sent(h)
        h.put(producerFinished(), "control")  # the client is gone
        h.expect_end()
        h.settle()
        assert source._isStopped()
    assert seen == ["41"]


def test_a_body_that_a_client_sends_to_it_is_no_event() -> None:
    with harness(HTTPServer(lambda _: EventStream(DataSource(["a"])))) as h:
        h.put(post(b"data: evil\n\n"))
        answer = sent(h)
    assert b"data: a\n\n" in answer
    assert b"evil" not in answer
