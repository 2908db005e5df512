"""
What one client is offered
==========================
Capabilities say what we could offer to anybody; an Offer is what this client may use now, and what
that comes to: the reply to EHLO and the limits of its messages.

>>> ours = Capabilities(pipelining=True, starttls=True, auth=(b"PLAIN",), requiretls=True)
>>> make_offer("mx.example.org", ours, ServerLimits()).ehlo
b'250-mx.example.org\\r\\n250-PIPELINING\\r\\n250 STARTTLS\\r\\n'
>>> make_offer("mx.example.org", ours, ServerLimits(), tls=True).ehlo
b'250-mx.example.org\\r\\n250-PIPELINING\\r\\n250-AUTH PLAIN\\r\\n250 REQUIRETLS\\r\\n'

The rules. Under TLS there is no STARTTLS any more (RFC 3207, section 4.2). Without it there is no
AUTH, which would show passwords to the whole way, and no REQUIRETLS (RFC 8689, section 2). XCLIENT
is for listed fronts only.

An offer is the same for all clients until the server behind us changes, so it is made once. What is
remembered here is keyed by what the configuration and that server say, never by a client.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

from Kamaelia.Support.Protocol.SMTP.Address import LOCAL_PART_BYTES
from Kamaelia.Support.Protocol.SMTP.Body import DEFAULT_BODY_LIMITS, BodyLimits
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.Replies import Reply


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What one client may ask of us before it is told to stop."""

    command_bytes: int = 2_048  # RFC 5321 wants 512, each extension adds some
    hello_bytes: int = 255  # the length of a domain name
    local_part_bytes: int = LOCAL_PART_BYTES
    max_recipients: int = 1_000
    max_errors: int = 20
    max_idle_commands: int = 100  # NOOP, RSET, VRFY, HELP; more of them count as errors
    line_bytes: int = 65_535  # of a message; wrapping longer ones would break DKIM
    message_bytes: int = 1 << 30  # only where EHLO named no smaller SIZE
    max_auth_failures: int = 3
    forbid_early_talk: bool = True  # before the greeting and behind DATA; behind STARTTLS always
    forbid_pipelined_hello: bool = True  # behind EHLO and HELO


DEFAULT_LIMITS = ServerLimits()


@dataclass(frozen=True, slots=True)
class Offer:
    """What a client may use, and what follows from it."""

    capabilities: Capabilities
    ehlo: bytes  # the replies as they go out
    helo: bytes
    auth_hidden: bool  # AUTH would be offered under TLS
    message_limits: BodyLimits
    max_recipients: int


# Before EHLO: nothing.
NO_OFFER = Offer(Capabilities(), b"", b"", False, DEFAULT_BODY_LIMITS, 0)


@lru_cache(maxsize=64)
def make_banner(hostname: str, text: str) -> bytes:
    """Write the greeting. ValueError if it would have control characters."""
    return Reply.of(220, "", f"{hostname} {text}").to_wire()


@lru_cache(maxsize=64)
def make_offer(
    hostname: str,
    capabilities: Capabilities,
    limits: ServerLimits,
    tls: bool = False,
    xclient_allowed: bool = False,
) -> Offer:
    """Hide what this client may not use now, and write the replies to EHLO and HELO.

    hostname: ASCII. ValueError if it cannot stand in a reply.
    """
    hidden = bool(capabilities.auth) and not tls
    shown = replace(
        capabilities,
        starttls=capabilities.starttls and not tls,
        auth=capabilities.auth if tls else (),
        requiretls=capabilities.requiretls and tls,
        xclient=capabilities.xclient if xclient_allowed else frozenset(),
    )
    name = hostname.encode("ascii")
    size = limits.message_bytes if shown.size is None else shown.size
    named = dict(shown.limits).get(b"RCPTMAX", limits.max_recipients)
    return Offer(
        capabilities=shown,
        ehlo=Reply(250, (name, *shown.ehlo_keywords())).to_wire(),
        helo=Reply(250, (name,)).to_wire(),
        auth_hidden=hidden,
        message_limits=BodyLimits(limits.line_bytes, size),
        max_recipients=min(named, limits.max_recipients),
    )
