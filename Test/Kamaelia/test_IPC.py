"""Kamaelia.IPC: what a message derives from, and what it carries."""

import pytest

from Axon.Ipc import notify, producerFinished, shutdownMicroprocess
from Kamaelia import IPC


def test_the_end_of_a_connection_is_a_producer_that_finished() -> None:
    message = IPC.socketShutdown("the adapter", "connection reset")
    assert isinstance(message, producerFinished)
    assert (message.caller, message.message) == ("the adapter", "connection reset")


def test_stopping_a_server_is_a_shutdown_and_no_end_of_data() -> None:
    message = IPC.serverShutdown("the server")
    assert isinstance(message, shutdownMicroprocess)
    assert not isinstance(message, producerFinished)
    assert message.microprocesses() == ("the server",)


def test_a_new_connection_is_announced_with_its_socket() -> None:
    message = IPC.newCSA("the server", "the adapter", sock="the socket")
    assert isinstance(message, notify)
    assert (message.caller, message.object, message.sock) == (
        "the server",
        "the adapter",
        "the socket",
    )
    assert message.handlesWriting()


def test_a_new_connection_may_be_announced_without_its_socket() -> None:
    assert IPC.newCSA("the server", CSA="the adapter").sock is None


@pytest.mark.parametrize(
    "kind",
    [
        IPC.shutdownCSA,
        IPC.newServer,
        IPC.newReader,
        IPC.newWriter,
        IPC.newExceptional,
        IPC.removeReader,
        IPC.removeWriter,
        IPC.removeExceptional,
    ],
)
def test_the_other_messages_are_notifications_with_a_payload(kind: type[notify]) -> None:
    message = kind("the caller", "the payload")
    assert isinstance(message, notify)
    assert (message.caller, message.object) == ("the caller", "the payload")


def test_the_module_gives_the_messages_of_axon_that_its_users_need() -> None:
    assert IPC.producerFinished is producerFinished
    assert IPC.shutdownMicroprocess is shutdownMicroprocess
    assert IPC.notify is notify
