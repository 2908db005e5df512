"""TopologyKeeper: answers and errors (the commands are tested in Support/Data)."""

import pytest

from Axon.Introspector import Introspector
from Axon.Ipc import producerFinished
from Axon.Testing import drive, harness
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Util.PassThrough import PassThrough
from Kamaelia.Visualisation.PhysicsGraph.chunks_to_lines import chunks_to_lines
from Kamaelia.Visualisation.PhysicsGraph.lines_to_tokenlists import lines_to_tokenlists
from Kamaelia.Visualisation.PhysicsGraph.TopologyKeeper import TopologyKeeper
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {TopologyKeeper: Ends(TopologyKeeper)}

NODE = ["ADD", "NODE", "1", "one", "auto", "component"]


def test_what_is_asked_is_answered_and_what_is_told_is_not() -> None:
    out = drive(TopologyKeeper(), inbox=[NODE, ("GET_NAME", "NODE", "1"), ["GET", "ALL"]])
    assert out["outbox"] == [
        ("GET_NAME", "NODE", "one"),
        ("TOPOLOGY", (("DEL", "ALL"), tuple(NODE))),
    ]


def test_what_cannot_be_done_is_answered_with_an_error_and_it_goes_on() -> None:
    out = drive(TopologyKeeper(limit=1), inbox=[["X"], NODE, NODE, ["GET_NAME", "NODE", "1"]])
    assert [answer[0] for answer in out["outbox"]] == ["ERROR", "ERROR", "GET_NAME"]


def test_it_follows_an_introspector_without_an_error() -> None:
    keeper = TopologyKeeper()
    pipeline = Pipeline(Introspector(), chunks_to_lines(), lines_to_tokenlists(), keeper)
    with harness(pipeline) as h:
        lasting = PassThrough().activate(Scheduler=h.scheduler)  # alone, an Introspector ends
        other = PassThrough().activate(Scheduler=h.scheduler)
        h.run_for(5)
        other.stop()
        h.run_for(5)
        h.put(["GET", "ALL"], (keeper, "inbox"))
        answer = h.expect("outbox")
        assert answer[0] == "TOPOLOGY"
        names = [command[3] for command in answer[1] if command[-1] == "component"]
        assert [name for name in names if "PassThrough" in name] == [lasting.name]


def test_answers_wait_for_room() -> None:
    with harness(TopologyKeeper()) as h:
        h.limit(1)
        h.put_all([["A"], ["B"]])
        h.put(producerFinished(), "control")
        h.settle()
        h.not_ended()
        h.expect("outbox")
        h.expect("outbox")
        h.expect_end()


@pytest.mark.parametrize("message", ["DEL ALL", None, [1], [b"DEL", b"ALL"]])
def test_what_is_no_list_of_words_is_a_type_error(message: object) -> None:
    with pytest.raises(TypeError, match="TopologyKeeper takes lists of str at 'inbox'"):
        drive(TopologyKeeper(), inbox=[message])


def test_two_keep_a_graph_each() -> None:
    assert drive(TopologyKeeper(), inbox=[NODE, NODE])["outbox"] != []
    assert drive(TopologyKeeper(), inbox=[NODE])["outbox"] == []
