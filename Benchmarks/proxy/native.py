"""
The generator and the sink in C
===============================
load.py and sink.py are Python, and above some 5,000 messages a second it is they who are measured.
load.c and sink.c do the same at a tenth of the price. They are compiled when they are needed::

    programs = Programs.found(folder, generator=None, sink=None)
    with NativeSink(programs) as sink:
        outcome = programs.load("-p", str(sink.port), "-c", "32", "-k", "100")
        assert sink.report()["messages"] == outcome.done

Other programs with the same command line and output may be named instead (their options are in the
first lines of load.c and sink.c). Both speak to loopback only.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HERE = Path(__file__).resolve().parent
LOAD_SECONDS = 60.0  # on top of the run's own time; the generator ends itself earlier
END_SECONDS = 5.0


class NoCompilerError(Exception):
    """There is no C compiler, and no program was named instead."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the generator did; see load.py. Rates and latencies are those after the warm-up."""

    done: int
    number_sum: int
    deferred: int
    last: int
    errors: int
    first_error: str
    per_second: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_seconds: float
    refused: int = 0  # 4xx for a message, of a patient generator (-R)
    cut: int = 0  # connections that broke, of a patient one
    unclear: int = 0  # of both: the end of the message had been sent
    waiting: int = 0  # not acknowledged at the end


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the two programs are."""

    generator: Path
    sink: Path

    @classmethod
    def found(cls, folder: Path, generator: Path | None, sink: Path | None) -> Self:
        """The programs that were named; those that were not are compiled into the folder."""
        return cls(generator or compiled(folder, "load"), sink or compiled(folder, "sink"))

    def load(self, *options: str, seconds: float = 0.0) -> Outcome:
        """Run the generator, which takes about so many seconds."""
        done = subprocess.run(
            [str(self.generator), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=seconds + LOAD_SECONDS,
            check=True,
        )
        return Outcome(**json.loads(done.stdout))


def compiled(folder: Path, name: str) -> Path:
    """Compile NAME.c into the folder. Raises NoCompilerError."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise NoCompilerError("no C compiler: install one, or name programs by --generator, --sink")
    program = folder / name
    subprocess.run(
        [compiler, "-O2", "-std=gnu11", "-o", str(program), str(HERE / f"{name}.c")],
        check=True,
        timeout=60,
    )
    return program


class NativeSink:
    """NativeSink(programs, port=0, journal=None) -> a sink that runs; to be used in `with`."""

    def __init__(self, programs: Programs, port: int = 0, journal: Path | None = None) -> None:
        options = ["-p", str(port)] if port else []
        options += ["-j", str(journal)] if journal else []
        self._process = subprocess.Popen(
            [str(programs.sink), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid
        line = self._line()
        if not line:
            self.kill()
            raise OSError("the sink did not start: see what it said above")
        self.port = int(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    def report(self) -> dict[str, int]:
        """What came since the last report."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        counts: dict[str, int] = json.loads(self._line())
        return counts

    def kill(self) -> None:
        """kill -9; harmless when it has ended."""
        with self._process:
            self._process.kill()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


class Crowd:
    """Crowd(generator, *options, count=...) -> so many connections that a load generator holds
    idle until the end of `with`: `held` of them, all there after `seconds`."""

    def __init__(self, generator: Path, *options: str, count: int) -> None:
        self._process: subprocess.Popen[str] = subprocess.Popen(
            [str(generator), *options, "-c", str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        words: list[Any] = self._process.stdout.readline().split()
        self.held, self.seconds = int(words[1]), float(words[2])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._process.communicate(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
