"""
Values that threads share: check out, change, commit
====================================================
Software transactional memory. A Store keeps values under keys and counts each value's versions. A
thread checks out copies, changes them in peace, and commits all or none. The rules:

- Nobody waits and nobody is locked out while working. A commit is refused with ConcurrentUpdate if
  the store has moved on since the check-out, and with BusyRetry in the moment in which another
  thread is inside the store. A refused commit changes nothing: check out and try again.
- A refused commit means that another one got through, so all together always get on.
- Copies go in and copies come out (``copy``: deepcopy unless you say otherwise), so what is in the
  store never changes under anybody's hands. It is replaced, never altered; hence the copying
  happens outside the lock, which is held only for looking and swapping.

Trying again means running the change again, which no ``with`` block can do. So there are two
shapes. ``atomically(function, *keys)`` runs the function as often as it takes, within limits; the
function must have no effect but on the values. ``with changeset(*keys)`` runs its block once: it is
patient with a busy store, but ConcurrentUpdate comes out of it. ``atomically`` sleeps between
tries, so it is for threads (a threadedcomponent, say); a component uses changeset or the plain
calls, and yields between tries. There is no ``for attempt in ...`` on purpose: a ``return`` in such
a loop would lose a refused commit without a word.

Example Usage
-------------
::

    store = Store()
    with store.changeset("alice", "bob") as accounts:
        accounts["alice"].set(100)
        accounts["bob"].set(0)

    def transfer(accounts):
        accounts["alice"].value -= 5
        accounts["bob"].value += 5

    store.atomically(transfer, "alice", "bob")
    store.export()  # {"alice": 95, "bob": 5}

One value, by hand::

    greeting = store.usevar("hello")
    greeting.set("world")
    greeting.commit()  # and it may be changed and committed again
"""

import reprlib
import sys
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, NamedTuple, TextIO, TypeVar

from Axon.AxonExceptions import AxonException

T = TypeVar("T")
# merge(base, mine, theirs): what was checked out, what I made of it, what is in the store now.
Merge = Callable[[Any, Any, Any], Any]

RETRIES = 1_000
SECONDS = 10.0
PAUSE_SECONDS = 0.0001  # times the tries so far: the more have to share, the more they step back
LONGEST_PAUSE_SECONDS = 0.005


class CommitError(AxonException):
    """A check-out or a commit was refused; nothing has changed."""


class ConcurrentUpdate(CommitError):
    """Somebody else committed one of the values since it was checked out; ``keys`` says which.

    Check out again and redo the change, or ``pull_updates()``."""

    keys: tuple[Hashable, ...] = ()


class BusyRetry(CommitError):
    """Another thread is inside the store at this moment: the same call will soon do."""


class OutOfRetriesError(CommitError):
    """The limit on tries or on seconds was reached; ``__cause__`` is the last refusal."""


class Record(NamedTuple):
    """What the store holds: never altered, only replaced. Version 0 was never committed."""

    version: int
    value: Any


UNSET = Record(0, None)


class Value:
    """One checked-out copy: change ``value`` (or ``set`` it), then ``commit``."""

    __slots__ = ("_base", "key", "store", "value", "version")

    def __init__(self, version: int, value: Any, store: "Store", key: Hashable) -> None:
        self.version = version
        self.value = value
        self.store = store
        self.key = key
        self._base = value  # pull_updates compares with it; Store.check_out puts the original here

    def __repr__(self) -> str:
        return f"Value({self.version!r}, {self.value!r})"

    def set(self, value: Any) -> None:
        self.value = value

    def commit(self) -> None:
        """Make this the store's value; may raise ConcurrentUpdate or BusyRetry."""
        self.store.set(self.key, self)

    def clone(self) -> "Value":
        """Return a second copy, as changed as this one, of the same version."""
        twin = Value(self.version, self.store.copy(self.value), self.store, self.key)
        twin._base = self._base
        return twin

    def pull_updates(self, merge: Merge | None = None) -> bool:
        """Take over a newer value of the store, if there is one; see Collection.pull_updates."""
        return self._pull(self.store.record(self.key), merge)

    def _pull(self, record: Record, merge: Merge | None) -> bool:
        if record.version == self.version:
            return False
        copy = self.store.copy
        theirs = copy(record.value)
        self.value = theirs if merge is None else merge(copy(self._base), self.value, theirs)
        self._rebase(record)
        return True

    def _rebase(self, record: Record) -> None:
        self.version, self._base = record


class Collection(dict[Hashable, Value]):
    """Values checked out together, by key, to be committed together."""

    def __init__(self, store: "Store", values: Mapping[Hashable, Value]) -> None:
        super().__init__(values)
        self.store = store

    def commit(self) -> None:
        """Commit all or nothing; may raise ConcurrentUpdate or BusyRetry."""
        self.store.set_values(self)

    def export(self) -> dict[Hashable, Any]:
        """Return copies of the bare values, as they are here."""
        return {key: self.store.copy(value.value) for key, value in self.items()}

    def pull_updates(self, merge: Merge | None = None) -> list[Hashable]:
        """Take over what is newer in the store, and return the keys of that.

        Without ``merge`` the store's value takes the place of yours: make your change to the keys
        returned once more. With it the value becomes ``merge(base, mine, theirs)``, for a counter
        ``lambda base, mine, theirs: theirs + mine - base``. May raise BusyRetry."""
        records = self.store.snapshot(self)
        return [key for key, value in self.items() if value._pull(records[key], merge)]


class Store:
    """Store(copy=deepcopy) -> versioned values for threads to share.

    ``copy`` may be cheaper than deepcopy: the identity will do if all values are immutable."""

    def __init__(
        self,
        copy: Callable[[Any], Any] = deepcopy,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.copy = copy
        self._clock = clock
        self._sleep = sleep
        self._records: dict[Hashable, Record] = {}
        self._lock = threading.Lock()

    # --- The original's calls: none of them waits ------------------------------------------

    def usevar(self, key: Hashable) -> Value:
        """Check out one value; a key that is new has the value None and version 0."""
        return self._check_out(key, self._records.setdefault(key, UNSET))

    def using(self, *keys: Hashable) -> Collection:
        """Check out several values as they are at one moment; may raise BusyRetry."""
        records = self.snapshot(keys)
        return Collection(self, {key: self._check_out(key, records[key]) for key in keys})

    def set(self, key: Hashable, value: Value) -> None:
        """Commit one checked-out Value; may raise ConcurrentUpdate or BusyRetry."""
        self.set_values({key: value})

    def set_values(self, values: Mapping[Hashable, Value]) -> None:
        """Commit all of them or none; may raise ConcurrentUpdate or BusyRetry."""
        for key, value in values.items():
            if not isinstance(value, Value):
                raise TypeError(
                    f"the store takes back a Value from usevar or using, not a bare "
                    f"{type(value).__name__}: store.usevar({reprlib.repr(key)}), set, commit"
                )
        fresh = {
            key: Record(value.version + 1, self.copy(value.value)) for key, value in values.items()
        }
        with self._held():
            stale = [key for key in values if self._at(key).version != values[key].version]
            if not stale:
                # One call in C for all keys: not even Ctrl-C can leave half of them.
                self._records.update(fresh)
        if stale:
            raise _concurrent_update(stale)
        for key, value in values.items():
            value._rebase(fresh[key])

    def dump(self, stream: TextIO | None = None) -> None:
        """Write a line for every value, ``key : Value(version, value)``, to standard output."""
        lines = [
            f"{key!r} : Value({version!r}, {value!r})\n"
            for key, (version, value) in list(self._records.items())
        ]
        (stream or sys.stdout).writelines(lines)

    # --- Additions: these are patient with a busy store ------------------------------------

    def checkout(
        self, *keys: Hashable, retries: int = RETRIES, seconds: float = SECONDS
    ) -> Collection:
        """As ``using``, but asks a busy store again."""
        return self._retry(lambda: self.using(*keys), (BusyRetry,), retries, seconds)

    def export(self, *keys: Hashable) -> dict[Hashable, Any]:
        """Return copies of the bare values as they are at one moment; no keys: of all."""
        records = self._retry(
            lambda: self.snapshot(keys or tuple(self._records)), (BusyRetry,), RETRIES, SECONDS
        )
        return {key: self.copy(record.value) for key, record in records.items()}

    @contextmanager
    def changeset(
        self, *keys: Hashable, retries: int = RETRIES, seconds: float = SECONDS
    ) -> Iterator[Collection]:
        """Check out for a ``with`` block and commit at its end; an exception in it commits nothing.

        The block runs once: ConcurrentUpdate at its end is for the caller to deal with."""
        values = self.checkout(*keys, retries=retries, seconds=seconds)
        yield values
        self._retry(values.commit, (BusyRetry,), retries, seconds)

    def atomically(
        self,
        change: Callable[[Collection], T],
        *keys: Hashable,
        retries: int = RETRIES,
        seconds: float = SECONDS,
    ) -> T:
        """Check out, call ``change(values)``, commit; all of it again until the commit succeeds.

        Returns what the last call of ``change`` did. It may raise BusyRetry to say "not yet, try
        me again"; any other exception ends the matter, with nothing committed."""

        def attempt() -> T:
            values = self.using(*keys)
            result = change(values)
            values.commit()
            return result

        return self._retry(attempt, (BusyRetry, ConcurrentUpdate), retries, seconds)

    # --- Inside ----------------------------------------------------------------------------

    def record(self, key: Hashable) -> Record:
        """Return what is under the key now. Not to be altered: it is no copy."""
        return self._at(key)  # one look-up needs no lock

    def snapshot(self, keys: Iterable[Hashable]) -> dict[Hashable, Record]:
        """Return the records of one moment, new keys included. Not to be altered: no copies."""
        with self._held():
            return {key: self._records.setdefault(key, UNSET) for key in keys}

    def _at(self, key: Hashable) -> Record:
        return self._records.get(key, UNSET)

    def _check_out(self, key: Hashable, record: Record) -> Value:
        value = Value(record.version, self.copy(record.value), self, key)
        value._base = record.value
        return value

    @contextmanager
    def _held(self) -> Iterator[None]:
        if not self._lock.acquire(blocking=False):
            raise BusyRetry("another thread is inside the store: try again")
        try:
            yield
        finally:
            self._lock.release()

    def _retry(
        self,
        step: Callable[[], T],
        refusals: tuple[type[CommitError], ...],
        retries: int,
        seconds: float,
    ) -> T:
        begun = self._clock()
        tries = 0
        while True:
            try:
                return step()
            except refusals as refusal:
                tries += 1
                spent = self._clock() - begun
                if tries > retries or spent >= seconds:
                    raise OutOfRetriesError(
                        f"refused {tries} times in {spent:.3f} s; the last time: {refusal}"
                    ) from refusal
            # The first pause is none: it only lets the other threads have the processor.
            self._sleep(min((tries - 1) * PAUSE_SECONDS, LONGEST_PAUSE_SECONDS))


def _concurrent_update(stale: list[Hashable]) -> ConcurrentUpdate:
    names = ", ".join(reprlib.repr(key) for key in stale[:5]) + (", ..." if stale[5:] else "")
    error = ConcurrentUpdate(f"changed by somebody else since the check-out: {names}")
    error.keys = tuple(stale)
    return error
