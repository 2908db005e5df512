"""
What is said between the LookupService and its handlers
=======================================================
What those who ask say, `Ask` and `Found`, stands in Core.Types: neither side imports the other.

>>> settings = LookupSettings(lookup_timeout=5.0)
>>> settings.failure_ttl
30.0
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from Kamaelia.Apps.Grey.Lookups.DnsWalks import Done

if TYPE_CHECKING:
    from Kamaelia.Apps.Grey.Lookups.LookupService import LookupService


class Handler(Protocol):
    """Finds the answers to one kind of question.

    One that needs more time than `lookup_timeout` has a method `seconds(question) -> float` as
    well; one that needs the service while it runs (for its scheduler), `open` and `close`."""

    def start(self, question: Any, done: Done) -> None:  # noqa: ANN401 - of its kind
        """Look it up, and call done(answer, ttl_seconds) once, at once or later, in the scheduler's
        thread. What this raises is a failed look-up."""


@runtime_checkable
class Opens(Protocol):
    def open(self, service: "LookupService") -> None:
        """The service runs now, and will until close()."""

    def close(self) -> None: ...


@runtime_checkable
class TakesItsTime(Protocol):
    def seconds(self, question: Any) -> float:  # noqa: ANN401
        """How long this one may take."""


@dataclass(frozen=True, slots=True)
class LookupSettings:
    """Times in seconds. resolvers: address and port of each name server; none: those of the system.
    receiver: this machine's name, for what SPF says of it."""

    lookup_timeout: float = 3.0
    resolvers: tuple[tuple[str, int], ...] = ()
    receiver: str = "unknown"
    open_limit: int = 10_000  # who may wait for an answer at once
    cache_limit: int = 100_000
    shortest_ttl: float = 60.0
    longest_ttl: float = 86_400.0
    failure_ttl: float = 30.0
