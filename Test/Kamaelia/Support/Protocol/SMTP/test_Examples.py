"""The examples in the modules' texts are true."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "name",
    [
        "Address",
        "Body",
        "Capabilities",
        "Chunking",
        "ClientGreeting",
        "ClientSession",
        "CommandLines",
        "Commands",
        "Offer",
        "Refusals",
        "Replies",
        "ServerExtensions",
        "ServerSession",
        "ServerState",
        "Xclient",
    ],
)
def test_the_example_of_the_module_is_true(name: str) -> None:
    module = importlib.import_module(f"Kamaelia.Support.Protocol.SMTP.{name}")
    failed, tried = doctest.testmod(module)
    assert (failed, tried > 0) == (0, True)
