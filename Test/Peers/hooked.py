"""
An aiosmtpd server with hooks
=============================
It runs in a thread of the test. Its hooks know the same users as the other servers, keep each mail
as it came, with the parameters that came with it, and refuse what a test wants refused.

    with Hooked({"Subject: bad": "554 5.7.1 no such mail"}) as server: ...
"""

from dataclasses import dataclass
from typing import Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from Test.Peers.peer import USERS
from Test.System.processes import free_port


@dataclass(frozen=True, slots=True)
class Kept:
    """A mail as the hooks saw it."""

    sender: str
    options: tuple[str, ...]
    recipients: tuple[str, ...]
    content: bytes


class _Hooks:
    """aiosmtpd calls these by name."""

    def __init__(self, refused: dict[str, str]) -> None:
        self.kept: list[Kept] = []
        self._refused = refused

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session, options
        user, _, domain = address.partition("@")
        if domain != "example.org" or user not in USERS:
            return "550 5.1.1 the hook knows nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 the hook knows"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        del server, session
        content = envelope.original_content or b""
        for words, reply in self._refused.items():
            if words.encode("ascii") in content:
                return reply
        options = tuple(envelope.mail_options)
        recipients = tuple(filter(None, envelope.rcpt_tos))
        self.kept.append(Kept(envelope.mail_from or "", options, recipients, content))
        return f"250 2.0.0 the hook has {len(self.kept)}"


class Hooked:
    """Hooked(refused={}) -> the server; refused: words of a message, its reply after the dot."""

    def __init__(self, refused: dict[str, str] | None = None) -> None:
        self.port = free_port()
        self._hooks = _Hooks(refused or {})
        self._controller = Controller(
            self._hooks,
            hostname="127.0.0.1",
            port=self.port,
            server_hostname="mail.example.org",
            enable_SMTPUTF8=True,
            data_size_limit=20_000_000,
        )

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    @property
    def kept(self) -> list[Kept]:
        """All that it has taken."""
        return list(self._hooks.kept)

    def mailbox(self, user: str) -> list[bytes]:
        """What it has taken for that user, with line ends as the system has them."""
        address = f"{user}@example.org"
        return [
            kept.content.replace(b"\r\n", b"\n") for kept in self.kept if address in kept.recipients
        ]
