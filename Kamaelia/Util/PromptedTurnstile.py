"""
One message for each request
============================
Messages queue up and go out one at a time, first come first served, one for each request that comes
to "next". A request that finds no message waiting is remembered and served when one comes.

Example Usage
-------------
Three in the queue, and two requests::

    from Axon.Testing import harness
    from Kamaelia.Util.PromptedTurnstile import PromptedTurnstile

    with harness(PromptedTurnstile()) as h:
        h.put_all(["one", "two", "three"])
        h.expect_nothing("outbox", during=60)
        h.put_all(["next", "next"], "next")
        h.settle()
        print(h.take("outbox"))

It prints::

    ['one', 'two']

The queue is the inbox, so its limit is that of the inbox: ``setInboxSize("inbox", n)``. After a
producerFinished the requests go on being served until the queue is empty, then it ends; requests
that are still open then will not be served.
"""

from __future__ import annotations

from collections.abc import Iterator

from Kamaelia.Util.MessageLoop import MessageLoop


class PromptedTurnstile(MessageLoop):
    """PromptedTurnstile() -> hands one message on for each request at "next"."""

    ExtraInboxes = {"next": "object: a request, what it is does not matter"}

    def arrivals(self) -> Iterator[object]:
        while self.dataReady("inbox") and self.dataReady("next"):
            self.recv("next")
            yield self.recv("inbox")

    def is_drained(self) -> bool:
        return not self.dataReady("inbox")


__kamaelia_components__ = (PromptedTurnstile,)
