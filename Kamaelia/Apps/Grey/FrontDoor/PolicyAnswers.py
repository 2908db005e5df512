"""
What Postfix is told of a decision
==================================
In the words of access(5). `OK` is never among them: it would end the list of restrictions, and with
it what the administrator wrote behind us.

===========================  =======================================================================
greylisted                   `DEFER_IF_PERMIT 4.7.1 text`: unless somebody behind us refuses it for
                             good. The code before the text is Postfix's (access_map_defer_code)
blacklisted by a rule        `551 5.7.1 text`, or 4xx: the code that the rule has
let in                       `PREPEND header: value` if there is one to be given, else `DUNNO`
===========================  =======================================================================

>>> from Kamaelia.Apps.Grey.Core.Types import Decision, Reason
>>> refusal(Decision(Verdict.DEFER, Reason.NEW, wait_seconds=60), "k3f9")
b'action=DEFER_IF_PERMIT 4.7.1 Greylisting in action, please come back in 00:01:00 (k3f9)\\n\\n'
>>> refusal(Decision(Verdict.REJECT, Reason.RULE), "k3f9")
b'action=551 5.7.1 Go away! (k3f9)\\n\\n'
>>> prepended(b"X-Greylist: Sender IP whitelisted\\r\\n")
b'action=PREPEND X-Greylist: Sender IP whitelisted\\n\\n'
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Ruling
from Kamaelia.Apps.Grey.Core.Types import Decision, Reason, Verdict
from Kamaelia.Apps.Grey.FrontDoor.DoorRules import MOST_HEADERS
from Kamaelia.Apps.Grey.FrontDoor.Words import said
from Kamaelia.Protocol.PostfixPolicy import DUNNO
from Kamaelia.Support.Protocol.PostfixPolicy import action

if TYPE_CHECKING:
    from Kamaelia.Apps.Grey.FrontDoor.DoorRules import DoorRules
    from Kamaelia.Apps.Grey.FrontDoor.PolicyMemory import Letter

# Of a reply: RFC 5321 section 4.5.3.1.5 has 512 for the line, and Postfix puts the recipient and
# some words of its own before ours.
WORDS_CHARACTERS = 400
_DEFER = Verdict.DEFER


def refusal(decision: Decision, tag: str) -> bytes:
    """The answer to a recipient that is deferred or refused; tag: to find it in the log by.

    Raises KeyError for a decision that lets it in."""
    if decision.reply is None and decision.verdict is _DEFER and decision.ruling is None:
        return f"{_wait(decision.wait_seconds)} ({tag})\n\n".encode("ascii")
    code, ecode, words = said(decision)
    words = words[:WORDS_CHARACTERS]
    if decision.verdict is _DEFER and not _is_blacklisted(decision):
        return action(f"DEFER_IF_PERMIT {ecode} {words} ({tag})")
    return action(f"{code} {ecode} {words} ({tag})")


# Nearly all have just come, and wait equally long.
@lru_cache(maxsize=512)
def _wait(seconds: int) -> str:
    """The answer's beginning for one who is greylisted in nobody's words but ours."""
    _, ecode, words = said(Decision(_DEFER, Reason.NEW, wait_seconds=seconds))
    return action(f"DEFER_IF_PERMIT {ecode} {words}").decode("ascii").rstrip()


def later(ecode: str, words: str, tag: str) -> bytes:
    """The answer to a recipient that cannot be decided on now."""
    return action(f"DEFER_IF_PERMIT {ecode} {words} ({tag})")


def let_in(rules: DoorRules, letter: Letter, address: str, decision: Decision) -> bytes:
    """The answer to a recipient that gets in, with the next header of its letter, if there is one.
    address: that the client came to."""
    ruling = decision.ruling
    if decision.reason is Reason.RETRIED and decision.waited_seconds > letter.waited:
        letter.waited = decision.waited_seconds
    line = b""
    if letter.headers is not None or (ruling is not None and ruling.addheaders):
        line = _next_given(rules, letter, ruling)
    reports = rules.reports or (ruling is not None and ruling.report)
    if not line and reports and not letter.reported:
        line = rules.report_line(letter.waited, decision, address)
        letter.reported = bool(line)
    return prepended(line) if line else DUNNO


def _next_given(rules: DoorRules, letter: Letter, ruling: Ruling | None) -> bytes:
    """The next of the headers that rules gave, none twice."""
    headers = letter.headers
    if headers is None:
        headers = letter.headers = {}
    if ruling is not None:
        for text, _ in ruling.addheaders:
            if len(headers) < MOST_HEADERS:
                headers.setdefault(text, False)
    for text, was_given in headers.items():
        if not was_given:
            headers[text] = True
            lines = rules.given_lines([text])
            if lines:
                return lines[0]
    return b""


@lru_cache(maxsize=512)  # X-Greylist of this second comes again with the next message
def prepended(line: bytes) -> bytes:
    """The answer that lets in and gives the message a header: the line as it would stand in it.
    Postfix wants it unfolded; what it does not take in one line is cut."""
    text = line.decode("ascii", "backslashreplace").rstrip("\r\n").replace("\r\n", "")
    return action(f"PREPEND {text}")


def _is_blacklisted(decision: Decision) -> bool:
    """For now: the rule has a 4xx code of its own."""
    ruling = decision.ruling
    return (
        decision.reason is Reason.RULE and ruling is not None and ruling.action is Action.BLACKLIST
    )
