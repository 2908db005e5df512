"""Two real Postfix servers behind the running program, of which one is the other one's deputy."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from Test.Peers.arrivals import body_of, copies
from Test.System.clients import Mail, deliver
from Test.System.postfix_server import PostfixServer
from Test.System.processes import FRIEND, Grey, wait_until

pytestmark = pytest.mark.needs("postfix")


@pytest.fixture
def two(
    postfix: PostfixServer, find_program: Callable[[str], Path]
) -> Iterator[tuple[PostfixServer, PostfixServer]]:
    """The first, and its deputy."""
    with PostfixServer(find_program("postfix")) as first:
        yield first, postfix


def test_mail_goes_to_the_deputy_and_back_and_each_arrives_once(
    two: tuple[PostfixServer, PostfixServer], tmp_path: Path
) -> None:
    first, deputy = two
    rows = tuple(f"127.0.0.1 {server.port} {n} *" for n, server in enumerate(two, 1))
    sent: list[Mail] = []
    with Grey(tmp_path, first.port, backends=rows) as grey:

        def send(name: str) -> Mail:
            mail = Mail(f"failover-{name}", size=20_000, recipient="dora@example.org")
            assert deliver(grey.address, mail, FRIEND).code == 250
            sent.append(mail)
            return mail

        def wait_for(mail: Mail, server: PostfixServer) -> None:
            wait_until(f"{mail.name} at its server", lambda: copies(server, mail))

        wait_for(send("before"), first)
        first.stop()  # while a connection to it is kept
        for number in range(5):
            wait_for(send(f"without-{number}"), deputy)
        first.start()
        backs = 0

        def is_used_again() -> bool:
            nonlocal backs
            backs += 1
            before = first.said().count("client=")
            send(f"back-{backs}")
            return first.said().count("client=") > before

        wait_until("the first one to be used again", is_used_again)
        said = grey.said()
    wait_until("both to deliver", lambda: first.queued() == deputy.queued() == 0)
    for mail in sent:
        (message,) = [*copies(first, mail), *copies(deputy, mail)]
        assert body_of(message) == body_of(mail.content())
    assert copies(first, sent[-1])
    server = f"mail server 127.0.0.1 port {first.port}"
    assert f"{server} is not used for 1 s: failed 3 times in a row" in said
    assert f"{server} is used again" in said
