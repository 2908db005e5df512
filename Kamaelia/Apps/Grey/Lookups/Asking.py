"""
What is said between those who ask, the LookupService and its handlers
======================================================================
>>> settings = LookupSettings(lookup_timeout=5.0)
>>> settings.failure_ttl
30.0
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from Kamaelia.Apps.Grey.Core.Access.Questions import Question
from Kamaelia.Apps.Grey.Lookups.DnsWalks import Done
from Kamaelia.Support.Protocol.DNS.Messages import Deliverable

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


class Addressee(Protocol):
    @property
    def inboxes(self) -> Mapping[str, Deliverable]: ...


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask(question, reply_to=(component, inbox)): a Found is to come there."""

    question: Question
    reply_to: tuple[Addressee, str]


@dataclass(frozen=True, slots=True)
class Found:
    """What was found out: the answer that its question names, or a LookupFailed."""

    question: Question
    answer: object


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
