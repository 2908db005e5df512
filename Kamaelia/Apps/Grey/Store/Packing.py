"""
Triplets and records as bytes
=============================
A million records in memory are three million objects if each is a Triplet and a Record, and all of
them pass through the garbage collector's hands, for a tenth of a second each time. Here a triplet
becomes 20 bytes and a record 32, which the collector never looks at; and what waits to be written
becomes a tuple of texts and numbers (`News`), at which it looks once.

The key is a hash, with the length of each field in front of it: `a@b` + `c@d` and `a@bc` + `@d` are
two keys. With 128 bits nobody finds two triplets of one key; and who did would have made himself
share a wait with himself. Behind it stand four bytes that all triplets of one network share, by
which these are found when they are to be forgotten. Keys are good within one process only.

>>> from Kamaelia.Apps.Grey.Core.Types import Record, Triplet
>>> key = key_of(Triplet("192.0.2.0/24", "a@example.net", "b@example.org"))
>>> len(key), key == key_of(Triplet("192.0.2.0/2", "4a@example.net", "b@example.org"))
(20, False)
>>> key.endswith(tag_of("192.0.2.0/24"))
True
>>> unpacked(packed(Record.started(now=1_000))).first_seen
1000
"""

from hashlib import blake2b
from struct import Struct, error

from Kamaelia.Apps.Grey.Core.Types import Record, Triplet

MOST = 0xFFFF_FFFE
_fields = Struct("<8I")
_pack, _unpack = _fields.pack, _fields.unpack
_NOT_PASSED = bytes(4)
_PASSED_AT = slice(12, 16)


News = tuple[bytes, str, str, str, int, int, int, int | None, int, int, int, int]
"""The key, the three fields of a triplet and the eight of a record: see `news_of`."""


def key_of(triplet: Triplet) -> bytes:
    """The 20 bytes that stand for it."""
    # As key_of_fields and tag_of: each decision needs one.
    network, sender, recipient = triplet.network, triplet.sender, triplet.recipient
    text = f"{len(network)},{len(sender)},{network}{sender}{recipient}"
    digest = blake2b(text.encode("utf-8", "backslashreplace"), digest_size=16).digest()
    return digest + (hash(network) & 0xFFFF_FFFF).to_bytes(4, "little")


def key_of_fields(network: str, sender: str, recipient: str) -> bytes:
    """The same for who has no Triplet."""
    text = f"{len(network)},{len(sender)},{network}{sender}{recipient}"
    # Normalise leaves no surrogates; should one ever come, it must cost no more than a strange key.
    digest = blake2b(text.encode("utf-8", "backslashreplace"), digest_size=16).digest()
    return digest + tag_of(network)


def tag_of(network: str) -> bytes:
    """The last four bytes of the keys of all triplets of a network. Two networks may share them,
    but nobody can choose one that shares them with another: the interpreter seeds its hashes anew
    each time it starts."""
    return (hash(network) & 0xFFFF_FFFF).to_bytes(4, "little")


def news_of(key: bytes, triplet: Triplet, record: Record) -> News:
    """What is to be merged into the store."""
    return (
        key,
        triplet.network,
        triplet.sender,
        triplet.recipient,
        record.generation,
        record.first_seen,
        record.last_seen,
        record.passed_at,
        record.deferred,
        record.passed,
        record.due,
        record.until,
    )


def packed(record: Record) -> bytes:
    """The 32 bytes for it. What does not fit (a clock before 1970 or after 2106, a file that
    somebody wrote into) is brought to what does."""
    return packed_fields(
        record.generation,
        record.first_seen,
        record.last_seen,
        record.passed_at,
        record.deferred,
        record.passed,
        record.due,
        record.until,
    )


def packed_fields(
    generation: int,
    first_seen: int,
    last_seen: int,
    passed_at: int | None,
    deferred: int,
    passed: int,
    due: int,
    until: int,
) -> bytes:
    """The same for who has no Record."""
    pass_mark = 0 if passed_at is None else passed_at + 1  # 0 says None
    try:
        return _pack(generation, first_seen, last_seen, pass_mark, deferred, passed, due, until)
    except error:
        return _pack(
            _fitting(generation),
            _fitting(first_seen),
            _fitting(last_seen),
            0 if passed_at is None else _fitting(passed_at) + 1,
            _fitting(deferred),
            _fitting(passed),
            _fitting(due),
            _fitting(until),
        )


def unpacked(data: bytes) -> Record:
    """The record in what `packed` gave."""
    generation, first_seen, last_seen, pass_mark, deferred, passed, due, until = _unpack(data)
    passed_at = pass_mark - 1 if pass_mark else None
    return Record(generation, first_seen, last_seen, passed_at, deferred, passed, due, until)


def has_passed(data: bytes) -> bool:
    """Whether the packed record has a pass."""
    return data[_PASSED_AT] != _NOT_PASSED


def says_all(data: bytes, record: Record) -> bool:
    """Whether merging `record` with the packed one gives `record`: a fifth of the work of merging,
    and what nearly always is so."""
    fields: tuple[int, int, int, int, int, int, int, int] = _unpack(data)
    generation, first_seen, last_seen, pass_mark, deferred, passed, due, until = fields
    if record.generation != generation:
        return record.generation > generation
    passed_at = record.passed_at
    return (
        record.first_seen <= first_seen
        and record.last_seen >= last_seen
        and (not pass_mark if passed_at is None else passed_at + 1 >= pass_mark)
        and record.deferred >= deferred
        and record.passed >= passed
        and record.due <= due
        and record.until >= until
    )


def _fitting(number: int) -> int:
    return min(max(number, 0), MOST)
