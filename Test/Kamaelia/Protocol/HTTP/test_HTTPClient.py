"""SimpleHTTPClient: one fetch after the other."""

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.Protocol.HTTP.HTTPClient import SimpleHTTPClient, SingleShotHTTPClient
from Kamaelia.Support.Protocol.HTTP.Messages import HTTPFailure
from Test.Kamaelia.Protocol.HTTP.far_ends import Network, ok
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {SimpleHTTPClient: Ends(lambda: SimpleHTTPClient())}

NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"


def test_addresses_in_bodies_out_in_order_and_one_at_a_time() -> None:
    network = Network(ok(b"one"), ok(b""), ok(b"three"))
    with harness(SimpleHTTPClient(connectionclass=network)) as h:
        h.put_all(["http://x/1", "http://x/2", "http://x/3"])
        assert h.expect("outbox") == b"one"
        assert h.expect("outbox") == b""
        assert h.expect("outbox") == b"three"
        h.finish()
    assert [request.split()[1] for request in network.requests] == [b"/1", b"/2", b"/3"]


def test_a_dictionary_says_more() -> None:
    network = Network(ok(b""))
    order = {
        "url": "http://x/",
        "postbody": b"data",
        "extraheaders": {"X-A": "b"},
        "method": "PUT",
    }
    before = dict(order)
    with harness(SimpleHTTPClient(connectionclass=network)) as h:
        h.put(order)
        h.expect("outbox", b"")
    assert order == before
    assert network.requests[0].startswith(b"PUT / ")
    assert network.requests[0].endswith(b"\r\n\r\ndata")
    assert b"X-A: b\r\n" in network.requests[0]


def test_what_fails_is_said_in_a_box_of_its_own_and_the_next_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    network = Network(OSError(111, "refused"), NOT_FOUND, ok(b"yes"))
    with harness(SimpleHTTPClient(connectionclass=network)) as h:
        h.put_all(["http://x/1", "http://x/2", "nonsense", "http://x/3"])
        assert h.expect("outbox") == b"yes"
        refused, missing, nonsense = h.take("errors")
    assert "refused" in refused.reason
    assert (missing.status, missing.url) == (404, "http://x/2")
    assert nonsense.status is None
    assert len(caplog.records) == 3


def test_told_to_finish_it_fetches_what_waits() -> None:
    network = Network(ok(b"one"), ok(b"two"))
    client = SimpleHTTPClient(connectionclass=network)
    stop = producerFinished()
    out = drive(
        client,
        inbox=["http://x/1", "http://x/2"],
        control=[stop],
        collecting=["outbox", "errors", "signal"],
    )
    assert out == {"outbox": [b"one", b"two"], "errors": [], "signal": [stop]}


def test_told_to_stop_it_drops_what_it_does() -> None:
    network = Network(None)
    with harness(SimpleHTTPClient(connectionclass=network)) as h:
        h.put("http://x/")
        h.settle()
        h.finish(shutdownMicroprocess())
        h.settle()
        assert network.connections[0]._isStopped()
        assert h.take("outbox") == []


def test_it_waits_for_room() -> None:
    with harness(SimpleHTTPClient(connectionclass=Network(ok(b"a"), ok(b"b")))) as h:
        h.limit(1)
        h.put_all(["http://x/", "http://x/"])
        h.settle()
        h.expect("outbox", b"a")
        h.expect("outbox", b"b")


def test_a_body_that_is_too_large_is_a_failure() -> None:
    with harness(SimpleHTTPClient(connectionclass=Network(ok(b"x" * 11)), body_limit=10)) as h:
        h.put("http://x/")
        assert "10 bytes" in h.expect("errors", HTTPFailure).reason


def test_settings_reach_the_one_that_fetches() -> None:
    client = SimpleHTTPClient(timeout=3.0, tls=None)
    made = client._client_for("https://x/")
    assert isinstance(made, SingleShotHTTPClient)
    assert made.timeout == 3.0


@pytest.mark.parametrize("order", [3, b"http://x/", {}, {"url": 3}])
def test_what_is_no_order_is_refused(order: object) -> None:
    with pytest.raises(TypeError, match="inbox takes an address"):
        drive(SimpleHTTPClient(), inbox=[order], collecting=["outbox"])


def test_a_failure_is_logged_in_one_line_without_a_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with harness(SimpleHTTPClient()) as h:
        h.put("http://ann:secret@x/\r\nERROR all is lost")
        h.expect("errors", HTTPFailure)
    (record,) = caplog.records
    assert record.getMessage().isprintable()
    assert "secret" not in record.getMessage()
