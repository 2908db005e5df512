"""Fixtures of the tests of the front door; see servers.py in the folder above."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from Kamaelia.Apps.Grey.FrontDoor.Backend import Backend
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Test.Kamaelia import tls
from Test.Kamaelia.Apps.Grey.servers import AbleServer, Caller
from Test.Kamaelia.Apps.Grey.support import ABILITIES, Grey


@pytest.fixture
def able_server() -> Iterator[Callable[..., AbleServer]]:
    """Give the function that starts a mail server with abilities of the test's own."""
    made: list[AbleServer] = []

    def start(**settings: Any) -> AbleServer:  # noqa: ANN401 - of AbleServer
        made.append(AbleServer(**settings))
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.fixture
def call() -> Iterator[Callable[..., Caller]]:
    """Give the function that connects to a greylister, or to an address."""
    made: list[Caller] = []

    def connect(grey: Grey | tuple[str, int], *first: Any, **how: Any) -> Caller:  # noqa: ANN401
        address = grey.address if isinstance(grey, Grey) else grey
        made.append(Caller(address, *first, **how))
        return made[-1]

    yield connect
    for each in made:
        each.close()


@pytest.fixture
def start_before(start_grey: Callable[..., Grey]) -> Callable[..., Grey]:
    """Give the function that starts a greylister before several mail servers, which all offer the
    same: rows of (server, priority, domain)."""

    def start(
        *rows: tuple[AbleServer | tuple[str, int], int, str],
        abilities: Capabilities = ABILITIES,
        **settings: Any,  # noqa: ANN401 - of Grey
    ) -> Grey:
        backends = tuple(
            (*(row[0] if isinstance(row[0], tuple) else row[0].address), row[1], row[2])
            for row in rows
        )
        grey = start_grey(
            ("127.0.0.1", 1),
            backends=backends,
            abilities=None,
            **{"allowed_domains": frozenset({"example.org", "example.com"}), **settings},
        )

        def learn() -> None:
            each: Backend
            for each in grey.server.pool.backends.all:
                each.learn(abilities)

        grey.call(learn)
        return grey

    return start


@pytest.fixture
def certificate(tmp_path: Path) -> Callable[..., Path]:
    """Give the function that writes a certificate for these names, with its key, into one file."""

    def write(*names: str, file: str = "mx.pem") -> Path:
        leaf = tls.authority().issue_cert(*(names or (tls.NAME,)))
        path = tmp_path / file
        path.write_bytes(leaf.private_key_and_cert_chain_pem.bytes())
        return path

    return write
