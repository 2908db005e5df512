"""What is known of the real mail servers, and what may be offered because of it."""

from Kamaelia.Apps.Grey.FrontDoor.Backend import Backend, offered_by
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities

EVERYTHING = Capabilities(9_000, True, True, True, True, True, True)
OWN = Capabilities(5_000, True, True, True, True, True, True)


def server(seen: Capabilities | None) -> Backend:
    backend = Backend("192.0.2.1", 25)
    if seen is not None:
        backend.learn(seen)
    return backend


def test_of_an_unknown_server_nothing_is_promised_but_what_is_our_own() -> None:
    backend = Backend("192.0.2.1", 25)
    assert (backend.host, backend.port, backend.known) == ("192.0.2.1", 25, False)
    assert str(backend) == "192.0.2.1 port 25"
    for backends in ([], [backend]):
        keywords = offered_by(backends, OWN).ehlo_keywords()
        assert sorted(keywords) == [b"PIPELINING", b"SIZE 5000"]


def test_what_both_can_is_offered() -> None:
    backend = server(EVERYTHING)
    assert backend.known
    assert offered_by([backend], OWN) == OWN
    assert offered_by([backend], Capabilities(10_000, True)).size == 9_000
    assert not offered_by([backend], Capabilities(10_000, True)).dsn


def test_what_one_of_several_servers_cannot_is_not_offered() -> None:
    # Which of them will get the mail is not known when EHLO is answered.
    backends = [server(EVERYTHING), server(Capabilities(3_000, dsn=True)), server(None)]
    offer = offered_by(backends, OWN)
    assert offer.dsn
    assert not offer.eightbitmime
    assert not offer.smtputf8
    assert offer.size == 3_000


def test_the_ways_to_log_in_are_those_of_the_first_server() -> None:
    own = Capabilities(auth=(b"*",))
    first, second = server(Capabilities(auth=(b"PLAIN",))), server(Capabilities(auth=(b"LOGIN",)))
    assert offered_by([first, second], own).auth == (b"PLAIN",)
    assert offered_by([server(None), second, first], own).auth == (b"LOGIN",)


def test_it_is_news_only_when_something_changes() -> None:
    backend = Backend("192.0.2.1", 25)
    assert backend.learn(Capabilities())  # to be reached at all is news
    assert not backend.learn(Capabilities())
    assert backend.learn(EVERYTHING)
    assert not backend.learn(EVERYTHING)


def test_an_offer_changes_with_what_is_learned() -> None:
    backend = server(EVERYTHING)
    assert offered_by([backend], OWN).dsn
    backend.learn(Capabilities(size=100, size_offered=True))
    assert not offered_by([backend], OWN).dsn
    assert offered_by([backend], OWN).size == 100


def test_it_takes_what_it_has_offered_last_and_size_always() -> None:
    backend = server(EVERYTHING)
    assert backend.takes(["BODY", "SIZE", "RET", "ENVID", "SMTPUTF8", "NOTIFY"])
    backend.learn(Capabilities())
    assert not backend.takes(["SIZE", "RET"])
    for nothing in (backend, server(None)):
        assert nothing.takes(["SIZE"])
        assert not nothing.takes(["BODY"])
