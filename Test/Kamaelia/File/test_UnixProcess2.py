"""UnixProcess2: the other interface of the same."""

import pytest

from Axon.Ipc import producerFinished
from Kamaelia.File.ChildProcess import ProcessEnded
from Kamaelia.File.UnixProcess import UnixProcess
from Kamaelia.File.UnixProcess2 import UnixProcess2
from Test.Kamaelia.File.processes import listen, put, run, tell
from Test.Kamaelia.network import Script, World
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {
    UnixProcess2: Ends(
        None, why="virtual time has no file descriptors: see test_UnixProcess_ends.py"
    )
}


def test_it_runs_a_program_as_the_first_one_does() -> None:
    process = UnixProcess2("tr a-z A-Z")
    put(process, b"hello")
    told = tell(process, producerFinished())
    assert run(process) == (b"HELLO", [ProcessEnded(0)], [told])


def test_it_reads_so_much_at_a_time(real_time_world: World) -> None:
    process = UnixProcess2("head -c 1000 /dev/zero", buffersize=400)
    ear = listen(process)

    def script() -> Script:
        real_time_world.run(ear, process)
        yield from real_time_world.until(process._isStopped)

    real_time_world.play(script())
    assert max(len(data) for data in ear.Inbox("inbox")) <= 400


def test_boxes_have_the_sizes_that_were_asked_for() -> None:
    process = UnixProcess2("cat", boxsizes={"inbox": 3})
    assert process.inboxes["inbox"].getSize() == 3
    assert UnixProcess2("cat").inboxes["inbox"].getSize() is None


def test_its_boxes_are_those_of_the_original() -> None:
    assert set(UnixProcess2.Outboxes) >= {"outbox", "error", "signal", "_shutdownPipes"}
    assert "_shutdownPipes" not in UnixProcess.Outboxes


@pytest.mark.parametrize(
    "arguments",
    [
        {"outpipes": {"/tmp/pipe": "out"}},  # noqa: S108 - a name, nothing is made
        {"inpipes": {"/tmp/pipe": "in"}},  # noqa: S108
        {"buffersize": 0},
        {"boxsizes": {"no such box": 1}},
    ],
)
def test_what_it_cannot_do_is_refused_at_once(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"UnixProcess2|buffersize"):
        UnixProcess2("cat", **arguments)  # type: ignore[arg-type]
