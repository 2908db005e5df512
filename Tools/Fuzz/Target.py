"""
A target: one parser, as a fuzzer sees it
=========================================
>>> Target(lambda data: None, seeds=(b"\\x02abc",)).seeds
(b'\\x02abc',)
>>> slices(b"\\x02abc")
[b'ab', b'c']
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """What to run, where to begin, and which words are worth trying."""

    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...] = ()


def slices(data: bytes) -> list[bytes]:
    """The rest of the data in pieces of the size that its first byte says; 0: in one."""
    size, rest = (data[0] if data else 0), data[1:]
    return [rest[i : i + size] for i in range(0, len(rest), size)] if size else [rest]
