"""
What has arrived at a server
============================
Each server here has `mailbox(user)`; this finds one mail in it::

    message = only_copy(exim, mail)
    assert body_of(message) == body_of(mail.content())
"""

import re
from typing import Protocol

from Test.System.clients import Mail
from Test.System.processes import wait_until


class Keeper(Protocol):
    """A server that shows what it has delivered."""

    def mailbox(self, user: str) -> list[bytes]: ...


def copies(server: Keeper, mail: Mail) -> list[bytes]:
    """What the recipient has of it by now, with the server's own header lines."""
    words = f"X-Id: {mail.name}\n".encode("ascii")
    user = mail.recipient.partition("@")[0]
    return [message for message in server.mailbox(user) if words in message]


def only_copy(server: Keeper, mail: Mail) -> bytes:
    """Wait for it to arrive; there must be one."""
    wait_until(f"{mail.name} in the mailbox", lambda: copies(server, mail))
    (message,) = copies(server, mail)
    return message


def body_of(message: bytes) -> bytes:
    """What follows the head, with line ends as the system has them."""
    return message.replace(b"\r\n", b"\n").partition(b"\n\n")[2]


def received(message: bytes) -> str:
    """Its first line `Received:`, which its server wrote, as one line."""
    found = re.search(rb"^Received: .*(?:\n[ \t].*)*", message, re.MULTILINE)
    assert found is not None, message[:1_000]
    return b" ".join(found[0].split()).decode("ascii")
