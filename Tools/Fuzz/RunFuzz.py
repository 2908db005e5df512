#!/usr/bin/env python3
"""
Fuzz the parsers
================
Gives a parser bytes that nobody thought of, for a while::

    python Tools/Fuzz/RunFuzz.py smtp_smuggling --seconds 60
    python Tools/Fuzz/RunFuzz.py all --seconds 60           each target for a minute
    python Tools/Fuzz/RunFuzz.py smtp_reply --input crash-1234...   one input once more

With atheris installed (PyPI; not needed for the tests) it is libFuzzer that looks for new paths
through our code; without, random changes of the seeds, which find less. --corpus FOLDER keeps the
interesting inputs from run to run. A crash is shown with its input as a Python literal and ends
that target; the exit code is then not 0. Memory above 1 GB and 10 seconds for one input are a
crash, too, with atheris.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]
LONGEST = 4_096  # bytes of an input
SLOW_SECONDS = 10
MEMORY_MB = 1_024


def coverage_guided(name: str, seconds: int, corpus: Path) -> None:
    """Hand over to libFuzzer, which ends the process by itself."""
    atheris = importlib.import_module("atheris")  # untyped, and mostly absent
    with atheris.instrument_imports(include=["Kamaelia", "h11", "websockets"]):
        from Targets import TARGETS
    target = TARGETS[name]
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = []
    if target.words:  # libFuzzer takes no empty dictionary
        words = corpus.parent / f"{name}.words"
        escaped = ("".join(f"\\x{byte:02x}" for byte in word) for word in target.words)
        words.write_text("".join(f'"{word}"\n' for word in escaped))
        options.append(f"-dict={words}")

    def test_one(data: bytes) -> None:
        try:
            target.run(data)
        except BaseException:
            print(f"{name} fails with: {data!r}", file=sys.stderr, flush=True)
            raise

    limits = (
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST}",
        f"-timeout={SLOW_SECONDS}",
        f"-rss_limit_mb={MEMORY_MB}",
        "-print_final_stats=1",
    )
    atheris.Setup([sys.argv[0], *limits, *options, str(corpus)], test_one)
    atheris.Fuzz()


def at_random(name: str, seconds: int, seed: int = 1) -> int:
    """Change the seeds at random for so long; the number of inputs that were tried."""
    from Targets import TARGETS

    target, chance = TARGETS[name], random.Random(seed)  # noqa: S311 - the same inputs again
    until, tried = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        data = mutated(target.seeds, target.words, chance)
        try:
            target.run(data)
        except BaseException:
            print(f"{name} fails with: {data!r}", file=sys.stderr, flush=True)
            raise
        tried += 1
    return tried


def mutated(seeds: Sequence[bytes], words: Sequence[bytes], chance: random.Random) -> bytes:
    """A seed, or two of them, with some of its bytes changed, left out, put in or doubled."""
    data = bytearray(chance.choice(seeds))
    if chance.random() < 0.3:
        data += chance.choice(seeds)
    for _ in range(chance.randint(0, 8)):
        at, length = chance.randint(0, len(data)), chance.choice((0, 1, 1, 2, 8, 32))
        match chance.randrange(5):
            case 0 if words:
                data[at:at] = chance.choice(words)
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = data[at : at + length]
            case 3:
                data[at : at + 1] = chance.choice((b"\r", b"\n", b"\0", b".", b" ", b"\xff"))
            case _:
                data[at : at + length] = chance.randbytes(length)
    return bytes(data[:LONGEST])


def run_all(names: Sequence[str], arguments: Sequence[str]) -> int:
    """Each target in a process of its own, as libFuzzer wants it; exit code 1 if one failed."""
    failed = []
    for name in names:
        command = [sys.executable, str(Path(__file__).resolve()), name, *arguments]
        if subprocess.run(command, check=False).returncode != 0:  # noqa: S603 - ourselves
            failed.append(name)
    print(f"{len(names) - len(failed)} targets held; failed: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").strip(), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", help="a name of Targets.py, or all, or list")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--corpus", type=Path, help="folder to keep inputs in")
    parser.add_argument("--input", type=Path, help="a file with one input")
    parser.add_argument("--plain", action="store_true", help="without atheris, if it is there")
    given = parser.parse_args(arguments)
    guided = not given.plain and importlib.util.find_spec("atheris") is not None
    if given.target in ("all", "list") or given.input is not None or not guided:
        from Targets import TARGETS

        if given.target == "list":
            print("\n".join(TARGETS))
            return 0
        if given.target == "all":
            return run_all(list(TARGETS), [word for word in arguments if word != "all"])
        if given.target not in TARGETS:
            parser.error(f"no such target; there are {', '.join(TARGETS)}")
        if given.input is not None:
            TARGETS[given.target].run(given.input.read_bytes())
            return 0
        print(f"{given.target}: {at_random(given.target, given.seconds):,} inputs")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        corpus = (given.corpus or Path(folder)) / given.target
        corpus.mkdir(parents=True, exist_ok=True)
        coverage_guided(given.target, given.seconds, corpus)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
