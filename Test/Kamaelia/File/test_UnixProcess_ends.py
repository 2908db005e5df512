"""UnixProcess: how it ends, how it is ended, and that no program is left behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import FakeClock
from Kamaelia.File.ChildProcess import Command, ProcessEnded
from Kamaelia.File.UnixProcess import UnixProcess
from Test.Kamaelia.File.processes import finish, gone, listen, reaped, run, runs, tell
from Test.Kamaelia.network import Script, World

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("command", "status", "text"),
    [
        ("true", ProcessEnded(0), "ended with exit status 0"),
        ("false", ProcessEnded(1), "ended with exit status 1"),
        (["false"], ProcessEnded(1), "ended with exit status 1"),
        ("kill -9 $$", ProcessEnded(None, 9), "ended by SIGKILL"),
        ("kill -40 $$", ProcessEnded(None, 40), "ended by signal 40"),
        ("no-such-program 2>&-", ProcessEnded(127), "ended with exit status 127"),
        ("yes | head -1 > /dev/null", ProcessEnded(0), "ended with exit status 0"),
    ],
)
def test_the_status_says_how_it_ended(
    command: str | list[str], status: ProcessEnded, text: str
) -> None:
    assert run(UnixProcess(command))[1] == [status]
    assert str(status) == text


def test_a_shell_takes_a_text_and_no_shell_takes_a_list() -> None:
    assert run(UnixProcess('printf %s "$((1 + 1))"'))[0] == b"2"
    assert run(UnixProcess(["printf", "%s|", "$((1 + 1))", "*"]))[0] == b"$((1 + 1))|*|"


def test_a_program_that_cannot_be_started_is_an_error_and_a_status(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    cases: list[tuple[Command, int]] = [(["no-such"], 127), ([plain], 126), ("a\0b", 127)]
    for command, status in cases:
        process = UnixProcess(command)
        ear = listen(process)
        world = World(None)
        world.play(finish(world, process, ear))
        world.close()
        assert ear.text("error").startswith(b"cannot start ")
        assert process._status == ProcessEnded(status)


def test_why_it_cannot_be_started_is_logged_if_nobody_listens(
    caplog: pytest.LogCaptureFixture, real_time_world: World
) -> None:
    process = UnixProcess(["no-such-program"])
    ear = listen(process, "status", "signal")
    real_time_world.play(finish(real_time_world, process, ear))
    assert "No such file" in caplog.text


def test_a_shutdown_ends_the_program_and_what_it_has_started(real_time_world: World) -> None:
    process = UnixProcess("sleep 1000 & echo $!; wait")
    ear = listen(process)
    message = shutdownMicroprocess()
    pids: list[int] = []

    def script() -> Script:
        real_time_world.run(ear, process)
        yield from real_time_world.until(lambda: ear.dataReady("inbox"))
        assert process.pid is not None
        pids.extend([process.pid, int(ear.text())])
        tell(process, producerFinished())  # not enough
        yield from real_time_world.settle()
        tell(process, message)
        yield from real_time_world.until(process._isStopped)

    real_time_world.play(script())
    assert reaped(pids[0])
    assert gone(pids[1])
    assert list(ear.Inbox("control")) == [message]
    assert list(ear.Inbox("status")) == [ProcessEnded(None, 15)]


def test_one_that_ignores_the_first_signal_is_killed(world: World, clock: FakeClock) -> None:
    process = UnixProcess("trap '' TERM; echo ready; exec sleep 1000", kill_after=7.0)
    ear = listen(process)

    def script() -> Script:
        world.run(ear, process)
        yield from world.until(lambda: ear.dataReady("inbox"))
        tell(process, shutdownMicroprocess())
        yield from world.settle()
        clock.advance(6.9)
        yield from world.settle()
        assert not process._isStopped()
        clock.advance(0.2)
        yield from world.until(process._isStopped)

    world.play(script())
    assert list(ear.Inbox("status")) == [ProcessEnded(None, 9)]


def test_a_program_behind_a_shell_has_time_to_end_properly(
    real_time_world: World, tmp_path: Path
) -> None:
    last_words = tmp_path / "last words"
    inner = tmp_path / "inner"
    inner.write_text(
        f"trap 'sleep 0.2; echo bye > \"{last_words}\"; exit' TERM\n"
        "echo ready\n"
        "while :; do sleep 0.02; done\n"
    )
    process = UnixProcess(f"sh '{inner}'; true")
    ear = listen(process)

    def script() -> Script:
        real_time_world.run(ear, process)
        yield from real_time_world.until(lambda: ear.dataReady("inbox"))
        tell(process, shutdownMicroprocess())
        yield from real_time_world.until(process._isStopped)

    real_time_world.play(script())
    assert last_words.read_text() == "bye\n"


def test_while_the_receiver_is_full_a_shutdown_ends_it(real_time_world: World) -> None:
    process = UnixProcess("yes; echo never")
    ear = listen(process)
    ear.setInboxSize("inbox", 1)
    ear.setInboxSize("status", 0)

    def script() -> Script:
        real_time_world.run(ear, process)
        yield from real_time_world.until(lambda: ear.dataReady("inbox"))
        yield from real_time_world.settle()
        tell(process, shutdownMicroprocess())
        yield from real_time_world.until(process._isStopped)

    real_time_world.play(script())
    assert ear.dataReady("inbox") == 1


def test_a_full_receiver_of_the_status_is_waited_for(real_time_world: World) -> None:
    process = UnixProcess("true")
    ear = listen(process)
    ear.setInboxSize("status", 0)

    def script() -> Script:
        real_time_world.run(ear, process)
        yield from real_time_world.until(lambda: process._status)
        yield from real_time_world.settle()
        assert not process._isStopped()
        ear.setInboxSize("status", None)
        yield from real_time_world.until(process._isStopped)

    real_time_world.play(script())
    assert list(ear.Inbox("status")) == [ProcessEnded(0)]


def test_a_program_in_the_background_is_listened_to_for_a_while(
    world: World, clock: FakeClock, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    later = f"until [ -e '{go}' ]; do sleep 0.01; done; echo late; exec sleep 1000"
    process = UnixProcess(f"({later}) & echo $!", linger=3.0)
    ear = listen(process)
    texts: list[bytes] = []

    def script() -> Script:
        world.run(ear, process)
        yield from world.until(lambda: ear.dataReady("inbox"))
        texts.append(ear.text())
        yield from world.until(lambda: process._status)
        go.touch()
        yield from world.until(lambda: ear.dataReady("inbox"))
        clock.advance(2.9)
        yield from world.settle()
        assert not process._isStopped()
        clock.advance(0.2)
        yield from world.until(process._isStopped)

    world.play(script())
    assert ear.text() == b"late\n"
    assert runs(int(texts[0]))
    os.kill(int(texts[0]), 9)


def test_what_it_wrote_before_its_end_is_delivered_however_long_the_receiver_takes(
    world: World, clock: FakeClock
) -> None:
    process = UnixProcess("head -c 60000 /dev/zero; sleep 1000 & echo $! >&2", buffersize=7000)
    ear = listen(process)
    ear.setInboxSize("inbox", 0)
    total: list[bytes] = []

    def script() -> Script:
        world.run(ear, process)
        yield from world.until(lambda: process._status)
        yield from world.settle()
        clock.advance(1000)
        yield from world.settle()
        ear.setInboxSize("inbox", 1)
        while not process._isStopped():
            total.extend(ear.Inbox("inbox"))
            yield 1

    world.play(script())
    assert len(b"".join(total) + ear.text()) == 60_000
    os.kill(int(ear.text("error")), 9)


def test_a_system_that_is_stopped_leaves_no_program_behind(real_time_world: World) -> None:
    process = UnixProcess("trap '' TERM; sleep 1000 & echo $!; wait")
    ear = listen(process)
    pids: list[int] = []

    def script() -> Script:
        real_time_world.run(ear, process)
        yield from real_time_world.until(lambda: ear.dataReady("inbox"))
        assert process.pid is not None
        pids.extend([process.pid, int(ear.text())])

    real_time_world.play(script())  # which stops the scheduler
    assert reaped(pids[0])
    assert gone(pids[1])


FAILING = """
from Axon.Component import component
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.File.UnixProcess import UnixProcess

class Failing(component):
    def main(self):
        while not self.dataReady("inbox"):
            self.pause()
            yield 1
        print(self.recv("inbox").decode(), flush=True)
        raise ValueError("on purpose")

Pipeline(UnixProcess("echo $$; exec sleep 1000"), Failing()).run()
"""


def test_a_program_that_fails_leaves_no_program_behind() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FAILING],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert b"ValueError: on purpose" in done.stderr
    assert gone(int(done.stdout))
