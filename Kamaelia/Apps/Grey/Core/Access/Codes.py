"""
What each %-code stands for
===========================
The table of Substitute.py: a function from a subject to its text for each code, and for those that
have an argument in braces one of subject and argument. Nothing here raises, whatever strangers
sent. Codes of what is about to be said (%X..., %E, %R, %S, %t) come from `Subject.reply`, whose
maker knows; they are empty or 0 before.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address

from Kamaelia.Apps.Grey.Core.Access.Asking import (
    country_question,
    dkim_question,
    host_name,
    p0f_question,
    spamd_question,
    spf_question,
)
from Kamaelia.Apps.Grey.Core.Access.Patterns import bare, fold
from Kamaelia.Apps.Grey.Core.Access.Questions import Question, SpamAnswer, SpfAnswer
from Kamaelia.Apps.Grey.Core.Access.Subject import Subject
from Kamaelia.Apps.Grey.Core.Networks import parsed

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


# --- addresses ---


def _recipient(subject: Subject) -> str:
    return bare(subject.recipient)


def _sender(subject: Subject) -> str:
    return bare(subject.mail.sender)


def _local_part(address: str) -> str:
    return address.rpartition("@")[0] if "@" in address else address


def _domain(address: str) -> str:
    return address.rpartition("@")[2] if "@" in address else ""


def _host(subject: Subject) -> str:
    return host_name(subject) or (f"[{subject.session.client}]" if subject.session.client else "")


def _first_label(subject: Subject) -> str:
    host = _host(subject)
    return host if host.startswith("[") else host.partition(".")[0]


def _other_labels(subject: Subject) -> str:
    host = _host(subject)
    return "" if host.startswith("[") else host.partition(".")[2]


def _reversed(subject: Subject) -> str:
    address = parsed(subject.session.client)
    if isinstance(address, IPv4Address):
        return ".".join(reversed(str(address).split(".")))
    return subject.session.client


def _masked(subject: Subject, argument: str) -> str:
    address = parsed(subject.session.client)
    if address is None or not argument:
        return subject.session.client
    host_bits = max(0, address.max_prefixlen - int(argument.removeprefix("/")))
    first = int(address) >> host_bits << host_bits
    return str(IPv4Address(first) if isinstance(address, IPv4Address) else IPv6Address(first))


# --- time ---


def duration(seconds: int) -> str:
    """hh:mm:ss; hours may have more digits.

    >>> duration(1799), duration(400_762)
    ('00:29:59', '111:19:22')
    """
    seconds = max(0, seconds)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _seconds(subject: Subject, key: str) -> int:
    text = subject.reply.get(key, "")
    return int(text) if text.isdecimal() and len(text) < 12 else 0


def _part(key: str, divisor: int, modulus: int) -> Callable[[Subject], str]:
    return lambda subject: str(_seconds(subject, key) // divisor % modulus)


def _times(key: str) -> dict[str, Callable[[Subject], str]]:
    return {
        key: lambda subject: duration(_seconds(subject, key)),
        f"{key}h": lambda subject: str(_seconds(subject, key) // 3600),
        f"{key}m": _part(key, 60, 60),
        f"{key}s": _part(key, 1, 60),
        f"{key}t": lambda subject: str(_seconds(subject, key)),
    }


def _local(subject: Subject) -> datetime:
    return subject.site.local_time(subject.now)


def _offset(subject: Subject) -> str:
    return f"{_local(subject):%z}"


def mail_date(local: datetime) -> str:
    """As in a Date: header, whatever the language of the machine is; with the name of the zone.

    >>> from datetime import UTC
    >>> mail_date(datetime(2026, 11, 21, 19, 33, 13, tzinfo=UTC))
    'Sat, 21 Nov 2026 19:33:13 +0000 (UTC)'
    """
    day, month = _DAYS[local.weekday()], _MONTHS[local.month - 1]
    zone = f"{local:%z} ({local.tzname()})"
    return f"{day}, {local.day:02} {month} {local.year:04} {local:%H:%M:%S} {zone}"


def _formatted(subject: Subject, argument: str) -> str:
    try:
        return _local(subject).strftime(argument)
    except ValueError:  # a format that this system does not know; a lone surrogate
        return ""


def signature(subject: Subject) -> str:
    """Who says it: program, host, address and date, as X-Greylist ends."""
    site, session = subject.site, subject.session
    host = session.macros.get("j") or site.host
    address = session.local_address or session.macros.get("if_addr") or "0.0.0.0"  # noqa: S104
    by = f"{site.program}-{site.version} ({host} [{address}])"
    return f"{by}; {mail_date(_local(subject))}"


# --- what clauses and look-ups found ---


def _answer(subject: Subject, question: Question | None) -> object:
    return None if question is None else subject.answers.get(question)


def _text_answer(subject: Subject, question: Question | None) -> str:
    answer = _answer(subject, question)
    return answer if isinstance(answer, str) else ""


def _result(subject: Subject, question: Question | None) -> str:
    answer = _answer(subject, question)
    return answer.result.value if isinstance(answer, SpfAnswer) else ""


def _spf_text(subject: Subject) -> str:
    answer = _answer(subject, spf_question(subject))
    return answer.text if isinstance(answer, SpfAnswer) else ""


def _authentication(subject: Subject) -> str:
    """RFC 8601, without the name of the header."""
    methods = [subject.session.macros.get("j") or subject.site.host]
    spf = _answer(subject, spf_question(subject))
    if isinstance(spf, SpfAnswer):
        methods.append(f"spf={spf.result.value} smtp.mailfrom={spf.domain}")
    dkim = _answer(subject, dkim_question(subject))
    if isinstance(dkim, SpfAnswer):
        methods.append(
            f"dkim={dkim.result.value}" + (f" header.d={dkim.domain}" * bool(dkim.domain))
        )
    return "; ".join(methods)


def _score(subject: Subject) -> str:
    answer = _answer(subject, spamd_question(subject))
    if not isinstance(answer, SpamAnswer):
        return ""
    return f"{'-' * (answer.tenths < 0)}{abs(answer.tenths) // 10}.{abs(answer.tenths) % 10}"


def _macro(subject: Subject, argument: str) -> str:
    return subject.session.macros.get(argument, "")


def _property(subject: Subject, argument: str) -> str:
    found = subject.session.properties.get(fold(argument.removeprefix("$")))
    return "" if found is None else found.value


def _capture(subject: Subject, argument: str) -> str:
    number = int(argument.removeprefix("\\"))
    captures = subject.mail.captures
    return captures[number - 1] if 1 <= number <= len(captures) else ""


def _of_matched(field: str) -> Callable[[Subject], str]:
    def value(subject: Subject) -> str:
        matched = subject.matched_property
        return "" if matched is None else str(getattr(matched, field))

    return value


def _said(key: str) -> Callable[[Subject], str]:
    return lambda subject: subject.reply.get(key, "")


WITH_ARGUMENT: Mapping[str, Callable[[Subject, str], str]] = {
    "I": _masked,
    "M": _macro,
    "P": _property,
    "T": _formatted,
    "g": _capture,
}
CODES: Mapping[str, Callable[[Subject], str]] = {
    "r": _recipient,
    "f": _sender,
    "mr": lambda subject: _local_part(_recipient(subject)),
    "sr": lambda subject: _domain(_recipient(subject)),
    "mf": lambda subject: _local_part(_sender(subject)),
    "sf": lambda subject: _domain(_sender(subject)),
    "d": _host,
    "md": _first_label,
    "sd": _other_labels,
    "i": lambda subject: subject.session.client,
    "j": _reversed,
    "h": lambda subject: subject.session.helo,
    "Xc": _said("Xc"),
    "Xe": _said("Xe"),
    "Xm": _said("Xm"),
    "Xh": _said("Xh"),
    "S": _said("S"),
    "t": lambda subject: str(_seconds(subject, "t")),
    "D": lambda subject: ",".join(subject.matched_lists),
    "v": lambda subject: subject.site.version,
    "V": signature,
    "G": _offset,
    "C": lambda subject: _text_answer(subject, country_question(subject)),
    "Fx": lambda subject: _text_answer(subject, p0f_question(subject)),
    "Hs": _score,
    "A": lambda subject: str(subject.decided_line),
    "a": lambda subject: subject.decided_id,
    "cA": lambda subject: str(subject.rule_line),
    "ca": lambda subject: subject.rule_id,
    "pn": _of_matched("name"),
    "pv": _of_matched("value"),
    "pr": lambda subject: bare(_of_matched("recipient")(subject)),
    "Qs": lambda subject: _result(subject, spf_question(subject)),
    "Qd": lambda subject: _result(subject, dkim_question(subject)),
    "QS": _spf_text,
    "QA": _authentication,
    **_times("E"),
    **_times("R"),
}
