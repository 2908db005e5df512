"""The pieces of the other process that can be looked at in this one."""

import pickle
import signal
import socket

import pytest

from Axon.experimental.ProcessChild import (
    LONGEST_TRACEBACK,
    RemoteError,
    live,
    pack_failure,
    unpack_failure,
)
from Test.Axon.experimental.workers import Picky


def test_an_exception_comes_out_as_it_went_in() -> None:
    before = KeyError("x")
    before.add_note("in the kitchen")
    error, text = unpack_failure(pack_failure(before))
    assert isinstance(error, KeyError)
    assert error.args == ("x",)
    assert error.__notes__ == ["in the kitchen"]
    assert "KeyError: 'x'" in text


@pytest.mark.parametrize(
    "packed",
    [
        pack_failure(Picky("a", "b")),
        pickle.dumps(("its traceback", b"no pickle", "Picky", "a and b")),
        pickle.dumps(("its traceback", pickle.dumps("no exception"), "Picky", "a and b")),
    ],
    ids=["cannot be made again", "cannot be read", "something else"],
)
def test_an_exception_that_cannot_be_rebuilt_becomes_its_type_and_text(packed: bytes) -> None:
    error, text = unpack_failure(packed)
    assert isinstance(error, RemoteError)
    assert error.args == ("Picky", "a and b")
    assert text


def test_of_a_long_traceback_the_end_is_told() -> None:
    _, text = unpack_failure(pack_failure(ValueError("x" * 50_000 + "the end")))
    assert len(text) == LONGEST_TRACEBACK
    assert text.strip().endswith("the end")


def test_a_process_whose_parent_has_changed_its_mind_ends() -> None:
    before = signal.getsignal(signal.SIGINT)
    parent, child = socket.socketpair()
    parent.close()
    try:
        with child:
            live(child)
    finally:
        signal.signal(signal.SIGINT, before)
