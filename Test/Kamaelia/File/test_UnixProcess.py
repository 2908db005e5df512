"""UnixProcess: real programs, all that they read and write, and nothing waits for nothing."""

import hashlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from Axon.Ipc import producerFinished
from Kamaelia.File.ChildProcess import ProcessEnded
from Kamaelia.File.UnixProcess import UnixProcess
from Test.Kamaelia.File.processes import Feeder, SlowReader, finish, listen, put, reaped, run, tell
from Test.Kamaelia.network import Script, World, pattern
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {
    UnixProcess: Ends(
        None, why="virtual time has no file descriptors: see test_UnixProcess_ends.py"
    )
}


def test_what_a_program_writes_comes_out_with_its_status_and_a_producer_finished() -> None:
    process = UnixProcess("echo hello; exit 3")
    written, statuses, (signal,) = run(process)
    assert (written, statuses) == (b"hello\n", [ProcessEnded(3)])
    assert isinstance(signal, producerFinished)
    assert (signal.caller, signal.message) == (process, ProcessEnded(3))


def test_nothing_of_a_short_lived_program_is_lost(real_time_world: World) -> None:
    processes = [UnixProcess(f"head -c {size} /dev/zero") for size in range(0, 60_000, 3_000)]
    ears = [listen(process) for process in processes]

    def script() -> Script:
        real_time_world.run(*ears, *processes)
        yield from real_time_world.until(lambda: all(each._isStopped() for each in processes))

    real_time_world.play(script())
    assert [len(ear.text()) for ear in ears] == list(range(0, 60_000, 3_000))


def test_a_producer_finished_closes_the_input_after_all_was_written_and_is_passed_on() -> None:
    process = UnixProcess("sort")
    put(process, b"pear\nap", b"", b"ple\n", b"plum")
    told = tell(process, producerFinished())
    assert run(process) == (b"apple\npear\nplum\n", [ProcessEnded(0)], [told])


@settings(max_examples=20)
@given(st.lists(st.binary(max_size=20), max_size=20))
@example([b"."] * 100)  # more than it writes in one turn
def test_however_it_is_sliced_the_program_reads_what_was_sent(pieces: list[bytes]) -> None:
    process = UnixProcess(["cat"])
    put(process, *pieces)
    tell(process, producerFinished())
    assert run(process)[0] == b"".join(pieces)


def test_twenty_megabytes_go_through_cat_with_every_box_limited(real_time_world: World) -> None:
    data = pattern(20_000_000)
    feeder, process, reader = Feeder(data, 300_001), UnixProcess("cat"), SlowReader()
    feeder.link((feeder, "outbox"), (process, "inbox"), pipewidth=2)
    feeder.link((feeder, "signal"), (process, "control"))
    process.link((process, "outbox"), (reader, "inbox"), pipewidth=2)
    process.link((process, "signal"), (reader, "control"))

    def script() -> Script:
        real_time_world.run(feeder, process, reader)
        yield from real_time_world.until(reader._isStopped)

    real_time_world.play(script())
    assert reader.digest.digest() == hashlib.sha256(data).digest()
    assert reader.most <= 2


def test_a_message_may_be_changed_after_it_was_sent_and_written_later(
    real_time_world: World,
) -> None:
    data = bytearray(b"a" * 200_000)  # more than a pipe holds
    process = UnixProcess("sleep 0.1; cat")
    ear = listen(process)

    def script() -> Script:
        real_time_world.run(ear, process)
        put(process, data)
        yield from real_time_world.until(lambda: not process.dataReady("inbox"))
        data[:] = b"b" * 200_000
        tell(process, producerFinished())
        yield from real_time_world.until(process._isStopped)

    real_time_world.play(script())
    assert ear.text() == b"a" * 200_000


def test_several_side_by_side_have_nothing_in_common(real_time_world: World) -> None:
    processes = [UnixProcess("cat") for _ in range(5)]
    ears = [listen(process) for process in processes]
    for number, process in enumerate(processes):
        put(process, b"%d" % number * 100_000)
        tell(process, producerFinished())

    def script() -> Script:
        real_time_world.run(*ears, *processes)
        yield from real_time_world.until(lambda: all(each._isStopped() for each in processes))

    real_time_world.play(script())
    assert [ear.text() for ear in ears] == [b"%d" % number * 100_000 for number in range(5)]


# ---- flow control


def test_a_full_receiver_holds_the_program_and_nothing_is_lost(real_time_world: World) -> None:
    process = UnixProcess(["head", "-c", "1000000", "/dev/zero"])
    ear = listen(process)
    ear.setInboxSize("inbox", 1)
    total: list[bytes] = []

    def script() -> Script:
        real_time_world.run(ear, process)
        yield from real_time_world.until(lambda: ear.dataReady("inbox"))
        yield from real_time_world.settle()
        assert ear.dataReady("inbox") == 1
        assert process._status is None
        while not process._isStopped():
            total.extend(ear.Inbox("inbox"))
            yield 1

    real_time_world.play(script())
    assert len(b"".join([*total, ear.text()])) == 1_000_000


def test_a_receiver_that_falls_behind_holds_the_program_too(real_time_world: World) -> None:
    process = UnixProcess("yes", buffersize=1000, read_ahead=5)
    ear = listen(process)

    def script() -> Script:
        real_time_world.run(ear, process)
        yield from real_time_world.until(lambda: ear.dataReady("inbox") >= 5)
        yield from real_time_world.settle()
        assert ear.dataReady("inbox") == 5
        for _ in range(20):
            ear.recv("inbox")
            yield from real_time_world.until(lambda: ear.dataReady("inbox") >= 5)
        assert ear.dataReady("inbox") == 5

    real_time_world.play(script())


def test_input_that_the_program_does_not_take_stays_in_the_inbox(real_time_world: World) -> None:
    process = UnixProcess("exec sleep 1000")
    process.setInboxSize("inbox", 2)
    feeder = Feeder(bytes(1_000_000), 100_000)
    feeder.link((feeder, "outbox"), (process, "inbox"))

    def script() -> Script:
        real_time_world.run(process, feeder)
        yield from real_time_world.until(lambda: process.dataReady("inbox") == 2)
        yield from real_time_world.settle()
        assert not feeder._isStopped()
        assert process.dataReady("inbox") == 2

    real_time_world.play(script())


def test_a_program_that_reads_no_more_does_not_hold_its_feeder(real_time_world: World) -> None:
    process = UnixProcess("head -1; exec sleep 1000")
    process.setInboxSize("inbox", 2)
    ear = listen(process)
    feeder = Feeder(b"first\n" + bytes(1_000_000), 100_000)
    feeder.link((feeder, "outbox"), (process, "inbox"))

    def script() -> Script:
        real_time_world.run(ear, process, feeder)
        yield from real_time_world.until(lambda: ear.dataReady("inbox"))

    real_time_world.play(script())
    assert ear.text() == b"first\n"


def test_head_ends_though_more_would_come(real_time_world: World) -> None:
    process = UnixProcess(["head", "-1"])
    process.setInboxSize("inbox", 2)
    ear = listen(process)
    feeder = Feeder(b"first\n" + bytes(2_000_000), 100_000)
    feeder.link((feeder, "outbox"), (process, "inbox"))

    def script() -> Script:
        real_time_world.run(ear, process, feeder)
        yield from real_time_world.until(lambda: process._isStopped() and feeder._isStopped())

    real_time_world.play(script())
    assert (ear.text(), list(ear.Inbox("status"))) == (b"first\n", [ProcessEnded(0)])


def test_a_program_whose_reader_has_ended_hears_of_it_once_it_is_told_to_finish(
    real_time_world: World,
) -> None:
    process = UnixProcess(["yes"])
    ear = listen(process, "status", "signal")
    reader = SlowReader()
    reader.link((process, "outbox"), (reader, "inbox"))

    def script() -> Script:
        real_time_world.run(ear, process, reader)
        yield from real_time_world.until(lambda: reader.most)
        tell(process, producerFinished())
        yield from real_time_world.settle()
        assert not process._isStopped()  # there is still somebody to read
        reader.stop()
        yield from real_time_world.until(process._isStopped)

    real_time_world.play(script())
    assert list(ear.Inbox("status")) == [ProcessEnded(None, 13)]  # SIGPIPE


def test_it_sleeps_while_the_program_says_nothing(real_time_world: World) -> None:
    process = UnixProcess("echo ready; exec sleep 1000")
    ear = listen(process)

    def script() -> Script:
        real_time_world.run(ear, process)
        yield from real_time_world.until(lambda: ear.dataReady("inbox"))
        yield from real_time_world.settle()
        before = real_time_world.waiter.waits
        yield from real_time_world.rest(0.2)
        assert real_time_world.waiter.waits - before < 10

    real_time_world.play(script())


# ---- what it complains about


def test_standard_error_comes_out_of_error() -> None:
    process = UnixProcess("echo complaint >&2; echo text")
    world, ear = World(None), listen(process)
    world.play(finish(world, process, ear))
    world.close()
    assert ear.text("error") == b"complaint\n"


def test_standard_error_is_logged_if_nobody_listens_but_not_without_end(
    caplog: pytest.LogCaptureFixture, real_time_world: World
) -> None:
    command = r"printf '\033[31mred\n%500d\n' 1 >&2; seq 100000 >&2; printf last >&2"
    process = UnixProcess(command, logged_lines=4, name="RUN")
    ear = listen(process, "outbox", "status", "signal")
    real_time_world.play(finish(real_time_world, process, ear))
    assert caplog.messages == [
        r"RUN: \x1b[31mred",
        "RUN: " + " " * 400,
        "RUN: 1",
        "RUN: 2",
        "RUN: what else it complains about is not logged",
    ]
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_a_last_line_without_an_end_is_logged_too(
    caplog: pytest.LogCaptureFixture, real_time_world: World
) -> None:
    process = UnixProcess(r"printf '\377last' >&2", name="RUN")
    ear = listen(process, "status", "signal")
    real_time_world.play(finish(real_time_world, process, ear))
    assert caplog.messages == [r"RUN: \xfflast"]


# ---- bad input


def test_text_at_the_inbox_is_an_error_that_names_the_box_and_ends_the_program(
    real_time_world: World,
) -> None:
    process = UnixProcess("cat", name="RUN")
    put(process, "text")

    def script() -> Script:
        real_time_world.run(process)
        yield from real_time_world.until(process._isStopped)

    with pytest.raises(TypeError, match="RUN: a program takes bytes at 'inbox', not str: 'text'"):
        real_time_world.play(script())
    assert process.pid is not None
    assert reaped(process.pid)


@pytest.mark.parametrize(
    ("command", "error"),
    [(None, TypeError), (b"cat", TypeError), ([1], TypeError), ("", ValueError), ([], ValueError)],
)
def test_what_is_no_command_is_refused_at_once(command: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        UnixProcess(command)  # type: ignore[arg-type]
