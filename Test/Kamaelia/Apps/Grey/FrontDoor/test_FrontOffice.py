"""What the sessions of a process share."""

import os
import re
import ssl
from dataclasses import replace

import pytest

from Axon.Component import component
from Kamaelia.Apps.Grey.FrontDoor.Admission import FULL, MEMORY
from Kamaelia.Apps.Grey.FrontDoor.Backend import Backend
from Kamaelia.Apps.Grey.FrontDoor.Backends import BackendRule, Backends
from Kamaelia.Apps.Grey.FrontDoor.FrontOffice import FrontOffice, ProxySettings
from Kamaelia.Apps.Grey.FrontDoor.RelayPool import RelayPool, RelaySettings
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Test.Kamaelia import tls
from Test.Kamaelia.Apps.Grey.support import ABILITIES


def office(
    *ports: int, context: ssl.SSLContext | None = None, settings: ProxySettings | None = None
) -> FrontOffice:
    rules = [BackendRule("127.0.0.1", port) for port in ports or (1,)]
    backends = Backends(rules, lambda rule: Backend(rule.host, rule.port), lambda: 0.5)
    return FrontOffice(
        settings or ProxySettings("mx.example.org"),
        RelayPool(backends, RelaySettings("mx.example.org")),
        component(),
        component(),
        lambda: 0.0,
        context=None if context is None else lambda: context,
    )


def test_before_a_server_was_reached_nothing_of_its_is_promised() -> None:
    offer = office().offered()
    assert (offer.pipelining, offer.size_offered) == (True, True)
    assert not any((offer.eightbitmime, offer.smtputf8, offer.dsn, offer.auth))


def test_what_the_server_offers_is_offered_and_what_it_does_not_is_not() -> None:
    ours = office()
    (backend,) = ours.pool.backends.all
    backend.learn(ABILITIES)
    assert ours.offered().dsn
    backend.learn(replace(ABILITIES, dsn=False))
    assert not ours.offered().dsn
    assert ours.offered().smtputf8


def test_of_several_servers_what_all_of_them_offer() -> None:
    ours = office(1, 2)
    first, second = ours.pool.backends.all
    first.learn(ABILITIES)
    assert ours.offered().dsn  # the other was never reached
    second.learn(replace(ABILITIES, dsn=False, size=1000))
    offer = ours.offered()
    assert (offer.dsn, offer.smtputf8, offer.size) == (False, True, 1000)


def test_logging_in_is_offered_as_the_first_server_does() -> None:
    ours = office(1, 2)
    first, second = ours.pool.backends.all
    first.learn(replace(ABILITIES, auth=(b"PLAIN", b"LOGIN")))
    second.learn(replace(ABILITIES, auth=(b"CRAM-MD5",)))
    assert ours.offered().auth == (b"PLAIN", b"LOGIN")
    first.learn(ABILITIES)
    assert ours.offered().auth == ()


@pytest.mark.parametrize("size", [1000, 100_000_000])
def test_the_smaller_size_is_offered(size: int) -> None:
    ours = office(settings=ProxySettings("mx.example.org", size_limit=65_536))
    (backend,) = ours.pool.backends.all
    backend.learn(replace(ABILITIES, size=size))
    assert ours.offered().size == min(size, 65_536)


def test_xclient_is_for_fronts_only() -> None:
    ours = office()
    (backend,) = ours.pool.backends.all
    backend.learn(replace(ABILITIES, xclient=frozenset([b"ADDR"])))
    assert ours.offered().xclient == frozenset()
    assert b"ADDR" in ours.offered(to_front=True).xclient


@pytest.mark.parametrize("chunking", [False, True])
def test_chunking_is_ours_whatever_the_server_has(chunking: bool) -> None:
    ours = office(settings=ProxySettings("mx.example.org", chunking=chunking))
    (backend,) = ours.pool.backends.all
    backend.learn(replace(ABILITIES, chunking=not chunking))
    assert ours.offered().chunking is chunking


def test_encryption_is_offered_with_a_certificate() -> None:
    context = tls.server_context()
    assert not office().offered().starttls
    assert office().context() is None
    ours = office(context=context)
    assert ours.offered().starttls
    assert ours.context() is context


def test_the_same_offer_is_the_same_object() -> None:
    ours = office()
    (backend,) = ours.pool.backends.all
    backend.learn(ABILITIES)
    first = ours.offered()
    assert ours.offered() is first  # made once, for thousands of clients
    assert backend.learn(Capabilities()) is True
    assert ours.offered() is not first


def test_refusals_are_a_line_in_the_log_and_no_more_than_one_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ours = office()
    for now in (0.0, 1.0, 59.0):
        ours.refused(FULL, "192.0.2.1", now)
    ours.refused(MEMORY, "192.0.2.2\nx", 1.0)
    ours.refused(FULL, "192.0.2.3", 61.0)
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split(":")[0] for line in lines] == [
        "refused 1 connection",
        "refused 1 connection",
        "refused 3 connections",
    ]
    assert all(line.isprintable() for line in lines)


def test_the_end_of_a_flood_is_told_of_when_its_time_has_come_or_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ours = office()
    for refusal in (FULL, FULL, FULL, MEMORY, MEMORY):
        ours.refused(refusal, "192.0.2.1", 0.0)
    caplog.clear()
    ours.tell_refused(59.0)
    assert caplog.messages == []
    ours.tell_refused(60.0)
    assert [text.split(":")[0] for text in caplog.messages] == [
        "refused 2 connections",
        "refused 1 connection",
    ]
    ours.refused(FULL, "192.0.2.1", 61.0)
    caplog.clear()
    ours.tell_refused(61.0, all_of_it=True)
    ours.tell_refused(61.0, all_of_it=True)
    assert caplog.messages == ["refused 1 connection: too many connections"]


def test_no_id_comes_twice() -> None:
    ours, other = office(), office()
    ids = [each.new_id() for each in (ours, other) for _ in range(1000)]
    assert len(set(ids)) == 2000
    assert all(re.fullmatch(r"[0-9a-f]{10}", each) for each in ids)


def test_a_child_process_has_ids_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = office()
    ours.new_id()
    waiting = list(ours._ids)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert ours.new_id() not in waiting
    assert not set(ours._ids) & set(waiting)


def test_the_local_address_is_one_object_for_all_at_a_door() -> None:
    ours = office()
    first = ours.local_address("192.0.2.1", 25)
    assert first == ("192.0.2.1", 25)
    assert ours.local_address("192.0.2.1", 25) is first
    assert ours.local_address("192.0.2.1", 465) == ("192.0.2.1", 465)


@pytest.mark.parametrize("offered", [True, False])
def test_what_cannot_be_encrypted_need_not_be_prepared_for_it(offered: bool) -> None:
    assert office(context=tls.server_context() if offered else None).may_encrypt is offered
