"""
%-codes: what a text says of a subject
======================================
Replies, headers, log lines, keys and addresses of look-ups may contain codes: %i is the client, %f
the sender, %M{name} a macro. Codes.py has all of milter-greylist's. A code that is none stays as it
is; one whose value is not known is empty (the original ends the process for some).

Values come from strangers. They never bring a control character into a text, they are short, and
where the text is a URL or an LDAP filter they are escaped (`for_url`, `for_ldap`). What is expanded
is never expanded again: a sender `<%M{auth}@example.net>` stays that.

>>> from Kamaelia.Apps.Grey.Core.Access.Subject import Mail, Session, Subject
>>> subject = Subject(Session("192.0.2.77"), Mail("<a%i@example.net>"), "<b@example.org>", now=0.0)
>>> expand("%f to %sr from %I{/24}, 100%% of %Z", subject)
'a%i@example.net to example.org from 192.0.2.0, 100% of %Z'
>>> expand("http://127.0.0.1/?from=%f", subject, escape=for_url)
'http://127.0.0.1/?from=a%25i%40example.net'
"""

import re
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import quote

from Kamaelia.Apps.Grey.Core.Access.Asking import (
    asked,
    country_question,
    dkim_question,
    name_question,
    p0f_question,
    spamd_question,
    spf_question,
)
from Kamaelia.Apps.Grey.Core.Access.Codes import CODES, WITH_ARGUMENT
from Kamaelia.Apps.Grey.Core.Access.Questions import Question
from Kamaelia.Apps.Grey.Core.Access.Subject import Subject

Escape = Callable[[str], str]
Value = Callable[[Subject], str]

DEFAULT_LIMIT = 1000
_LONGEST_VALUE = 1024
_CODE = re.compile(
    r"%([ms][rfd]|X[cemh]|c[Aa]|[ER][hmst]?|p[nvr]|Q[sdSA]|Fx|Hs|M[A-Za-z]"
    r"|[MPT]\{[^{}]*\}|g\{\\?[0-9]{1,3}\}|I\{/[0-9]{1,3}\}|[%rfdijIhDvVGCSAat])"
)
_UNWANTED = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CHANGES = frozenset("DgpP")  # codes whose value changes with what clauses do, by first letter
_ASKS: dict[str, tuple[Callable[[Subject], Question | None], ...]] = {
    "d": (name_question,),
    "md": (name_question,),
    "sd": (name_question,),
    "C": (country_question,),
    "Fx": (p0f_question,),
    "Hs": (spamd_question,),
    "Qs": (spf_question,),
    "QS": (spf_question,),
    "Qd": (dkim_question,),
    "QA": (spf_question, dkim_question),
}


def clean(text: str) -> str:
    """Without control characters, line separators and what cannot be encoded."""
    return text if text.isascii() and text.isprintable() else _UNWANTED.sub("?", text)


def for_url(value: str) -> str:
    return quote(value, safe="")


def for_ldap(value: str) -> str:
    """RFC 4515 section 3 for the filter, then RFC 4516 section 2.1 for the URL around it."""
    return quote(_LDAP.sub(lambda found: f"\\{ord(found[0]):02x}", value), safe="")


_LDAP = re.compile(r"[\\*()\x00]")


class Template:
    """A text, taken apart. depends: an `act` may change what it says; captures: it has a %g."""

    __slots__ = ("_asks", "_parts", "captures", "depends", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts: list[str | Value] = []
        codes: set[str] = set()
        end = 0
        for found in _CODE.finditer(text):
            self._parts.append(text[end : found.start()])
            self._parts.append("%" if found[1] == "%" else _value_of(found[1]))
            codes.add(found[1])
            end = found.end()
        self._parts.append(text[end:])
        self._asks = tuple(dict.fromkeys(ask for code in codes for ask in _ASKS.get(code, ())))
        self.captures = any(code[0] == "g" for code in codes)
        self.depends = any(code[0] in _CHANGES for code in codes)

    def expand(self, subject: Subject, escape: Escape | None = None) -> str:
        said: list[str] = []
        for part in self._parts:
            if isinstance(part, str):
                said.append(part)
                continue
            value = clean(part(subject)[:_LONGEST_VALUE])
            said.append(value if escape is None else escape(value))
        return "".join(said)

    def questions(self, subject: Subject) -> tuple[Question, ...]:
        """What has to be known before it can be expanded in full."""
        return asked(*(ask(subject) for ask in self._asks)) if self._asks else ()

    def unknown(self, subject: Subject) -> Question | None:
        """The first of them that nobody has asked yet."""
        for question in self.questions(subject):
            if question not in subject.answers:
                return question
        return None


def _value_of(code: str) -> Value:
    plain = CODES.get(code)
    if plain is not None:
        return plain
    of, argument = WITH_ARGUMENT[code[0]], code[1:].strip("{}")
    return lambda subject: of(subject, argument)


@lru_cache(maxsize=4096)
def template(text: str) -> Template:
    """Taken apart once: texts of the file are few."""
    return Template(text)


def expand(
    text: str, subject: Subject, *, escape: Escape | None = None, limit: int = DEFAULT_LIMIT
) -> str:
    """At most `limit` characters. Line ends that the file itself has in it stay."""
    return template(text).expand(subject, escape)[:limit] if "%" in text else text[:limit]
