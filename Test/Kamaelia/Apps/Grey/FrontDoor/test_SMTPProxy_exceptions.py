"""A fault of our own in one session: that client hears 421, the others hear nothing of it."""

from collections.abc import Callable
from types import MethodType

import pytest

from Axon.AtOnce import AtOnce
from Axon.Component import component
from Kamaelia.Apps.Grey.FrontDoor.ProxyDesk import ProxyDesk
from Kamaelia.Apps.Grey.FrontDoor.SMTPProxy import SMTPProxy
from Kamaelia.Protocol.SMTPClient import SMTPClientSession
from Test.Kamaelia.Apps.Grey.support import HELLO, LETTER, RCPT, FakeServer, Gate, Grey

MailServer = Callable[..., FakeServer]
StartGrey = Callable[..., Grey]


class Planted(Exception):  # noqa: N818 - a name to look for
    """Raised where the test wants it."""


def plant(grey: Grey, kind: type[component], box: str) -> None:
    """Have the newest of that kind fail at whatever comes to that box next."""

    def fail(_: object) -> None:
        raise Planted

    def there() -> component:
        found = [each for each in grey.server_tree() if isinstance(each, kind)][-1]
        storage = found.inboxes[box].q
        assert isinstance(storage, AtOnce)
        fails = MethodType(lambda self, _: fail(_), found)
        found.inboxes[box].q = AtOnce(found, fails)
        return found

    assert grey.call(there)


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        (SMTPProxy, "take"),
        (SMTPProxy, "_seat_desk"),
        (ProxyDesk, "_handle"),
        (ProxyDesk, "_decided"),
        (ProxyDesk, "_hear"),
    ],
)
def test_the_client_hears_421_the_others_live_and_the_log_names_the_component(
    mail_server: MailServer,
    start_grey: StartGrey,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[component],
    method: str,
) -> None:
    backend = mail_server()
    grey = start_grey(backend)
    other = grey.client().to_data()
    client = grey.client()
    assert client.ask(HELLO).startswith("250")
    before = len(grey.components())

    def fail(*_: object) -> None:
        raise Planted

    with monkeypatch.context() as patched:
        patched.setattr(kind, method, fail)
        client.send(b"MAIL FROM:<a@example.net>\r\n" + RCPT)
        replies = []
        while reply := client.reply():
            replies.append(reply)
    assert replies[-1].startswith("421 4.3.0 internal error, try again later (")
    assert replies[:-1] in ([], ["250 2.1.0 Ok"])
    (text,) = [text for text in grey.log.texts if "Planted" in text]
    assert kind.__name__ in text.partition("\n")[0]
    assert other.deliver().startswith("250")
    grey.until(lambda: grey.server.connections == 1)
    grey.until(lambda: len(grey.server_tree()) < before)  # nothing of it is left


def test_a_fault_in_the_connection_to_the_mail_server_is_a_connection_lost(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    grey = start_grey(mail_server())
    other = grey.client().to_data()
    client = grey.client().begin()
    assert client.ask(RCPT).startswith("250")
    plant(grey, SMTPClientSession, "_received")
    assert client.ask(RCPT).startswith("451 4.4.2")
    assert other.deliver().startswith("250")
    assert any("Planted" in text for text in grey.log.texts)


@pytest.mark.parametrize(
    ("kind", "reply"), [(ProxyDesk, "421 4.3.0 "), (SMTPClientSession, "451 4.4.2 ")]
)
def test_a_fault_inside_a_message_delivers_nothing(
    mail_server: MailServer, start_grey: StartGrey, kind: type[component], reply: str
) -> None:
    backend = mail_server()
    grey = start_grey(backend)
    client = grey.client().to_data()
    client.send(LETTER)
    visit = backend.visit()
    backend.wait_for_data(LETTER)
    plant(grey, kind, "inbox")
    client.send(LETTER + b".\r\n")
    assert client.reply().startswith(reply)
    assert visit.ended.wait(15)
    assert visit.messages == []
    assert grey.outcome()["outcome"] in ("abandoned", "unknown")


def test_a_fault_after_the_dot_is_never_a_250(
    mail_server: MailServer, start_grey: StartGrey
) -> None:
    gate = Gate(b"250 2.0.0 Ok\r\n")
    grey = start_grey(mail_server(DOT=gate))
    client = grey.client().to_data()
    client.send(LETTER + b".\r\n")
    assert gate.reached.wait(15)
    grey.settle()
    plant(grey, ProxyDesk, "backend")
    gate.open()
    assert client.reply().startswith("421 4.3.0 ")
    assert client.is_closed()
    assert grey.outcome()["outcome"] == "unknown"


def test_a_client_whose_graph_cannot_be_made_is_hung_up_on_and_the_next_is_served(
    mail_server: MailServer, start_grey: StartGrey, monkeypatch: pytest.MonkeyPatch
) -> None:
    grey = start_grey(mail_server())

    def fail(*_: object, **__: object) -> None:
        raise Planted

    with monkeypatch.context() as patched:
        patched.setattr(SMTPProxy, "__init__", fail)
        assert grey.client().banner == ""
    assert grey.client().banner.startswith("220 ")
    assert any("Planted" in text for text in grey.log.texts)
