"""Stringify: text of everything, and bytes only by an encoding."""

import pytest

from Axon.Testing import drive
from Kamaelia.Util.Stringify import Stringify
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {Stringify: Ends(Stringify)}


def test_each_message_is_sent_as_text() -> None:
    assert drive(Stringify(), inbox=[1, "x", None, (2,)])["outbox"] == ["1", "x", "None", "(2,)"]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_are_decoded_if_an_encoding_was_given(kind: type) -> None:
    assert drive(Stringify("latin-1"), inbox=[kind(b"\xe9")])["outbox"] == ["\xe9"]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_without_an_encoding_are_a_type_error(kind: type) -> None:
    with pytest.raises(TypeError, match="Stringify takes bytes only with an encoding"):
        drive(Stringify(), inbox=[kind(b"x")])


def test_bytes_that_are_no_text_are_an_error_or_what_errors_says() -> None:
    assert drive(Stringify("ascii", errors="replace"), inbox=[b"\xff"])["outbox"] == ["\ufffd"]
    with pytest.raises(UnicodeDecodeError):
        drive(Stringify("ascii"), inbox=[b"\xff"])
