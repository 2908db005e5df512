"""
Networks that are being forgotten
=================================
A rule with flushaddr says that nothing is known any more of whoever stands behind a network. That
has to be so from the next question on, but the records of one network are scattered over the memory
(ServingMap.py), and to look at all of it takes a tenth of a second. So the network is noted first,
and what memory has of it is not believed from then on; the rest is done in small steps:

1. `begin`: noted. What is remembered of it from now on is `fresh`.
2. `gone`: the thread says that the file has no more of it (nor can an older slice of the file still
   be on its way into memory).
3. `step`, 256 times: the dicts of the memory are gone through, for all networks that are so far;
   then the note is taken away.

>>> records = ServingMap(limit=1000)
>>> forgetting = Forgetting(records)
>>> forgetting.begin("192.0.2.0/24"), forgetting.begin("192.0.2.0/24")
(True, False)
>>> forgetting.hides("192.0.2.0/24", b"a key"), forgetting.hides("198.51.100.0/24", b"a key")
(True, False)
>>> forgetting.gone("192.0.2.0/24")
>>> while forgetting.has_work:
...     forgetting.step()
>>> forgetting.networks
{}
"""

from Kamaelia.Apps.Grey.Store.Packing import tag_of
from Kamaelia.Apps.Grey.Store.ServingMap import SHARDS, ServingMap


class _Forgotten:
    """How far it is with one network."""

    __slots__ = ("awaited", "fresh", "tag")

    def __init__(self, network: str, awaited: int) -> None:
        self.tag = tag_of(network)
        self.awaited = awaited  # how often the thread has yet to say that it is gone
        self.fresh: set[bytes] = set()  # keys of what has been remembered since


class Forgetting:
    """Forgetting(records) -> which records of that map are not to be believed, and their end."""

    __slots__ = ("_kept", "_passing", "_records", "_shard", "networks")

    def __init__(self, records: ServingMap) -> None:
        self._records = records
        self.networks: dict[str, _Forgotten] = {}
        self._passing: dict[str, _Forgotten] = {}  # those for which the memory is gone through
        self._kept: dict[bytes, set[bytes]] = {}  # their tags, with what is fresh
        self._shard = 0

    def begin(self, network: str) -> bool:
        """From now on nothing is known of it; False: that was so already."""
        before = self.networks.get(network)
        if before is not None and before.awaited and not before.fresh:
            return False
        self.networks[network] = _Forgotten(network, 1 + (before.awaited if before else 0))
        if network in self._passing:  # what is fresh now, this round would take for old
            del self._kept[self._passing.pop(network).tag]
        return True

    def hides(self, network: str, key: bytes) -> bool:
        """Whether what memory has under this key is of before."""
        forgotten = self.networks.get(network)
        return forgotten is not None and key not in forgotten.fresh

    def remember(self, network: str, key: bytes) -> None:
        """What is put under this key next, is to be believed."""
        if self.hides(network, key):
            self._records.delete(key)
            self.networks[network].fresh.add(key)

    def gone(self, network: str) -> None:
        """The file has nothing of it any more."""
        if network in self.networks:
            self.networks[network].awaited -= 1

    @property
    def has_work(self) -> bool:
        """Whether there is a step to do."""
        return bool(self._passing) or any(not each.awaited for each in self.networks.values())

    def step(self) -> None:
        """Go through one dict of the memory."""
        if not self._passing:
            self._passing = {name: each for name, each in self.networks.items() if not each.awaited}
            # Of two with one tag, one is gone through after the other.
            self._kept = {each.tag: each.fresh for each in self._passing.values()}
            self._passing = {
                name: each
                for name, each in self._passing.items()
                if self._kept[each.tag] is each.fresh
            }
            self._shard = 0
        self._records.forget(self._shard, self._kept)
        self._shard += 1
        if self._shard == SHARDS:
            for name in self._passing:
                del self.networks[name]
            self._passing, self._kept = {}, {}
