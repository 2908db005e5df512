"""
Who is told of a failure
========================
An exception that leaves a microprocess goes to the nearest guard: its own, or that of the nearest
parent that has one (``microprocess.isolate``). Without any it ends the run.

Example Usage
-------------
::

    server.isolate(log_only)  # what fails in it, or in a child of its, ends alone
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from Axon.Microprocess import Guard, microprocess

log = logging.getLogger(__name__)


def guard_of(process: microprocess | None) -> Guard | None:
    """The nearest guard above a microprocess, itself included."""
    while process is not None:
        if process._axon_guard is not None:
            return process._axon_guard
        process = process._axon_parent
    return None


def log_only(culprit: microprocess, error: Exception) -> None:
    """A guard that writes the failure to the log and lets the others go on."""
    log.error("%s has ended with an exception", culprit.name, exc_info=error)
