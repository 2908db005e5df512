"""The monitor of a running program: what it answers, to whom, and what it does not put up with."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from Axon import Monitor
from Axon.Instruments import Counts
from Axon.Monitor import QUESTION, MonitorError
from Axon.Scheduler import scheduler
from Axon.Snapshot import from_json
from Axon.Survey import between_turns
from Test.Axon.scripts import Script, sleeper

SECONDS = 10.0


@pytest.fixture
def running(engine: scheduler) -> Iterator[scheduler]:
    """A scheduler that runs in a thread until the end of the test."""
    begun = threading.Event()

    def serve() -> None:
        engine.linger = True
        engine.call_from_thread(begun.set)
        engine.runThreads()

    thread = threading.Thread(target=serve)
    thread.start()
    assert begun.wait(SECONDS)
    yield engine
    engine.stop()
    thread.join(SECONDS)
    assert not thread.is_alive()


@pytest.fixture
def path(tmp_path: Path, running: scheduler) -> Iterator[Path]:
    """The socket of a monitor of it."""
    monitor = Monitor.listen(tmp_path / "m", running)
    yield tmp_path / "m"
    monitor.close()


def connect(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(SECONDS)
    client.connect(os.fspath(path))
    return client


def read_all(client: socket.socket) -> bytes:
    pieces = []
    with contextlib.suppress(ConnectionResetError):  # closed with unread bytes in it
        while piece := client.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


def answer_to(path: Path, question: bytes = QUESTION) -> bytes:
    with connect(path) as client:
        client.sendall(question)
        return read_all(client)


# ---- what it answers


def test_the_answer_is_a_line_of_json_with_the_components(path: Path, running: scheduler) -> None:
    Script(sleeper, "one").activate(Scheduler=running)
    between_turns(running, lambda: None)
    line = answer_to(path)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    taken = from_json(line)
    assert [one.name for one in taken.components] == ["one"]
    assert taken.pid == os.getpid()


def test_a_question_may_come_in_pieces(path: Path) -> None:
    with connect(path) as client:
        for byte in QUESTION:
            client.send(bytes([byte]))
        assert from_json(read_all(client))


def test_an_answer_larger_than_a_sockets_buffer_arrives(path: Path, running: scheduler) -> None:
    for _ in range(1500):
        Script(sleeper, "x" * 200).activate(Scheduler=running)
    between_turns(running, lambda: None)
    line = answer_to(path)
    assert len(line) > 1_000_000
    assert len(from_json(line).components) == 1500


def test_counting_begins_with_the_first_question_and_ends_some_time_after_the_last(
    path: Path, running: scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert running._instruments == ()
    answer_to(path)
    (counts,) = running._instruments
    assert isinstance(counts, Counts)
    ended = threading.Event()
    monkeypatch.setattr(Monitor, "COUNTING_SECONDS", -1.0)

    def later() -> None:
        (monitor,) = monitors(running)
        monitor._count_on()
        ended.set()

    running.call_from_thread(later)
    assert ended.wait(SECONDS)
    assert running._instruments == ()


def monitors(running: scheduler) -> list[Monitor.Monitor]:
    callbacks = running._waiter._callbacks.values()  # type: ignore[attr-defined]
    owners = (getattr(callback, "__self__", None) for callback in callbacks)
    return [owner for owner in owners if isinstance(owner, Monitor.Monitor)]


def test_an_answer_is_used_again_while_it_is_fresh(
    path: Path, running: scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Monitor, "REST_FACTOR", 1e9)
    first = answer_to(path)
    Script(sleeper, "new").activate(Scheduler=running)
    between_turns(running, lambda: None)
    assert answer_to(path) == first


def test_no_more_components_than_the_limit_are_told(
    path: Path, running: scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Monitor, "COMPONENTS", 3)
    for _ in range(10):
        Script(sleeper).activate(Scheduler=running)
    between_turns(running, lambda: None)
    taken = from_json(answer_to(path))
    assert (len(taken.components), taken.omitted) == (3, 7)


# ---- what it does not put up with


@pytest.mark.parametrize(
    "question", [b"shutdown\n", b"snapshot", b"snapshot\nx", b"\n", b"x" * 100_000, b""]
)
def test_another_question_gets_no_answer_and_harms_nobody(path: Path, question: bytes) -> None:
    with connect(path) as client:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it stops reading early
            client.sendall(question)
            client.shutdown(socket.SHUT_WR)
        # "snapshot\nx": the question is complete; whether x has arrived by then is chance.
        assert read_all(client) == b"" or question.startswith(QUESTION)
    assert from_json(answer_to(path))


def test_one_that_asks_nothing_is_let_go_in_the_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Monitor, "SECONDS", 0.01)
    with connect(path) as client:
        assert client.recv(1) == b""


def test_one_that_does_not_take_its_answer_is_let_go_in_the_end(
    path: Path, running: scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(1500):
        Script(sleeper, "x" * 200).activate(Scheduler=running)
    between_turns(running, lambda: None)
    monkeypatch.setattr(Monitor, "SECONDS", 0.05)
    gone = threading.Event()
    forget = Monitor.Monitor.forget

    def forget_and_tell(monitor: Monitor.Monitor, client: Monitor._Client) -> None:
        forget(monitor, client)
        gone.set()

    monkeypatch.setattr(Monitor.Monitor, "forget", forget_and_tell)
    with connect(path) as client:
        client.sendall(QUESTION)
        assert gone.wait(SECONDS)
        assert len(read_all(client)) < 1_000_000


def test_no_more_than_so_many_at_a_time(path: Path) -> None:
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(connect(path)) for _ in range(Monitor.CLIENTS)]
        with connect(path) as one_more:
            assert one_more.recv(1) == b""
        waiting[0].sendall(QUESTION)
        assert from_json(read_all(waiting[0]))


def test_another_user_gets_no_answer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Monitor, "peer_user", lambda connection: os.geteuid() + 1)
    with connect(path) as client:
        assert read_all(client) == b""


def test_the_system_says_who_is_at_the_other_end() -> None:
    here, there = socket.socketpair()
    with here, there:
        assert Monitor.peer_user(here) == os.geteuid()


def test_a_component_that_cannot_be_looked_at_does_not_end_the_program(
    path: Path, running: scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    class Nameless(Script):
        @property
        def name(self) -> str:
            if self.scheduler:
                raise ValueError("no name")
            return "x"

    between_turns(running, lambda: Nameless(sleeper).activate(Scheduler=running))
    assert answer_to(path) == b""
    assert "could not be answered" in caplog.text
    assert between_turns(running, lambda: len(running.threads)) == 1


def test_with_too_many_files_open_it_rests_and_then_goes_on(
    path: Path,
    running: scheduler,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(Monitor, "PAUSE_SECONDS", 0.0)
    (monitor,) = between_turns(running, lambda: monitors(running))
    listener = monitor._listener

    class Exhausted:
        def fileno(self) -> int:
            assert listener is not None
            return listener.fileno()

        def accept(self) -> None:
            monitor._listener = listener
            raise OSError(24, "Too many open files")

    monitor._listener = Exhausted()  # type: ignore[assignment]
    assert from_json(answer_to(path))
    assert "Too many open files" in caplog.text


# ---- where it listens


def test_the_socket_is_the_owners_only_and_goes_away(tmp_path: Path, engine: scheduler) -> None:
    monitor = Monitor.listen(tmp_path / "m", engine)
    assert (tmp_path / "m").stat().st_mode & 0o777 == 0o600
    monitor.close()
    monitor.close()
    assert not (tmp_path / "m").exists()
    assert not engine._waiter.busy


def test_closing_lets_go_of_everybody(tmp_path: Path, running: scheduler) -> None:
    monitor = Monitor.listen(tmp_path / "m", running)
    answer_to(tmp_path / "m")
    with connect(tmp_path / "m") as client:
        client.sendall(b"snap")
        between_turns(running, lambda: None)
        between_turns(running, lambda: None)
        monitor.close()
        assert read_all(client) == b""
    assert running._instruments == ()
    assert between_turns(running, lambda: running._timers.entries) is not None


def test_what_a_killed_program_left_is_cleared_away(tmp_path: Path, engine: scheduler) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(os.fspath(tmp_path / "m"))
    Monitor.listen(tmp_path / "m", engine).close()


def test_a_socket_in_use_is_left_alone(tmp_path: Path, engine: scheduler) -> None:
    first = Monitor.listen(tmp_path / "m", engine)
    with pytest.raises(MonitorError, match="another program listens"):
        Monitor.listen(tmp_path / "m", engine)
    assert (tmp_path / "m").exists()
    first.close()


def test_a_file_is_left_alone(tmp_path: Path, engine: scheduler) -> None:
    (tmp_path / "m").write_text("mine")
    with pytest.raises(MonitorError, match="is no socket"):
        Monitor.listen(tmp_path / "m", engine)
    assert (tmp_path / "m").read_text() == "mine"


@pytest.mark.parametrize("name", ["no/folder/m", "x" * 300, "x" * 150])
def test_a_path_that_cannot_be_is_told(tmp_path: Path, engine: scheduler, name: str) -> None:
    with pytest.raises(MonitorError, match="cannot"):
        Monitor.listen(tmp_path / name, engine)
    assert not engine._waiter.busy


Folders = Callable[[], None]


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without XDG_RUNTIME_DIR, and with a folder for temporary files of the test's."""
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(Monitor.tempfile, "gettempdir", lambda: os.fspath(tmp_path))
    return tmp_path


def test_the_usual_path_is_in_the_folder_that_the_system_gives(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folders / "run").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", os.fspath(folders / "run"))
    assert Monitor.usual_path(7) == folders / "run" / "axon-7.sock"


def test_else_it_is_in_a_folder_that_only_this_user_can_reach(folders: Path) -> None:
    path = Monitor.usual_path(7)
    assert path == folders / f"axon-{os.geteuid()}" / "axon-7.sock"
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert Monitor.usual_path(7) == path


@pytest.mark.parametrize("trick", ["open", "link", "file"])
def test_a_folder_that_another_user_may_have_made_is_refused(folders: Path, trick: str) -> None:
    folder = folders / f"axon-{os.geteuid()}"
    if trick == "open":
        folder.mkdir()
        folder.chmod(0o777)
    elif trick == "link":
        (folders / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(folders / "elsewhere")
    else:
        folder.write_text("")
    with pytest.raises(MonitorError, match="only this user can reach"):
        Monitor.usual_path(7)


def test_a_runtime_folder_that_others_can_reach_is_not_used(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folders / "run").mkdir()
    (folders / "run").chmod(0o755)
    monkeypatch.setenv("XDG_RUNTIME_DIR", os.fspath(folders / "run"))
    assert Monitor.runtime_folder() is None
    assert not Monitor.is_private(folders / "nothing", os.geteuid())


def test_sockets_of_processes_that_are_over_are_swept_away(folders: Path) -> None:
    folder = Monitor.usual_path(7).parent
    for name in ("axon-999999999.sock", f"axon-{os.getpid()}.sock", "axon-mine.sock"):
        (folder / name).write_text("")
    Monitor.usual_path(7)
    assert {path.name for path in folder.iterdir()} == {
        f"axon-{os.getpid()}.sock",
        "axon-mine.sock",
    }


# ---- the environment


@pytest.mark.parametrize("wish", ["", "0"])
def test_without_a_wish_in_the_environment_nothing_is_opened(
    engine: scheduler, monkeypatch: pytest.MonkeyPatch, wish: str
) -> None:
    monkeypatch.setattr(scheduler, "run", engine)
    monkeypatch.setenv(Monitor.VARIABLE, wish)
    Monitor.listen_from_environment()
    assert not engine._calls


def test_a_wish_in_the_environment_is_granted_when_the_scheduler_runs(
    engine: scheduler, monkeypatch: pytest.MonkeyPatch, folders: Path
) -> None:
    monkeypatch.setattr(scheduler, "run", engine)
    monkeypatch.setenv(Monitor.VARIABLE, "1")
    Monitor.listen_from_environment()
    usual = folders / f"axon-{os.geteuid()}" / f"axon-{os.getpid()}.sock"
    assert not usual.exists()
    engine.call_from_thread(lambda: seen.append(usual.is_socket()))
    seen: list[bool] = []
    engine.runThreads()
    assert seen == [True]
    for monitor in monitors(engine):
        monitor.close()


def test_a_wish_that_cannot_be_granted_is_logged_and_the_program_runs(
    engine: scheduler,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(scheduler, "run", engine)
    monkeypatch.setenv(Monitor.VARIABLE, os.fspath(tmp_path / "no" / "m"))
    Monitor.listen_from_environment()
    engine.runThreads()
    assert "AXON_MONITOR is set, but: cannot listen" in caplog.text
