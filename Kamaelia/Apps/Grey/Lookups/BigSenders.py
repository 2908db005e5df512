"""
The networks of the big senders
===============================
The big senders have so many machines that a retry seldom comes from the one that tried first. Their
SPF records say which machines those are: this component looks the records of the configured
domains up, every day, and says which networks are theirs.

Example Usage
-------------
Beside the resolver that the look-ups use, before whoever decides::

    senders = BigSenders(config.big_senders, resolver, config.big_senders_refresh, file)
    senders.link((senders, "outbox"), (decider, "big_senders"))
    senders.activate()

What comes out is a `BigSendersList`: at the start what the file says, then after each change.

Rules:

* What was fetched stays until it is fetched again: a domain that cannot be looked up, or whose
  record has gone, keeps the networks that it had, and is asked again within the hour.
* One domain after the other, each at its own time, up to a tenth early or late: many
  installations must not ask at the same minute.
* The file is read at the start, so that a restart asks for nothing that is still fresh.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

from Axon.Component import component
from Kamaelia.Apps.Grey.Core.Access.Questions import LookupFailed
from Kamaelia.Apps.Grey.Core.Networks import Networks
from Kamaelia.Apps.Grey.Lookups.BigSendersFile import Fetched, read, report, write
from Kamaelia.Apps.Grey.Lookups.DnsWalks import one_line, walk
from Kamaelia.Apps.Grey.Lookups.SpfNetworks import networks_of

log = logging.getLogger(__name__)

DAY = 86_400.0
RETRY_SECONDS = 3_600.0  # after a failure
SHORTEST_REFRESH = 60.0
PATIENCE_SECONDS = 600.0  # for one domain: a resolver that has ended answers nothing
JITTER = 0.1
MOST_DOMAINS = 1_000


@dataclass(frozen=True, slots=True)
class BigSendersList:
    """All of them. origins: whose a network is; fetched_at: when a domain's were fetched, in
    seconds since the epoch."""

    networks: Networks
    origins: Mapping[IPv4Network | IPv6Network, str]
    fetched_at: Mapping[str, float]


class BigSenders(component):
    """BigSenders(domains, resolver, refresh=86400, file=None, clock=time.time) -> a BigSendersList
    at the start and at each change.

    resolver: an active Resolver. refresh: seconds between two look-ups of a domain. file: where
    they are kept; None: nowhere. clock: wall-clock time."""

    Inboxes = {
        "inbox": "tuple[str, ...]: the domains from now on",
        "control": "producerFinished or shutdownMicroprocess (stop now)",
        "names": "Answer: from the resolver",
    }
    Outboxes = {
        "outbox": "BigSendersList: all networks that are known now",
        "signal": "producerFinished or shutdownMicroprocess: the one that came in",
        "resolve": "Question: to the resolver",
    }

    random: Random = SystemRandom()

    def __init__(
        self,
        domains: Iterable[str],
        resolver: component,
        refresh: float = DAY,
        file: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self._domains = _clean(domains)
        self._refresh = max(SHORTEST_REFRESH, refresh)
        self._file = file
        self._clock = clock
        self._lists: dict[str, Fetched] = {}
        self._due: dict[str, float] = {}  # by this component's clock
        self._asking = ""  # the domain that is being looked up
        self._give_up_at = 0.0
        self._changed = False
        self.link((self, "resolve"), (resolver, "inbox"))

    def main(self) -> Iterator[object]:
        self._read_file()
        if self._lists:
            self._publish()
        self._plan()
        while not self.told_to_stop():
            for domains in self.Inbox("inbox"):
                self._take(domains)
            for answer in self.Inbox("names"):
                tag: Any = answer.question.tag
                tag(answer)
            self._look_up_the_due()
            if not self.anyReady():
                self._pause_until_due()
            yield 1

    def ask_dns(self, question: object) -> None:
        """For the walks: to the resolver."""
        self.send(question, "resolve")

    # ---- when

    def _take(self, domains: Iterable[str]) -> None:
        self._domains = _clean(domains)
        gone = [domain for domain in self._lists if domain not in self._domains]
        for domain in gone:
            del self._lists[domain]
        if gone:
            self._write_file()
            self._publish()
        self._plan()

    def _plan(self) -> None:
        """When each is to be looked up: those that nobody has seen yet now."""
        now, wall = self.now(), self._clock()
        old, self._due = self._due, {}
        for domain in self._domains:
            fetched = self._lists.get(domain)
            # A file that says it is from the future was written by a clock that went wrong.
            age = self._refresh if fetched is None else max(0.0, wall - fetched.at)
            first = now + max(0.0, self._about(self._refresh) - age) if fetched else now
            self._due[domain] = old.get(domain, first)

    def _about(self, seconds: float) -> float:
        return seconds * self.random.uniform(1 - JITTER, 1 + JITTER)

    def _pause_until_due(self) -> None:
        if self._asking:
            self.pause(max(0.0, self._give_up_at - self.now()))
        elif self._due:
            self.pause(max(0.0, min(self._due.values()) - self.now()))
        else:
            self.pause()

    # ---- what

    def _look_up_the_due(self) -> None:
        now = self.now()
        if self._asking and now >= self._give_up_at:
            self._found(self._asking, self._give_up_at, LookupFailed("no answer in time"), 0.0)
        if self._asking:
            return
        domain = min(self._due, key=self._due.__getitem__, default="")
        if domain and self._due[domain] <= now:
            self._asking, self._give_up_at = domain, now + PATIENCE_SECONDS
            walk(self, networks_of(domain), partial(self._found, domain, self._give_up_at))
        elif self._changed:
            self._changed = False
            self._write_file()
            self._publish()

    def _found(self, domain: str, until: float, networks: Any, _ttl: float) -> None:  # noqa: ANN401 - LookupFailed or tuple
        if domain != self._asking or until != self._give_up_at:
            return  # it took so long that it was given up
        self._asking = ""
        if domain not in self._domains:
            return
        if isinstance(networks, LookupFailed):
            kept = len(self._lists[domain].networks) if domain in self._lists else 0
            reason = one_line(networks.reason)
            log.warning("big sender %s: %s; it keeps its %d networks", domain, reason, kept)
            self._due[domain] = self.now() + self._about(min(RETRY_SECONDS, self._refresh))
            return
        self._lists[domain] = Fetched(networks, self._clock())
        self._due[domain] = self.now() + self._about(self._refresh)
        self._changed = True
        log.info("big sender %s: %d networks", domain, len(networks))

    def _publish(self) -> None:
        origins: dict[IPv4Network | IPv6Network, str] = {}
        for domain, fetched in self._lists.items():
            for network in fetched.networks:
                origins.setdefault(network, domain)
        times = {domain: fetched.at for domain, fetched in self._lists.items()}
        self.send(BigSendersList(Networks(origins), origins, times), "outbox")

    # ---- the file

    def _read_file(self) -> None:
        if self._file is None:
            return
        try:
            found = read(self._file)
        except FileNotFoundError:
            return
        except OSError as error:
            log.warning("the networks of big senders cannot be read: %s", error)
            return
        self._lists = {domain: found[domain] for domain in self._domains if domain in found}

    def _write_file(self) -> None:
        if self._file is None:
            return
        try:
            write(self._file, self._lists)
        except OSError as error:
            log.warning("the networks of big senders cannot be written: %s", error)


def _clean(domains: Iterable[str]) -> tuple[str, ...]:
    """In lower case, each once."""
    names = dict.fromkeys(domain.strip().rstrip(".").lower() for domain in domains)
    return tuple(name for name in names if name)[:MOST_DOMAINS]


__all__ = ["BigSenders", "BigSendersList", "report"]
__kamaelia_components__ = (BigSenders,)
