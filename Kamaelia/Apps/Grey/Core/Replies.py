"""
What a client is told
=====================
The texts of milter-greylist, to the letter: people and programs read them, and some senders wait as
long as the text says.

>>> hours(3725), hours(400_000)
('01:02:05', '111:06:40')
>>> greylisted(Policy(), None, wait=1800)
('451', '4.7.1', 'Greylisting in action, please come back in 00:30:00')
>>> blacklisted(None)
('551', '5.7.1', 'Go away!')
"""

from Kamaelia.Apps.Grey.Core.Access.Rule import Ruling
from Kamaelia.Apps.Grey.Core.Types import Policy

Reply = tuple[str, str, str]

NOBODY_KNOWS: Reply = ("451", "4.7.1", "Service unavailable - try again later")


def hours(seconds: int) -> str:
    """HH:MM:SS; more than 99 hours have more digits."""
    seconds = max(0, seconds)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def greylisted(policy: Policy, ruling: Ruling | None, wait: int) -> Reply:
    """Come back later. A rule may have words and codes of its own for it, but it is a temporary
    refusal: a code that is not, is not regarded."""
    code, ecode = _codes(ruling, "4", policy.greylist_code, policy.greylist_ecode)
    if ruling is not None and ruling.msg:
        return code, ecode, ruling.msg
    when = "later" if policy.quiet else f"in {hours(wait)}"
    return code, ecode, f"Greylisting in action, please come back {when}"


def blacklisted(ruling: Ruling | None) -> Reply:
    """Go away, for ever or (with a code that says so) for now."""
    code, ecode = _codes(ruling, "45", "551", "5.7.1")
    return code, ecode, (ruling.msg if ruling is not None else "") or "Go away!"


def _codes(ruling: Ruling | None, classes: str, code: str, ecode: str) -> tuple[str, str]:
    """Those of the ruling if they are codes of one of these classes, and agree."""
    own = "" if ruling is None else ruling.code
    if len(own) == 3 and own[0] in classes and own.isascii() and own.isdigit():
        code = own
    if ecode[:1] != code[0]:
        ecode = f"{code[0]}.7.1"
    if ruling is not None and ruling.ecode[:2] == f"{code[0]}.":
        ecode = ruling.ecode
    return code, ecode
