"""
Who has hung up while it was kept waiting
=========================================
A `tarpit` rule makes a stranger wait; one that hangs up before the time is over must not get in the
next time by waiting a little less. So the longest wait that an attempt has endured is remembered,
in memory only and for so many attempts at most: those that came first are forgotten first.

>>> tarpits = Tarpits(most=2)
>>> key = ("192.0.2.7", "a@example.net", "b@example.org")
>>> tarpits.left(key, 12.5)
>>> tarpits.endured(key), tarpits.endured(("192.0.2.8", "", ""))
(12.5, None)
"""

MOST = 10_000

Key = tuple[str, str, str]
"""Client, sender, recipient."""


class Tarpits:
    """Tarpits(most) -> `left`, `endured`."""

    __slots__ = ("_endured", "_most")

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._endured: dict[Key, float] = {}

    def left(self, key: Key, seconds: float) -> None:
        """The client has hung up after so many seconds."""
        before = self._endured.pop(key, 0.0)
        if len(self._endured) >= self._most:
            del self._endured[next(iter(self._endured))]
        self._endured[key] = max(before, seconds)

    def endured(self, key: Key) -> float | None:
        """The longest wait in which it hung up; None: it never did."""
        return self._endured.get(key)
