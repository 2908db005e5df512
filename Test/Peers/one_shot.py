"""
Real clients without a queue
============================
swaks, curl and msmtp are run once for each try. Each function gives the command for it; the message
is in the file `letter`, as `prepare` has written it for that program.

What they exit with when a recipient was refused for now is in DEFERRED.
"""

from collections.abc import Callable
from pathlib import Path

from Test.System.clients import Mail, stuffed

HELO = "client.example.net"
Address = tuple[str, int]
# swaks(1): "error with recipient"; curl(1): "failed sending network data"; EX_UNAVAILABLE, which
# msmtp gives for a recipient refused with 4xx, too.
DEFERRED = {"swaks": 24, "curl": 55, "msmtp": 69}


def _swaks(mail: Mail, letter: Path, server: Address) -> list[str]:
    letter.write_bytes(stuffed(mail.content()).removesuffix(b"\r\n"))  # swaks adds that
    return [
        *("--server", server[0], "--port", str(server[1]), "--helo", HELO),
        *("--from", mail.sender, "--to", mail.recipient),
        *("--data", f"@{letter}", "--no-data-fixup", "--suppress-data"),
    ]


def _curl(mail: Mail, letter: Path, server: Address) -> list[str]:
    letter.write_bytes(mail.content())
    return [
        *("--silent", "--show-error", f"smtp://{server[0]}:{server[1]}/{HELO}"),
        *("--mail-from", mail.sender, "--mail-rcpt", mail.recipient),
        *("--upload-file", str(letter)),
    ]


def _msmtp(mail: Mail, letter: Path, server: Address) -> list[str]:
    """It takes lines as the system has them, from its input."""
    letter.write_bytes(mail.content().replace(b"\r\n", b"\n"))
    return [
        *("--host", server[0], "--port", str(server[1]), f"--domain={HELO}"),
        *("--from", mail.sender, "--", mail.recipient),
    ]


ONE_SHOT: dict[str, Callable[[Mail, Path, Address], list[str]]] = {
    "swaks": _swaks,
    "curl": _curl,
    "msmtp": _msmtp,
}
