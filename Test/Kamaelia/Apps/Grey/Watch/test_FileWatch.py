"""A file that somebody changes: what is told of it, and when."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from Axon.Component import component
from Axon.Ipc import producerFinished
from Axon.Testing import drive
from Kamaelia.Apps.Grey.Watch.FileWatch import FileWatch, Seen, digest_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "greylist.conf"
    made.write_text("one\n")
    return made


def looks(seen: Seen, count: int = 3) -> list[bool]:
    return [seen.look() for _ in range(count)]


def test_who_changes_nothing_is_not_told(path: Path) -> None:
    assert looks(Seen(path)) == [False] * 3


def test_a_change_is_told_once_when_it_has_stayed_for_two_looks(path: Path) -> None:
    seen = Seen(path)
    path.write_text("two\n")
    assert looks(seen, 4) == [False, True, False, False]


def test_what_is_still_being_written_is_waited_for(path: Path) -> None:
    seen = Seen(path)
    for number in range(5):
        path.write_text("half" * number)
        assert not seen.look()
    assert looks(seen) == [True, False, False]


def test_a_file_that_was_only_touched_is_no_news(path: Path) -> None:
    seen = Seen(path)
    os.utime(path, (1, 1))
    assert looks(seen) == [False] * 3


def test_an_older_file_that_was_put_back_is_noticed(path: Path) -> None:
    old = path.with_name("old")
    old.write_text("older\n")
    os.utime(old, (1, 1))
    seen = Seen(path)
    old.replace(path)
    assert looks(seen) == [False, True, False]


def test_a_change_of_the_same_size_and_time_is_noticed_by_the_rest(path: Path) -> None:
    os.utime(path, (1000, 1000))
    seen = Seen(path)
    assert not seen.look()
    path.write_text("two\n")
    os.utime(path, (1000, 1000))  # but not the time of the inode
    assert looks(seen) == [False, True, False]


def test_a_change_that_was_taken_back_is_no_news(path: Path) -> None:
    seen = Seen(path)
    path.write_text("two\n")
    assert not seen.look()
    path.write_text("one\n")
    assert looks(seen) == [False] * 3


def test_what_somebody_has_read_himself_is_not_told(path: Path) -> None:
    seen = Seen(path)
    path.write_text("two\n")
    seen.note()
    assert looks(seen) == [False] * 3


def test_a_file_that_is_gone_is_said_once_and_its_return_is_looked_at(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seen = Seen(path)
    path.unlink()
    with caplog.at_level(logging.WARNING):
        assert looks(seen) == [False] * 3
    assert caplog.messages == [f'config file "{path}" unavailable']
    path.write_text("one\n")
    assert looks(seen) == [False] * 3
    path.write_text("two\n")
    assert looks(seen) == [False, True, False]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert digest_of(pipe) == b""
    assert looks(Seen(pipe)) == [False] * 3
    assert digest_of(tmp_path) == b""


class Listener(component):
    """Ends the watch, and itself, when it hears of a change."""

    Inboxes = {"inbox": "Path: changed", "control": "unused"}
    Outboxes = {"outbox": "producerFinished: to the watch", "signal": "unused"}

    def __init__(self, watch: FileWatch) -> None:
        super().__init__()
        self.watch = watch
        self.heard: list[Path] = []

    def main(self) -> Iterator[object]:
        self.link((self.watch, "outbox"), (self, "inbox"))
        self.link((self, "outbox"), (self.watch, "control"))
        self.addChildren(self.watch.activate())
        while not self.dataReady("inbox"):
            self.pause()
            yield 1
        self.heard.append(self.recv("inbox"))
        self.send(producerFinished(self), "outbox")


def test_the_component_tells_of_the_file_and_ends(path: Path) -> None:
    seen = Seen(path)
    path.write_text("two\n")
    listener = Listener(FileWatch(seen, seconds=0.001))
    listener.run()
    assert listener.heard == [path]


def test_it_ends_when_it_is_told_to(path: Path) -> None:
    stop = producerFinished()
    out = drive(FileWatch(Seen(path)), control=[stop])
    assert out == {"outbox": [], "signal": [stop]}
