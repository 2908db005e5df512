"""Relaying is looked into whatever our domains are called."""

from __future__ import annotations

from collections.abc import Callable

from Kamaelia.Apps.Grey.Config.Loader import loads
from Kamaelia.Apps.Grey.FrontDoor.RelayCheck import examine
from Test.Kamaelia.Apps.Grey.support import FakeServer


def test_a_domain_that_is_not_ascii_is_no_fault(mail_server: Callable[..., FakeServer]) -> None:
    server = mail_server()  # which takes everything
    text = f"allowed_domains = bücher.example\nsmtp_port = {server.address[1]}\n"
    (problem,) = examine(loads(text)).problems
    assert "relays" in problem
