"""
Give out the files of a folder
==============================
A request handler for what does not change: pages, pictures, scripts.

Example Usage
-------------
The folder htdocs behind /static/, on port 8080::

    # ends: ctrl-c
    from Kamaelia.Chassis.ConnectedServer import ServerCore
    from Kamaelia.Protocol.HTTP.Handlers.Minimal import Minimal
    from Kamaelia.Protocol.HTTP.HTTPServer import HTTPProtocol


    def files(request):
        return Minimal(request, indexfilename="index.html", homedirectory="htdocs")


    protocol = HTTPProtocol([["/static/", files]])
    ServerCore(protocol=protocol, port=8080, host="127.0.0.1").run()

The address after the prefix names the file. For a folder its index file is given out; there are no
listings. Each has its type, its length and a tag, by which a browser that has it already is told so
(304); one part of it may be asked for (Range). Anything else but GET and HEAD is refused.

No address leads out of the folder: names are checked (Support.Protocol.HTTP.StaticFiles), and each
step down is an open of its own that refuses a symbolic link, so nothing that changes meanwhile can
lead elsewhere. With symlinks=True they are followed: then whoever may write in the folder decides
what is given out.

Files are read in a thread, in pieces, and no faster than the client takes them.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from Axon.AxonExceptions import noSpaceInBox
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.ThreadedComponent import threadedcomponent
from Kamaelia.Support.Protocol.HTTP.Messages import Headers, Request, Response, error_page
from Kamaelia.Support.Protocol.HTTP.StaticFiles import (
    Extent,
    NoSuchFile,
    RangeNotSatisfiable,
    content_type_of,
    extent_of,
    file_parts,
    folder_address,
    matches,
)

PIECE_BYTES = 32_768
QUEUE = 8  # pieces that are read ahead

HEADERS: Headers = (("Accept-Ranges", "bytes"), ("X-Content-Type-Options", "nosniff"))

# Errors that say: it is not here, or not for you. Others are ours, and a 500.
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.ENAMETOOLONG, errno.ENXIO)
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # not blocking: it may be a pipe


class Minimal(threadedcomponent):
    """Minimal(request, indexfilename="index.html", homedirectory="htdocs", symlinks=False) ->
    answers with a file."""

    Inboxes = {
        "inbox": "bytes: of the request's body, not read",
        "control": "shutdownMicroprocess (stop now); a producerFinished changes nothing",
    }
    Outboxes = {
        "outbox": "Response: the head with the first piece, then the others",
        "signal": "producerFinished, or the shutdownMicroprocess that came in",
    }

    wants_body = False

    def __init__(
        self,
        request: Request,
        indexfilename: str = "index.html",
        homedirectory: str | Path = "htdocs",
        symlinks: bool = False,
    ) -> None:
        super().__init__(queuelengths=QUEUE)
        self.request = request
        self.indexfilename = indexfilename
        self.homedirectory = homedirectory
        self.symlinks = symlinks
        self._stop: shutdownMicroprocess | None = None

    def main(self) -> None:
        if self.request.method not in ("GET", "HEAD"):
            self._put(error_page(405, "This can only be read.", (("Allow", "GET, HEAD"),)))
        else:
            self._answer()
        self.send(self._stop or producerFinished(self), "signal")

    # ---- finding the file

    def _answer(self) -> None:
        try:
            parts = file_parts(self.request.suffix)
            file = self._open(parts)
        except (NoSuchFile, OSError) as error:
            if isinstance(error, OSError) and error.errno not in _ABSENT:
                raise
            self._put(error_page(404, "There is nothing at this address."))
            return
        try:
            is_folder = stat.S_ISDIR(os.fstat(file).st_mode)
            if is_folder and not self.request.path.endswith("/"):
                # Or the links of the page would be relative to the folder above.
                where = (("Location", folder_address(self.request)),)
                self._put(error_page(301, "This is a folder.", where))
            elif is_folder:
                self._give_index(file)
            else:
                self._give(file, parts[-1] if parts else "")
        finally:
            os.close(file)

    def _give_index(self, folder: int) -> None:
        try:
            file = self._step(self.indexfilename, folder)
        except OSError as error:
            if error.errno not in _ABSENT:
                raise
            self._put(error_page(404, "There is nothing at this address."))
            return
        try:
            self._give(file, self.indexfilename)
        finally:
            os.close(file)

    def _open(self, parts: tuple[str, ...]) -> int:
        """A descriptor of the file or folder; each step is taken from the one before."""
        here = os.open(self.homedirectory, _FLAGS | os.O_DIRECTORY)
        for part in parts:
            try:
                below = self._step(part, here)
            finally:
                os.close(here)
            here = below
        return here

    def _step(self, name: str, folder: int) -> int:
        return os.open(name, _FLAGS | (0 if self.symlinks else os.O_NOFOLLOW), dir_fd=folder)

    # ---- giving it out

    def _give(self, file: int, name: str) -> None:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            self._put(error_page(404, "There is nothing at this address."))
            return
        tag = f'"{found.st_mtime_ns:x}-{found.st_size:x}"'
        headers: Headers = (("ETag", tag), *HEADERS)
        condition = self.request.header("if-none-match")
        if condition and matches(condition, tag):
            self._put(Response(b"", 304, "", headers, complete=True))
            return
        try:
            extent = self._extent(found.st_size, tag)
        except RangeNotSatisfiable as error:
            size = (("Content-Range", f"bytes */{found.st_size}"),)
            self._put(error_page(416, str(error), size))
            return
        status = 200
        if extent is None:
            extent = Extent(0, found.st_size)
        else:
            status = 206
            last = extent.start + extent.length - 1
            headers += (("Content-Range", f"bytes {extent.start}-{last}/{found.st_size}"),)
        head = Response(b"", status, content_type_of(name), headers, extent.length)
        if self._put(head) and self.request.method == "GET":
            self._send_pieces(file, extent)

    def _extent(self, size: int, tag: str) -> Extent | None:
        wanted = self.request.header("range")
        only_if = self.request.header("if-range")
        return extent_of(wanted, size) if wanted and only_if in ("", tag) else None

    def _send_pieces(self, file: int, extent: Extent) -> None:
        at, end = extent.start, extent.start + extent.length
        while at < end:
            # A file that has become shorter ends early: the server cuts the answer off.
            piece = os.pread(file, min(PIECE_BYTES, end - at), at)
            if not piece or not self._put(Response(piece)):
                return
            at += len(piece)

    def _put(self, response: Response) -> bool:
        """Send, waiting for room; False if nobody wants it any more."""
        while not self._told():
            try:
                self.send(response, "outbox")
            except noSpaceInBox:
                self.pause()
            else:
                return True
        return False

    def _told(self) -> bool:
        for message in self.Inbox("control"):
            if isinstance(message, shutdownMicroprocess):
                self._stop = message
        return self._stop is not None


__kamaelia_components__ = (Minimal,)
