"""
From the words of a configuration file to values, with limits
=============================================================
A kind of value is something that one can call with a word's text: it gives the value or raises
BadValueError, which says what is wrong and what to write instead. `str()` of a kind says what it
takes, for messages and for the manual.

Example Usage
-------------
>>> delay = duration(1, 86_400)
>>> delay("9m30s"), str(delay)
(570, 'a time from 1s to 1d')
>>> size(1, 1 << 30)("25M")
26214400

Limits are part of the kind, so no setting can be forgotten when they are checked.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Generic, TypeVar

from Kamaelia.Apps.Grey.Config.Problem import shown

_LONGEST_NAME = 100
_LONGEST_PATH = 4096  # PATH_MAX of Linux; longer ones fail when they are used


class BadValueError(ValueError):
    """A text is not a value of its kind; `cure` says what to write."""

    def __init__(self, message: str, cure: str = "") -> None:
        super().__init__(message)
        self.cure = cure


# --- numbers, times and sizes -------------------------------------------------------------

_TIMES = (("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
_SIZES = (("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10))
_DIGITS = "[0-9]{1,15}"  # never \d, which also means the digits of other scripts


@dataclass(frozen=True, slots=True)
class Quantity:
    """A whole number between two limits; with units, as in 9m30s, each at most once."""

    what: str
    minimum: int
    maximum: int
    units: tuple[tuple[str, int], ...] = ()  # the largest first
    example: str = ""

    def __call__(self, text: str) -> int:
        parts = "".join(f"(?:({_DIGITS}){unit})?" for unit, _ in self.units)
        match = re.fullmatch(f"({_DIGITS})|{parts}", text, re.IGNORECASE)
        if match is None or not text:
            raise BadValueError(f"{shown(text)} is not {self.what}", f"write {self}{self.example}")
        sizes = (1, *(size for _, size in self.units))
        number = sum(
            int(digits) * size
            for digits, size in zip(match.groups(), sizes, strict=True)
            if digits is not None
        )
        if number < self.minimum:
            raise BadValueError(
                f"{shown(text)} is less than {self._text(self.minimum)}", f"write {self}"
            )
        if number > self.maximum:
            raise BadValueError(
                f"{shown(text)} is more than {self._text(self.maximum)}", f"write {self}"
            )
        return number

    def __str__(self) -> str:
        return f"{self.what} from {self._text(self.minimum)} to {self._text(self.maximum)}"

    def _text(self, number: int) -> str:
        """Write a limit in the largest unit that fits without a rest."""
        for unit, size in self.units:
            if number and number % size == 0:
                return f"{number // size}{unit}"
        return str(number)


def integer(minimum: int, maximum: int) -> Quantity:
    """A number without a unit."""
    return Quantity("a number", minimum, maximum)


def duration(minimum: int, maximum: int) -> Quantity:
    """A time, in seconds when it has no unit."""
    return Quantity("a time", minimum, maximum, _TIMES, ", such as 90s, 5m, 1h30m or 2d")


def size(minimum: int, maximum: int) -> Quantity:
    """A size, in bytes when it has no unit."""
    return Quantity("a size", minimum, maximum, _SIZES, ", such as 500K or 25M")


# --- choices, texts and paths -------------------------------------------------------------

T = TypeVar("T")
E = TypeVar("E", bound=Enum)


@dataclass(frozen=True, slots=True)
class Choice(Generic[E]):
    """One of the values of an Enum."""

    enum: type[E]

    def __call__(self, text: str) -> E:
        for member in self.enum:
            if member.value == text.lower():
                return member
        raise BadValueError(f"{shown(text)} is not one of the choices", f"write {self}")

    def __str__(self) -> str:
        *some, last = (str(member.value) for member in self.enum)
        return f"{', '.join(some)} or {last}" if some else last


@dataclass(frozen=True, slots=True)
class Plain(Generic[T]):
    """A kind made of a function, with the words that say what it takes."""

    words: str
    read: Callable[[str], T]

    def __call__(self, text: str) -> T:
        return self.read(text)

    def __str__(self) -> str:
        return self.words


def greeting_text(text: str) -> str:
    """A text for the SMTP greeting, which is ASCII and one short line."""
    if not (text.isascii() and text.isprintable()):
        raise BadValueError("only printable ASCII can be sent in a greeting", "use plain letters")
    if not 1 <= len(text) <= 100:
        raise BadValueError("the text must have 1 to 100 characters", "write a shorter text")
    return text


def yes_or_no(text: str) -> bool:
    """A switch."""
    if text.lower() not in ("yes", "no"):
        raise BadValueError(f"{shown(text)} is neither yes nor no", "write yes or no")
    return text.lower() == "yes"


def reply_code(text: str) -> str:
    """A code with which a deferral may be said."""
    if not re.fullmatch(r"4[0-5][0-9]", text):
        raise BadValueError(f"{shown(text)} defers nothing", "write a code such as 451")
    return text


def enhanced_code(text: str) -> str:
    """An enhanced code of a temporary refusal (RFC 3463)."""
    if not re.fullmatch(r"4\.[0-9]{1,3}\.[0-9]{1,3}", text):
        raise BadValueError(f"{shown(text)} is no enhanced code", "write one such as 4.7.1")
    return text


def file_mode(text: str) -> int:
    """Permissions as chmod takes them."""
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise BadValueError(f"{shown(text)} is no mode of a file", "write one such as 600")
    return int(text, 8)


FACILITIES = (
    *("none", "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron"),
    *("authpriv", "ftp", *(f"local{number}" for number in range(8))),
)


def log_facility(text: str) -> str:
    """One of syslog's, or "none"."""
    if text.lower() not in FACILITIES:
        raise BadValueError(f"{shown(text)} is no facility", "write one such as mail or local3")
    return text.lower()


def user_name(text: str) -> str:
    """The name of a user of this system, perhaps with a group: user:group."""
    name = r"[A-Za-z_][A-Za-z0-9_.-]{0,31}"
    if not re.fullmatch(f"{name}(:{name})?", text):
        raise BadValueError(f"{shown(text)} is no name of a user", "write a name as in /etc/passwd")
    return text


def identifier(text: str) -> str:
    """A name of Python's."""
    if not text.isidentifier() or len(text) > _LONGEST_NAME:
        raise BadValueError(f"{shown(text)} is no name in Python", "write the name of a class")
    return text


def path(text: str) -> Path:
    """The path of a file."""
    if len(text) > _LONGEST_PATH:
        raise BadValueError(
            f"this path is longer than {_LONGEST_PATH} characters", "write a shorter path"
        )
    if text.endswith("/"):
        raise BadValueError(f"{shown(text)} is a folder, not a file", "add the name of a file")
    return Path(text)


def absolute_path(text: str) -> Path:
    """The path of a file from the root on: a daemon that reads it again is elsewhere."""
    if not text.startswith("/"):
        raise BadValueError(f"{shown(text)} is no path from / on", "write it from / on")
    return path(text)
