r"""
One mailbox, one text
=====================
The same mailbox can be written in many ways, and who writes it is a stranger. Mail servers take all
of these for anna's, and tell their filters what was written:

    anna@example.org    "anna"@example.org    an\na@example.org    anna@example.org.
    @relay.example:anna@example.org    anna(or not)@example.org    anna @example.org
    Anna <anna@example.org>    us: anna@example.org;    example.org!anna    anna%example.org

>>> mailbox('"anna"@example.org'), mailbox("@relay.example:an(x)na@example.org.")
('anna@example.org', 'anna@example.org')

What is about her has to find her in each of them: a rule, a list of those who want to be greylisted
or do not, the key of a record. So there is one text for a mailbox. The local part has quotes only
if it cannot be without them, and then these alone are escaped which have to be:

>>> mailbox(r'"a \b"@example.org'), mailbox_of("a b", "example.org"), mailbox_of("a@b", "c.example")
('"a b"@example.org', '"a b"@example.org', '"a@b"@c.example')

Rules. Pure, for any text; nothing raises. Capitals stay, for that is a question of what the text is
for. A blank in quotes stays, too; other control characters become visible (`\x01`). This reads what
a mail server has taken, and so is lenient; for what is to be refused see Address.py.
"""

import re

_PLAIN = r"[^\x00-\x20\x7f\"\\(),:;<>@\[\]]"
# Nearly all: nothing in it means anything but itself, and there is no dot at the end.
_is_plain = re.compile(rf"{_PLAIN}+@{_PLAIN}*[^\x00-\x20\x7f\"\\(),:;<>@\[\].]").fullmatch
_needs_quotes = re.compile(r"[ \"\\(),:;<>@\[\]]").search
_quoted = re.compile(r"([\"\\])").sub
_pair = re.compile(r"\\(.)").sub
_controls = re.compile(r"[\x00-\x1f\x7f]")
_BLANKS = " \t\r\n"
LONGEST = 512  # characters of a mailbox that count; one that is longer nobody has
_READ = 2 * LONGEST  # of what stands for it, quotes and comments with it


def mailbox(text: str) -> str:
    """The text for the mailbox that is written so, between < and >. Without a domain, the local
    part without its quotes; "" is the null sender."""
    if not text or _is_plain(text):
        return text[:LONGEST]
    return _read(text[:_READ])[:LONGEST]


def _read(text: str) -> str:
    letters: list[str] = []
    at = -1  # where the last @ is that is one
    depth = 0  # of comments
    escaped = in_quotes = in_literal = False
    for letter in text:
        if escaped or (in_quotes and letter not in '"\\'):
            escaped = False
            if not depth:
                letters.append(letter)
        elif letter == "\\":
            escaped = True
        elif depth or (letter == "(" and not in_quotes):
            depth += (letter == "(") - (letter == ")")
        elif letter == '"':
            in_quotes = not in_quotes
        elif letter in ":<" and not in_literal:  # before it: a route, a group, a person's name
            letters.clear()
            at = -1
        elif letter in ">;" or (letter == "," and letters[:1] != ["@"]):
            break
        elif letter not in _BLANKS:
            in_literal = letter == "[" or (in_literal and letter != "]")
            if letter == "@":
                at = len(letters)
            letters.append(letter)
    if at < 0 or at == len(letters) - 1:  # mail servers look for another @ then, such as Postfix
        return _routed("".join(letters))
    return mailbox_of("".join(letters[:at]), "".join(letters[at + 1 :]))


def mailbox_of(local: str, domain: str) -> str:
    """The text for a mailbox of a domain; local: its local part as it is meant, without quotes. Of
    an empty one there is nothing to quote: the key of a sender that ends in "=", as peers tell it,
    is the same text."""
    local = _visible(local)
    if _needs_quotes(local):
        local = '"' + _quoted(r"\\\1", local) + '"'
    return f"{local}@{domain.removesuffix('.')}"


def unquoted(text: str) -> str:
    """The text for a mailbox whose local part has no quotes or escapes, as Postfix tells its policy
    services."""
    return text[:LONGEST] if _is_plain(text) else _routed(text[:_READ])[:LONGEST]


def _routed(text: str) -> str:
    """The same, of any length."""
    if _is_plain(text):
        return text
    if text.endswith("@"):
        text = text.rstrip("@") or text
    local, at, domain = text.rpartition("@")
    if not at:  # as Postfix does, without a look at its swap_bangpath and allow_percent_hack
        domain, at, local = text.partition("!")
        if not at:
            local, at, domain = text.rpartition("%")
    return mailbox_of(local, domain) if at and domain else _visible(text)


def sides(text: str) -> tuple[str, str]:
    """The local part, without its quotes, and the domain of such a text.

    >>> sides('"a b"@example.org'), sides("postmaster")
    (('a b', 'example.org'), ('postmaster', ''))
    """
    local, at, domain = text.rpartition("@")
    if not at:
        return domain, ""
    if local[:1] == '"':
        local = _pair(r"\1", local[1:-1])
    return local, domain


def _visible(text: str) -> str:
    return text if text.isprintable() else _controls.sub(_spelt, text)


def _spelt(found: re.Match[str]) -> str:
    letter = found[0]
    return " " if letter in _BLANKS else f"\\x{ord(letter):02x}"


__all__ = ["mailbox", "mailbox_of", "sides", "unquoted"]
