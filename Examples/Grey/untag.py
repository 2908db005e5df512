"""
A component of one's own for the greylister, named in greylist.conf:

    before_decider:
        /path/to/untag.py  Untag

It stands between the parser and the decider and takes the "+tag" out of what is remembered: whoever
may write to anna+shop@example.org may write to anna+news@example.org without a second wait. See it
at work with own_component.py, beside this file.
"""

from collections.abc import Iterator
from dataclasses import replace

from Axon.Component import component
from Axon.Ipc import shutdownMicroprocess


class Untag(component):
    """Untag() -> Attempts, their recipients without what follows the first "+"."""

    Inboxes = {
        "inbox": "Attempt: one a recipient",
        "control": "producerFinished (finish what arrived) or shutdownMicroprocess (stop now)",
    }
    Outboxes = {
        "outbox": "Attempt: the same, its recipient untagged; never fewer, never in another order",
        "signal": "the shutdown that came in",
    }

    def main(self) -> Iterator[object]:
        while True:
            stop = self.told_to_stop()
            if isinstance(stop, shutdownMicroprocess):
                return
            for attempt in self.Inbox("inbox"):
                person = attempt.recipient_local.partition("+")[0]
                # Only the key is changed: recipient_local is what the decider searches for hidden
                # paths, and the real server gets the address as the client wrote it.
                key = f"{person}@{attempt.recipient_domain}"
                self.send(replace(attempt, recipient=key), "outbox")
            if stop:
                return
            self.pause()
            yield 1
