"""Waiting, in tests, for the threads of file components: as long as a busy machine needs."""

import threading

from Axon.Component import component
from Axon.TestingHarness import Harness

SECONDS = 10.0  # real ones


def let_work(h: Harness, seconds: float = 1.0) -> None:
    """Run until nothing happens any more, in threads neither, or so many virtual seconds."""
    h.scheduler.go(seconds=seconds, patience=SECONDS)


def wait_for_threads_of(*components: component) -> None:
    """Until the threads of these, which have ended, have ended too."""
    names = {one.name for one in components}
    for thread in threading.enumerate():
        if thread.name in names:
            thread.join(SECONDS)
            assert not thread.is_alive()
