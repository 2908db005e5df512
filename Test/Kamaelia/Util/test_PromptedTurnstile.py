"""PromptedTurnstile: one message a request, whichever comes first."""

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.Util.PromptedTurnstile import PromptedTurnstile
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {PromptedTurnstile: Ends(PromptedTurnstile)}


@pytest.mark.parametrize(("requests", "sent"), [(0, ""), (2, "ab"), (9, "abc")])
def test_one_message_is_handed_on_for_each_request(requests: int, sent: str) -> None:
    out = drive(PromptedTurnstile(), inbox="abc", next=range(requests))
    assert out["outbox"] == list(sent)


def test_requests_that_come_first_are_remembered() -> None:
    with harness(PromptedTurnstile()) as h:
        h.put_all([1, 2], "next")
        h.run_for(60)
        h.put_all("abc")
        h.settle()
        assert h.take("outbox") == ["a", "b"]


def test_what_waits_without_requests_costs_no_turns() -> None:
    with harness(PromptedTurnstile()) as h:
        h.put("a")
        h.run_for(3600)  # fails if it polls: time then stands still
        h.not_ended()


def test_after_a_producer_finished_the_queue_is_still_served_to_its_end() -> None:
    with harness(PromptedTurnstile()) as h:
        h.put_all("ab")
        h.put(producerFinished(), "control")
        h.run_for(60)
        h.put_all([1, 2], "next")
        h.expect_all("outbox", ["a", "b"])
        h.expect_end()


def test_requests_alone_do_not_keep_it_from_ending() -> None:
    turnstile = PromptedTurnstile()
    drive(turnstile, next=[1], control=[producerFinished()])
    assert turnstile._isStopped()


def test_a_shutdown_microprocess_ends_it_whatever_waits() -> None:
    stop = shutdownMicroprocess()
    out = drive(PromptedTurnstile(), inbox="ab", next=[1], control=[stop])
    assert out == {"outbox": [], "signal": [stop]}


def test_a_full_receiver_is_waited_for() -> None:
    with harness(PromptedTurnstile()) as h:
        h.limit(1)
        h.put_all("ab")
        h.put_all([1, 2], "next")
        h.settle()
        h.expect("outbox", "a")
        h.expect("outbox", "b")
