"""Who the client is, said by a front to us (PROXY, XCLIENT) and by us to the mail server."""

import time
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

import pytest

from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Core.Modes import ClientInfo, Verify
from Kamaelia.Apps.Grey.Core.Networks import Networks
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Support.Protocol.ProxyHeader import LOCAL_V2, make_v1, make_v2
from Test.Kamaelia import tls
from Test.Kamaelia.Apps.Grey.servers import AbleServer, Caller, ehlo, free_port
from Test.Kamaelia.Apps.Grey.support import (
    FRIEND,
    HELLO,
    LETTER,
    MAIL,
    RCPT,
    STRANGER,
    Answer,
    Client,
    Grey,
)

Server = Callable[..., AbleServer]
StartGrey = Callable[..., Grey]
Call = Callable[..., Caller]

FRONT = "127.0.0.9"
FRONTS = Networks([ip_network(FRONT)])
FAR, US = ("192.0.2.7", 4711), ("198.51.100.1", 25)
FOREIGN = b"RCPT TO:<x@elsewhere.example>\r\n"
XCLIENT_EHLO = ehlo(b"PIPELINING", b"XCLIENT NAME ADDR PORT PROTO HELO")


def client_in_log(grey: Grey, client: Client) -> str:
    """Whom the decision is about, once a recipient was given."""
    assert client.ask(HELLO).startswith("250")
    assert client.ask(MAIL).startswith("250")
    client.ask(RCPT)
    return grey.decision()["client"]


# ---- PROXY from a load balancer


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (make_v1(FAR, US), "192.0.2.7"),
        (make_v2(FAR, US), "192.0.2.7"),
        (make_v2(("2001:db8::7", 1), ("2001:db8::1", 25)), "2001:db8::7"),
        (make_v1(("::ffff:192.0.2.7", 1), US), "192.0.2.7"),
        (LOCAL_V2, FRONT),
        (b"PROXY UNKNOWN\r\n", "0.0.0.0"),  # noqa: S104 - nobody
    ],
    ids=ascii,
)
def test_a_load_balancers_client_is_the_client(
    able_server: Server, start_grey: StartGrey, call: Call, header: bytes, client: str
) -> None:
    grey = start_grey(able_server(), proxy_protocol_from=FRONTS)
    assert client_in_log(grey, call(grey, header, source=FRONT).greeted()) == client


def test_a_header_may_come_byte_by_byte(
    able_server: Server, start_grey: StartGrey, call: Call
) -> None:
    grey = start_grey(able_server(), proxy_protocol_from=FRONTS)
    caller = call(grey, source=FRONT)
    for byte in make_v2(FAR, US):
        caller.send(bytes([byte]))
        grey.settle()
    assert client_in_log(grey, caller.greeted()) == "192.0.2.7"


@pytest.mark.parametrize(
    "said",
    [
        HELLO,
        b"PROXY TCP4 192.0.2.7\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 99999\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\n",
        b"PROXY " + b"x" * 200,
        LOCAL_V2[:12] + b"\x31\x11\x00\x00",
        b"GET / HTTP/1.0\r\n\r\n",
    ],
    ids=ascii,
)
def test_a_balancer_that_does_not_say_it_properly_is_left_without_a_word(
    able_server: Server, start_grey: StartGrey, call: Call, said: bytes
) -> None:
    grey = start_grey(able_server(), proxy_protocol_from=FRONTS)
    caller = call(grey, said, source=FRONT)
    assert caller._file.read() == b""
    assert any(f"front {FRONT} closed: PROXY header" in text for text in grey.log.texts)
    grey.until(lambda: not grey.server._sessions)


def test_a_header_has_one_deadline(able_server: Server, start_grey: StartGrey, call: Call) -> None:
    clock = FakeClock(50.0)
    grey = start_grey(able_server(), proxy_protocol_from=FRONTS, monotonic=clock)
    caller = call(grey, source=FRONT)
    for byte in b"PROX":
        caller.send(bytes([byte]))
        grey.settle()
        clock.advance(1.2)
        grey.settle()
    clock.advance(1.2)
    assert caller.is_closed()


@pytest.mark.parametrize("header", [make_v1(FAR, US), make_v2(FAR, US)])
def test_a_strangers_header_is_not_believed(
    able_server: Server, start_grey: StartGrey, call: Call, header: bytes
) -> None:
    server = able_server()
    grey = start_grey(server, proxy_protocol_from=FRONTS)
    caller = call(grey, source=STRANGER).greeted()
    assert caller.banner.startswith("220 ")
    caller.send(header)
    assert caller.reply()[:1] == "5"
    assert grey.log.lines == []
    assert server.visits == []


@pytest.mark.parametrize("header", [LOCAL_V2, make_v1(FAR, US)])
def test_a_health_check_that_leaves_behind_its_header_is_over_at_once(
    able_server: Server, start_grey: StartGrey, call: Call, header: bytes
) -> None:
    clock = FakeClock(50.0)
    grey = start_grey(able_server(), proxy_protocol_from=FRONTS, monotonic=clock)
    caller = call(grey, source=FRONT)
    grey.until(lambda: grey.server.connections == 1)

    def check() -> None:
        caller.send(header)
        caller.close()

    grey.call(check)  # in the scheduler's thread: it sees both at once
    grey.settle()
    clock.advance(200)
    grey.settle()
    assert grey.call(lambda: len(grey.server._sessions)) == 0


def test_what_the_client_says_behind_the_header_is_too_early(
    able_server: Server, start_grey: StartGrey, call: Call
) -> None:
    grey = start_grey(able_server(), proxy_protocol_from=FRONTS)
    caller = call(grey, make_v1(FAR, US) + HELLO, source=FRONT).greeted()
    assert caller.banner.startswith("554 5.5.0 ")
    assert caller.is_closed()


def test_a_friend_behind_a_balancer_is_a_friend_and_the_balancer_is_not(
    able_server: Server, start_grey: StartGrey, call: Call
) -> None:
    grey = start_grey(
        able_server(), proxy_protocol_from=FRONTS, allowed_senders=Networks([ip_network(FRONT)])
    )
    caller = call(grey, make_v1(FAR, US), source=FRONT).greeted()
    caller.ask(HELLO)
    caller.ask(MAIL)
    assert caller.ask(FOREIGN).startswith("550 5.7.1 ")
    assert caller.ask(RCPT).startswith("451 4.7.1 ")


def test_the_clients_of_one_balancer_have_limits_of_their_own(
    able_server: Server, start_grey: StartGrey, call: Call
) -> None:
    grey = start_grey(able_server(), proxy_protocol_from=FRONTS, max_client_connections=1)
    banners = [
        call(grey, make_v1((host, 1), US), source=FRONT).greeted().banner[:9]
        for host in ("192.0.2.7", "192.0.2.8", "192.0.2.7")
    ]
    assert banners == ["220 mx.ex", "220 mx.ex", "421 4.7.0"]


def test_starttls_works_behind_a_balancer(
    able_server: Server, start_grey: StartGrey, call: Call, certificate: Callable[..., Path]
) -> None:
    server = able_server()
    grey = start_grey(server, proxy_protocol_from=FRONTS, tls_certificate=certificate())
    caller = call(grey, make_v2((FRIEND, 1), US), source=FRONT).greeted()
    caller.ask(HELLO)
    caller.start_tls(tls.client_context(), tls.NAME)
    caller.begin()
    assert caller.ask(RCPT).startswith("250")


def test_a_connection_that_begins_with_tls_may_come_over_a_balancer(
    able_server: Server, start_grey: StartGrey, call: Call, certificate: Callable[..., Path]
) -> None:
    port = free_port()
    grey = start_grey(
        able_server(), proxy_protocol_from=FRONTS, tls_certificate=certificate(), tls_port=port
    )
    caller = call(("127.0.0.1", port), source=FRONT)
    caller.send(make_v2((FRIEND, 1), US))
    grey.settle()
    grey.settle()
    caller._file.close()
    caller.sock = tls.client_context().wrap_socket(caller.sock, server_hostname=tls.NAME)
    caller._file = caller.sock.makefile("rb")
    assert caller.greeted().banner.startswith("220 ")


def test_tls_may_begin_in_the_packet_of_the_header(
    able_server: Server, start_grey: StartGrey, call: Call, certificate: Callable[..., Path]
) -> None:
    port = free_port()
    start_grey(
        able_server(), proxy_protocol_from=FRONTS, tls_certificate=certificate(), tls_port=port
    )
    caller = call(("127.0.0.1", port), source=FRONT)
    # Of a client that has said all of it before we look.
    hello = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"
    caller.send(make_v2((FRIEND, 1), US) + hello)
    assert caller._file.read(1) == b"\x15"  # an alert: it was read as TLS, and is none


# ---- XCLIENT from a front


def xclient(client: Client, line: bytes) -> str:
    assert "XCLIENT" in client.ask(HELLO)
    return client.ask(b"XCLIENT " + line + b"\r\n")


def test_a_front_says_whose_mail_it_is(able_server: Server, start_grey: StartGrey) -> None:
    grey = start_grey(able_server(), xclient_from=FRONTS)
    client = grey.client(FRONT)
    assert xclient(client, b"ADDR=192.0.2.7 PORT=4711 NAME=[UNAVAILABLE]").startswith("220 ")
    assert client.ask(MAIL).startswith("503 ")
    assert client_in_log(grey, client) == "192.0.2.7"


def test_a_front_says_it_in_several_commands(able_server: Server, start_grey: StartGrey) -> None:
    grey = start_grey(able_server(), xclient_from=FRONTS)
    client = grey.client(FRONT)
    assert xclient(client, b"NAME=mx.example.net ADDR=192.0.2.7").startswith("220 ")
    assert client.ask(b"XCLIENT HELO=mx.example.net\r\n").startswith("220 ")
    assert client.ask(MAIL).startswith("503 ")
    assert client_in_log(grey, client) == "192.0.2.7"


def test_a_front_says_it_for_one_client_after_the_other(
    able_server: Server, start_grey: StartGrey
) -> None:
    server = able_server()
    grey = start_grey(server, xclient_from=FRONTS)
    client = grey.client(FRONT)
    for host in (b"192.0.2.7", b"IPV6:2001:db8::7", FRIEND.encode()):
        assert xclient(client, b"ADDR=" + host).startswith("220 ")
        assert client_in_log(grey, client) == host.decode().removeprefix("IPV6:")
        client.ask(b"RSET\r\n")
    client.begin()
    assert client.ask(RCPT).startswith("250")
    assert client.ask(b"DATA\r\n").startswith("354")
    assert client.deliver().startswith("250")
    assert grey.outcome()["client"] == FRIEND
    assert server.messages == [LETTER]


def test_nothing_of_the_client_before_counts_for_the_next(
    able_server: Server, start_grey: StartGrey
) -> None:
    server = able_server()
    grey = start_grey(server, xclient_from=FRONTS)
    client = grey.client(FRONT)
    assert xclient(client, b"ADDR=127.0.0.1").startswith("220 ")
    client.begin()
    assert client.ask(RCPT).startswith("250")
    assert client.ask(b"XCLIENT ADDR=192.0.2.7\r\n").startswith("503 ")
    assert client.ask(b"RSET\r\n").startswith("250")
    assert client.ask(b"XCLIENT ADDR=192.0.2.7\r\n").startswith("220 ")
    assert client.ask(RCPT).startswith("503 ")
    client.begin()
    assert client.ask(b"DATA\r\n").startswith("503 ")
    assert client.ask(RCPT).startswith("451 4.7.1 ")
    assert client.ask(FOREIGN).startswith("550 5.7.1 ")
    assert server.messages == []


def test_a_stranger_may_not_say_who_it_is(able_server: Server, start_grey: StartGrey) -> None:
    client = start_grey(able_server(), xclient_from=FRONTS).client(STRANGER)
    assert "XCLIENT" not in client.ask(HELLO)
    assert client.ask(b"XCLIENT ADDR=127.0.0.1\r\n").startswith("550 5.7.0 ")
    assert client.ask(MAIL).startswith("250")
    assert client.ask(RCPT).startswith("451 4.7.1 ")


def test_the_client_of_a_balancer_that_is_a_front_too_may_not(
    able_server: Server, start_grey: StartGrey, call: Call
) -> None:
    grey = start_grey(able_server(), xclient_from=FRONTS, proxy_protocol_from=FRONTS)
    caller = call(grey, make_v1(FAR, US), source=FRONT).greeted()
    assert "XCLIENT" not in caller.ask(HELLO)
    assert caller.ask(b"XCLIENT ADDR=127.0.0.1\r\n").startswith("550 5.7.0 ")


def test_a_client_that_a_front_does_not_know_is_not_the_front(
    able_server: Server, start_grey: StartGrey
) -> None:
    server = able_server()
    grey = start_grey(server, xclient_from=FRONTS, allowed_senders=Networks([ip_network(FRONT)]))
    client = grey.client(FRONT)
    assert xclient(client, b"ADDR=[UNAVAILABLE] NAME=[TEMPUNAVAIL]").startswith("220 ")
    client.begin()
    assert client.ask(FOREIGN)[:1] in "45"
    assert server.visits == []


@pytest.mark.parametrize(
    "line",
    [b"ADDR=999.1.1.1", b"ADDR=192.0.2.7 ADDR=192.0.2.8", b"ADDR=a+0D+0AMAIL", b"X=1", b"ADDR"],
)
def test_nonsense_from_a_front_is_refused_and_changes_nothing(
    able_server: Server, start_grey: StartGrey, line: bytes
) -> None:
    grey = start_grey(able_server(), xclient_from=FRONTS)
    client = grey.client(FRONT)
    assert xclient(client, line).startswith("501 5.5.4 ")
    assert client_in_log(grey, client) == FRONT


def test_what_was_there_for_one_client_does_not_stay_for_all(
    able_server: Server, start_grey: StartGrey, tmp_path: Path
) -> None:
    own = tmp_path / "own.py"
    own.write_text(OWN)
    grey = start_grey(
        able_server(), xclient_from=FRONTS, before_decider=((own, "Mine"),), drain_timeout=1
    )
    client = grey.client(FRONT)
    for _ in range(5):
        assert xclient(client, b"ADDR=192.0.2.7").startswith("220 ")
        assert client_in_log(grey, client) == "192.0.2.7"
        assert client.ask(b"RSET\r\n").startswith("250")

    def mine() -> int:
        return sum(type(each).__name__ == "Mine" for each in grey.server_tree())

    grey.settle()
    before = grey.call(mine)
    client.close()
    grey.until(lambda: not grey.server._sessions)
    grey.settle()
    after = grey.call(mine)
    for each in grey.components():
        if type(each).__name__ == "Mine":
            grey.call(each.stop)  # else the program would never end
    for each in grey.components():
        if isinstance(each, Pipeline):
            grey.call(each.stop)
    assert (before, after) == (1, 0)


OWN = """
from Axon.Component import component

class Mine(component):
    def main(self):
        while not self.told_to_stop():
            for attempt in self.Inbox("inbox"):
                self.send(attempt, "outbox")
            self.pause()
            yield 1
"""

# ---- ends


@pytest.mark.parametrize(
    "where",
    [
        "header",
        "pause",
        "desk",
        "tls",
        "starttls",
    ],
)
def test_at_the_end_of_the_program_nobody_is_waited_for(
    able_server: Server,
    start_grey: StartGrey,
    call: Call,
    certificate: Callable[..., Path],
    where: str,
) -> None:
    port = free_port()
    grey = start_grey(
        able_server(),
        proxy_protocol_from=FRONTS,
        tls_certificate=certificate(),
        tls_port=port,
        greet_pause=20 if where == "pause" else 0,
        drain_timeout=4,
    )
    address = ("127.0.0.1", port) if where == "tls" else grey.address
    caller = call(address, source=FRONT if where == "header" else FRIEND)
    if where in ("starttls", "desk"):
        caller.greeted().ask(HELLO)
        caller.ask(b"STARTTLS\r\n" if where == "starttls" else MAIL)
    if where == "desk":
        caller.ask(RCPT)
        caller.ask(b"RSET\r\n")
    grey.until(lambda: grey.server.connections == 1)
    began = time.monotonic()
    grey.shut_down()
    grey.wait_for_end()
    assert time.monotonic() - began < 3
    rest = caller._file.read()
    assert rest == b"" or rest.startswith((b"220 ", b"421 ", b"\x15"))


# ---- XCLIENT to the mail server


def test_the_mail_server_hears_who_the_client_is(
    able_server: Server, start_grey: StartGrey
) -> None:
    server = able_server(EHLO=XCLIENT_EHLO)
    client = start_grey(server, client_info=ClientInfo.XCLIENT).client().to_data()
    assert client.deliver().startswith("250")
    (line,) = server.xclients
    port = client.sock.getsockname()[1]
    assert line == (
        b"XCLIENT NAME=[UNAVAILABLE] PORT=%d PROTO=ESMTP HELO=client.example ADDR=127.0.0.1" % port
    )
    assert server.visit().verbs()[:4] == ["EHLO", "XCLIENT", "EHLO", "MAIL"]
    assert server.visit().commands[2] == b"EHLO client.example"


def test_the_mail_server_hears_that_the_client_speaks_no_esmtp(
    able_server: Server, start_grey: StartGrey
) -> None:
    server = able_server(EHLO=XCLIENT_EHLO)
    client = start_grey(server, client_info=ClientInfo.XCLIENT).client()
    assert client.ask(b"HELO client.example\r\n").startswith("250")
    assert client.ask(MAIL).startswith("250")
    assert client.ask(RCPT).startswith("250")
    assert b" PROTO=SMTP " in server.xclients[0]


@pytest.mark.parametrize(
    "faults",
    [
        {},
        {"EHLO": ehlo(b"PIPELINING", b"XCLIENT NAME HELO")},
        {"EHLO": XCLIENT_EHLO, "XCLIENT": b"550 5.7.0 not you\r\n"},
        {"EHLO": XCLIENT_EHLO, "XCLIENT": b"421 4.3.2 busy\r\n"},
        {"EHLO": XCLIENT_EHLO, "XCLIENT": b"554 5.7.1 listed\r\n"},
    ],
    ids=["not offered", "without ADDR", "refused", "busy", "client refused"],
)
def test_a_mail_server_that_cannot_be_told_gets_no_mail(
    able_server: Server, start_grey: StartGrey, faults: dict[str, Answer]
) -> None:
    server = able_server(**faults)
    client = start_grey(server, client_info=ClientInfo.XCLIENT).client().begin()
    assert client.ask(RCPT)[:4] in ("451 ", "421 ")
    assert server.mail_visits == []


@pytest.mark.parametrize("verify", [Verify.NEVER, Verify.NEW])
def test_who_came_by_xclient_is_described_by_xclient(
    able_server: Server, start_grey: StartGrey, verify: Verify
) -> None:
    server = able_server(EHLO=XCLIENT_EHLO)
    grey = start_grey(
        server,
        xclient_from=FRONTS,
        client_info=ClientInfo.XCLIENT,
        verify_recipients=verify,
        allowed_senders=Networks([ip_network("192.0.2.7")]),
    )
    client = grey.client(FRONT)
    # No PORT: a front need not say it.
    assert xclient(client, b"ADDR=192.0.2.7").startswith("220 ")
    client.begin()
    assert client.ask(RCPT).startswith("250")
    (line,) = server.xclients
    assert line.endswith(b" ADDR=192.0.2.7")
    assert b"PORT=[UNAVAILABLE]" in line


def test_a_helo_name_cannot_say_more_than_a_name(
    able_server: Server, start_grey: StartGrey
) -> None:
    server = able_server(EHLO=XCLIENT_EHLO)
    client = start_grey(server, client_info=ClientInfo.XCLIENT).client()
    assert client.ask(b"EHLO a ADDR=10.0.0.1 LOGIN=root\r\n").startswith("250")
    assert client.ask(MAIL).startswith("250")
    assert client.ask(RCPT).startswith("250")
    (line,) = server.xclients
    assert b" LOGIN=" not in line
    assert line.count(b" ADDR=") == 1
    assert line.endswith(b" ADDR=127.0.0.1")
    assert server.visit().commands[2] == b"EHLO mx.example.org"


# ---- PROXY to the mail server


@pytest.mark.parametrize(
    ("info", "make"), [(ClientInfo.PROXY1, make_v1), (ClientInfo.PROXY2, make_v2)]
)
def test_the_mail_server_gets_a_header_with_the_client(
    able_server: Server,
    start_grey: StartGrey,
    info: ClientInfo,
    make: Callable[[tuple[str, int], tuple[str, int]], bytes],
) -> None:
    server = able_server(proxy=True)
    grey = start_grey(server, client_info=info)
    client = grey.client().to_data()
    assert client.deliver().startswith("250")
    assert server.headers == [make(client.sock.getsockname(), grey.address)]
    assert server.messages == [LETTER]


@pytest.mark.parametrize(
    ("info", "make", "probe"),
    [
        (ClientInfo.PROXY1, make_v1, b"PROXY TCP4 192.0.2.1 "),
        (ClientInfo.PROXY2, make_v2, LOCAL_V2),
    ],
)
def test_who_came_with_a_header_goes_on_with_one_and_the_probe_is_nobody(
    able_server: Server,
    start_grey: StartGrey,
    call: Call,
    info: ClientInfo,
    make: Callable[[tuple[str, int], tuple[str, int]], bytes],
    probe: bytes,
) -> None:
    server = able_server(proxy=True)
    grey = start_grey(
        server,
        client_info=info,
        proxy_protocol_from=FRONTS,
        allowed_senders=Networks([ip_network(FAR[0])]),
        probing=True,
        abilities=None,
    )
    grey.until(lambda: grey.backend.known)
    caller = call(grey, make(FAR, US), source=FRONT).greeted().to_data()
    assert caller.deliver().startswith("250")
    first, second = server.headers
    assert first.startswith(probe)
    assert second == make(FAR, US)


@pytest.mark.parametrize("info", [ClientInfo.PROXY1, ClientInfo.PROXY2])
def test_every_new_connection_has_its_header(
    able_server: Server, start_grey: StartGrey, info: ClientInfo
) -> None:
    server = able_server(
        proxy=True, MAIL=[b"250 2.1.0 Ok\r\n", b"421 4.4.2 idle\r\n", b"250 Ok\r\n"]
    )
    client = start_grey(server, client_info=info).client().to_data()
    assert client.deliver().startswith("250")
    assert client.ask(MAIL).startswith("250")
    assert client.ask(RCPT).startswith("250")
    assert len(server.headers) == 2
    assert server.headers[0] == server.headers[1]
