"""The whole system: how it starts, how many it serves, and how it ends."""

import gc
import socket
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from Axon.Scheduler import scheduler
from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Config.Loader import loads
from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.Core.Modes import ClientInfo
from Kamaelia.Apps.Grey.Core.Networks import Networks
from Kamaelia.Apps.Grey.Core.Types import FailMode
from Kamaelia.Apps.Grey.FrontDoor.Backends import BackendRule
from Kamaelia.Apps.Grey.FrontDoor.SMTPProxy import SMTPProxy
from Kamaelia.Apps.Grey.Server import GreyServer
from Kamaelia.Apps.Grey.Settings import (
    admission_rules_of,
    backend_rules_of,
    policy_of,
    relay_settings_of,
    settings_of,
)
from Kamaelia.Apps.Grey.Store.Memory import MemoryStore
from Kamaelia.Support.Protocol.SMTP.ClientGreeting import TLSPolicy
from Test.Kamaelia.Apps.Grey.support import (
    FRIEND,
    HELLO,
    LETTER,
    MAIL,
    OK,
    RCPT,
    STRANGER,
    Client,
    FakeServer,
    Gate,
    Grey,
    values_of,
)
from Test.Kamaelia.network import open_files

MailServer = Callable[..., FakeServer]
StartGrey = Callable[..., Grey]


# ---- from the configuration


def test_every_setting_reaches_the_decision() -> None:
    config = loads(
        "greylist_delay = 1m\nretry_window = 2h\npass_lifetime = 3d\nnetwork_prefix4 = 23\n"
        "network_prefix6 = 56\nstore_failure = defer\nallowed_domains:\n    example.org\n"
        "allowed_senders:\n    192.0.2.1\nallowed_sender_nets:\n    198.51.100.0/24\n"
        "whitelisted_triples:\n    192.0.2.0/24 *@a.example *\n"
        "whitelisted_nonstandard_triples:\n    mx.b.example 192.0.2.0/24 *\n"
    )
    policy = policy_of(config)
    assert (policy.delay_seconds, policy.window_seconds, policy.pass_seconds) == (60, 7200, 259_200)
    assert (policy.prefix4, policy.prefix6) == (23, 56)
    assert policy.store_failure is FailMode.DEFER
    assert policy.allowed_domains == {"example.org"}
    assert "192.0.2.1" in policy.allowed_senders
    assert "198.51.100.9" in policy.allowed_sender_nets
    assert policy.whitelisted_triples[0].sender == "*@a.example"
    assert policy.nonstandard_triples[0].helo == "mx.b.example"


def test_every_setting_reaches_the_session() -> None:
    settings = settings_of(
        loads(
            "servername = mx.example.org\nserverid = Hello\nmessage_size_limit = 1M\n"
            "inactivity_timeout = 100\nmax_recipients = 200\ngreet_pause = 3s\nchunking = yes\n"
            "proxy_protocol_from:\n    192.0.2.1\nxclient_from:\n    192.0.2.2\n"
        )
    )
    assert (settings.hostname, settings.greeting) == ("mx.example.org", "ESMTP Hello")
    assert settings.size_limit == settings.limits.message_bytes == 1 << 20
    assert (settings.timeout, settings.limits.max_recipients) == (100.0, 200)
    assert (settings.greet_pause, settings.chunking) == (3.0, True)
    assert "192.0.2.1" in settings.proxy_protocol_from
    assert "192.0.2.2" in settings.xclient_from


def test_every_setting_reaches_the_way_to_the_mail_servers(tmp_path: Path) -> None:
    config = loads(
        "servername = mx.example.org\nconnect_timeout = 5s\nbackend_reply_timeout = 6s\n"
        "backend_final_timeout = 7s\nbackend_connections_kept = 3\nbackend_protocol = lmtp\n"
        "backend_tls = require\nbackend_tls_name = mail.example.org\nclient_info = xclient\n"
    )
    settings = relay_settings_of(config)
    times = settings.times
    assert (times.connect, times.reply, times.final) == (5.0, 6.0, 7.0)
    assert (settings.helo_name, settings.kept) == ("mx.example.org", 3)
    assert settings.client_info is ClientInfo.XCLIENT
    access = settings.access
    assert (access.lmtp, access.tls, access.name) == (True, TLSPolicy.REQUIRE, "mail.example.org")
    assert access.context is not None


def test_one_server_or_several_are_taken_from_the_configuration() -> None:
    single = loads("smtp_ip = 192.0.2.1\nsmtp_port = 26\n")
    assert backend_rules_of(single) == [BackendRule("192.0.2.1", 26)]
    several = loads("backends:\n    192.0.2.1 25 1 *\n    192.0.2.2 26 2 lists.example.org\n")
    assert backend_rules_of(several) == [
        BackendRule("192.0.2.1", 25, 1, ("*",)),
        BackendRule("192.0.2.2", 26, 2, ("lists.example.org",)),
    ]


def test_every_setting_reaches_admission() -> None:
    rules = admission_rules_of(
        loads(
            "max_connections = 100\nreserved_connections = 10\nreserved_networks:\n"
            "    192.0.2.0/24\nmax_client_connections = 7\nclient_rate = 30\nmemory_limit = 64M\n"
        )
    )
    assert (rules.max_connections, rules.reserved, rules.per_client) == (100, 10, 7)
    assert (rules.per_client_rate, rules.memory_limit) == (30.0, 64 << 20)
    for networks in (rules.reserved_networks, rules.exempt):
        assert "192.0.2.9" in networks
        assert "198.51.100.9" not in networks


# ---- starting


def test_it_listens_on_every_address_and_greets_with_its_name(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    grey = start_grey(mail_server(), listen=("127.0.0.1", "127.0.0.3"), serverid="Hello")
    assert [host for host, _ in grey.server.addresses] == ["127.0.0.1", "127.0.0.3"]
    for address in grey.server.addresses:
        client = Client(address)
        assert client.banner == "220 mx.example.org ESMTP Hello"
        client.close()


def test_a_port_that_is_taken_is_an_error_and_nothing_stays_open() -> None:
    gc.collect()  # of what other tests have left behind
    before = open_files()
    with socket.socket() as taken:
        taken.bind(("127.0.0.3", 0))
        taken.listen()
        port = taken.getsockname()[1]
        runner = scheduler()
        server = GreyServer(
            Config(port=port, listen=("127.0.0.1", "127.0.0.3")), open_store=MemoryStore
        )
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.3 port {port}"):
            server.activate(runner)
        runner.runThreads()  # has nothing to do
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
        runner._waiter.close()
    assert open_files() == before


def test_the_probe_asks_the_mail_server_what_it_offers(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server()
    grey = start_grey(backend, probing=True, abilities=None)
    grey.until(lambda: grey.backend.known)
    assert "8BITMIME" in grey.client().ask(HELLO)
    assert backend.visit().commands == [b"EHLO mx.example.org", b"QUIT"]


def test_with_a_database_a_pass_outlives_the_process(
    mail_server: MailServer, tmp_path: Path
) -> None:
    backend = mail_server()
    config = Config(
        port=0,
        listen=("127.0.0.1",),
        smtp_port=backend.address[1],
        allowed_domains=frozenset({"example.org"}),
        allowed_senders=Networks([ip_network(FRIEND)]),
        database=tmp_path / "grey.sqlite3",
        greylist_delay=60,
        pass_lifetime=86_400,
        nospf=True,
    )
    codes = []
    for seconds in (0, 61, 10_000):
        grey = Grey(backend.address)
        grey.clock.advance(seconds)
        grey.server = GreyServer(config, clock=grey.clock)
        grey.start()
        codes.append(grey.client(STRANGER).begin().ask(RCPT)[:3])
        grey.close()
    assert codes == ["451", "250", "250"]


# ---- how many


def test_too_many_clients_are_told_so_instead_of_a_greeting(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    grey = start_grey(mail_server(), max_connections=2)
    first, second, third = grey.client(), grey.client(), grey.client()
    assert first.banner.startswith("220 ")
    assert second.banner.startswith("220 ")
    assert third.banner.startswith("421 4.3.2 too many connections, try again later (")
    assert third.is_closed()
    assert first.ask(b"QUIT\r\n").startswith("221")
    assert first.is_closed()
    grey.until(lambda: grey.server.connections == 1)
    assert grey.client().banner.startswith("220 ")


def refuse(grey: Grey, count: int) -> None:
    for _ in range(count):
        assert grey.client().banner.startswith("421 4.3.2 too many connections")


def refusals(grey: Grey) -> list[str]:
    return [text.split(", ")[0] for text in grey.log.texts if text.startswith("refused ")]


def test_the_end_of_a_flood_is_logged_when_its_time_has_come(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    clock = FakeClock(50.0)
    grey = start_grey(mail_server(), monotonic=clock, max_connections=1)
    grey.client()
    refuse(grey, 4)
    clock.advance(59)
    grey.settle()
    one = "refused 1 connection: too many connections"
    assert refusals(grey) == [one]
    clock.advance(62)  # nobody has come meanwhile: it is looked at once a minute
    more = "refused 3 connections: too many connections"
    grey.until(lambda: refusals(grey) == [one, more])
    clock.advance(300)
    grey.settle()
    assert refusals(grey) == [one, more]


@pytest.mark.parametrize("how", ["end", "reload"])
def test_what_was_refused_and_not_logged_yet_is_logged_at_the_end(
    mail_server: MailServer, start_grey: StartGrey, how: str
) -> None:
    grey = start_grey(mail_server(), max_connections=1)
    client = grey.client()
    refuse(grey, 3)
    if how == "end":
        grey.shut_down()
        grey.wait_for_end()
    else:
        grey.call(lambda: grey.server.reload(replace(grey.server.config, serverid="new")))
        client.close()  # the last that has the configuration of before
        grey.until(lambda: len(grey.server._eras) == 1)
    assert refusals(grey)[1:] == ["refused 2 connections: too many connections"]


def test_two_hundred_clients_at_once_are_served_and_leave_nothing(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    grey = start_grey(mail_server())
    before = len(grey.components())
    clients = [grey.client(STRANGER) for _ in range(200)]
    for client in clients:
        client.send(HELLO)
    for client in clients:
        assert client.reply().startswith("250")
        client.send(MAIL + RCPT + b"QUIT\r\n")
    for client in clients:
        assert [reply[:3] for reply in client.replies(3)] == ["250", "451", "221"]
    grey.until(lambda: len(grey.server_tree()) == before)


# ---- ending


def test_idle_clients_hear_421_and_the_port_is_closed(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    grey = start_grey(mail_server())
    client, greeted = grey.client(), grey.client()
    assert greeted.ask(HELLO).startswith("250")
    grey.shut_down()
    for each in (client, greeted):
        assert each.reply().startswith("421 4.3.2 ")
        assert each.is_closed()
    grey.wait_for_end()
    with pytest.raises(ConnectionRefusedError):
        Client(grey.address)


def test_a_message_that_is_under_way_is_finished(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    backend = mail_server()
    grey = start_grey(backend)
    client = grey.client().to_data()
    client.send(LETTER)
    grey.shut_down()
    grey.settle()
    assert client.deliver(LETTER) == "250 2.0.0 Ok: queued as 4F2"
    assert client.reply().startswith("421 4.3.2 ")
    grey.wait_for_end()
    assert backend.messages == [LETTER * 2]
    assert values_of(grey.log.lines[-1])["outcome"] == "delivered"  # written before the end


def test_who_does_not_finish_in_time_is_hung_up_on_and_no_half_mail_is_left(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    clock = FakeClock(50.0)
    backend = mail_server()
    grey = start_grey(backend, monotonic=clock, drain_timeout=30)
    client = grey.client().to_data()
    client.send(LETTER)
    backend.wait_for_data(LETTER)
    grey.shut_down()
    grey.settle()
    clock.advance(29)
    grey.settle()
    assert grey.call(lambda: grey.server.connections) == 1
    clock.advance(2)
    assert client.is_closed()
    grey.wait_for_end()
    assert backend.visit().ended.wait(15)
    assert backend.messages == []
    assert any("did not finish in time" in text for text in grey.log.texts)


def test_a_second_shutdown_does_not_wait(mail_server: MailServer, start_grey: StartGrey) -> None:
    grey = start_grey(mail_server())
    client = grey.client().to_data()
    grey.shut_down()
    grey.settle()
    assert grey.call(lambda: grey.server.connections) == 1
    grey.shut_down()
    assert client.is_closed()
    grey.wait_for_end()


def test_two_shutdowns_in_one_moment_are_two(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    grey = start_grey(mail_server())
    client = grey.client().to_data()

    def twice() -> None:
        grey.server.shut_down("TERM")
        grey.server.shut_down("TERM")

    grey.call(twice)
    assert client.is_closed()
    grey.wait_for_end()


def test_what_a_client_that_has_left_waits_for_is_waited_for(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    gate = Gate(OK)
    grey = start_grey(mail_server(DOT=gate))
    client = grey.client().to_data()
    client.send(LETTER + b".\r\n")
    assert gate.reached.wait(15)
    client.reset()
    grey.until(lambda: grey.server.connections == 0)
    grey.shut_down()
    grey.settle()
    gate.open()
    grey.wait_for_end()
    assert values_of(grey.log.lines[-1])["outcome"] == "delivered"


def test_clients_that_always_leave_after_their_dot_cannot_pile_up_sessions(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    gates = [Gate(OK), Gate(OK)]
    grey = start_grey(mail_server(DOT=[*gates]), max_connections=len(gates))
    for gate in gates:
        client = grey.client().to_data()
        client.send(LETTER + b".\r\n")
        assert gate.reached.wait(15)
        client.reset()
        grey.until(lambda: grey.server.connections == 0)
    assert grey.client().banner.startswith("421 4.3.2 too many connections")
    for gate in gates:
        gate.open()
        assert grey.outcome()["outcome"] == "delivered"
    grey.until(lambda: not grey.server._sessions)
    assert grey.client().banner.startswith("220 ")


def test_what_a_client_that_has_left_waits_for_does_not_hold_up_the_end_for_long(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    clock = FakeClock(50.0)
    gate = Gate(OK)
    grey = start_grey(mail_server(DOT=gate), monotonic=clock, drain_timeout=30)
    client = grey.client().to_data()
    client.send(LETTER + b".\r\n")
    assert gate.reached.wait(15)
    client.reset()
    grey.until(lambda: grey.server.connections == 0)
    grey.shut_down()
    grey.settle()
    clock.advance(31)
    grey.wait_for_end()
    assert values_of(grey.log.lines[-1])["outcome"] == "unknown"
    gate.open()


def test_a_fault_in_a_session_after_the_dot_leaves_a_line_in_the_log(
    mail_server: MailServer, start_grey: StartGrey, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("planted")

    gate = Gate(OK)
    grey = start_grey(mail_server(DOT=gate))
    client = grey.client().to_data()
    client.send(LETTER + b".\r\n")
    assert gate.reached.wait(15)
    grey.settle()
    with monkeypatch.context() as patched:
        patched.setattr(SMTPProxy, "_more_to_do", fail)
        client.send(b"NOOP\r\n")
        assert client.reply().startswith("421 4.3.0 ")
    grey.until(lambda: not grey.server._sessions)
    gate.open()
    client = grey.client().to_data()
    assert client.deliver().startswith("250")
    # In their order: what became of the first message stands there, and says that nobody knows.
    assert grey.outcome()["outcome"] == "unknown"
    assert grey.outcome()["outcome"] == "delivered"


def test_a_shutdown_that_comes_before_the_first_turn_counts(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    grey = Grey(mail_server().address)
    grey.server.shut_down("at once")
    grey.start()
    grey.wait_for_end()
    grey.close()


def test_what_was_decided_is_remembered_at_the_end(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    grey = start_grey(mail_server())
    client = grey.client(STRANGER).begin()
    for number in range(50):
        client.send(b"RCPT TO:<u%d@example.org>\r\n" % number)
    client.replies(50)
    client.send(b"QUIT\r\n")
    grey.shut_down()
    grey.wait_for_end()
    assert grey.store.count() == 50
    assert len(grey.log.lines) == 50
