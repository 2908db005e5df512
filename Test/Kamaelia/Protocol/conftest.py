"""What the tests of the SMTP components share: mail servers in threads, closed afterwards."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from Test.Kamaelia.Apps.Grey.support import FakeServer


@pytest.fixture
def server() -> Iterator[Callable[..., FakeServer]]:
    made: list[FakeServer] = []

    def start(**answers: Any) -> FakeServer:  # noqa: ANN401 - said by FakeServer
        made.append(FakeServer(**answers))
        return made[-1]

    yield start
    for each in made:
        each.close()
