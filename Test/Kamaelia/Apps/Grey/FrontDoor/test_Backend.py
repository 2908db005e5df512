"""What is known of the real mail server, and what may be offered because of it."""

from Kamaelia.Apps.Grey.FrontDoor.Backend import Backend
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities

EVERYTHING = Capabilities(9_000, True, True, True, True, True, True)


def test_of_an_unknown_server_nothing_is_promised_but_what_is_our_own() -> None:
    backend = Backend("192.0.2.1", 25)
    assert (backend.host, backend.port, backend.known) == ("192.0.2.1", 25, False)
    assert backend.offered(5_000).ehlo_keywords() == (b"PIPELINING", b"SIZE 5000")


def test_what_both_can_is_offered() -> None:
    backend = Backend("192.0.2.1", 25)
    assert backend.learn(EVERYTHING)
    assert backend.known
    assert backend.offered(5_000) == Capabilities(5_000, True, True, True, True, True, True)
    assert backend.offered(10_000).size == 9_000


def test_it_is_news_only_when_something_changes() -> None:
    backend = Backend("192.0.2.1", 25)
    assert backend.learn(Capabilities())  # to be reached at all is news
    assert not backend.learn(Capabilities())
    assert backend.learn(EVERYTHING)
    assert not backend.learn(EVERYTHING)


def test_an_offer_changes_with_what_is_learned() -> None:
    backend = Backend("192.0.2.1", 25)
    backend.learn(EVERYTHING)
    assert backend.offered(5_000).dsn
    assert backend.offered(5_000) is backend.offered(5_000)  # not worked out for each client
    backend.learn(Capabilities(size=100, size_offered=True))
    assert not backend.offered(5_000).dsn
    assert backend.offered(5_000).size == 100
