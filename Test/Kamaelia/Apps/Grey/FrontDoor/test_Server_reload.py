"""A changed configuration: who is there keeps what it began with, who comes gets the new one."""

import time
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from Axon.Component import component
from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Certificates import CertificateError
from Kamaelia.Apps.Grey.Config.Schema import Config
from Kamaelia.Apps.Grey.Core.Modes import ServerTLS, Verify
from Kamaelia.Apps.Grey.Core.Networks import Networks
from Kamaelia.Apps.Grey.ExpectFile import add
from Kamaelia.Apps.Grey.FrontDoor.BackendProbe import BackendProbe
from Kamaelia.Apps.Grey.FrontDoor.RelayPool import RelayPool
from Kamaelia.Apps.Grey.FrontDoor.Verifier import Verifier
from Kamaelia.Apps.Grey.GreylistDecider import GreylistDecider
from Kamaelia.Apps.Grey.OwnComponents import OwnComponentError
from Test.Kamaelia import tls
from Test.Kamaelia.Apps.Grey.servers import AbleServer, Caller
from Test.Kamaelia.Apps.Grey.support import (
    FRIEND,
    HELLO,
    LETTER,
    MAIL,
    RCPT,
    STRANGER,
    Client,
    Gate,
    Grey,
    NoProbe,
)

Server = Callable[..., AbleServer]
StartGrey = Callable[..., Grey]
Call = Callable[..., Caller]

PARTS = (RelayPool, Verifier, GreylistDecider, BackendProbe)
NOBODY = Networks([])


@pytest.fixture(autouse=True)
def no_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asks the servers of a new configuration: each connection there is a client's."""
    monkeypatch.setattr("Kamaelia.Apps.Grey.Server.BackendProbe", NoProbe)


def reload(grey: Grey, **changed: Any) -> list[str]:  # noqa: ANN401 - whatever Config has
    return grey.call(lambda: grey.server.reload(replace(grey.server.config, **changed)))


def parts(grey: Grey) -> list[component]:
    return [each for each in grey.components() if isinstance(each, PARTS)]


def at(server: AbleServer) -> dict[str, int]:
    return {"smtp_port": server.address[1]}


# ---- who is there, and who comes


def test_a_session_keeps_its_rules_and_a_new_one_has_the_new(
    able_server: Server, start_grey: StartGrey
) -> None:
    grey = start_grey(able_server())
    before = grey.client(FRIEND).begin()
    assert reload(grey, allowed_senders=NOBODY, greylist_delay=77) == []
    assert before.ask(RCPT).startswith("250")
    after = grey.client(FRIEND).begin()
    assert after.ask(RCPT).startswith(
        "451 4.7.1 Greylisting in action, please come back in 00:01:17"
    )
    assert before.ask(b"DATA\r\n").startswith("354")
    assert before.deliver().startswith("250")
    assert before.ask(MAIL).startswith("250")
    assert before.ask(RCPT).startswith("250")


def test_a_session_keeps_its_server_and_a_new_one_has_the_new(
    able_server: Server, start_grey: StartGrey
) -> None:
    old, new = able_server(), able_server()
    grey = start_grey(old, backend_connections_kept=2)
    inside, waiting = grey.client().to_data(), grey.client().begin()
    reload(grey, **at(new))
    assert grey.client().to_data().deliver().startswith("250")
    assert inside.deliver().startswith("250")
    assert waiting.ask(RCPT).startswith("250")
    assert waiting.ask(b"DATA\r\n").startswith("354")
    assert waiting.deliver().startswith("250")
    assert (len(old.messages), len(new.messages)) == (2, 1)


def test_who_is_waited_for_is_so_before_and_after_and_at_once(
    able_server: Server, start_grey: StartGrey, tmp_path: Path
) -> None:
    file = tmp_path / "expected"
    add(file, "@" + RCPT.partition(b"@")[2].partition(b">")[0].decode(), 900, int(time.time()))
    grey = start_grey(able_server())
    reload(grey, expect_file=file)
    assert grey.client().begin().ask(RCPT).startswith("250")
    expected = grey.server.expected
    reload(grey, greylist_delay=77)
    assert grey.server.expected is expected
    assert grey.client().begin().ask(RCPT).startswith("250")
    reload(grey, expect_file=None)
    assert grey.server.expected is None


def test_a_message_whose_answer_is_due_is_answered(
    able_server: Server, start_grey: StartGrey
) -> None:
    gate = Gate(b"250 2.0.0 queued by the old one\r\n")
    old, new = able_server(DOT=gate), able_server()
    grey = start_grey(old)
    client = grey.client().to_data()
    client.send(LETTER + b".\r\n")
    assert gate.reached.wait(15)
    reload(grey, **at(new))
    grey.settle()
    gate.open()
    assert client.reply() == "250 2.0.0 queued by the old one"
    assert (len(old.messages), len(new.messages)) == (1, 0)


def test_a_client_that_left_after_its_dot_is_still_answered_for(
    able_server: Server, start_grey: StartGrey
) -> None:
    gate = Gate(b"250 2.0.0 Ok\r\n")
    old = able_server(DOT=gate)
    grey = start_grey(old)
    client = grey.client().to_data()
    client.send(LETTER + b".\r\n")
    assert gate.reached.wait(15)
    client.close()
    grey.settle()
    reload(grey, **at(able_server()))
    gate.open()
    assert grey.outcome()["outcome"] == "delivered"
    grey.until(lambda: len(grey.server._eras) == 1)


def test_what_was_known_of_a_server_is_offered_at_once(
    able_server: Server, start_grey: StartGrey
) -> None:
    server = able_server()
    grey = start_grey(server)
    reload(grey, greylist_delay=77)
    assert "8BITMIME" in grey.client().ask(HELLO)
    reload(grey, **at(able_server()))
    assert "8BITMIME" not in grey.client().ask(HELLO)


def test_who_waits_outlives_it(able_server: Server, start_grey: StartGrey) -> None:
    grey = start_grey(able_server())
    assert grey.client(STRANGER).begin().ask(RCPT).startswith("451")
    reload(grey, message_size_limit=70_000)
    grey.clock.advance(61)
    assert grey.client(STRANGER).begin().ask(RCPT).startswith("250")


def test_limits_are_changed_and_who_is_in_stays_in(
    able_server: Server, start_grey: StartGrey
) -> None:
    grey = start_grey(able_server())
    clients = [grey.client(STRANGER) for _ in range(3)]
    reload(grey, max_client_connections=2)
    assert grey.client(STRANGER).banner.startswith("421 4.7.0 ")
    for client in clients:
        assert client.ask(HELLO).startswith("250")
        client.close()
    grey.until(lambda: grey.server.admission.connections == 0)
    assert grey.client(STRANGER).banner.startswith("220 ")


# ---- what is no longer needed ends


def test_without_sessions_the_old_parts_end_at_once(
    able_server: Server, start_grey: StartGrey
) -> None:
    grey = start_grey(able_server(), verify_recipients=Verify.NEW)
    before = parts(grey)
    for number in range(5):
        reload(grey, greylist_delay=60 + number)
    grey.until(lambda: all(each._isStopped() for each in before))
    grey.until(lambda: sum(isinstance(each, PARTS) for each in grey.server_tree()) == len(before))
    assert len(grey.server._eras) == 1


def test_the_old_parts_end_when_the_last_session_leaves(
    able_server: Server, start_grey: StartGrey
) -> None:
    grey = start_grey(able_server())
    before = parts(grey)
    first, second = grey.client(), grey.client().to_data()
    reload(grey, greylist_delay=77)
    first.close()
    grey.until(lambda: len(grey.server._sessions) == 1)
    assert not any(each._isStopped() for each in before)
    assert second.deliver().startswith("250")
    second.close()
    grey.until(lambda: all(each._isStopped() for each in before))
    assert len(grey.server._eras) == 1


def test_connections_that_were_kept_are_closed_in_order(
    able_server: Server, start_grey: StartGrey
) -> None:
    server = able_server()
    grey = start_grey(server, backend_connections_kept=2)
    client = grey.client().to_data()
    assert client.deliver().startswith("250")
    assert client.ask(b"QUIT\r\n").startswith("221")
    grey.until(lambda: grey.server.pool.kept == 1)
    reload(grey, greylist_delay=77)
    assert server.visit().ended.wait(15)
    assert server.visit().how == "quit"
    grey.until(lambda: not any(isinstance(each, Verifier) for each in grey.server._eras[:-1]))


def test_many_reloads_with_a_session_of_each_leave_nothing_behind(
    able_server: Server, start_grey: StartGrey
) -> None:
    grey = start_grey(able_server())
    number, children = len(grey.components()), len(grey.server.children)
    clients: list[Client] = []
    for delay in range(61, 66):
        clients.append(grey.client().begin())
        reload(grey, greylist_delay=delay)
    assert len(grey.server._eras) == 6
    for client in reversed(clients):
        assert client.ask(RCPT).startswith("250")
        client.close()
    grey.until(lambda: len(grey.server._eras) == 1)
    grey.until(lambda: len(grey.server_tree()) == number)
    grey.until(lambda: len(grey.server.children) == children)


def test_at_the_end_of_the_program_all_of_them_end(
    able_server: Server, start_grey: StartGrey
) -> None:
    grey = start_grey(able_server())
    inside = grey.client().to_data()
    reload(grey, greylist_delay=77)
    idle = grey.client()
    grey.shut_down()
    assert idle.reply().startswith("421 4.3.2 ")
    assert inside.deliver().startswith("250")
    grey.wait_for_end()


# ---- what cannot be changed, or is wrong


def test_what_needs_a_restart_is_named_and_stays(
    able_server: Server, start_grey: StartGrey
) -> None:
    grey = start_grey(able_server())
    old = grey.server.config
    assert reload(grey, port=26, workers=3, database=Path("/elsewhere"), greylist_delay=77) == [
        "port",
        "database",
        "workers",
    ]
    assert (grey.server.config.port, grey.server.config.greylist_delay) == (old.port, 77)
    assert grey.client().to_data().deliver().startswith("250")


def nothing_has_changed(grey: Grey, before: Config, era: object, office: object) -> None:
    assert grey.server.config is before
    assert grey.server._era is era
    assert grey.server._era.office is office
    assert grey.server._eras == [era]
    assert grey.client(FRIEND).to_data().deliver().startswith("250")
    assert grey.client(STRANGER).begin().ask(RCPT).startswith("451")


def test_a_bad_certificate_changes_nothing(
    able_server: Server,
    start_grey: StartGrey,
    call: Call,
    certificate: Callable[..., Path],
    tmp_path: Path,
) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("nothing of use\n")
    grey = start_grey(able_server(), tls_certificate=certificate())
    state = grey.server.config, grey.server._era, grey.server._era.office
    number = len(grey.components())
    changes: list[dict[str, Any]] = [
        {"tls_certificate": bad},
        {"tls_certificate": tmp_path / "missing.pem"},
        {"tls_names": (("other.example", bad, bad),)},
        {"backend_tls": ServerTLS.VERIFY, "backend_tls_ca": bad},
    ]
    for change in changes:
        with pytest.raises(CertificateError):
            call_and_raise(grey, greylist_delay=99, allowed_senders=NOBODY, **change)
    nothing_has_changed(grey, *state)
    caller = call(grey).greeted()
    caller.ask(HELLO)
    caller.start_tls(tls.client_context(), tls.NAME)
    assert caller.ask(HELLO).startswith("250")
    assert len([each for each in grey.components() if isinstance(each, PARTS)]) <= number


def test_a_component_of_ones_own_that_is_not_there_changes_nothing(
    able_server: Server, start_grey: StartGrey, tmp_path: Path
) -> None:
    grey = start_grey(able_server())
    state = grey.server.config, grey.server._era, grey.server._era.office
    with pytest.raises(OwnComponentError):
        call_and_raise(grey, before_decider=((tmp_path / "own.py", "Mine"),), greylist_delay=99)
    nothing_has_changed(grey, *state)


def test_limits_that_cannot_be_change_nothing(able_server: Server, start_grey: StartGrey) -> None:
    grey = start_grey(able_server())
    state = grey.server.config, grey.server._era, grey.server._era.office
    with pytest.raises(ValueError, match="reserved"):
        call_and_raise(
            grey,
            reserved_connections=grey.server.config.max_connections,
            reserved_networks=Networks([ip_network(STRANGER)]),
        )
    nothing_has_changed(grey, *state)


def call_and_raise(grey: Grey, **changed: Any) -> None:  # noqa: ANN401 - as reload()
    """reload(), and its exception here."""

    def attempt() -> Exception | None:
        try:
            grey.server.reload(replace(grey.server.config, **changed))
        except (ValueError, OwnComponentError) as error:
            return error
        return None

    error = grey.call(attempt)
    if error is not None:
        raise error


# ---- encryption


def test_a_new_certificate_is_shown_to_new_clients(
    able_server: Server, start_grey: StartGrey, call: Call, certificate: Callable[..., Path]
) -> None:
    grey = start_grey(able_server())
    before = call(grey).greeted()
    reload(grey, tls_certificate=certificate())
    assert "STARTTLS" not in before.ask(HELLO)
    reload(grey, tls_certificate=certificate("new.example.org", file="new.pem"))
    after = call(grey).greeted()
    assert "STARTTLS" in after.ask(HELLO)
    after.start_tls(tls.client_context(), "new.example.org")
    assert after.ask(HELLO).startswith("250")


def test_a_certificate_that_came_by_reload_is_looked_at_again(
    able_server: Server, start_grey: StartGrey, call: Call, certificate: Callable[..., Path]
) -> None:
    clock = FakeClock(50.0)
    grey = start_grey(able_server(), monotonic=clock)
    grey.client()  # who stays, and keeps the old parts: their end would wake somebody
    grey.settle()
    config = replace(grey.server.config, tls_certificate=certificate())

    def reload_by_this_clock() -> None:
        grey.server.reload(config)
        grey.server.certificates._clock = clock

    grey.call(reload_by_this_clock)
    certificate("new.example.org")
    for _ in range(3):
        grey.settle()
        clock.advance(61)
    grey.settle()
    caller = call(grey).greeted()
    caller.ask(HELLO)
    caller.start_tls(tls.client_context(), "new.example.org")


# ---- what the store was told


def test_the_lives_of_records_are_the_stores_too_and_need_a_restart(
    able_server: Server, start_grey: StartGrey
) -> None:
    grey = start_grey(able_server())
    before = grey.server.config
    assert reload(grey, pass_lifetime=1_000_000, retry_window=5000) == [
        *("retry_window", "pass_lifetime"),
    ]
    assert grey.server.config == before
