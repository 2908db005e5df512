"""
Examples, and the programs that talk with them, as a reader runs them: each in a folder of its own,
its output in a file, its input a pipe that a test can type into::

    with Example("Servers/echo.py", folder, 0) as echo, Netcat(folder, echo.port) as nc:
        nc.type("hello\\n")
        nc.wait_for("^hello$")
        assert echo.interrupt() == 0
"""

import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from Test.children import unmeasured
from Test.System.processes import PATIENCE_SECONDS, ROOT, Program

EXAMPLES = ROOT / "Examples"


class Typed(Program):
    """Typed(name, folder, command) -> a program into which one can type."""

    def __init__(self, name: str, folder: Path, command: Sequence[object]) -> None:
        super().__init__(name, folder)
        self._command = [str(word) for word in command]

    def start(self) -> None:
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=self.folder,
                env=unmeasured(),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def end(self, number: int = signal.SIGTERM) -> int:
        self.end_input()
        return super().end(number)

    def type(self, text: str | bytes) -> None:
        stdin = self._running().stdin
        assert stdin is not None
        stdin.write(text.encode() if isinstance(text, str) else text)
        stdin.flush()

    def end_input(self) -> None:
        stdin = self._running().stdin
        assert stdin is not None
        stdin.close()

    def wait_for_its_end(self) -> int:
        """The exit code of a program that ends by itself."""
        return self._running().wait(PATIENCE_SECONDS)

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        return self.end(signal.SIGINT)

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process


class Example(Typed):
    """Example("Servers/echo.py", folder, *arguments) -> one of the folder Examples."""

    def __init__(self, name: str, folder: Path, *arguments: object) -> None:
        super().__init__(Path(name).stem, folder, [sys.executable, EXAMPLES / name, *arguments])

    @property
    def port(self) -> int:
        """That of the address which it says in its first line."""
        self.wait_for(r"127\.0\.0\.1.*\n")
        found = re.search(r"127\.0\.0\.1[ :](\d+)", self.said())
        assert found, self.said()
        return int(found[1])


class Netcat(Typed):
    """Netcat(folder, port, *options, name="nc") -> somebody at a terminal; the connection's sending
    half ends with the input."""

    def __init__(self, folder: Path, port: int, *options: str, name: str = "nc") -> None:
        super().__init__(name, folder, ["nc", *(options or ["-N"]), "127.0.0.1", port])
