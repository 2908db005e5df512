"""
A file for each message
=======================
What components share that are told by each message which file to work on. They are FileComponents,
with a thread of their own, but a file that fails is only told: the next message has its turn.

Example Usage
-------------
Say how large files are::

    from pathlib import Path

    from Axon.Ipc import producerFinished
    from Axon.Testing import drive
    from Kamaelia.File.FileService import FileService


    class Sizes(FileService):
        def serve(self, message: str) -> object:
            return Path(message).stat().st_size


    out = drive(Sizes(), inbox=["/no/such/file", "/dev/null"], control=[producerFinished()])
    print(out["outbox"], *out["error"])

It prints::

    [0] cannot serve /no/such/file: [Errno 2] No such file or directory: '/no/such/file'
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from Kamaelia.File.Errors import FileProblem
from Kamaelia.File.FileComponent import FileComponent
from Kamaelia.Util.Stopping import arrival, offer


class FileService(FileComponent):
    """FileService(**attributes) -> sends serve(message) for each message, made in its own thread.

    What one of them raises goes out of "error", and the next one has its turn."""

    Inboxes = {
        "inbox": "object: what serve() takes",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "object: what serve() returns",
        "signal": "the shutdown that came in",
        "error": "FileError: what a file refused; it goes on with the next one",
    }

    operation = "serve"

    def serve(self, message: Any) -> object:  # noqa: ANN401 - the subclass knows
        """For subclasses: the work for one message. Called in the thread."""
        raise NotImplementedError

    def name_of(self, message: object) -> str:
        """For subclasses: the file that a message is about, for the error text."""
        return str(message)

    def work(self) -> Iterator[object]:
        while (yield from arrival(self)):
            yield from self._serve_one(self.recv("inbox"))

    def _serve_one(self, message: object) -> Iterator[object]:
        call = partial(self.serve, message)
        try:
            result = yield from self.in_thread(self.operation, call, self.name_of(message))
        except FileProblem as problem:
            yield from self.report(problem.report)
        else:
            yield from offer(self, result)


__kamaelia_components__ = (FileService,)
