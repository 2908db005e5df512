"""ConsoleEcho: the older name of the ConsoleEchoer."""

import pytest

from Axon.Testing import drive
from Kamaelia.Util import ConsoleEcho
from Kamaelia.Util.Console import ConsoleEchoer


def test_the_older_name_shows_messages_and_forwards_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    echoer = ConsoleEcho.consoleEchoer(forwarder=True)
    assert isinstance(echoer, ConsoleEchoer)
    assert drive(echoer, inbox=["hello"])["outbox"] == ["hello"]
    assert capsys.readouterr().out == "hello"
