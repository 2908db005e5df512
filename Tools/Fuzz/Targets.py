"""
What is fuzzed: one function for each parser that reads what strangers send
===========================================================================
A target takes bytes and must return: whatever they are, a parser may only refuse them with an error
that it documents. A target raises what else comes out of it, and AssertionError if a rule is broken
that holds for all input::

    TARGETS["smtp_reply"].run(b"\\x00250 ok\\r\\n")

The first byte of what a parser of streams is given says in which slices the rest comes, so that a
fuzzer finds what depends on them as well. Seeds are in the code: there is nothing to be fetched.
"""

from __future__ import annotations

import DoorTargets
import OtherTargets
import SmtpTargets
from Target import Target

TARGETS: dict[str, Target] = {
    **SmtpTargets.TARGETS,
    **DoorTargets.TARGETS,
    **OtherTargets.TARGETS,
}
