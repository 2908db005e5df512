"""A supervisor on a bad day: its own faults must not be the end of all workers."""

from __future__ import annotations

import errno
import signal
import socket
import sys

import pytest

from Test.Kamaelia.Apps.Grey.test_Workers import World


class FullDisk:
    """A stream that cannot get rid of what waits in it."""

    flushed = 0

    def flush(self) -> None:
        FullDisk.flushed += 1
        raise OSError(errno.ENOSPC, "No space left on device")

    def write(self, text: str) -> int:
        return len(text)


def test_a_fault_while_the_file_is_read_leaves_the_workers_as_they_are(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(monkeypatch)

    def fail() -> bool:
        raise RuntimeError("nobody has thought of that")

    monkeypatch.setattr(world, "_check", fail)
    assert world.run(lambda: signal.raise_signal(signal.SIGHUP), lambda: None) == 0
    assert "internal error while the configuration was read" in caplog.text
    assert "nobody has thought of that" in caplog.text
    assert len(world.processes) == 2
    assert world.notifier.said[:2] == ["RELOADING=1", "READY=1"]


def test_workers_are_started_though_standard_error_is_on_a_full_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch)
    monkeypatch.setattr(sys, "stderr", FullDisk())
    assert world.run() == 0
    assert FullDisk.flushed >= 2
    assert len(world.processes) == 2


def test_without_descriptors_a_worker_is_started_later(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    make = socket.socketpair
    refused: list[tuple[int, ...]] = []

    def pair(*arguments: int) -> tuple[socket.socket, socket.socket]:
        if arguments and not refused:
            refused.append(arguments)
            raise OSError(errno.EMFILE, "Too many open files")
        return make(*arguments)

    monkeypatch.setattr(socket, "socketpair", pair)

    def later() -> None:
        world.now += 10

    assert world.run(later, later) == 0
    assert len(world.processes) == 2
