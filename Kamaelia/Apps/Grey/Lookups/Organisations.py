"""
Whose name it is
================
`mail-wr1.out.example.co.uk` belongs to `example.co.uk`: the part of a host name that somebody has
registered. Which endings are open to registration is in the public suffix list, which comes with
the package of that name and is read at the first question: a twentieth of a second, once.

>>> organisation_of("mail-wr1.out.example.co.uk")
'example.co.uk'
>>> organisation_of("co.uk"), organisation_of("")
('', '')
"""

from functools import lru_cache

from publicsuffixlist import PublicSuffixList

_LONGEST_NAME = 253


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


@lru_cache(maxsize=4096)
def organisation_of(name: str) -> str:
    """The registered part of a host name, in lower case; "" if there is none, as for an ending that
    is open to everybody. Takes any text."""
    folded = name.rstrip(".").lower()
    if not folded or len(folded) > _LONGEST_NAME or not folded.isascii():
        return ""
    return _suffixes().privatesuffix(folded) or ""
