"""SRM_Sender and SRM_Receiver over lines that lose, double and reorder."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.Protocol.SimpleReliableMulticast import (
    Annotator,
    RecoverOrder,
    SRM_Receiver,
    SRM_Sender,
)
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {Annotator: Ends(Annotator)}


def chunks_of(messages: list[bytes]) -> list[bytes]:
    out: list[bytes] = drive(SRM_Sender(), inbox=messages, control=[producerFinished()])["outbox"]
    return out


def received(chunks: list[bytes]) -> list[tuple[int, bytes]]:
    out: list[tuple[int, bytes]] = drive(
        SRM_Receiver(), inbox=chunks, control=[producerFinished()]
    )["outbox"]
    return out


def test_messages_are_numbered_from_one() -> None:
    assert drive(Annotator(), inbox=["a", None])["outbox"] == [(1, "a"), (2, None)]


def test_two_annotators_count_for_themselves() -> None:
    assert drive(Annotator(), inbox=["a"]) != drive(Annotator(), inbox=["a", "b"])
    assert drive(Annotator(), inbox=["a"])["outbox"] == [(1, "a")]


def test_the_window_goes_by_its_name_here_too() -> None:
    assert RecoverOrder.__module__ == "Kamaelia.Protocol.RecoverOrder"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=10), max_size=60), st.randoms())
def test_what_is_reordered_and_doubled_comes_out_as_it_was(
    messages: list[bytes], random: Random
) -> None:
    chunks = chunks_of(messages)
    order = sorted(range(len(chunks)), key=lambda n: n + random.randint(0, 30))
    jumbled = [chunks[n] for n in order for _ in range(random.choice([1, 2]))]
    assert received(jumbled) == list(enumerate(messages, 1))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=10), max_size=60), st.randoms())
def test_what_is_lost_is_missing_and_nothing_else(messages: list[bytes], random: Random) -> None:
    kept = [n for n in range(len(messages)) if random.random() > 0.3]
    chunks = chunks_of(messages)
    assert received([chunks[n] for n in kept]) == [(n + 1, messages[n]) for n in kept]


def test_text_stays_text() -> None:
    chunks = drive(SRM_Sender(), inbox=["XXé"], control=[producerFinished()])["outbox"]
    out = drive(SRM_Receiver(), inbox=chunks, control=[producerFinished()])["outbox"]
    assert out == [(1, "XXé")]


@pytest.mark.parametrize("stop", [producerFinished(), shutdownMicroprocess()])
def test_both_ends_end_when_told(stop: object) -> None:
    for prefab in (SRM_Sender, SRM_Receiver):
        with harness(prefab()) as h:
            h.settle()
            h.put(stop, "control")
            h.expect_end()
            h.expect("signal", lambda message: message is stop)
