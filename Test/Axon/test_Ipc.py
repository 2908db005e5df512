"""Messages about running: shapes and relations that receivers rely on."""

import pytest

from Axon.Ipc import (
    WaitComplete,
    errorInformation,
    ipc,
    newComponent,
    notify,
    producerFinished,
    reactivate,
    shutdown,
    shutdownMicroprocess,
    status,
    wouldblock,
)


def test_attributes_are_those_of_the_original() -> None:
    assert (producerFinished().caller, producerFinished().message) == (None, None)
    assert (producerFinished("me", "why").caller, producerFinished("me", "why").message) == (
        "me",
        "why",
    )
    assert shutdownMicroprocess(1, 2).microprocesses() == (1, 2)
    assert newComponent("a", "b").components() == ("a", "b")
    assert (notify("me", "it").caller, notify("me", "it").object) == ("me", "it")
    assert status(3).status() == 3
    assert wouldblock("me").caller == "me"
    assert reactivate("him").original == "him"
    error = errorInformation("me", "exception", "message")
    assert (error.caller, error.exception, error.message) == ("me", "exception", "message")


def test_wait_complete_keeps_what_it_was_given() -> None:
    helper = iter([1])
    waiting = WaitComplete(helper, tag="resolve")
    assert waiting.args == (helper,)
    assert waiting.argd == {"tag": "resolve"}


@pytest.mark.parametrize(
    "message",
    [
        producerFinished(),
        shutdownMicroprocess(),
        shutdown(),
        notify(1, 2),
        newComponent(),
        WaitComplete(iter(())),
        reactivate(1),
        status(1),
        wouldblock(1),
        errorInformation(1),
    ],
    ids=lambda message: type(message).__name__,
)
def test_every_message_is_an_ipc(message: object) -> None:
    assert isinstance(message, ipc)


def test_a_receiver_can_tell_the_three_shutdowns_apart() -> None:
    kinds = (producerFinished, shutdownMicroprocess, shutdown)
    for kind in kinds:
        assert [isinstance(kind(), other) for other in kinds].count(True) == 1
