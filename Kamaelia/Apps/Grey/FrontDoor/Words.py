"""
What a decision sounds like
===========================
The same at each door: a reply code, an enhanced code and words, which every door puts into the form
of its protocol. Nothing in them can end a line.

>>> from Kamaelia.Apps.Grey.Core.Types import Decision, Reason
>>> said(Decision(Verdict.DEFER, Reason.NEW, wait_seconds=90))
(451, '4.7.1', 'Greylisting in action, please come back in 00:01:30')
>>> words_of(Verdict.REJECT, ("250", "2.0.0", "come in"))
(551, '5.7.1', 'come in')
"""

from functools import lru_cache

from Kamaelia.Apps.Grey.Core.Replies import hours
from Kamaelia.Apps.Grey.Core.Types import Decision, MessageDecision, Verdict
from Kamaelia.Apps.Grey.FrontDoor.HeaderLines import clean

Words = tuple[int, str, str]

_DEFER = Verdict.DEFER  # a look into the Enum costs as much as a message
USUAL = {
    Verdict.DEFER: ("451", "4.7.1", "Greylisting in action, please come back later"),
    Verdict.REJECT: ("551", "5.7.1", "Go away!"),
}


def said(decision: Decision | MessageDecision) -> Words:
    """What the client hears of a decision that is not PASS: code, enhanced code, printable ASCII.

    Raises KeyError for PASS."""
    reply = decision.reply
    if reply is not None:
        return words_of(decision.verdict, reply)
    if decision.verdict is _DEFER:
        return _come_back(decision.wait_seconds)
    code, ecode, text = USUAL[decision.verdict]
    return int(code), ecode, text


@lru_cache(maxsize=512)  # nearly all have just come, and wait equally long
def _come_back(seconds: int) -> Words:
    code, ecode, _ = USUAL[_DEFER]
    return int(code), ecode, f"Greylisting in action, please come back in {hours(seconds)}"


def words_of(verdict: Verdict, reply: tuple[str, str, str]) -> Words:
    """The words of a rule. A deferral is a 4xx whatever the rule says, and nothing but 4xx and 5xx
    is a refusal; an enhanced code of another class is none (RFC 3463, section 3)."""
    usual, enhanced, _ = USUAL[verdict]
    code, ecode, text = reply
    first = "4" if verdict is Verdict.DEFER else "45"
    if not (len(code) == 3 and code.isascii() and code.isdigit() and code[0] in first):
        code = usual
    if not ecode.startswith(f"{code[0]}.") or not _is_enhanced(ecode):
        ecode = f"{code[0]}{enhanced[1:]}"
    return int(code), ecode, clean(text).decode("ascii").strip()


def _is_enhanced(ecode: str) -> bool:
    parts = ecode.split(".")
    return len(parts) == 3 and all(
        part.isascii() and part.isdigit() and len(part) <= 3 for part in parts
    )
