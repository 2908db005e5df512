"""Fixtures of the system tests; what they start is in processes.py and postfix_server.py."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from Test.System.postfix_server import PostfixServer
from Test.System.processes import CheckingSink, Grey, SmtpSink


@pytest.fixture(scope="session")
def postfix(find_program: Callable[[str], Path]) -> Iterator[PostfixServer]:
    """A real Postfix; mark the test with needs("postfix") as well. Give each test its own sender:
    they share the mailboxes."""
    if os.geteuid() != 0:
        pytest.skip("only root can start Postfix")
    with PostfixServer(find_program("postfix")) as server:
        yield server


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[CheckingSink]:
    with CheckingSink(tmp_path) as server:
        yield server


@pytest.fixture
def grey(tmp_path: Path, sink: CheckingSink) -> Iterator[Grey]:
    """kamaelia-grey before the checking sink."""
    with Grey(tmp_path, sink.port) as program:
        yield program


@pytest.fixture
def grey_before_postfix(tmp_path: Path, postfix: PostfixServer) -> Iterator[Grey]:
    with Grey(tmp_path, postfix.port) as program:
        yield program


@pytest.fixture
def smtp_sink(tmp_path: Path, find_program: Callable[[str], Path]) -> Iterator[SmtpSink]:
    """Postfix's smtp-sink; mark the test with needs("smtp-sink") as well."""
    with SmtpSink(find_program("smtp-sink"), tmp_path) as server:
        yield server
