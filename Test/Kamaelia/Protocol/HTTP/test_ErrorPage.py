"""ErrorPage: a page, and the end."""

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.Protocol.HTTP.ErrorPage import ErrorPage
from Kamaelia.Support.Protocol.HTTP.Messages import error_page
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {ErrorPage: Ends(lambda: ErrorPage(404), ends_alone=True)}


def test_it_sends_its_page_also_when_the_request_has_ended() -> None:
    out = drive(ErrorPage(404, "<x>", (("X", "y"),)), control=[producerFinished()])
    assert out["outbox"] == [error_page(404, "<x>", (("X", "y"),))]
    assert isinstance(out["signal"][-1], producerFinished)


def test_told_that_nobody_wants_it_it_sends_nothing() -> None:
    stop = shutdownMicroprocess()
    out = drive(ErrorPage(404), control=[stop])
    assert (out["outbox"], out["signal"]) == ([], [stop])


def test_it_waits_for_room() -> None:
    with harness(ErrorPage(404)) as h:
        h.limit(0)
        h.settle()
        h.not_ended()
        h.limit(None)
        h.expect("outbox")
        h.expect_end()
