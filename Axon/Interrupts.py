"""
Ctrl-C as an orderly stop
=========================
While a scheduler runs in the main thread the first Ctrl-C asks it to stop: every microprocess's
``stop()`` is called, then KeyboardInterrupt leaves ``runThreads()``. A second one interrupts at
once, for components that never yield.

The interpreter's wake-up file is set for every signal: without it one that arrives between the last
look and the blocking system call would be handled only when something else happens.

Example Usage
-------------
::

    restore = catch_interrupts(waiter.wakeup_fd(), on_interrupt)
    try:
        ...
    finally:
        restore()
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType


def catch_interrupts(wakeup_fd: int, on_interrupt: Callable[[], object]) -> Callable[[], object]:
    """Have on_interrupt() called at the first Ctrl-C; returns the function that undoes it. Outside
    the main thread, and where a program has a handler of its own, nothing is caught."""
    if threading.current_thread() is not threading.main_thread():
        return _nothing
    before = signal.set_wakeup_fd(wakeup_fd, warn_on_full_buffer=False)
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler

    def interrupt(signum: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        on_interrupt()

    def restore() -> None:
        signal.set_wakeup_fd(before)
        if ours and signal.getsignal(signal.SIGINT) is interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    if ours:
        signal.signal(signal.SIGINT, interrupt)
    return restore


def _nothing() -> None:
    """There is nothing to undo."""
