"""Interface: its example holds, and both stores are what it describes (mypy reads this too)."""

import doctest
import sys
from pathlib import Path

from Kamaelia.Apps.Grey.Store.Interface import Store
from Kamaelia.Apps.Grey.Store.Memory import MemoryStore
from Kamaelia.Apps.Grey.Store.Sqlite import SqliteStore


def test_both_stores_have_every_method_of_the_interface(tmp_path: Path) -> None:
    stores: list[Store] = [MemoryStore(), SqliteStore(tmp_path / "greylist.sqlite3")]
    methods = {name for name in vars(Store) if not name.startswith("_")}
    assert methods == {
        "get", "get_all", "merge", "merge_all", "delete", "forget", "expire", "load", "count",
        "scan", "batch", "tidy", "close", "announce", "announced"
    }  # fmt: skip
    for store in stores:
        assert methods <= set(dir(store))
        store.close()


def test_the_example_in_the_docstring_is_true() -> None:
    result = doctest.testmod(sys.modules[Store.__module__])
    assert result.attempted
    assert not result.failed
