"""FileService: one message after the other, whatever becomes of each."""

from typing import Any

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.File.FileService import FileService
from Test.Kamaelia.File.patience import let_work
from Test.Kamaelia.shutdown import Ends


class Upper(FileService):
    def serve(self, message: Any) -> object:  # noqa: ANN401 - as of the service
        return message.upper()


SHUTDOWN = {FileService: Ends(Upper)}


def test_a_service_serves_each_message_in_order_then_ends() -> None:
    stop = producerFinished()
    out = drive(Upper(), inbox=["a", "b"], control=[stop])
    assert (out["outbox"], out["signal"], out["error"]) == (["A", "B"], [stop], [])


def test_a_service_goes_on_after_an_error() -> None:
    class Number(FileService):
        def serve(self, message: Any) -> object:  # noqa: ANN401 - as of the service
            return int(message)

    out = drive(Number(), inbox=["1", "x", "2"], control=[producerFinished()])
    assert out["outbox"] == [1, 2]
    assert [report.filename for report in out["error"]] == ["x"]


def test_a_service_waits_for_room_and_takes_no_more_meanwhile() -> None:
    with harness(upper := Upper()) as h:
        h.limit(1)
        h.put_all("abcd")
        let_work(h)
        assert upper.dataReady("inbox") == 2
        h.expect_all("outbox", ["A", "B"])
        h.finish(shutdownMicroprocess())


def test_two_services_serve_their_own_messages() -> None:
    one, other = Upper(), Upper()
    with harness(one, other) as h:
        h.put("a", (one, "inbox"))
        h.put("b", (other, "inbox"))
        h.expect((one, "outbox"), "A")
        h.expect((other, "outbox"), "B")
