"""ChildProcess: started, told apart how it ended, and never left behind."""

import errno
import gc
import os
import select
import signal
import subprocess

import pytest

from Kamaelia.File.ChildProcess import ChildProcess, ProcessEnded
from Test.Kamaelia.File.processes import reaped
from Test.Kamaelia.network import open_files


def wait_for_end(child: ChildProcess) -> ProcessEnded | None:
    assert select.select([child.pidfd], [], [], 10)[0]
    return child.status()


def test_its_end_is_reported_and_its_status_may_be_asked_for_again() -> None:
    child = ChildProcess("exit 3")
    assert wait_for_end(child) == child.status() == ProcessEnded(3)
    child.end()


def test_while_it_runs_there_is_no_status() -> None:
    child = ChildProcess(["sleep", "1000"])
    assert child.status() is None
    child.kill(signal.SIGTERM)
    assert wait_for_end(child) == ProcessEnded(None, signal.SIGTERM)
    child.end()


def test_at_the_end_it_is_killed_reaped_and_all_files_are_given_back() -> None:
    before = open_files()
    child = ChildProcess(["sleep", "1000"])
    assert open_files() == before + 4
    child.end()
    child.end()
    assert open_files() == before
    assert reaped(child.pid)


def test_one_that_nobody_refers_to_any_more_is_ended() -> None:
    pid = ChildProcess(["sleep", "1000"]).pid
    gc.collect()
    assert reaped(pid)


def test_after_the_end_nothing_is_sent_to_a_number_that_may_be_anothers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    child = ChildProcess("true")
    child.end()
    sent: list[object] = []
    monkeypatch.setattr(os, "killpg", lambda *arguments: sent.append(arguments))
    child.kill(signal.SIGKILL)
    assert sent == []


def test_one_that_somebody_else_has_waited_for_ended_nobody_knows_how() -> None:
    child = ChildProcess("exit 3")
    os.waitpid(child.pid, 0)
    assert child.status() == ProcessEnded(None)
    assert str(child.status()) == "ended with exit status ?"
    child.kill(signal.SIGTERM)
    child.end()


def test_what_may_not_be_killed_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(group: int, number: int) -> None:
        raise PermissionError(errno.EPERM, "not yours")

    child = ChildProcess(["cat"])
    with monkeypatch.context() as patched:
        patched.setattr(os, "killpg", refuse)
        child.kill(signal.SIGTERM)
    assert "cannot be sent SIGTERM: [Errno 1] not yours" in caplog.text
    child.end()


def test_without_a_descriptor_for_its_end_it_is_not_left_running(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(pid: int) -> int:
        raise OSError(errno.EMFILE, f"too many open files for {pid}")

    before = open_files()
    monkeypatch.setattr(os, "pidfd_open", refuse)
    with pytest.raises(OSError, match="too many open files") as failure:
        ChildProcess(["sleep", "1000"])
    assert reaped(int(str(failure.value).rpartition(" ")[2]))
    assert open_files() == before


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_of_this_program_does_not_end_what_is_not_its_child() -> None:
    child = ChildProcess(["sleep", "1000"])
    copy = os.fork()
    if copy == 0:
        child.end()
        os._exit(0)
    os.waitpid(copy, 0)
    assert child.status() is None
    child.end()


def test_it_inherits_no_other_file_and_the_usual_signals() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as other:
        child = ChildProcess("ls /proc/self/fd | wc -l; grep SigIgn /proc/self/status")
        wait_for_end(child)
        files, ignored = os.read(child.stdout.fileno(), 1000).splitlines()
        child.end()
        assert other.stdin is not None
    assert int(files) == 4  # the three, and the folder that is listed
    assert int(ignored.split()[1], 16) & 1 << signal.SIGPIPE - 1 == 0
