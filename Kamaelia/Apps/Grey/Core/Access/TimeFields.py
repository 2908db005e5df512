"""
The five fields of crontab
==========================
Minute, hour, day of the month, month, day of the week (0 and 7 are Sunday). A field is `*`, a
number, a range `a-b`, a step `*/n` or `a-b/n`, or several of them with commas. All five must match;
cron itself takes one of the two days for enough, milter-greylist does not.

>>> office_hours = TimeFields.parse("* 8-17 * * 1-5")
>>> office_hours.match((30, 9, 23, 11, 1)), office_hours.match((30, 9, 22, 11, 0))
(True, False)
>>> TimeFields.parse("* 25 * * *")
Traceback (most recent call last):
    ...
ValueError: hour 25 is not within 0-23
"""

import re
from dataclasses import dataclass

Moment = tuple[int, int, int, int, int]

_FIELDS = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of the month", 1, 31),
    ("month", 1, 12),
    ("day of the week", 0, 7),
)
_ITEM = re.compile(r"(?:(\*)|([0-9]{1,4})(?:-([0-9]{1,4}))?)(?:/([0-9]{1,4}))?")
_SUNDAY = 7  # and 0


@dataclass(frozen=True, slots=True)
class TimeFields:
    """fields: for each of the five the values that match."""

    fields: tuple[frozenset[int], ...]

    @classmethod
    def parse(cls, text: str) -> "TimeFields":
        """Raises ValueError with a text for whoever wrote the file."""
        words = text.split()
        if len(words) != len(_FIELDS):
            raise ValueError(f"five fields are needed, here are {len(words)}")
        return cls(tuple(_field(word, *kind) for word, kind in zip(words, _FIELDS, strict=True)))

    def match(self, moment: Moment) -> bool:
        return all(value in field for value, field in zip(moment, self.fields, strict=True))


def _field(text: str, name: str, lowest: int, highest: int) -> frozenset[int]:
    values: set[int] = set()
    for item in text.split(","):
        found = _ITEM.fullmatch(item)
        if found is None:
            raise ValueError(f"{name}: {item[:20]!r} is neither *, a number, a range nor a step")
        star, first, last, step = found.groups()
        start = lowest if star else int(first)
        if star:
            end = highest
        elif last:
            end = int(last)
        else:  # `5/10`: from there on
            end = highest if step else start
        for value in (start, end):
            if not lowest <= value <= highest:
                raise ValueError(f"{name} {value} is not within {lowest}-{highest}")
        if end < start:
            raise ValueError(f"{name}: {item} ends before it begins")
        if step and not int(step):
            raise ValueError(f"{name}: a step of 0 goes nowhere")
        values.update(range(start, end + 1, int(step or 1)))
    if name == _FIELDS[-1][0] and _SUNDAY in values:
        values.add(0)
    return frozenset(values)
