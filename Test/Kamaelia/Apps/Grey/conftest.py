"""Fixtures of the tests of the whole greylister; see support.py beside this file."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from Test.Kamaelia.Apps.Grey.support import FakeServer, Grey


@pytest.fixture
def mail_server() -> Iterator[Callable[..., FakeServer]]:
    """Give the function that starts a mail server with answers of the test's own."""
    made: list[FakeServer] = []

    def start(**answers: Any) -> FakeServer:  # noqa: ANN401 - of FakeServer
        made.append(FakeServer(**answers))
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.fixture
def start_grey() -> Iterator[Callable[..., Grey]]:
    """Give the function that starts a greylister before a mail server (or an address)."""
    made: list[Grey] = []

    def start(server: FakeServer | tuple[str, int], **settings: Any) -> Grey:  # noqa: ANN401 - of Grey
        address = server.address if isinstance(server, FakeServer) else server
        made.append(Grey(address, **settings))
        return made[-1].start()

    yield start
    for each in made:
        each.close()
