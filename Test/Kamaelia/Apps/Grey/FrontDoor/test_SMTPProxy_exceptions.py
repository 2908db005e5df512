"""A fault of our own in one session: that client hears 421, the others hear nothing of it."""

from collections.abc import Callable

import pytest

from Axon.Component import component
from Kamaelia.Apps.Grey.FrontDoor.SMTPProxy import SMTPProxy
from Test.Kamaelia.Apps.Grey.support import HELLO, LETTER, RCPT, FakeServer, Gate, Grey

MailServer = Callable[..., FakeServer]
StartGrey = Callable[..., Grey]


class Planted(Exception):  # noqa: N818 - a name to look for
    """Raised where the test wants it."""


def plant(grey: Grey, member: str, method: str) -> None:
    """Have that method fail in the member of the newest client's graph."""

    def fail(*_: object) -> None:
        raise Planted

    def there() -> component:
        proxy = [each for each in grey.server_tree() if isinstance(each, SMTPProxy)][-1]
        setattr(proxy.components[member], method, fail)
        return proxy

    assert grey.call(there)


@pytest.mark.parametrize(
    ("member", "method"),
    [
        ("SESSION", "_pump"),
        ("DESK", "_handle"),
        ("DESK", "_decided"),
        ("DESK", "_hear"),
        ("DECIDER", "_begin"),
        ("RELAY", "_obey_all"),
        ("RELAY", "_listen"),
    ],
)
def test_the_client_hears_421_the_others_live_and_the_log_names_the_component(
    mail_server: MailServer, start_grey: StartGrey, member: str, method: str
) -> None:
    backend = mail_server()
    grey = start_grey(backend)
    other = grey.client().to_data()
    client = grey.client()
    assert client.ask(HELLO).startswith("250")
    before = len(grey.components())
    plant(grey, member, method)
    client.send(b"MAIL FROM:<a@example.net>\r\n" + RCPT)
    replies = []
    while reply := client.reply():
        replies.append(reply)
    assert replies[-1].startswith("421 4.3.0 internal error, try again later (")
    assert replies[:-1] in ([], ["250 2.1.0 Ok"])
    (text,) = [text for text in grey.log.texts if "Planted" in text]
    kind = {"SESSION": "SMTPServerSession", "DESK": "ProxyDesk", "RELAY": "SMTPClientSession"}
    assert kind.get(member, "GreylistDecider") in text.partition("\n")[0]
    assert other.deliver().startswith("250")
    grey.until(lambda: grey.server.connections == 1)
    grey.until(lambda: len(grey.server_tree()) < before)  # nothing of it is left


@pytest.mark.parametrize("member", ["SESSION", "DESK", "RELAY"])
def test_a_fault_inside_a_message_delivers_nothing(
    mail_server: MailServer, start_grey: StartGrey, member: str
) -> None:
    backend = mail_server()
    grey = start_grey(backend)
    client = grey.client().to_data()
    client.send(LETTER)
    visit = backend.visit()
    backend.wait_for_data(LETTER)
    plant(grey, member, {"SESSION": "_pump", "DESK": "_handle", "RELAY": "_obey_all"}[member])
    client.send(LETTER)
    assert client.reply().startswith("421 4.3.0 ")
    assert visit.ended.wait(15)
    assert visit.messages == []
    assert grey.outcome()["outcome"] == "abandoned"


def test_a_fault_after_the_dot_is_never_a_250(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    gate = Gate(b"250 2.0.0 Ok\r\n")
    grey = start_grey(mail_server(DOT=gate))
    client = grey.client().to_data()
    client.send(LETTER + b".\r\n")
    assert gate.reached.wait(15)
    grey.settle()
    plant(grey, "DESK", "_hear")
    gate.open()
    assert client.reply().startswith("421 4.3.0 ")
    assert client.is_closed()
    assert grey.outcome()["outcome"] == "unknown"


def test_a_client_whose_graph_cannot_be_made_is_hung_up_on_and_the_next_is_served(
    mail_server: MailServer, start_grey: StartGrey, monkeypatch: pytest.MonkeyPatch
) -> None:
    grey = start_grey(mail_server())

    def fail() -> None:
        raise Planted

    with monkeypatch.context() as patched:
        patched.setattr(grey.server, "make_decider", fail)
        assert grey.client().banner == ""
    assert grey.client().banner.startswith("220 ")
    assert any("Planted" in text for text in grey.log.texts)
