"""
Programs that run beside the benchmark, and what they use
=========================================================
A `Child` is started, watched and ended by its own process id, whatever happens between::

    with Child(["haproxy", "-db", "-f", path], log=folder / "haproxy.log") as child:
        child.wait_for_port(2525)
        before = cpu_seconds(child.pid)

Processor time is that of the whole tree of processes: each one's own clock, exact to the
nanosecond, and the kernel's hundredths of a second for those that have ended.
"""

from __future__ import annotations

import os
import random
import socket
import subprocess
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

HOST = "127.0.0.1"
START_SECONDS = 15.0
END_SECONDS = 10.0
TICKS = os.sysconf("SC_CLK_TCK")


class StartError(Exception):
    """A program did not come up."""


class Child:
    """Child(command, log, environment) -> a running program; what it says goes into the log."""

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
            )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait_for_port(self, port: int, *, greets: bool = True) -> None:
        """Return when somebody there says hello as a mail server does, or answers at all."""
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up:
            if self._process.poll() is not None:
                break
            with suppress(OSError), socket.create_connection((HOST, port), timeout=5) as sock:
                if not greets:
                    return
                if sock.recv(100).startswith(b"220"):
                    sock.sendall(b"QUIT\r\n")
                    return
            time.sleep(0.02)
        said = self.log.read_text(errors="backslashreplace")[-500:].strip()
        raise StartError(f"{self._process.args!r} does not answer; it said: {said or 'nothing'}")


def free_port() -> int:
    """A port that was free a moment ago, for programs that cannot choose one themselves. Below
    those that the system gives to connections: one of them could take it meanwhile."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as sock:
            try:
                sock.bind((HOST, port))
            except OSError:
                continue
            return port


def tree(root: int) -> list[int]:
    """The process and all that come from it."""
    children = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children[int(fields[1])].append(int(entry.name))
    pids = [root]
    for pid in pids:
        pids.extend(children[pid])
    return pids


def cpu_seconds(root: int) -> float:
    """Processor time that the tree has used so far."""
    total = 0.0
    for pid in tree(root):
        if fields := _stat(pid):
            total += (int(fields[13]) + int(fields[14])) / TICKS  # of children that have ended
            with suppress(OSError):
                # The id of a process's clock: see clock_getcpuclockid(3).
                total += time.clock_gettime(~pid << 3 | 2)
    return total


def forget_peak(root: int) -> None:
    """Let peak_rss() begin anew; where the kernel refuses, the peak is that of the whole run."""
    for pid in tree(root):
        with suppress(OSError):
            Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_rss(root: int) -> int:
    """Most memory that was resident, in bytes; pages shared within the tree count for each."""
    return _memory(root, "VmHWM:")


def rss(root: int) -> int:
    """Memory that is resident now, in bytes; pages shared within the tree count for each."""
    return _memory(root, "VmRSS:")


def _memory(root: int, label: str) -> int:
    total = 0
    for pid in tree(root):
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith(label):
                    total += int(line.split()[1]) * 1024
    return total


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name, which may hold blanks: state, parent, ..."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
