"""EchoProtocol: all comes back, none is lost at the end, and a slow peer is not outrun."""

import pytest

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, virtual_scheduler
from Kamaelia.IPC import serverShutdown, socketShutdown
from Kamaelia.Protocol.EchoProtocol import EchoProtocol
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {EchoProtocol: Ends(EchoProtocol)}


def test_what_comes_in_comes_back_in_order() -> None:
    assert drive(EchoProtocol(), inbox=[b"a", b"", b"bc"])["outbox"] == [b"a", b"", b"bc"]


def test_what_a_server_says_of_the_peer_becomes_attributes() -> None:
    echo = EchoProtocol(peer="127.0.0.1", peerport=40000)
    assert echo.__dict__["peer"] == "127.0.0.1"


@pytest.mark.parametrize("stop", [producerFinished(), socketShutdown(), "enough"])
def test_any_other_control_message_ends_it_after_what_came_before_was_sent_back(
    stop: object,
) -> None:
    out = drive(EchoProtocol(), inbox=[b"a", b"b"], control=[stop])
    assert (out["outbox"], out["signal"][0]) == ([b"a", b"b"], stop)


@pytest.mark.parametrize("stop", [shutdownMicroprocess(), serverShutdown()])
def test_a_shutdown_microprocess_ends_it_at_once(stop: object) -> None:
    out = drive(EchoProtocol(), inbox=[b"a"], control=[stop, producerFinished()])
    assert (out["outbox"], out["signal"]) == ([], [stop])


def test_a_peer_that_does_not_read_is_not_sent_more_and_nothing_is_lost() -> None:
    echo, socket = EchoProtocol(), component()
    socket.setInboxSize("inbox", 2)
    socket.link((echo, "outbox"), (socket, "inbox"))
    for number in range(5):
        echo.inboxes["inbox"].deliver(number)
    echo.inboxes["control"].deliver(producerFinished())
    runner = virtual_scheduler()
    echo.activate(Scheduler=runner)
    lengths: list[int] = []
    got: list[int] = []

    def read() -> None:
        lengths.append(socket.dataReady("inbox"))
        got.extend(socket.Inbox("inbox"))

    runner.call_later(1, read)
    runner.call_later(2, read)
    runner.runThreads()
    read()
    assert (lengths, got) == ([2, 2, 1], [0, 1, 2, 3, 4])
    assert echo._isStopped()


def test_while_the_peer_does_not_read_a_shutdown_microprocess_ends_it() -> None:
    echo, socket = EchoProtocol(), component()
    socket.setInboxSize("inbox", 0)
    socket.link((echo, "outbox"), (socket, "inbox"))
    echo.inboxes["inbox"].deliver(b"a")
    runner = virtual_scheduler()
    echo.activate(Scheduler=runner)
    runner.call_later(1, lambda: echo.inboxes["control"].deliver(shutdownMicroprocess()))
    runner.runThreads()
    assert echo._isStopped()
