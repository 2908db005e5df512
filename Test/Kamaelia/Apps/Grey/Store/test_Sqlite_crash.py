"""Sqlite: kill -9 at any moment loses nothing that was said to be committed."""

import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from Kamaelia.Apps.Grey.Core.Types import Record, Triplet
from Kamaelia.Apps.Grey.Store.Sqlite import SqliteStore

ROOT = Path(__file__).parents[5]
ROUNDS = 25
ROWS = 7  # a batch

# Prints a number once the batch of that number is committed, and goes on at once: the kill
# falls anywhere in the later batches and in the checkpoints, which are made to be frequent.
CHILD = """
import sys
from itertools import count
from pathlib import Path
from Kamaelia.Apps.Grey.Core.Types import Record, Triplet
from Kamaelia.Apps.Grey.Store.Sqlite import SqliteStore

store = SqliteStore(Path(sys.argv[1]), checkpoint_bytes=20_000)
rows = int(sys.argv[3])
for number in count(int(sys.argv[2])):
    with store.batch():
        for row in range(rows):
            store.merge(Triplet(f"{number:07}", str(row), "x" * 50), Record.started(number))
    print(number, flush=True)
    store.tidy()
"""


def run_and_kill(path: Path, first: int, lines: int) -> int:
    """The last number that the child has printed before it died."""
    arguments = [sys.executable, "-c", CHILD, str(path), str(first), str(ROWS)]
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for _ in range(lines):
            child.stdout.readline()
        child.kill()
        rest = child.stdout.read()  # what it printed before the signal reached it
    assert child.returncode == -9
    printed = rest.splitlines()
    return int(printed[-1]) if printed else first + lines - 1


def test_nothing_committed_is_missing_after_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "greylist.sqlite3"
    chance = random.Random(20_250_301)
    first = 0
    for _ in range(ROUNDS):
        last = run_and_kill(path, first, lines=chance.randint(1, 60))
        assert path.with_name(f"{path.name}-wal").exists()  # it did not close properly
        with closing(SqliteStore(path)) as store:
            numbers = {int(triplet.network) for triplet, _ in store.scan()}
            assert numbers >= set(range(last + 1))
            # Each batch is there as a whole or not at all.
            assert store.count() == len(numbers) * ROWS
            assert store.get(Triplet(f"{last:07}", "0", "x" * 50)) == Record.started(last)
            with closing(sqlite3.connect(path)) as other:
                assert other.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        first = max(numbers) + 1
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]  # nothing set aside
