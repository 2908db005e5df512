"""
What is asked of the thread with the store, and what it answers
===============================================================
Beside Query, Remember and Forget, which everybody sends (Core/Types.py): what StoreService and the
keeper in its thread say to each other.

Example Usage
-------------
>>> Loaded({}).upto is None  # that was the end of the store
True
"""

from dataclasses import dataclass

from Kamaelia.Apps.Grey.Core.Types import Addressee, Answer, Forget, Query, Remember, Triplet
from Kamaelia.Apps.Grey.Store.DumpFile import DumpPlan
from Kamaelia.Apps.Grey.Store.Interface import Rows
from Kamaelia.Apps.Grey.Store.Packing import News


@dataclass(frozen=True, slots=True)
class Load:
    """The next slice of the store for the memory in front of it, from behind `after`; answered by
    a `Loaded`."""

    after: Triplet | None


@dataclass(frozen=True, slots=True)
class Loaded:
    """Rows in the order of the triplets. `upto`: the last of them, None if that was the end of the
    store. `failed`: the store could not be read."""

    rows: Rows
    upto: Triplet | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Another process has forgotten this network. The thread reports it; sent back to it, it is
    answered by a `Forgotten`: what was under way before, has arrived by then. `at`: when, in
    seconds since the epoch."""

    network: str
    at: int


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The answer to a Forget: what the store had of this network is gone, or not to be seen."""

    network: str


@dataclass(frozen=True, slots=True)
class DumpNow:
    """Write the dump, if something has changed since the last one. Answered by a `Dumped` to that
    box, when it is done."""

    plan: DumpPlan
    reply_to: tuple[Addressee, str]


@dataclass(frozen=True, slots=True)
class Dumped:
    """The dump is as the store is; `failed`: it is not."""

    reply_to: tuple[Addressee, str]
    failed: bool = False


Request = Query | Remember | Forget | Elsewhere | Load | News | DumpNow
Response = Answer | Loaded | Forgotten
