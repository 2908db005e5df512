"""What one client is offered, and what is hidden from it."""

import pytest

from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.Offer import ServerLimits, make_offer

ALL = Capabilities(
    starttls=True, auth=(b"PLAIN",), requiretls=True, xclient=frozenset([b"ADDR"]), chunking=True
)
LIMITS = ServerLimits()


@pytest.mark.parametrize(
    ("tls", "xclient", "lines"),
    [
        (False, False, [b"mx", b"STARTTLS", b"CHUNKING"]),
        (False, True, [b"mx", b"STARTTLS", b"CHUNKING", b"XCLIENT ADDR"]),
        (True, False, [b"mx", b"AUTH PLAIN", b"CHUNKING", b"REQUIRETLS"]),
        (True, True, [b"mx", b"AUTH PLAIN", b"CHUNKING", b"REQUIRETLS", b"XCLIENT ADDR"]),
    ],
)
def test_what_a_client_may_not_use_now_is_not_named(
    tls: bool, xclient: bool, lines: list[bytes]
) -> None:
    offer = make_offer("mx", ALL, LIMITS, tls, xclient)
    assert [line[4:] for line in offer.ehlo.splitlines()] == lines
    assert offer.helo == b"250 mx\r\n"
    assert offer.auth_hidden is not tls
    assert (offer.capabilities.takes("AUTH"), offer.capabilities.takes("REQUIRETLS")) == (tls, tls)


def test_the_limits_of_a_message_are_those_that_were_named() -> None:
    named = Capabilities(size=70_000, size_offered=True, limits=((b"RCPTMAX", 5),))
    offer = make_offer("mx", named, ServerLimits(line_bytes=999, max_recipients=50))
    assert (offer.message_limits.line_bytes, offer.message_limits.message_bytes) == (999, 70_000)
    assert offer.max_recipients == 5
    assert make_offer("mx", named, ServerLimits(max_recipients=3)).max_recipients == 3
    assert make_offer("mx", Capabilities(), LIMITS).message_limits.message_bytes == 1 << 30


def test_an_offer_that_was_made_is_not_made_again() -> None:
    again = Capabilities(starttls=True)
    assert make_offer("mx", again, LIMITS) is make_offer("mx", Capabilities(starttls=True), LIMITS)


def test_a_name_that_would_break_the_reply_is_refused() -> None:
    with pytest.raises(ValueError, match="control character"):
        make_offer("mx\r\n250 x", ALL, LIMITS)
