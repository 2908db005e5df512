"""
The addresses of the peers
==========================
Peers are given by name, and names move. So they are looked up anew: each time before one is called,
and each time somebody calls and says nothing but his address. The system does it, for /etc/hosts
counts, in threads; nobody else waits for that.

Example Usage
-------------
::

    names = PeerNames(("mx1.example.org", "192.0.2.2"))
    ask = Where("mx1.example.org", (peer, "places"))     # a Place comes to that box
    ask = Who("192.0.2.2", (connection, "callers"))      # a Caller comes to that box

Rules. What was found a few seconds ago is as good as new, so strangers who knock all the time cost
no look-up each. A look-up that takes more than `PATIENCE_SECONDS` counts as failed for those who
wait (its thread goes on, and a second one for the same name is not begun); one that fails leaves
what was found before in force for an hour, so that machines go on sharing while the DNS is away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from Axon.AtOnce import act_at_once
from Axon.Component import component
from Axon.Ipc import producerFinished
from Axon.ThreadedComponent import threadedcomponent
from Kamaelia.Apps.Grey.Core.Types import Addressee
from Kamaelia.Internet.TCPClient import addresses_of
from Kamaelia.Support.Protocol.MXSync.Commands import plain_address

PATIENCE_SECONDS = 2.0  # a caller waits 3 seconds for the first word
FRESH_SECONDS = 5.0
STALE_SECONDS = 3600.0
MOST_WAITING = 200  # callers; more are asked by what was found before

MOST_ADDRESSES = 32  # of one name: all are tried, each for the peer's time-out

ReplyTo = tuple[Addressee, str]
LookUp = Callable[[str], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Where:
    """Which addresses has this peer? A Place goes to that box."""

    name: str
    reply_to: ReplyTo = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Place:
    """The addresses of a peer, in the system's order; none: error says why, for a person."""

    name: str
    addresses: tuple[str, ...]
    error: str = ""


@dataclass(frozen=True, slots=True)
class Who:
    """Which peer has this address? A Caller goes to that box."""

    address: str
    reply_to: ReplyTo = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Caller:
    """The peer of that address; None: it has none of them."""

    address: str
    name: str | None


@dataclass(frozen=True, slots=True)
class _Found:
    name: str
    addresses: tuple[str, ...] = ()
    error: str = ""


class _Name:
    """What is known of one name."""

    __slots__ = ("addresses", "error", "fresh_until", "known_until", "looking", "patient_until")

    def __init__(self) -> None:
        self.addresses: tuple[str, ...] = ()
        self.error = "its address is not known yet"
        self.fresh_until = self.known_until = self.patient_until = float("-inf")
        self.looking = False


def system_addresses(name: str) -> list[str]:
    """What the system says, each once, as they are written in a sync line, MOST_ADDRESSES of them.
    Blocks. Raises OSError."""
    found = (plain_address(str(info[3][0]).partition("%")[0]) for info in addresses_of(name, 0))
    different = dict.fromkeys(address for address in found if address is not None)
    return list(different)[:MOST_ADDRESSES]


class _Lookup(threadedcomponent):
    """Asks for the addresses of one name, in a thread, since that may take seconds."""

    Inboxes = {"control": "object: unused, a look-up cannot be interrupted"}
    Outboxes = {
        "outbox": "_Found: what there is",
        "signal": "producerFinished: after the answer",
    }

    def __init__(self, name: str, look_up: LookUp) -> None:
        super().__init__()
        self._asked = name
        self._look_up = look_up

    def main(self) -> None:
        try:
            found = _Found(self._asked, tuple(self._look_up(self._asked)))
        except OSError as error:
            found = _Found(self._asked, error=error.strerror or str(error))
        self.send(found, "outbox")
        self.send(producerFinished(self), "signal")


class PeerNames(component):
    """PeerNames(names, look_up=system_addresses) -> a Place for each Where, a Caller for each Who.

    look_up: the addresses of a name; called in a thread, raises OSError."""

    Inboxes = {
        "inbox": "Where or Who: from peers and connections; acted on at once",
        "control": "producerFinished or shutdownMicroprocess: end",
        "_found": "object: from the threads; acted on at once",
    }
    Outboxes = {
        "outbox": "object: not used, answers go to the boxes that the questions name",
        "signal": "the shutdown that came in",
    }

    woken_by_collection = False  # it never waits for that

    def __init__(self, names: Iterable[str], look_up: LookUp = system_addresses) -> None:
        super().__init__()
        self._look_up = look_up
        self._names = {name: _Name() for name in names}
        self._wheres: list[Where] = []
        self._whos: list[Who] = []
        self._lookups: dict[str, _Lookup] = {}
        act_at_once(self, "_found", self._learn)

    def change(self, names: Iterable[str]) -> None:
        """From now on these are the peers; what is known of those that stay, stays."""
        self._names = {name: self._names.get(name) or _Name() for name in names}
        self._answer()

    def main(self) -> Iterator[object]:
        act_at_once(self, "inbox", self._take)
        while not self.told_to_stop():
            self._answer()
            self._sleep()
            yield 1

    def stop(self) -> None:
        for lookup in self._lookups.values():
            lookup.stop()
        super().stop()

    def _closeDownMicroprocess(self) -> object:
        for lookup in self._lookups.values():  # nobody waits for what their threads may yet find
            lookup.stop()
        return super()._closeDownMicroprocess()

    # ---- questions

    def _take(self, question: Where | Who) -> None:
        if isinstance(question, Where):
            self._look_for(question.name)
            if not self._answer_where(question):
                self._wheres.append(question)
        else:
            for name in self._names:
                self._look_for(name)
            if not self._answer_who(question, now_or_never=len(self._whos) >= MOST_WAITING):
                self._whos.append(question)
        self.unpause()  # to see to the time

    def _look_for(self, text: str) -> None:
        known = self._names.get(text)
        now = self.now()
        if known is None or known.looking or now < known.fresh_until:
            return
        numeric = plain_address(text)
        if numeric is not None:
            known.addresses, known.error = (numeric,), ""
            known.fresh_until = known.known_until = float("inf")
            return
        lookup = _Lookup(text, self._look_up)
        self.link((lookup, "outbox"), (self, "_found"))
        # No thread to be had, for instance: that must not be the end of all mail.
        lookup.isolate(lambda _, error: self._learn(_Found(text, error=str(error) or repr(error))))
        lookup.activate(Scheduler=self.scheduler)
        self._lookups[text] = lookup
        known.looking = True
        known.patient_until = now + PATIENCE_SECONDS

    def _learn(self, found: _Found) -> None:
        lookup = self._lookups.pop(found.name, None)
        if lookup is not None:
            self.unlink(thecomponent=lookup)
        known = self._names.get(found.name)
        if known is None:
            return  # no peer any more
        now = self.now()
        known.looking = False
        known.fresh_until = now + FRESH_SECONDS
        if found.addresses:
            known.addresses, known.error = found.addresses, ""
            known.known_until = now + STALE_SECONDS
        else:
            known.error = found.error or "it has no address"
        self._answer()

    # ---- answers

    def _answer(self) -> None:
        """Whoever waits and need not any more hears what there is."""
        wheres, self._wheres = self._wheres, []
        self._wheres += [where for where in wheres if not self._answer_where(where)]
        whos, self._whos = self._whos, []
        self._whos += [who for who in whos if not self._answer_who(who)]

    def _answer_where(self, where: Where) -> bool:
        known = self._names.get(where.name)
        if known is not None:
            if self._is_open(known):
                return False
            self._forget_the_old(known)
        _reply(where.reply_to, _place_of(where.name, known))
        return True

    def _answer_who(self, who: Who, *, now_or_never: bool = False) -> bool:
        name = self._known(who.address, as_before=now_or_never)
        if name is None and not now_or_never and any(map(self._is_open, self._names.values())):
            return False
        _reply(who.reply_to, Caller(who.address, name))
        return True

    def _forget_the_old(self, known: _Name) -> None:
        if known.known_until < self.now():
            known.addresses = ()

    def _is_open(self, known: _Name) -> bool:
        """Whether what is asked for may still come."""
        return known.looking and self.now() < known.patient_until

    def _known(self, address: str, *, as_before: bool) -> str | None:
        """The peer of that address, as far as one knows now. as_before: what is looked up counts
        as it was."""
        for name, known in self._names.items():
            if as_before or not self._is_open(known):
                self._forget_the_old(known)
                if address in known.addresses:
                    return name
        return None

    def _sleep(self) -> None:
        if not (self._wheres or self._whos):
            self.pause()
            return
        now = self.now()
        times = [known.patient_until for known in self._names.values() if self._is_open(known)]
        self.pause(max(0.0, min(times, default=now) - now))


def _place_of(name: str, known: _Name | None) -> Place:
    if known is None:
        return Place(name, (), "it is no peer any more")
    error = known.error
    if not known.addresses and known.looking:
        error = "its address could not be looked up in time"
    return Place(name, known.addresses, "" if known.addresses else error)


def _reply(reply_to: ReplyTo, answer: Place | Caller) -> None:
    addressee, boxname = reply_to
    box = addressee.inboxes.get(boxname)
    if box is not None:
        box.deliver(answer)


__kamaelia_components__ = (PeerNames,)
