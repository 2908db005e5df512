"""What goes to a client of a server, and what becomes of it when there is no room."""

from Axon.Testing import harness
from Test.Kamaelia.Protocol.HTTP.handlers import Reads, Says, get, sent, serving, status_of

HELLO = {"data": "hello", "content-type": "text/plain", "complete": True}


def test_a_refusal_says_its_length_and_when_it_was() -> None:
    with harness(serving(Says())) as h:
        h.put(b"nonsense\r\n\r\n")
        answer = sent(h)
    head, _, page = answer.partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % len(page) in head
    assert b"Date: " in head


def test_a_refusal_is_not_lost_behind_what_the_client_had_no_room_for() -> None:
    handlers = iter([Says(HELLO), Reads()])
    with harness(serving(lambda _: next(handlers))) as h:
        h.limit(1)
        h.put(get())  # its answer fills the outbox, and the 100 has to wait
        h.settle()
        h.put(get("/", "Expect: 100-continue", "Transfer-Encoding: chunked", method="POST"))
        h.settle()
        h.put(b"nonsense\r\n")
        h.settle()
        _, _, rest = sent(h).partition(b"hello")
        assert [status_of(rest), status_of(rest.partition(b"\r\n\r\n")[2])] == [100, 400]
