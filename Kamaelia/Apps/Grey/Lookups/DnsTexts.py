"""
Texts of the DNS, for who waits in a thread
===========================================
A function that blocks until the LookupService's resolver has said which TXT record a name has: for
libraries that want the DNS as a function.

Example Usage
-------------
Made before there is a service, used in a thread while it runs::

    texts = DnsTexts()
    texts.open(service)
    texts("selector._domainkey.example.net", 3.0)    # b"v=DKIM1; p=..."; None: there is none

Of several records of one name it is the first that looks like a DKIM key, else the first at all.
Raises OSError if nobody knows.
"""

from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from Kamaelia.Support.Protocol.DNS.Messages import Answer, Question

if TYPE_CHECKING:
    from Kamaelia.Apps.Grey.Lookups.LookupService import LookupService


class DnsTexts:
    """DnsTexts() -> call it with a name and a number of seconds."""

    def __init__(self) -> None:
        self._service: LookupService | None = None

    def open(self, service: "LookupService") -> None:
        """From now on there is somebody to ask."""
        self._service = service

    def close(self) -> None:
        self._service = None

    def __call__(self, name: str, seconds: float) -> bytes | None:
        service = self._service
        if service is None:
            raise OSError("the look-ups were stopped")
        heard: SimpleQueue[Answer] = SimpleQueue()
        service.scheduler.call_from_thread(partial(_ask, service, name, heard.put))
        try:
            answer = heard.get(timeout=seconds)
        except Empty:
            raise TimeoutError(f"no answer in time about {name}") from None
        if answer.failure is not None and answer.failure.temporary:
            raise OSError(f"{name}: {answer.failure.value}")
        records = [record for record in answer.records if isinstance(record, bytes)]
        keys = [record for record in records if b"p=" in record]
        return next(iter(keys or records), None)


def _ask(service: "LookupService", name: str, heard: Callable[[Answer], None]) -> None:
    """In the scheduler's thread."""
    service.ask_dns(Question(name, "TXT", tag=heard, reply_to=(service, "names")))
