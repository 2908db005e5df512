"""
Looking at another program
==========================
The other end of Axon.Monitor: ``python -m Axon ps``, ``tree`` and ``top``. A program is named by
its process number or by the path of its socket; if it is the only one of this user that listens, it
need not be named.

What cannot be done is said with its cure, for whoever is in the middle of an emergency.

Example Usage
-------------
::

    # needs a program that runs and has opted in
    from Axon.Picture import table
    from Axon.Viewer import ViewError, ask, find

    try:
        print(table(ask(find(None))))
    except ViewError as error:
        print(error)
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from Axon.Instruments import plain
from Axon.Monitor import QUESTION, VARIABLE, own_folder, peer_user, runtime_folder, socket_name
from Axon.Picture import summary, table, tree
from Axon.Snapshot import Snapshot, from_json

SECONDS = 15.0  # for an answer
LONGEST_ANSWER = 64 * 1024 * 1024
_SHORTEST_INTERVAL = 0.1
_CLEAR = "\x1b[H\x1b[J"  # to the upper left corner, and everything after it away
_SOCKET = re.compile(r"axon-(\d{1,10})\.sock")
_OPT_IN = f"start it with {VARIABLE}=1 in its environment, or call Axon.Monitor.listen() in it"


class ViewError(Exception):
    """It cannot be looked at: why, and what to do."""


# ---- which program


def find(wish: str | None) -> Path:
    """The socket of the program that is meant: a process number, a path, or None for the only one
    there is. Raises ViewError."""
    if wish is None:
        return _only_one()
    if not wish.isdecimal():
        return Path(wish)
    if not 0 < int(wish) < 2**31 or not Path(f"/proc/{wish}").exists():
        raise ViewError(f"there is no process {plain(wish)}: is it over, or the number mistyped?")
    try:
        owner = Path(f"/proc/{wish}").stat().st_uid
        for folder in folders(owner):
            if (path := folder / socket_name(int(wish))).is_socket():
                return path
    except FileNotFoundError:
        raise ViewError(f"process {wish} has just ended") from None
    except PermissionError:
        raise ViewError(
            f"process {wish} belongs to another user: use sudo -u with that one"
        ) from None
    raise ViewError(f"process {wish} does not listen: {_OPT_IN}")


def folders(user: int) -> list[Path]:
    """Where a program of a user's may listen, as far as it can be known from outside."""
    found = [Path(f"/run/user/{user}"), own_folder(user), Path("/tmp") / f"axon-{user}"]  # noqa: S108 - as a name only
    if user == os.geteuid() and (runtime := runtime_folder()) is not None:
        found.insert(0, runtime)
    return list(dict.fromkeys(found))


def listening() -> list[int]:
    """Process numbers of the programs of this user that listen."""
    found: set[int] = set()
    for folder in folders(os.geteuid()):
        for path in folder.glob("axon-*.sock") if os.access(folder, os.R_OK) else ():
            match = _SOCKET.fullmatch(path.name)
            if match and Path(f"/proc/{match[1]}").exists():
                found.add(int(match[1]))
    return sorted(found)


def _only_one() -> Path:
    processes = listening()
    if len(processes) == 1:
        return find(str(processes[0]))
    if processes:
        numbers = ", ".join(map(str, processes))
        raise ViewError(f"several programs listen, say which: {numbers}")
    raise ViewError(f"no program of yours listens: {_OPT_IN}")


# ---- asking it


def ask(path: Path) -> Snapshot:
    """Ask for a snapshot. Raises ViewError."""
    shown = plain(path, 200)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(SECONDS)
            connection.connect(os.fspath(path))
            if peer_user(connection) != os.geteuid() and os.geteuid() != 0:
                raise ViewError(f"{shown} belongs to another user: it is not to be trusted")
            connection.sendall(QUESTION)
            answer = _read_all(connection, time.monotonic() + SECONDS)
        return from_json(answer)
    except FileNotFoundError:
        raise ViewError(f"there is no {shown}: is the program over?") from None
    except ConnectionRefusedError:
        raise ViewError(f"nobody listens at {shown}: the program was killed; remove it") from None
    except PermissionError:
        raise ViewError(f"{shown} belongs to another user: use sudo -u with that one") from None
    except TimeoutError:
        raise ViewError(
            f"no answer in {SECONDS:.0f} seconds: either its scheduler does not run, or one of its "
            "components does not yield; Axon.Instruments.SlowTurns tells which"
        ) from None
    except ValueError as error:
        raise ViewError(
            f"{shown} gave no snapshot: it may be busy with others, ask again"
        ) from error
    except OSError as error:
        raise ViewError(f"cannot ask {shown}: {error.strerror or plain(error)}") from error


def _read_all(connection: socket.socket, until: float) -> bytes:
    pieces = bytearray()
    while piece := connection.recv(65536):
        pieces += piece
        if len(pieces) > LONGEST_ANSWER:
            raise ViewError("the answer has no end")
        if time.monotonic() > until:
            raise TimeoutError
    return bytes(pieces)


# ---- the commands


class Viewer:
    """Viewer(path, out=stdout, wait=sleep) -> ps(), tree() and top(), printed to out."""

    def __init__(
        self, path: Path, out: TextIO | None = None, wait: Callable[[float], object] = time.sleep
    ) -> None:
        self._path = path
        self._out = out if out is not None else sys.stdout
        self._wait = wait

    def ps(self, interval: float) -> None:
        """All components. Looks twice, interval seconds apart, to see what they do; 0: once."""
        before = None
        if interval > 0:
            before = ask(self._path)
            self._wait(interval)
        self._print(ask(self._path), before, None)

    def tree(self) -> None:
        taken = ask(self._path)
        print(summary(taken), tree(taken), sep="\n", file=self._out)

    def top(self, interval: float, times: int | None) -> None:
        """The busiest, as many as fit on the screen, again and again; times: None for ever."""
        screen = self._out.isatty()
        before = ask(self._path)
        while times is None or times > 0:
            self._wait(max(_SHORTEST_INTERVAL, interval))
            taken = ask(self._path)
            rows = max(1, shutil.get_terminal_size().lines - 4) if screen else None
            if screen:
                print(_CLEAR, end="", file=self._out)
            self._print(taken, before, rows)
            before = taken
            times = None if times is None else times - 1

    def _print(self, taken: Snapshot, before: Snapshot | None, rows: int | None) -> None:
        text = f"{summary(taken)}\n{table(taken, before, rows)}"
        if self._out.isatty():
            width = shutil.get_terminal_size().columns
            text = "\n".join(line[:width] for line in text.splitlines())
        print(text, file=self._out, flush=True)
