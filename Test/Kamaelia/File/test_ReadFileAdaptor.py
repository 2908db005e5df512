"""ReadFileAdaptor: files, commands and standard input, in lines and pieces, at the given pace."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import FakeClock, drive, harness
from Kamaelia.Chassis.ConnectedServer import ServerCore
from Kamaelia.File.ReadFileAdaptor import ReadFileAdaptor
from Test.Kamaelia.File.processes import SlowReader, reaped
from Test.Kamaelia.network import Script, Silent, World, taken
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {ReadFileAdaptor: Ends(lambda: ReadFileAdaptor(__file__), ends_alone=True)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def sent(**settings: Any) -> list[bytes]:  # noqa: ANN401 - as its parameters
    return list(drive(ReadFileAdaptor(**settings))["outbox"])


# ---- files


def test_a_file_comes_in_pieces_of_the_size(path: Path) -> None:
    path.write_bytes(bytes(3500))
    assert [len(piece) for piece in sent(filename=path)] == [1450, 1450, 600]
    assert sent(filename=str(path), readsize=4000) == [bytes(3500)]


def test_a_file_larger_than_a_read_has_no_short_piece_in_the_middle(path: Path) -> None:
    path.write_bytes(bytes(200_000))
    assert {len(piece) for piece in sent(filename=path, readsize=30_000)[:-1]} == {30_000}


def test_a_file_comes_in_lines_as_bytes(path: Path) -> None:
    path.write_bytes(b"one\n\ntwo\xff\nlast")
    assert sent(filename=path, readmode="line") == [b"one\n", b"\n", b"two\xff\n", b"last"]


def test_a_line_that_is_too_long_comes_in_pieces(path: Path) -> None:
    path.write_bytes(b"12345\n1234\n123456789\n")
    adaptor = ReadFileAdaptor(path, readmode="line", longest_line=5)
    lines = drive(adaptor)["outbox"]
    assert lines == [b"12345", b"\n", b"1234\n", b"12345", b"6789\n"]


@settings(max_examples=50)
@given(
    data=st.binary(max_size=300),
    readmode=st.sampled_from(["", "line", "bitrate"]),
    size=st.integers(1, 40),
)
def test_nothing_is_lost_doubled_or_empty(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, readmode: str, size: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any file"
    path.write_bytes(data)
    pieces = drive(ReadFileAdaptor(path, "", readmode, size, longest_line=size))["outbox"]
    assert b"".join(pieces) == data
    assert b"" not in pieces


def test_an_empty_file_is_over_at_once(path: Path) -> None:
    path.touch()
    adaptor = ReadFileAdaptor(path)
    out = drive(adaptor)
    assert out["outbox"] == []
    assert isinstance(out["signal"][-1], producerFinished)


def test_a_file_that_is_not_there_is_an_error(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        drive(ReadFileAdaptor(path))


def test_a_folder_is_an_error_and_is_closed(real_time_world: World, tmp_path: Path) -> None:
    real_time_world.run(ReadFileAdaptor(tmp_path))
    with pytest.raises(IsADirectoryError):
        real_time_world.play(iter(range(1000)))  # type: ignore[arg-type]


def test_several_read_the_same_file_side_by_side(path: Path) -> None:
    path.write_bytes(b"a\nb\nc\n")
    adaptors = [ReadFileAdaptor(path, readmode="line", steptime=1.0) for _ in range(3)]
    with harness(*adaptors) as h:
        h.expect_end()
        for adaptor in adaptors:
            assert h.take((adaptor, "outbox")) == [b"a\n", b"b\n", b"c\n"]


# ---- pace


def test_so_many_seconds_lie_between_two_messages(path: Path) -> None:
    path.write_bytes(b"a\nb\nc\n")
    with harness(ReadFileAdaptor(path, readmode="line", steptime=10.0)) as h:
        h.expect("outbox", b"a\n", within=0)
        h.expect_nothing("outbox", during=9.9)
        h.expect("outbox", b"b\n", within=0.2)
        h.expect_nothing("outbox", during=9.8)
        h.expect("outbox", b"c\n", within=0.2)
        h.expect_end(within=11)


def test_so_many_bits_a_second(path: Path) -> None:
    path.write_bytes(bytes(8000))
    clock = FakeClock()
    out = drive(ReadFileAdaptor(path, readmode="bitrate", bitrate=6400.0, chunkrate=8), clock=clock)
    assert {len(piece) for piece in out["outbox"]} == {100}
    assert clock() == pytest.approx(10.0)


def test_a_rate_of_less_than_a_byte_a_chunk_is_kept_with_fewer_chunks(path: Path) -> None:
    path.write_bytes(bytes(20))
    clock = FakeClock()
    drive(ReadFileAdaptor(path, readmode="bitrate", bitrate=8.0, chunkrate=24), clock=clock)
    assert clock() == pytest.approx(20.0)


def test_what_is_late_is_not_sent_in_a_rush(path: Path) -> None:
    path.write_bytes(b"123456789")
    with harness(ReadFileAdaptor(path, readsize=1, steptime=0.5)) as h:
        h.limit(0)
        h.run_for(100.0)
        h.limit(None)
        h.expect_all("outbox", [b"1", b"2", b"3"], within=0.1)  # what the last second missed
        h.expect_nothing("outbox", during=0.3)


def test_a_full_receiver_is_waited_for(path: Path) -> None:
    path.write_bytes(b"123456789")
    with harness(ReadFileAdaptor(path, readsize=1)) as h:
        h.limit(2)
        h.run_for(5.0)
        h.not_ended()
        h.limit(None)
        h.expect_all("outbox", [b"%d" % digit for digit in range(1, 10)])
        h.expect_end()


@pytest.mark.parametrize(
    "wrong", [{"readsize": 0}, {"bitrate": 0.0}, {"chunkrate": 0}, {"steptime": -1.0}]
)
def test_a_pace_that_is_none_is_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="more than 0"):
        ReadFileAdaptor("file", **wrong)


# ---- commands, pipes, devices


class Collecting(component):
    """Keeps what comes."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[bytes] = []
        self.stop_message: object = None

    def main(self) -> Iterator[object]:
        while not self.stop_message:
            self.stop_message = self.told_to_stop()
            self.got.extend(self.Inbox("inbox"))
            self.pause()
            yield 1


def read(world: World, adaptor: ReadFileAdaptor) -> Collecting:
    collecting = Collecting()
    collecting.link((adaptor, "outbox"), (collecting, "inbox"))
    collecting.link((adaptor, "signal"), (collecting, "control"))
    world.run(collecting, adaptor)
    return collecting


def test_the_output_of_a_command_comes_as_bytes_and_its_input_is_empty(
    real_time_world: World,
) -> None:
    world = real_time_world
    lines = ReadFileAdaptor(command="cat; echo one; printf two", readmode="line")
    pieces = ReadFileAdaptor(command=["printf", "%s", "12345"], readmode="bitrate", readsize=9)
    ends = [read(world, lines), read(world, pieces)]

    def script() -> Script:
        yield from world.until(lambda: all(end.stop_message for end in ends))

    world.play(script())
    assert [end.got for end in ends] == [[b"one\n", b"two"], [b"12345"]]


def test_a_long_output_is_whole_though_nobody_hurries(real_time_world: World) -> None:
    end = read(real_time_world, ReadFileAdaptor(command="head -c 3000000 /dev/zero", readsize=7777))

    def script() -> Script:
        yield from real_time_world.until(lambda: end.stop_message)

    real_time_world.play(script())
    assert len(b"".join(end.got)) == 3_000_000


def test_a_shutdown_ends_the_command_as_well(real_time_world: World) -> None:
    adaptor = ReadFileAdaptor(command="echo $$; exec sleep 1000", readmode="line")
    end = read(real_time_world, adaptor)
    message = shutdownMicroprocess()

    def script() -> Script:
        yield from real_time_world.until(lambda: end.got)
        adaptor.inboxes["control"].deliver(message)
        yield from real_time_world.until(lambda: end.stop_message)
        yield from real_time_world.until(lambda: reaped(int(end.got[0])))

    real_time_world.play(script())
    assert end.stop_message is message


def test_after_a_producer_finished_it_reads_to_the_end_while_somebody_takes_it(
    real_time_world: World,
) -> None:
    adaptor, reader = ReadFileAdaptor(command=["yes"]), SlowReader()
    reader.link((adaptor, "outbox"), (reader, "inbox"), pipewidth=3)

    def script() -> Script:
        real_time_world.run(adaptor, reader)
        yield from real_time_world.until(lambda: reader.most)
        adaptor.inboxes["control"].deliver(producerFinished())
        yield from real_time_world.settle()
        assert not adaptor._isStopped()
        reader.stop()
        yield from real_time_world.until(adaptor._isStopped)

    real_time_world.play(script())


def test_a_producer_finished_does_not_shorten_a_file(path: Path) -> None:
    path.write_bytes(bytes(5000))
    out = drive(ReadFileAdaptor(path), control=[message := producerFinished()])
    assert len(b"".join(out["outbox"])) == 5000
    assert out["signal"] == [message]


def test_a_named_pipe_is_read_as_it_is_written(real_time_world: World, path: Path) -> None:
    os.mkfifo(path)
    end = read(real_time_world, ReadFileAdaptor(path))

    def script() -> Script:
        yield from real_time_world.settle()
        with path.open("wb", buffering=0) as pipe:
            for number in range(3):
                pipe.write(b"%d" % number)
                yield from real_time_world.until(lambda: len(end.got) == number + 1)  # noqa: B023
        yield from real_time_world.until(lambda: end.stop_message)

    real_time_world.play(script())
    assert end.got == [b"0", b"1", b"2"]


def test_several_may_read_the_same_named_pipe_though_one_is_faster(
    real_time_world: World, path: Path
) -> None:
    os.mkfifo(path)
    ends = [read(real_time_world, ReadFileAdaptor(path)) for _ in range(3)]

    def script() -> Script:
        yield from real_time_world.settle()
        with path.open("wb", buffering=0) as pipe:
            for number in range(10):
                pipe.write(b"%d" % number)
                yield from real_time_world.until(
                    lambda: sum(len(end.got) for end in ends) == number + 1  # noqa: B023
                )
        yield from real_time_world.until(lambda: all(end.stop_message for end in ends))

    real_time_world.play(script())
    got = [piece for end in ends for piece in end.got]
    assert sorted(got) == [b"%d" % number for number in range(10)]


def test_a_device_that_is_always_ready_is_read(real_time_world: World) -> None:
    ends = [read(real_time_world, ReadFileAdaptor(f"/dev/{name}")) for name in ("null", "zero")]

    def script() -> Script:
        yield from real_time_world.until(lambda: ends[0].stop_message and len(ends[1].got) > 3)

    real_time_world.play(script())
    assert ends[1].got[0] == bytes(1450)


class Pipe:
    """Stands for standard input."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()

    def fileno(self) -> int:
        return self.reading

    def end(self) -> None:
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = -1


@pytest.fixture
def typed(real_time_world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    pipe = Pipe()
    monkeypatch.setattr("sys.stdin", pipe)
    yield pipe
    pipe.end()
    os.close(pipe.reading)  # an error if it was closed already


def test_a_device_without_an_end_is_given_up_when_told(real_time_world: World) -> None:
    adaptor = ReadFileAdaptor("/dev/zero")
    end = read(real_time_world, adaptor)

    def script() -> Script:
        yield from real_time_world.until(lambda: end.got)
        adaptor.inboxes["control"].deliver(producerFinished())
        yield from real_time_world.until(lambda: end.stop_message)

    real_time_world.play(script())


def test_standard_input_is_read_to_its_end_and_left_open(
    typed: Pipe, real_time_world: World
) -> None:
    end = read(real_time_world, ReadFileAdaptor(readmode="line"))

    def script() -> Script:
        os.write(typed.writing, b"one\ntw")
        yield from real_time_world.until(lambda: end.got)
        os.write(typed.writing, b"o\nlast")
        typed.end()
        yield from real_time_world.until(lambda: end.stop_message)

    real_time_world.play(script())
    assert end.got == [b"one\n", b"two\n", b"last"]


def test_several_may_read_standard_input_and_each_hears_of_its_end(
    typed: Pipe, real_time_world: World
) -> None:
    ends = [read(real_time_world, ReadFileAdaptor(readmode="line")) for _ in range(2)]

    def script() -> Script:
        for number in range(5):
            os.write(typed.writing, b"%d\n" % number)
            yield from real_time_world.until(
                lambda: sum(len(end.got) for end in ends) == number + 1  # noqa: B023
            )
        typed.end()
        yield from real_time_world.until(lambda: all(end.stop_message for end in ends))

    real_time_world.play(script())


def test_standard_input_without_an_end_is_given_up_when_told(
    typed: Pipe, real_time_world: World
) -> None:
    adaptor = ReadFileAdaptor(readmode="line")
    end = read(real_time_world, adaptor)

    def script() -> Script:
        os.write(typed.writing, b"all\nof a li")
        yield from real_time_world.until(lambda: end.got)
        adaptor.inboxes["control"].deliver(producerFinished())
        yield from real_time_world.until(lambda: end.stop_message)

    real_time_world.play(script())
    assert end.got == [b"all\n", b"of a li"]


def test_a_client_that_only_ends_its_own_side_gets_it_all(
    real_time_world: World, path: Path
) -> None:
    path.write_bytes(bytes(500_000))
    world = real_time_world

    def script() -> Script:
        server: ServerCore = world.serve(lambda **peer: ReadFileAdaptor(path, **peer))
        client = world.connect(server)
        client.shutdown(1)
        assert len((yield from world.receive_all(client))) == 500_000
        yield from world.until(lambda: server.connections == 0)

    world.play(script())


def test_a_client_that_goes_takes_an_endless_command_with_it(real_time_world: World) -> None:
    world = real_time_world
    made: list[ReadFileAdaptor] = []

    def protocol(**peer: Any) -> ReadFileAdaptor:  # noqa: ANN401 - they become attributes
        made.append(ReadFileAdaptor(command=["yes"], **peer))
        return made[-1]

    def script() -> Script:
        server = world.serve(protocol)
        client = world.connect(server)
        yield from world.receive(client, 10_000)
        client.close()
        yield from world.until(lambda: made[0]._isStopped() and server.connections == 0)

    world.play(script())


def test_it_sleeps_while_a_command_says_nothing(real_time_world: World) -> None:
    silent = Silent()
    adaptor = ReadFileAdaptor(command="echo ready; exec sleep 1000")
    silent.link((adaptor, "outbox"), (silent, "inbox"))

    def script() -> Script:
        real_time_world.run(silent, adaptor)
        yield from real_time_world.until(lambda: silent.dataReady("inbox"))
        yield from real_time_world.settle()
        before = real_time_world.waiter.waits
        yield from real_time_world.rest(0.2)
        assert real_time_world.waiter.waits - before < 10

    real_time_world.play(script())
    assert taken(silent) == [b"ready\n"]
