"""Looking at another program: finding it, asking it, and what is said when that fails."""

import contextlib
import io
import os
import socket
import threading
from pathlib import Path

import pytest

from Axon import Monitor, Viewer
from Axon.Monitor import QUESTION
from Axon.Snapshot import Direction, Snapshot, to_json
from Axon.Viewer import ViewError, ask, find, folders, listening
from Test.Axon.test_Picture import TAKEN


class Program:
    """A program that gives the same answers to each in turn, whatever it is asked."""

    def __init__(self, path: Path, *answers: bytes) -> None:
        self.questions: list[bytes] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(os.fspath(path))
        self._listener.listen()
        self._listener.settimeout(20)
        self._thread = threading.Thread(target=self._serve, args=[answers])
        self._thread.start()

    def _serve(self, answers: tuple[bytes, ...]) -> None:
        for answer in answers:
            client = self._listener.accept()[0]
            with client, contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.questions.append(client.recv(100))
                client.sendall(answer)

    def close(self) -> None:
        self._thread.join(20)
        self._listener.close()


def line(taken: Snapshot) -> bytes:
    return to_json(taken).encode() + b"\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "m"


# ---- asking


def test_a_snapshot_is_asked_for_and_read(path: Path) -> None:
    program = Program(path, line(TAKEN))
    assert ask(path) == TAKEN
    program.close()
    assert program.questions == [QUESTION]


@pytest.mark.parametrize("answer", [b"", b"{}\n", b"\xff\n", line(TAKEN)[:-5]])
def test_an_answer_that_is_none_is_told(path: Path, answer: bytes) -> None:
    program = Program(path, answer)
    with pytest.raises(ViewError, match="gave no snapshot"):
        ask(path)
    program.close()


def test_an_answer_without_an_end_is_not_read_for_ever(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Viewer, "LONGEST_ANSWER", 1000)
    program = Program(path, b"x" * 2000)
    with pytest.raises(ViewError, match="no end"):
        ask(path)
    program.close()


def test_an_answer_that_drips_is_not_waited_for_for_ever() -> None:
    here, there = socket.socketpair()
    with here, there:
        there.sendall(b"xx")
        with pytest.raises(TimeoutError):
            Viewer._read_all(here, until=0.0)


def test_one_that_does_not_answer_is_told_with_its_cure(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Viewer, "SECONDS", 0.05)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(path))
        listener.listen()
        with pytest.raises(ViewError, match="SlowTurns"):
            ask(path)


def test_nobody_there_is_told(path: Path) -> None:
    with pytest.raises(ViewError, match="is the program over"):
        ask(path)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(os.fspath(path))
    with pytest.raises(ViewError, match="was killed; remove it"):
        ask(path)


def test_what_cannot_be_a_socket_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ViewError, match=r"nobody listens|cannot ask"):
        ask(tmp_path / "file")
    with pytest.raises(ViewError, match="cannot ask"):
        ask(tmp_path / ("x" * 200))


def test_no_right_to_ask_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(connection: socket.socket) -> int:
        raise PermissionError

    monkeypatch.setattr(Viewer, "peer_user", refuse)
    program = Program(path, b"")
    with pytest.raises(ViewError, match="sudo -u"):
        ask(path)
    program.close()


def test_a_program_of_another_user_is_not_trusted(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = Program(path, b"")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(ViewError, match="not to be trusted"):
        ask(path)
    program.close()


# ---- finding


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which programs listen."""
    monkeypatch.setattr(Viewer, "folders", lambda user: [tmp_path, tmp_path / "none"])
    return tmp_path


def test_a_process_that_listens_is_found_by_its_number(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        path = folder / f"axon-{os.getpid()}.sock"
        listener.bind(os.fspath(path))
        assert find(str(os.getpid())) == path
        assert find(None) == path
        assert listening() == [os.getpid()]


def test_a_path_is_taken_as_it_is() -> None:
    assert find("/some/where") == Path("/some/where")


@pytest.mark.parametrize("number", ["0", "4294967296", "9" * 100, "2147483646"])
def test_no_such_process_is_told(number: str) -> None:
    with pytest.raises(ViewError, match="there is no process"):
        find(number)


def test_one_that_has_not_opted_in_is_told_how(folder: Path) -> None:
    with pytest.raises(ViewError, match=r"AXON_MONITOR=1 .* Axon.Monitor.listen\(\)"):
        find(str(os.getpid()))


@pytest.mark.parametrize(
    ("raised", "told"),
    [(PermissionError, "use sudo -u"), (FileNotFoundError, "has just ended")],
)
def test_one_of_another_user_and_one_that_just_ended_are_told(
    monkeypatch: pytest.MonkeyPatch, raised: type[OSError], told: str
) -> None:
    def refuse(user: int) -> list[Path]:
        raise raised

    monkeypatch.setattr(Viewer, "folders", refuse)
    with pytest.raises(ViewError, match=told):
        find(str(os.getpid()))


def test_which_one_is_asked_if_there_are_several_or_none(folder: Path) -> None:
    with pytest.raises(ViewError, match="no program of yours listens"):
        find(None)
    for process in (os.getpid(), os.getppid(), 999999999):
        (folder / f"axon-{process}.sock").write_text("")
    both = ", ".join(map(str, sorted([os.getpid(), os.getppid()])))
    with pytest.raises(ViewError, match=f"say which: {both}$"):
        find(None)


def test_the_folders_are_those_in_which_programs_listen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", os.fspath(tmp_path))
    assert folders(os.geteuid())[0] == Monitor.usual_path(1).parent == tmp_path
    assert tmp_path not in folders(os.geteuid() + 1)


# ---- showing


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_ps_looks_twice_to_see_what_is_done(path: Path) -> None:
    out, waits = io.StringIO(), []
    later = Snapshot(**{**{name: getattr(TAKEN, name) for name in TAKEN.__slots__}, "time": 6.0})
    program = Program(path, line(TAKEN), line(later))
    Viewer.Viewer(path, out, waits.append).ps(1.0)
    program.close()
    assert waits == [1.0]
    assert out.getvalue().startswith("process 77: 3 components")
    assert "  0  " in out.getvalue()


def test_ps_can_look_once(path: Path) -> None:
    out = io.StringIO()
    program = Program(path, line(TAKEN))
    Viewer.Viewer(path, out).ps(0)
    program.close()
    assert "writer" in out.getvalue()


def test_tree_shows_links(path: Path) -> None:
    out = io.StringIO()
    program = Program(path, line(TAKEN))
    Viewer.Viewer(path, out).tree()
    program.close()
    assert "outbox -> writer.inbox" in out.getvalue()


def test_top_draws_again_on_a_screen_and_fits_into_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINES", "6")
    monkeypatch.setenv("COLUMNS", "30")
    out, waits = Screen(), []
    program = Program(path, *[line(TAKEN)] * 3)
    Viewer.Viewer(path, out, waits.append).top(0.0, 2)
    program.close()
    screens = out.getvalue().split(Viewer._CLEAR)[1:]
    assert len(screens) == 2
    assert waits == [0.1, 0.1]
    assert all(len(screen.splitlines()) == 4 for screen in screens)  # two rows, of three
    assert all(len(row) <= 30 for row in screens[0].splitlines())


def test_top_without_a_screen_prints_plainly_until_the_program_is_over(path: Path) -> None:
    out = io.StringIO()
    program = Program(path, *[line(TAKEN)] * 2, b"")
    with pytest.raises(ViewError):
        Viewer.Viewer(path, out, lambda seconds: None).top(1.0, None)
    program.close()
    assert "\x1b" not in out.getvalue()
    assert out.getvalue().count("process 77") == 1


def test_directions_are_words_in_json() -> None:
    assert '"direction":"in"' in to_json(TAKEN)
    assert Direction("in") is Direction.IN
