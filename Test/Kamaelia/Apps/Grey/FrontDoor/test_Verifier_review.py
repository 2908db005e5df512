"""What strangers can do to a mail server that is asked about recipients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Core.Modes import Verify
from Test.Kamaelia.Apps.Grey.servers import AbleServer
from Test.Kamaelia.Apps.Grey.support import HELLO, MAIL, RCPT, STRANGER, Gate, Grey

OK = b"250 2.0.0 Ok\r\n"


def test_strangers_who_make_it_slow_do_not_have_it_left_alone(
    able_server: Callable[..., AbleServer], start_grey: Callable[..., Grey]
) -> None:
    clock = FakeClock(50.0)
    slow = Gate(OK)  # the server waits for the name servers of the sender's domain
    server = able_server(MAIL=[OK] * 3 + [slow] * 3 + [OK])
    grey = start_grey(
        server, verify_recipients=Verify.NEW, backend_connections_kept=3, monotonic=clock
    )
    friends = [grey.client() for _ in range(3)]
    for client in friends:
        for line in (HELLO, MAIL, RCPT, b"RSET\r\n"):
            assert client.ask(line).startswith("250")
    # A client hears of its RSET before the server does, and a connection is kept only in order.
    pool: Any = grey.server.pool
    grey.until(lambda: sum(relay.reusable for relay in pool.children) == 3)
    for client in friends:
        client.ask(b"QUIT\r\n")
    grey.until(lambda: grey.server.pool.kept == 3)
    strangers = [grey.client(STRANGER).begin() for _ in range(3)]
    for number, client in enumerate(strangers):
        client.send(b"RCPT TO:<b%d@example.org>\r\n" % number)
    asked = 6
    server.wait_for(lambda: sum(v.verbs().count("MAIL") for v in server.visits) == asked)
    grey.settle()
    clock.advance(11)
    for client in strangers:
        assert client.reply().startswith("451 4.7.1 ")
    assert grey.client().begin().ask(RCPT).startswith("250")
    slow.open()
