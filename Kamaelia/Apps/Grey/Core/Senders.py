"""
Senders that are one sender
===========================
A mailing list, a mass mailer and a forwarder give each mail, or each try, an envelope sender of its
own, so that a bounce tells them what bounced. To a greylister each of them is a stranger for ever.
`without_variation` takes away what varies, until there is nothing left to take:

 - SRS0, SRS1 (a forwarder): what it was before, `user@original.domain`
 - BATV (`prvs=`, `btv1=`, `msprvs1=`): the tag
 - VERP: our own recipient inside the sender, with whatever stands between its two halves
 - another recipient behind an `=`, as a list writes it: with all from the `+` or `-` before it
 - counters and ids, where the rest says that a machine wrote it (`bounce`, `return`, ...), or that
   are far too long for a person's name
 - an extension behind `+`, and behind `-` one of which only ids are left

What a person may have chosen stays: `anna-maria`, `anna.1984`, `12345@qq.com` are three persons,
and no two of them meet. Where it goes wrong nevertheless, two senders share a wait, no more.

>>> without_variation("srs0=hhh=tt=example.net=anna@forwarder.example", "")
'anna@example.net'
>>> without_variation("prvs=0123abcdef=anna@example.net", "")
'anna@example.net'
>>> without_variation("list-bounces+bob=example.org@lists.example", "bob@example.org")
'list-bounces@lists.example'
>>> without_variation("bounce-4711_html-2291@mailer.example", "bob@example.org")
'bounce-#_html@mailer.example'
"""

from itertools import pairwise

_SEPARATORS = "-_.+=~/"
_BETWEEN = ("=", "-", "_", ".", "--", "#", "%", "~")  # the halves of a recipient in a sender
_HEX = frozenset("0123456789abcdef")
# Of the parts of a local part: who has one of these wrote it with a program.
_MACHINE = frozenset(
    (
        *("bnc", "bounce", "bouncer", "bounces", "bouncing", "errors", "fbl", "feedback"),
        *("msgid", "msprvs", "owner", "prvs", "request", "return", "returns", "srs", "verp"),
    )
)
_LONG_ID = 16  # characters: nobody has such a name of digits and letters a to f ...
_LONG_IDS = 24  # ... nor one in several parts
_SHORTEST_HEX = 6  # of a part of what a program wrote


def without_variation(sender: str, recipient: str) -> str:
    """`sender` and `recipient` folded (lower case) without <>. Gives the same for what it gave; any
    text is good enough. Each step makes it shorter or puts a # for something else, so it ends."""
    steps = (_unforwarded, _untagged, _without_recipient, _without_ids, _without_extension)
    before = None
    while sender != before:
        before = sender
        for step in steps:
            local, at, domain = sender.rpartition("@")
            if at and local:
                sender = step(local, domain, recipient)
    return sender


def _unforwarded(local: str, domain: str, _: str) -> str:
    """srs0=hash=time=domain=user, srs1=hash=forwarder==hash=time=domain=user; = may be + or -
    behind the srs0."""
    if local[:4] not in ("srs0", "srs1") or local[4:5] not in ("=", "+", "-"):
        return f"{local}@{domain}"
    if local[3] == "1":
        inner = local.find("==")
        parts = local[inner + 2 :].split("=", 3) if inner >= 0 else []
    else:
        parts = local[5:].split("=", 3)
    if len(parts) < 4 or not parts[2] or not parts[3]:
        return f"{local}@{domain}"
    return f"{parts[3]}@{parts[2]}"


def _untagged(local: str, domain: str, _: str) -> str:
    """prvs=tag=user, prvs=user=tag (there are both), btv1==tag==user, msprvs1=tag=user."""
    kind, equals, rest = local.partition("=")
    if not equals or kind not in ("prvs", "btv1", "msprvs1", "msprvs"):
        return f"{local}@{domain}"
    first, equals, last = rest.lstrip("=").partition("=")
    user = last.lstrip("=")
    if kind == "prvs" and _is_tag(user) and not _is_tag(first):
        user = first
    return f"{user}@{domain}" if equals and user else f"{local}@{domain}"


def _is_tag(text: str) -> bool:
    return len(text) == 10 and text[:4].isdigit() and _HEX.issuperset(text)


def _without_recipient(local: str, domain: str, recipient: str) -> str:
    """The recipient of this very mail in any dress, or another one behind its `=`."""
    user, _, host = recipient.rpartition("@")
    for between in _BETWEEN if user and host else ():
        whole = f"{user}{between}{host}"
        start = local.find(whole)
        if start == 0 or (start > 0 and local[start - 1] in _SEPARATORS):
            kept = local[:start].rstrip(_SEPARATORS) or "#"
            return f"{kept}{local[start + len(whole) :]}@{domain}"
    before, equals, after = local.rpartition("=")
    if equals and before and "." in after:
        cut = max(before.rfind("+"), before.rfind("-"))
        return f"{before[:cut] if cut > 0 else '#'}@{domain}"
    if equals and after:  # nobody knows what it is; milter-greylist drops it
        return f"{after}@{domain}"
    return f"{local}@{domain}"


def _without_ids(local: str, domain: str, _: str) -> str:
    parts = _split(local)
    words = parts[::2]
    joined = "".join(words)
    if len(words) > 1 and len(joined) >= _LONG_IDS and _is_hex(joined):
        return f"#@{domain}"
    by_machine = len(words) > 1 and any(_is_machine(word) for word in words)
    for place, word in enumerate(words):
        if _is_long_id(word) or (by_machine and _is_id(word)):
            parts[2 * place] = "#"
    return f"{_joined(parts)}@{domain}"


def _split(local: str) -> list[str]:
    """word, separator, word, ..., word"""
    parts, word = [], ""
    for letter in local:
        if letter in _SEPARATORS:
            parts += [word, letter]
            word = ""
        else:
            word += letter
    return [*parts, word]


def _joined(parts: list[str]) -> str:
    """# and # with one separator between them are one."""
    made = [parts[0]]
    for separator, word in zip(parts[1::2], parts[2::2], strict=True):
        if not (word == "#" and made[-1] == "#"):
            made += [separator, word]
    return "".join(made)


def _is_machine(word: str) -> bool:
    return word.rstrip("0123456789") in _MACHINE


def _is_hex(word: str) -> bool:
    return _HEX.issuperset(word) and any(letter.isdigit() for letter in word)


def _is_id(word: str) -> bool:
    """Of what a program wrote: a number, hexadecimal digits, letters and digits in a jumble."""
    if word.isdigit():
        return True
    if len(word) < _SHORTEST_HEX or not word.isascii() or not word.isalnum():
        return False
    changes = sum(a.isdigit() != b.isdigit() for a, b in pairwise(word))
    return _is_hex(word) or changes > 2


def _is_long_id(word: str) -> bool:
    """Whoever wrote the rest."""
    return len(word) >= _LONG_ID and _is_hex(word) and not word.isdigit()


def _without_extension(local: str, domain: str, _: str) -> str:
    cut = local.find("+")
    if cut > 0:
        local = local[:cut]
    while len(local) > 2 and local[-1] == "#" and local[-2] in "-_.":
        local = local[:-2]
    return f"{local}@{domain}"
