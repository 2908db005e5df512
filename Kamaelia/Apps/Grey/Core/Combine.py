"""
Many recipients, one answer
===========================
Some doors can answer only once for a whole message (at the end of DATA, or a client that takes
no reply per recipient). The strictest decision speaks for all: mail that goes through because one
of its recipients may have it was the original's hole.

A refusal counts more than a deferral, because waiting does not make a forbidden recipient any
better; among deferrals the longest wait counts, because the retry before that would be in vain.

>>> from Kamaelia.Apps.Grey.Core.Types import Decision, Reason, Verdict
>>> known = Decision(Verdict.PASS, Reason.KNOWN)
>>> new = Decision(Verdict.DEFER, Reason.NEW, wait_seconds=60)
>>> combine(known, new).reason.value
'new'
"""

from Kamaelia.Apps.Grey.Core.Types import Decision, Verdict

_STRICTNESS = {Verdict.PASS: 0, Verdict.DEFER: 1, Verdict.REJECT: 2}


def combine(first: Decision, *others: Decision) -> Decision:
    """The decision that speaks for all of them; of equals, the first."""
    return max((first, *others), key=lambda one: (_STRICTNESS[one.verdict], one.wait_seconds))
