"""Recipients that do not exist are refused at once, and nobody else is kept out by that."""

from collections.abc import Callable
from ipaddress import ip_network

import pytest

from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Core.Modes import ClientInfo, Verify
from Kamaelia.Apps.Grey.Core.Networks import Networks
from Kamaelia.Apps.Grey.FrontDoor.Backend import Backend
from Kamaelia.Apps.Grey.FrontDoor.Backends import BackendRule, Backends
from Kamaelia.Apps.Grey.FrontDoor.RelayPool import RelayPool, RelaySettings
from Kamaelia.Apps.Grey.FrontDoor.Verifier import CALLOUTS, Callout, Verifier
from Kamaelia.Support.Protocol.SMTP.Address import Path
from Test.Kamaelia.Apps.Grey.servers import AbleServer, ehlo, free_port
from Test.Kamaelia.Apps.Grey.support import (
    FRIEND,
    HELLO,
    MAIL,
    RCPT,
    STRANGER,
    Act,
    Answer,
    Client,
    Gate,
    Grey,
)
from Test.Kamaelia.shutdown import Ends

Server = Callable[..., AbleServer]
StartGrey = Callable[..., Grey]

UNKNOWN = b"550 5.1.1 User unknown\r\n"
KNOWN = b"250 2.1.5 Ok\r\n"
A, B = Path(b"a@example.net", b"a", b"example.net"), Path(b"b@example.org", b"b", b"example.org")


def pool() -> RelayPool:
    rules = [BackendRule("127.0.0.1", 1)]
    backends = Backends(rules, lambda rule: Backend(rule.host, rule.port), lambda: 0.5)
    return RelayPool(backends, RelaySettings("mx.example.org"))


SHUTDOWN = {
    Callout: Ends(None, why="it has work from the start; ended by its answer, see below"),
    Verifier: Ends(lambda: Verifier(pool())),
}


def asked(server: AbleServer) -> int:
    """How often the mail server has been asked about a recipient."""
    return sum(visit.verbs().count("RCPT") for visit in server.visits)


def stranger(grey: Grey, line: bytes = RCPT) -> str:
    return grey.client(STRANGER).begin().ask(line)


# ---- what the stranger hears


@pytest.mark.parametrize("mode", [Verify.NEW, Verify.ALWAYS])
def test_a_recipient_that_does_not_exist_is_refused_at_once(
    able_server: Server, start_grey: StartGrey, mode: Verify
) -> None:
    server = able_server(RCPT=b"550-5.1.1 User\r\n550 5.1.1 unknown\r\n")
    grey = start_grey(server, verify_recipients=mode)
    assert stranger(grey) == "550-5.1.1 User\n550 5.1.1 unknown"
    server.wait_for_verb("RSET")
    assert server.visit().commands[1:3] == [b"MAIL FROM:<a@example.net>", RCPT.strip()]
    assert server.messages == []


def test_one_that_exists_is_greylisted_and_passes_later(
    able_server: Server, start_grey: StartGrey
) -> None:
    grey = start_grey(able_server(), verify_recipients=Verify.NEW)
    assert stranger(grey).startswith("451 4.7.1 ")
    grey.clock.advance(61)
    assert stranger(grey).startswith("250")


@pytest.mark.parametrize("mode", [Verify.CACHED, Verify.NEVER])
def test_in_other_modes_nobody_is_asked(
    able_server: Server, start_grey: StartGrey, mode: Verify
) -> None:
    server = able_server(RCPT=UNKNOWN)
    assert stranger(start_grey(server, verify_recipients=mode)).startswith("451 4.7.1 ")
    assert server.visits == []


@pytest.mark.parametrize(
    ("mode", "code"), [(Verify.CACHED, "550"), (Verify.NEW, "550"), (Verify.NEVER, "451")]
)
def test_what_it_said_in_passing_is_known(
    able_server: Server, start_grey: StartGrey, mode: Verify, code: str
) -> None:
    server = able_server(RCPT=UNKNOWN)
    grey = start_grey(server, verify_recipients=mode)
    assert grey.client(FRIEND).begin().ask(RCPT).startswith("550 5.1.1 ")
    assert stranger(grey).startswith(code)
    assert asked(server) == 1


def test_a_recipient_that_is_not_ours_is_not_asked_about(
    able_server: Server, start_grey: StartGrey
) -> None:
    server = able_server(RCPT=UNKNOWN)
    grey = start_grey(server, verify_recipients=Verify.ALWAYS)
    assert stranger(grey, b"RCPT TO:<x@elsewhere.example>\r\n").startswith("550 5.7.1 ")
    assert server.visits == []


@pytest.mark.parametrize(
    "faults",
    [
        {"BANNER": b"421 4.3.2 busy\r\n"},
        {"BANNER": b"554 5.7.1 not you\r\n"},
        {"BANNER": Act.DROP},
        {"EHLO": b"550 no\r\n", "HELO": b"550 no\r\n"},
        {"MAIL": b"451 4.3.0 later\r\n"},
        {"MAIL": Act.RESET},
        {"RCPT": b"451 4.7.1 Greylisted\r\n"},
        {"RCPT": b"452 4.2.2 full\r\n"},
        {"RCPT": b"421 4.3.2 going down\r\n"},
        {"RCPT": Act.DROP},
        {"RCPT": b"junk\r\n"},
        {"RCPT": b"354 what\r\n"},
    ],
    ids=ascii,
)
def test_a_server_that_cannot_say_changes_nothing_for_the_stranger(
    able_server: Server, start_grey: StartGrey, faults: dict[str, Answer]
) -> None:
    grey = start_grey(able_server(**faults), verify_recipients=Verify.ALWAYS)
    client = grey.client(STRANGER).begin()
    for _ in range(4):  # from the fourth time on the server may be left alone
        assert client.ask(RCPT).startswith("451 4.7.1 ")
    assert client.ask(b"NOOP\r\n").startswith("250")


def test_a_server_that_is_down_changes_nothing(start_grey: StartGrey) -> None:
    grey = start_grey(("127.0.0.1", free_port()), verify_recipients=Verify.NEW)
    assert stranger(grey).startswith("451 4.7.1 ")


@pytest.mark.parametrize("step", ["BANNER", "EHLO", "MAIL", "RCPT"])
def test_a_slow_server_is_not_waited_for_long(
    able_server: Server, start_grey: StartGrey, step: str
) -> None:
    clock = FakeClock(50.0)
    server = able_server(**{step: Act.SILENT})
    grey = start_grey(server, verify_recipients=Verify.NEW, monotonic=clock)
    client = grey.client(STRANGER).begin()
    client.send(RCPT)
    server.wait_for(lambda: step == "BANNER" or step in server.visit().verbs())
    grey.settle()
    clock.advance(9)
    grey.settle()
    clock.advance(2)
    assert client.reply().startswith("451 4.7.1 ")
    assert server.visit().ended.wait(15)


def test_a_second_greylist_is_told_of_once(able_server: Server, start_grey: StartGrey) -> None:
    grey = start_grey(
        able_server(RCPT=b"450 4.2.0 Greylisted, see postgrey\r\n"),
        verify_recipients=Verify.ALWAYS,
    )
    for _ in range(3):
        assert stranger(grey).startswith("451 4.7.1 ")
    assert sum("greylists, too" in text for text in grey.log.texts) == 1


# ---- a refusal that is about somebody else


@pytest.mark.parametrize(
    "faults",
    [
        {"MAIL": b"550 5.1.8 bad sender\r\n", "RCPT": b"503 5.5.1 MAIL first\r\n"},
        {"RCPT": b"554 5.7.1 you are listed\r\n"},
    ],
    ids=["sender", "client"],
)
def test_a_refusal_of_others_is_handed_on_and_not_remembered(
    able_server: Server, start_grey: StartGrey, faults: dict[str, bytes]
) -> None:
    answers: dict[str, Answer | list[Answer]] = {
        verb: [answer, KNOWN] for verb, answer in faults.items()
    }
    grey = start_grey(able_server(**answers), verify_recipients=Verify.NEW)
    first = next(iter(faults.values())).decode().strip()
    assert stranger(grey) == first
    assert stranger(grey).startswith("451 4.7.1 ")


def test_the_server_judges_the_stranger_and_not_us(
    able_server: Server, start_grey: StartGrey
) -> None:
    server = able_server(EHLO=ehlo(b"PIPELINING", b"XCLIENT NAME ADDR PORT PROTO HELO"))
    grey = start_grey(server, verify_recipients=Verify.NEW, client_info=ClientInfo.XCLIENT)
    assert stranger(grey).startswith("451 4.7.1 ")
    (line,) = server.xclients
    assert line.endswith(b" ADDR=" + STRANGER.encode())


# ---- remembered


def test_an_answer_is_believed_for_a_while(able_server: Server, start_grey: StartGrey) -> None:
    clock = FakeClock(50.0)
    server = able_server(RCPT=[UNKNOWN, KNOWN, UNKNOWN])
    grey = start_grey(
        server,
        verify_recipients=Verify.NEW,
        verify_unknown_lifetime=600,
        verify_found_lifetime=3600,
        monotonic=clock,
    )
    for seconds, code, count in (
        (0, "550", 1),
        (599, "550", 1),
        (2, "451", 2),
        (3599, "451", 2),
        (2, "550", 3),
    ):
        grey.settle()
        clock.advance(seconds)
        assert stranger(grey).startswith(code)
        assert asked(server) == count


def test_always_is_each_time(able_server: Server, start_grey: StartGrey) -> None:
    server = able_server(RCPT=[UNKNOWN, KNOWN])
    grey = start_grey(server, verify_recipients=Verify.ALWAYS)
    assert stranger(grey).startswith("550")
    assert stranger(grey).startswith("451")
    assert asked(server) == 2


def test_a_recipients_case_is_no_other_recipient_in_the_domain_only(
    able_server: Server, start_grey: StartGrey
) -> None:
    server = able_server(RCPT=[UNKNOWN, KNOWN])
    grey = start_grey(server, verify_recipients=Verify.NEW)
    assert stranger(grey).startswith("550")
    assert stranger(grey, b"RCPT TO:<b@EXAMPLE.ORG>\r\n").startswith("550")
    assert asked(server) == 1
    assert stranger(grey, b"RCPT TO:<B@example.org>\r\n").startswith("451")


# ---- many at once


def test_the_same_question_of_many_is_asked_once(
    able_server: Server, start_grey: StartGrey
) -> None:
    gate = Gate(UNKNOWN)
    server = able_server(RCPT=gate)
    grey = start_grey(server, verify_recipients=Verify.ALWAYS)
    clients = [grey.client(STRANGER).begin() for _ in range(5)]
    for client in clients:
        client.send(RCPT)
    assert gate.reached.wait(15)
    grey.settle()
    gate.open()
    assert [client.reply() for client in clients] == ["550 5.1.1 User unknown"] * 5
    assert asked(server) == 1


def test_what_was_said_of_the_firsts_sender_is_not_said_to_the_others(
    able_server: Server, start_grey: StartGrey
) -> None:
    gate = Gate(b"550 5.1.8 bad sender\r\n")
    server = able_server(MAIL=gate, RCPT=b"503 5.5.1 MAIL first\r\n")
    grey = start_grey(server, verify_recipients=Verify.NEW)
    first, second = (grey.client(STRANGER).begin() for _ in range(2))
    first.send(RCPT)
    assert gate.reached.wait(15)
    second.send(RCPT)
    grey.settle()
    gate.open()
    assert first.reply() == "550 5.1.8 bad sender"
    assert second.reply().startswith("451 4.7.1 ")


def test_a_harvest_does_not_open_a_connection_for_each_address(
    able_server: Server, start_grey: StartGrey
) -> None:
    server = able_server(BANNER=Act.SILENT)
    grey = start_grey(server, verify_recipients=Verify.NEW)
    waiting: list[Client] = []
    for number in range(CALLOUTS):
        client = grey.client(STRANGER).begin()
        client.send(b"RCPT TO:<b%d@example.org>\r\n" % number)
        waiting.append(client)
    server.wait_for(lambda: len(server.visits) == CALLOUTS)
    assert stranger(grey).startswith("451 4.7.1 ")
    assert len(server.visits) == CALLOUTS


def test_one_connection_serves_one_question_after_the_other(
    able_server: Server, start_grey: StartGrey
) -> None:
    server = able_server()
    grey = start_grey(server, verify_recipients=Verify.ALWAYS, backend_connections_kept=2)
    for _ in range(3):
        assert stranger(grey).startswith("451")
        grey.until(lambda: grey.server.pool.kept == 1)
    assert len(server.visits) == 1


@pytest.mark.parametrize("end", [Act.DROP, b"421 4.4.2 idle\r\n"])
def test_a_question_over_a_connection_gone_stale_is_asked_anew(
    able_server: Server, start_grey: StartGrey, end: Answer
) -> None:
    server = able_server(MAIL=[KNOWN, end, KNOWN], RCPT=[KNOWN, UNKNOWN])
    grey = start_grey(server, verify_recipients=Verify.ALWAYS, backend_connections_kept=2)
    assert stranger(grey).startswith("451")
    grey.until(lambda: grey.server.pool.kept == 1)
    assert stranger(grey).startswith("550")


# ---- ends


@pytest.mark.parametrize("leave", [Client.close, Client.reset])
def test_who_leaves_before_the_answer_harms_nobody(
    able_server: Server, start_grey: StartGrey, leave: Callable[[Client], None]
) -> None:
    gate = Gate(UNKNOWN)
    server = able_server(RCPT=gate)
    grey = start_grey(server, verify_recipients=Verify.NEW)
    first, second = (grey.client(STRANGER).begin() for _ in range(2))
    first.send(RCPT)
    assert gate.reached.wait(15)
    second.send(RCPT)
    grey.settle()
    leave(first)
    grey.settle()
    gate.open()
    assert second.reply() == "550 5.1.1 User unknown"
    assert not any("Traceback" in text for text in grey.log.texts)


def test_a_fault_while_asking_is_no_answer_and_the_stranger_is_deferred(
    able_server: Server, start_grey: StartGrey, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Callout, event: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(Callout, "_hear", fail)
    grey = start_grey(able_server(), verify_recipients=Verify.NEW)
    for _ in range(2):
        assert stranger(grey).startswith("451 4.7.1 ")
    assert any("a fault" in text for text in grey.log.texts)
    grey.until(lambda: not grey.server._era.verifier.children)


def test_at_the_end_of_the_program_nobody_is_waited_for(
    able_server: Server, start_grey: StartGrey
) -> None:
    server = able_server(RCPT=Act.SILENT)
    grey = start_grey(server, verify_recipients=Verify.NEW, drain_timeout=1)
    client = grey.client(STRANGER).begin()
    client.send(RCPT)
    server.wait_for_verb("RCPT")
    grey.shut_down()
    grey.wait_for_end()
    assert client.reply()[:3] in ("421", "451", "")


def test_a_recipient_with_everything_in_its_name_is_asked_about_as_it_is(
    able_server: Server, start_grey: StartGrey
) -> None:
    server = able_server()
    grey = start_grey(
        server,
        verify_recipients=Verify.NEW,
        allowed_senders=Networks([ip_network("127.0.0.3")]),
    )
    client = grey.client(STRANGER)
    assert client.ask(HELLO).startswith("250")
    assert client.ask(MAIL).startswith("250")
    assert client.ask(b'RCPT TO:<"a b"@example.org>\r\n').startswith("451")
    assert server.visit().commands[2] == b'RCPT TO:<"a b"@example.org>'
