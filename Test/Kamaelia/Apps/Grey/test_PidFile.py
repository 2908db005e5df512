"""The pid file: one owner, and nobody's link is followed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from Kamaelia.Apps.Grey.PidFile import PidFile, PidFileError, running_pid

ROOT = Path(__file__).parents[4]
NOBODY = 65_534
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pid"


def test_it_holds_our_number_while_we_run(path: Path) -> None:
    with PidFile(path):
        assert path.read_text() == f"{os.getpid()}\n"
        assert running_pid(path) == os.getpid()
    assert not path.exists()


def test_a_second_program_is_told_who_the_first_is(path: Path) -> None:
    with PidFile(path), pytest.raises(PidFileError, match=rf"process {os.getpid()} runs already"):
        PidFile(path).__enter__()
    assert not path.exists()


def test_a_file_that_was_left_behind_is_taken_over(path: Path) -> None:
    path.write_text("4194303 and some more that was there\n")
    with pytest.raises(PidFileError, match="is the program running"):
        running_pid(path)
    with PidFile(path):
        assert path.read_text() == f"{os.getpid()}\n"


def test_the_lock_ends_with_its_process_however_it_ends(path: Path) -> None:
    code = (
        "import os, sys, pathlib\n"
        "from Kamaelia.Apps.Grey.PidFile import PidFile\n"
        "PidFile(pathlib.Path(sys.argv[1])).__enter__()\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, check=False)
    assert done.returncode == -9
    assert path.read_text() != ""
    with pytest.raises(PidFileError, match="no process holds it"):
        running_pid(path)
    with PidFile(path):
        assert running_pid(path) == os.getpid()


def test_a_child_leaves_it_alone(path: Path) -> None:
    with PidFile(path) as held:
        pid = os.fork()
        if pid == 0:
            held.__exit__()
            held.leave()
            os._exit(0 if path.exists() else 1)
        assert os.waitpid(pid, 0)[1] == 0
        assert running_pid(path) == os.getpid()


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious\n")
    path.symlink_to(victim)
    with pytest.raises(PidFileError, match="is a link"):
        PidFile(path).__enter__()
    with pytest.raises(PidFileError, match="is a link"):
        running_pid(path)
    assert victim.read_text() == "precious\n"


def test_a_hard_link_is_not_written_to(path: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious\n")
    path.hardlink_to(victim)
    with pytest.raises(PidFileError, match="no ordinary file"):
        PidFile(path).__enter__()
    assert victim.read_text() == "precious\n"


def test_a_pipe_is_not_waited_for(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(PidFileError, match="no ordinary file"):
        PidFile(path).__enter__()


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o702])
def test_a_folder_where_all_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(PidFileError, match="others may write"):
        PidFile(folder / "pid").__enter__()
    assert not (folder / "pid").exists()


@root_only
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir(0o755)
    os.chown(folder, NOBODY, NOBODY)
    with pytest.raises(PidFileError, match=f"belongs to user {NOBODY}"):
        PidFile(folder / "pid").__enter__()
    os.chown(folder, 0, NOBODY)
    folder.chmod(0o775)
    with pytest.raises(PidFileError, match="others may write"):
        PidFile(folder / "pid").__enter__()


def test_a_folder_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(PidFileError, match="No such file"):
        PidFile(tmp_path / "none" / "pid").__enter__()
    (tmp_path / "file").write_text("")
    with pytest.raises(PidFileError, match="is no folder"):
        PidFile(tmp_path / "file" / "pid").__enter__()


@pytest.mark.parametrize("text", ["", "x", "-5", "1", "0", "99999999", "12 34"])
def test_what_is_no_number_is_nobody(path: Path, text: str) -> None:
    with PidFile(path):
        path.write_text(text)
        with pytest.raises(PidFileError, match="holds no number"):
            running_pid(path)


def test_a_file_that_cannot_be_removed_is_emptied(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with PidFile(path):
        monkeypatch.setattr(Path, "unlink", forbidden)
    monkeypatch.undo()
    assert path.read_text() == ""


def test_no_file_is_nobody(path: Path) -> None:
    with pytest.raises(PidFileError, match="No such file"):
        running_pid(path)
