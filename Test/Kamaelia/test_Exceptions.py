"""The library's exceptions: the tree that the original's users catch by."""

import pytest

from Kamaelia import Exceptions


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("LocalProtocolError", "ProtocolError"),
        ("connectionDied", "connectionClosedown"),
        ("connectionDiedSending", "connectionDied"),
        ("connectionDiedReceiving", "connectionDied"),
        ("connectionServerShutdown", "connectionClosedown"),
    ],
)
def test_exceptions_form_the_promised_tree(name: str, base: str) -> None:
    assert issubclass(getattr(Exceptions, name), getattr(Exceptions, base))


def test_a_broken_socket_is_not_a_closed_connection() -> None:
    assert not issubclass(Exceptions.socketSendFailure, Exceptions.connectionClosedown)


def test_a_bad_request_carries_the_request_and_what_it_led_to() -> None:
    cause = ValueError("x")
    error = Exceptions.BadRequest("GET /", cause)
    assert (error.request, error.exception) == ("GET /", cause)
