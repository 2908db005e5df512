"""One connection: requests and answers, what is refused, times, and how it ends."""

import logging
import re

import pytest

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.IPC import socketShutdown
from Kamaelia.Protocol.HTTP.HTTPRequestHandler import DRAIN_BYTES, HTTPRequestHandler
from Kamaelia.Support.Protocol.HTTP.Messages import Request, Response, TakeOver
from Kamaelia.Support.Protocol.HTTP.ServerConnection import Limits
from Test.Kamaelia.Protocol.HTTP.handlers import (
    Deaf,
    Echo,
    Fails,
    Reads,
    Says,
    Waits,
    body_of,
    get,
    post,
    sent,
    serving,
    status_of,
)
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {
    HTTPRequestHandler: Ends(lambda: HTTPRequestHandler(lambda _: Says(), idle_timeout=1e6))
}
HELLO = {"data": "hello", "content-type": "text/plain", "complete": True}


def without_date(answer: bytes) -> bytes:
    return re.sub(rb"Date: [^\r]*\r\n", b"", answer)


# ---- answers


def test_a_complete_part_is_an_answer_with_its_length() -> None:
    with harness(serving(lambda _: Says(HELLO))) as h:
        h.put(get())
        answer = sent(h)
    assert re.search(rb"Date: \w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT\r\n", answer)
    assert without_date(answer) == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n\r\n"
        b"hello"
    )


def test_parts_go_out_in_chunks_until_the_handler_ends() -> None:
    with harness(serving(lambda _: Says({"statuscode": "404"}, b"a", Response(b"bc")))) as h:
        h.put(get())
        answer = sent(h)
    assert without_date(answer) == (
        b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"
    )


def test_requests_of_one_connection_are_answered_in_order() -> None:
    def factory(request: Request) -> component:
        return Says({"data": request.path, "complete": True})

    with harness(serving(factory)) as h:
        h.put(b"".join(get(f"/{n}") for n in range(20)))
        bodies = re.findall(rb"\r\n\r\n(/\d+)", sent(h))
        assert bodies == [b"/%d" % n for n in range(20)]
        h.not_ended()


def test_a_handler_gets_the_body_and_then_its_end() -> None:
    with harness(serving(lambda _: Echo())) as h:
        h.put(get("/", "Transfer-Encoding: chunked", method="POST"))
        h.put(b"3\r\nabc\r\n")
        assert b"abc" in sent(h)
        h.put(b"1\r\nd\r\n0\r\n\r\n" + get())
        answer = sent(h)
    assert answer.startswith(b"1\r\nd\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n")


def test_head_is_answered_without_a_body_and_the_handler_is_spared_the_work() -> None:
    handler = Waits(Response(b"data", length=10_000))
    with harness(serving(handler)) as h:
        h.put(get(method="HEAD"))
        answer = sent(h)
        assert body_of(answer) == b""
        assert b"Content-Length: 10000\r\n" in answer
        assert handler._isStopped()
        h.put(get())
        h.not_ended()


def test_a_client_of_http_1_0_gets_its_answer_and_the_end() -> None:
    with harness(serving(lambda _: Says({"data": "a"}, b"b"))) as h:
        h.put(get(version="1.0"))
        assert body_of(sent(h)) == b"ab"
        h.expect("signal", producerFinished)
        h.expect_end()


def test_a_client_that_asks_first_is_told_to_go_on() -> None:
    with harness(serving(lambda _: Echo())) as h:
        h.put(get("/", "Content-Length: 5", "Expect: 100-continue", method="POST"))
        assert sent(h).startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
        h.put(b"hello")
        assert b"hello" in sent(h)


def test_a_client_that_asks_first_need_not_send_what_nobody_wants() -> None:
    class NoBody(Says):
        wants_body = False

    with harness(serving(lambda _: NoBody({"statuscode": 403, "complete": True}))) as h:
        h.put(get("/", "Content-Length: 5", "Expect: 100-continue", method="POST"))
        answer = sent(h)
        assert status_of(answer) == 403
        assert b"Connection: close\r\n" in answer
        h.expect_end()


def test_the_last_of_so_many_requests_says_so() -> None:
    with harness(serving(lambda _: Says(HELLO), requests_limit=2)) as h:
        h.put(get())
        assert b"close" not in sent(h)
        h.put(get())
        assert b"Connection: close\r\n" in sent(h)
        h.expect_end()


# ---- what goes wrong


@pytest.mark.parametrize(
    ("status", "wire"),
    [
        (400, b"nonsense\r\n\r\n"),
        (413, get("/", "Content-Length: 1000", method="POST")),
        (431, get("/", *["X: y"] * 20)),
        (501, get(method="BREW")),
    ],
)
def test_a_bad_request_gets_a_page_and_the_end(status: int, wire: bytes) -> None:
    limits = Limits(headers=10, body_bytes=999)
    with harness(serving(lambda _: Says(HELLO), limits=limits)) as h:
        h.put(wire)
        answer = sent(h)
        assert status_of(answer) == status
        assert b"Connection: close\r\n" in answer
        assert b"<!DOCTYPE html>" in answer
        h.expect("signal", producerFinished)
        h.expect_end()


def test_a_body_that_turns_out_too_long_is_refused_if_nothing_was_said_yet() -> None:
    handler = Waits()
    with harness(serving(handler, limits=Limits(body_bytes=10))) as h:
        h.put(get("/", "Transfer-Encoding: chunked", method="POST") + b"b\r\n12345678901\r\n")
        assert status_of(sent(h)) == 413
        h.expect_end()
        assert handler._isStopped()


def test_an_answer_to_a_body_that_breaks_the_rules_is_cut_off() -> None:
    with harness(serving(lambda _: Echo())) as h:
        h.put(get("/", "Transfer-Encoding: chunked", method="POST") + b"1\r\na\r\n")
        sent(h)
        h.put(b"nonsense\r\n")
        assert b"0\r\n\r\n" not in sent(h)
        h.expect("signal", shutdownMicroprocess)
        h.expect_end()


@pytest.mark.parametrize(
    "factory",
    [
        lambda _: Fails(),
        lambda _: Says(),
        lambda _: None,
        lambda _: Says("text"),
        lambda _: Says(Response(length=3, headers=(("X", "y"),)), TakeOver()),
        lambda _: Says({"headers": [("X", "a\r\nb")]}),
        lambda _: Says({"data": "x", "charset": "nonsense"}),
        lambda _: 1 // 0,
    ],
)
def test_a_handler_that_fails_costs_its_client_a_500_and_the_log_says_why(
    factory: object, caplog: pytest.LogCaptureFixture
) -> None:
    with harness(serving(factory)) as h:  # type: ignore[arg-type]
        h.put(get("/where"))
        answer = sent(h)
        if b" 200 " in answer:  # it had begun
            h.expect("signal", shutdownMicroprocess)
        else:
            assert status_of(answer) == 500
            h.put(get())
            assert status_of(sent(h)) == 500  # the connection goes on
            h.not_ended()
    assert "/where" in caplog.text
    assert all(record.levelno == logging.ERROR for record in caplog.records)


def test_an_answer_that_breaks_off_is_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    for parts in ([{"length": 10}, b"short"], [{"length": 2}, b"long"]):
        with harness(serving(lambda _, parts=parts: Says(*parts))) as h:  # type: ignore[misc]
            h.put(get())
            sent(h)
            h.expect("signal", shutdownMicroprocess)
            h.expect_end()
    with harness(serving(lambda _: Fails({"data": "a"}))) as h:
        h.put(get())
        assert b"0\r\n\r\n" not in sent(h)
        h.expect("signal", shutdownMicroprocess)
    assert "on purpose" in caplog.text


def test_a_failure_in_a_child_of_the_handler_is_one_of_the_handler() -> None:
    class Parent(Waits):
        def main(self) -> object:  # type: ignore[override]
            child = Fails()
            self.addChildren(child)
            child.activate(Scheduler=self.scheduler)
            return super().main()

    with harness(serving(lambda _: Parent())) as h:
        h.put(get())
        assert status_of(sent(h)) == 500


def test_a_handler_that_does_not_end_is_stopped_after_a_while() -> None:
    made: list[Deaf] = []

    def factory(_: Request) -> component:
        made.append(Deaf())
        return made[-1]

    with harness(serving(factory)) as h:
        h.put(get() + get())
        assert sent(h).count(b"deaf") == 2
        assert not made[0]._isStopped()
        h.run_for(6)
        assert all(one._isStopped() for one in made)
        h.not_ended()
        assert h.components[0].children == []


def test_a_handler_that_cannot_be_told_to_stop_is_stopped() -> None:
    class WithoutControl(Deaf):
        Inboxes = {}
        Outboxes = {"outbox": "object: one answer"}

    handler = WithoutControl()
    with harness(serving(handler)) as h:
        h.put(post(b"a body that it has no box for"))
        assert sent(h).endswith(b"deaf")
        assert handler._isStopped()


def test_what_a_handler_sends_when_its_answer_is_complete_is_nobodys_business(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Talks(component):
        def main(self):  # type: ignore[no-untyped-def]  # noqa: ANN202
            for _ in range(100):
                self.send(HELLO, "outbox")
                yield 1

    with harness(serving(lambda _: Talks())) as h:
        h.put(get() + get())
        assert sent(h).count(b"200 OK") == 2
    assert caplog.records == []


def test_what_is_no_bytes_is_a_mistake_in_the_program() -> None:
    with pytest.raises(TypeError, match="inbox takes bytes"):
        drive(serving(Says()), inbox=["text"])


# ---- a body that nobody reads


def test_a_small_body_that_nobody_read_is_read_over() -> None:
    with harness(serving(lambda _: Says(HELLO))) as h:
        h.put(get("/", "Content-Length: 1000", method="POST") + bytes(100))
        assert body_of(sent(h)) == b"hello"
        h.put(bytes(900) + get())
        assert body_of(sent(h)) == b"hello"


def test_a_large_body_that_nobody_read_ends_the_connection() -> None:
    size = DRAIN_BYTES * 10
    with harness(serving(lambda _: Says(HELLO))) as h:
        h.put(get("/", f"Content-Length: {size}", method="POST"))
        sent(h)
        h.put_all([bytes(DRAIN_BYTES)] * 3)
        h.expect("signal", producerFinished)
        h.expect_end()


def test_a_client_that_does_not_send_the_rest_is_not_waited_for() -> None:
    with harness(serving(lambda _: Says(HELLO), body_timeout=30.0)) as h:
        h.put(get("/", "Content-Length: 1000", method="POST"))
        sent(h)
        h.run_for(29)
        h.not_ended()
        h.expect_end(within=2)


def test_a_handler_that_does_not_read_holds_the_client_back() -> None:
    handler = Waits()
    with harness(serving(handler, body_timeout=30.0)) as h:
        h.put(get("/", "Content-Length: 1000000", method="POST"))
        h.put_all([bytes(1000)] * 20)
        h.settle()
        assert h.components[0].dataReady("inbox") >= 10
        h.run_for(100)  # it is not the client that is slow
        h.not_ended()


# ---- time


def test_a_head_that_comes_byte_by_byte_is_given_so_long_and_no_longer() -> None:
    with harness(serving(Says(), head_timeout=30.0, idle_timeout=60.0)) as h:
        h.run_for(50)
        for byte in get("/" + "a" * 100)[:29]:
            h.put(bytes([byte]))
            h.run_for(1)
        h.not_ended()
        h.run_for(1)
        assert status_of(sent(h)) == 408
        h.expect_end()


def test_a_client_that_asks_nothing_is_let_go_without_a_word() -> None:
    with harness(serving(lambda _: Says(HELLO), idle_timeout=60.0)) as h:
        h.put(get())
        sent(h)
        h.run_for(59)
        h.not_ended()
        h.run_for(2)
        assert sent(h) == b""
        h.expect("signal", producerFinished)
        h.expect_end()


def test_a_body_must_get_on() -> None:
    with harness(serving(lambda _: Reads(), body_timeout=30.0)) as h:
        h.put(get("/", "Content-Length: 100000", method="POST"))
        for _ in range(2):
            h.run_for(20)
            h.put(bytes(4096))
        for _ in range(29):
            h.put(b"x")
            h.run_for(1)
        h.not_ended()
        h.run_for(2)
        assert status_of(sent(h)) == 408
        h.expect_end()


def test_a_handler_may_think_for_as_long_as_it_likes() -> None:
    with harness(serving(lambda _: Waits())) as h:
        h.put(get())
        h.run_for(100_000)
        h.not_ended()


def test_a_client_that_takes_nothing_is_given_up() -> None:
    handler = Says(*[bytes(1000)] * 1000)
    with harness(serving(handler, write_timeout=60.0)) as h:
        h.limit(2)
        h.put(get())
        h.run_for(59)
        h.not_ended()
        h.run_for(2)
        h.expect("signal", shutdownMicroprocess)
        h.expect_end()
        h.run_for(6)
        assert handler._isStopped()


def test_a_client_that_does_not_even_take_a_refusal_is_given_up() -> None:
    with harness(serving(Says(), write_timeout=60.0)) as h:
        h.limit(0)
        h.put(b"nonsense\r\n\r\n")
        h.run_for(59)
        h.not_ended()
        h.expect("signal", shutdownMicroprocess, within=2)
    stop = shutdownMicroprocess()
    with harness(serving(Says())) as h:
        h.limit(0)
        h.put(b"nonsense\r\n\r\n")
        h.settle()
        h.finish(stop)
        assert h.expect("signal") is stop


def test_a_client_that_takes_the_refusal_late_gets_it() -> None:
    with harness(serving(Says())) as h:
        h.limit(0)
        h.put(b"nonsense\r\n\r\n")
        h.run_for(30)
        h.limit(4)
        assert status_of(sent(h)) == 400
        h.expect_end()


def test_a_slow_client_holds_the_handler_back_and_gets_all() -> None:
    made: list[int] = []

    def parts() -> object:
        yield {"length": 100_000}
        for number in range(100):
            made.append(number)
            yield bytes([number]) * 1000

    class Lazy(Says):
        def main(self):  # type: ignore[no-untyped-def]  # noqa: ANN202
            for part in parts():  # type: ignore[attr-defined]
                yield from self.put(part)

    with harness(serving(lambda _: Lazy(), parts_limit=4)) as h:
        h.limit(2)
        h.put(get())
        h.settle()
        assert len(made) < 10
        assert len(body_of(sent(h))) == 100_000


# ---- ends


def test_an_idle_connection_ends_with_its_client() -> None:
    with harness(serving(Says())) as h:
        h.put(socketShutdown(None, [None, None]), "control")
        h.expect("signal", socketShutdown)
        h.expect_end()


def test_a_client_that_has_only_finished_sending_gets_its_answer() -> None:
    with harness(serving(lambda _: Says(HELLO))) as h:
        h.put(get())
        h.put(producerFinished(), "control")
        assert body_of(sent(h)) == b"hello"
        h.expect_end()


def test_a_body_that_breaks_off_is_refused() -> None:
    handler = Waits()
    with harness(serving(handler)) as h:
        h.put(get("/", "Content-Length: 10", method="POST") + b"12345")
        h.settle()
        h.put(producerFinished(), "control")
        assert status_of(sent(h)) == 400
        h.expect_end()
        assert handler._isStopped()


@pytest.mark.parametrize(
    "message", [shutdownMicroprocess(), socketShutdown(None, [None, OSError("reset")])]
)
def test_told_to_stop_or_with_the_client_gone_the_handler_hears_of_it(message: object) -> None:
    handler = Waits({"data": "a"})
    with harness(serving(handler)) as h:
        h.put(get())
        sent(h)
        h.put(message, "control")
        assert h.expect("signal") is message
        h.expect_end(within=1)  # and did not have to be stopped
    assert isinstance(handler.heard[-1], shutdownMicroprocess)
    assert (handler.heard[-1] is message) is isinstance(message, shutdownMicroprocess)


def test_an_answer_without_an_end_ends_with_the_client() -> None:
    class Stream(Waits):
        is_stream = True

    handler = Stream({"data": "a"})
    with harness(serving(handler)) as h:
        h.put(get())
        sent(h)
        h.put(socketShutdown(None, [None, None]), "control")
        h.expect_end()
        h.settle()
        assert handler._isStopped()


def test_an_answer_that_takes_too_long_after_the_client_has_finished_is_given_up() -> None:
    with harness(serving(Waits(), finish_timeout=60.0)) as h:
        h.put(get())
        h.put(producerFinished(), "control")
        h.run_for(59)
        h.not_ended()
        h.expect_end(within=2)
        h.expect("signal", shutdownMicroprocess)


def test_other_messages_at_control_are_handed_on() -> None:
    with harness(serving(Says())) as h:
        h.put("a word", "control")
        h.expect("signal", "a word")


def test_stopped_from_outside_it_stops_the_handler() -> None:
    handler = Waits()
    with harness(serving(handler)) as h:
        h.put(get())
        h.settle()
        h.components[0].stop()
        h.settle()
        assert handler._isStopped()


# ---- a handler that speaks with the client itself


class Shouts(Echo):
    """Takes the connection over and says everything again, louder."""

    wants_body = False

    def main(self):  # type: ignore[no-untyped-def]  # noqa: ANN201
        yield from self.put(TakeOver())
        while not (stop := self.told_to_stop()) or self.dataReady("inbox"):
            for data in self.Inbox("inbox"):
                yield from self.put(data.upper())
            if not stop:
                self.pause()
            yield 1
        self.send(b"bye", "outbox")


def test_a_handler_may_take_the_connection_over() -> None:
    with harness(serving(lambda _: Shouts())) as h:
        h.put(get("/", "Upgrade: shouting", "Connection: Upgrade") + b"first")
        assert sent(h) == b"FIRST"
        h.put(b"then")
        assert sent(h) == b"THEN"
        h.put(producerFinished(), "control")
        assert sent(h) == b"bye"
        h.expect("signal", producerFinished)
        h.expect_end()


def test_nobody_takes_over_in_the_middle_of_a_body(caplog: pytest.LogCaptureFixture) -> None:
    with harness(serving(lambda _: Shouts())) as h:
        h.put(get("/", "Content-Length: 4", "Upgrade: x", "Connection: Upgrade") + b"ab")
        assert status_of(sent(h)) == 500
    assert "before the body has ended" in caplog.text


def test_one_that_has_taken_over_may_say_goodbye_when_told_to_stop() -> None:
    stop = shutdownMicroprocess()
    with harness(serving(lambda _: Shouts())) as h:
        h.put(get("/", "Upgrade: shouting", "Connection: Upgrade"))
        h.settle()
        h.put(stop, "control")
        assert sent(h) == b"bye"
        assert h.expect("signal") is stop
        h.expect_end()


def test_one_that_has_taken_over_and_does_not_go_is_given_a_second() -> None:
    class Stays(Deaf):
        wants_body = False

        def main(self):  # type: ignore[no-untyped-def]  # noqa: ANN202
            self.send(TakeOver(), "outbox")
            while True:
                self.pause()
                yield 1

    with harness(serving(lambda _: Stays())) as h:
        h.put(get("/", "Upgrade: shouting", "Connection: Upgrade"))
        h.settle()
        h.put(shutdownMicroprocess(), "control")
        h.run_for(0.5)
        assert h.take("signal") == []
        h.expect("signal", shutdownMicroprocess, within=1)
        h.expect_end(within=6)
