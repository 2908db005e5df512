"""
Clauses answered by a service of the site
=========================================
`urlcheck` and `ldapcheck` ask a server that the administrator runs. It says whether the clause
holds, may say what is to be done instead of what the rule says, and may bring properties. If it
cannot be reached the recipient is refused for now: a site that keeps its rules there must not fall
back to none.

>>> overrides((("miltergreylistaction", "whitelist"), ("miltergreylistdelay", "5m"), ("x", "y")))
{'action': 'whitelist', 'delay': '300'}
"""

import re
from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import ClassVar

from Kamaelia.Apps.Grey.Core.Access.ClausesOfLookups import answer_of
from Kamaelia.Apps.Grey.Core.Access.ClausesThatAct import set_property
from Kamaelia.Apps.Grey.Core.Access.Definitions import LdapCheckDef, UrlCheckDef
from Kamaelia.Apps.Grey.Core.Access.Patterns import fold
from Kamaelia.Apps.Grey.Core.Access.Questions import LdapCheck, LookupText, Question, UrlCheck
from Kamaelia.Apps.Grey.Core.Access.Rule import Clause, Outcome
from Kamaelia.Apps.Grey.Core.Access.Subject import Subject
from Kamaelia.Apps.Grey.Core.Access.Substitute import Escape, clean, for_ldap, for_url, template

_PREFIX = "miltergreylist"
_MOST_LINES = 200
_LONGEST_URL = 8192
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(-?[0-9]{1,9})([smhdw]?)")
_ACTIONS = frozenset({"greylist", "whitelist", "blacklist", "continue"})
_CODE = re.compile("[245][0-9][0-9]")
_ECODE = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")


def _seconds(text: str) -> str | None:
    found = _DURATION.fullmatch(text)
    return None if found is None else str(int(found[1]) * _UNITS[found[2]])


def _yes(text: str) -> str | None:
    return None if text.lower() in {"no", "false", "0"} else "yes"


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str | None]:
    return lambda text: text if pattern.fullmatch(text) else None


_OVERRIDES: dict[str, Callable[[str], str | None]] = {
    "action": lambda text: text.lower() if text.lower() in _ACTIONS else None,
    "delay": _seconds,
    "autowhite": _seconds,
    "tarpit": _seconds,
    "flushaddr": _yes,
    "nolog": _yes,
    "code": _matching(_CODE),
    "ecode": _matching(_ECODE),
    "msg": clean,
    "report": clean,
}


def overrides(lines: Iterable[tuple[str, str]]) -> dict[str, str]:
    """What is to hold instead of the rule's own; what makes no sense is left out."""
    found: dict[str, str] = {}
    for key, value in lines:
        read = _OVERRIDES.get(fold(key).removeprefix(_PREFIX)) if _is_ours(key) else None
        said = None if read is None else read(value.strip())
        if read is not None and said is not None:
            found[fold(key).removeprefix(_PREFIX)] = said
    return found


def _is_ours(key: str) -> bool:
    return fold(key).startswith(_PREFIX)


class _Service(Clause):
    """A check with a name and a URL that has %-codes."""

    __slots__ = ("_clear", "_escape", "_getprop", "_name", "_url")
    acts: ClassVar[bool] = True
    in_place: ClassVar[bool] = True
    needs_answer: ClassVar[bool] = True

    def __init__(
        self, name: str, url: str, escape: Escape | None, *, text: str, negated: bool
    ) -> None:
        super().__init__(text, negated)
        self._name, self._url, self._escape = name, template(url), escape
        self.depends = self._url.depends
        self._getprop = self._clear = False

    @abstractmethod
    def _question(self, subject: Subject) -> Question:
        """With the URL as it is for that subject."""

    def _expanded(self, subject: Subject) -> str:
        return self._url.expand(subject, self._escape)[:_LONGEST_URL]

    def questions(self, subject: Subject) -> tuple[Question, ...]:
        """What the URL has of the subject may itself have to be looked up; the check comes then."""
        needed = self._url.questions(subject)
        if any(question not in subject.answers for question in needed):
            return needed
        return (*needed, self._question(subject))

    def _answer(self, subject: Subject) -> LookupText | Outcome:
        unknown = self._url.unknown(subject)
        if unknown is not None:
            return unknown
        return answer_of(subject, self._question(subject), LookupText)

    def holds(self, subject: Subject) -> Outcome:
        answer = self._answer(subject)
        return answer.matched if isinstance(answer, LookupText) else answer

    def act(self, subject: Subject) -> None:
        answer = self._answer(subject)
        if not isinstance(answer, LookupText):
            return
        if answer.matched and not self.negated:
            subject.found.update(overrides(answer.lines))
        if self._getprop:
            for key, value in answer.lines[:_MOST_LINES]:
                if not _is_ours(key):
                    set_property(subject, fold(key), value.lower(), self._clear)


class UrlSays(_Service):
    """`urlcheck`"""

    __slots__ = ("_post",)
    kind: ClassVar[str] = "urlcheck"

    def __init__(
        self, name: str, definition: UrlCheckDef, *, text: str = "", negated: bool = False
    ) -> None:
        escape = None if definition.noencode else for_url
        super().__init__(name, definition.url, escape, text=text, negated=negated)
        self._getprop, self._clear = definition.getprop, definition.clear
        self._post = definition.postmsg

    def _question(self, subject: Subject) -> UrlCheck:
        content = subject.mail.content if self._post else None
        number = content.message_id if content is not None else 0
        return UrlCheck(self._name, self._expanded(subject), content is not None, number)


class LdapSays(_Service):
    """`ldapcheck`; all that it brings becomes properties."""

    __slots__ = ()
    kind: ClassVar[str] = "ldapcheck"

    def __init__(
        self, name: str, definition: LdapCheckDef, *, text: str = "", negated: bool = False
    ) -> None:
        escape = None if definition.noescape else for_ldap
        super().__init__(name, definition.url, escape, text=text, negated=negated)
        self._getprop, self._clear = True, definition.clear

    def _question(self, subject: Subject) -> LdapCheck:
        return LdapCheck(self._name, self._expanded(subject))
