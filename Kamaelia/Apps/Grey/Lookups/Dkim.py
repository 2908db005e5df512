"""
Whether a message's signatures hold
===================================
DKIM (RFC 6376): verifies the signatures of a message, with keys from the DNS. The arithmetic is
dkimpy's; what strangers may feed it is kept small here.

Example Usage
-------------
In a thread; `handlers` in Others.py does so::

    look = DkimLookup(contents, texts, seconds=3.0)
    answer, keep_seconds = look(Dkim(number))  # SpfAnswer(PASS, "example.net", "good signature")

texts(name, seconds) gives a TXT record, or None if there is none, or raises OSError.

What comes of it, in the words of RFC 8601 section 2.7.1: the best of all signatures counts, "pass"
before "temperror" ("error"), "fail", "permerror" ("unknown": no key, or one that cannot be used),
"neutral" (a signature that says nothing, or in a way that we do not understand); none without one.
A signature by a key of less than 1,024 bits, or of more than 8,192, is as good as none at all.

Rules. Five signatures of a message are looked at; a message of more than 16 MiB, a thousand header
fields or 256 kB of them is a failure. The library's regular expressions take time that grows with
the square of a run of blanks; so signatures with long ones are not given to it, and bodies are made
canonical here, piece by piece, lest a large one keep all other threads waiting.
"""

import logging
import re
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Any

from Kamaelia.Apps.Grey.Core.Access.Questions import Dkim, SpfAnswer, SpfResult
from Kamaelia.Apps.Grey.Lookups.Answers import KEEP_NOTHING, clean, failed
from Kamaelia.Apps.Grey.Lookups.Contents import Contents

# The library writes down what strangers got wrong, which is nothing for a log.
_silent = logging.Logger("dkimpy", logging.CRITICAL + 1)  # noqa: LOG001 - known to nobody

MOST_SIGNATURES = 5
MESSAGE_BYTES = 16_777_216
HEADER_BYTES = 262_144
MOST_FIELDS = 1_000
SIGNATURE_BYTES = 8_192
KEY_RECORD_BYTES = 4_096
LARGEST_KEY = 8_192  # bits: what it costs grows with the third power
LARGEST_EXPONENT = 1 << 32
PIECE_BYTES = 65_536

Texts = Callable[[str, float], bytes | None]

_long_blank = re.compile(rb"[\s]{100}").search
_blanks = re.compile(rb"[ \t]+")
_field = re.compile(rb"(?m)^[^ \t\r\n]")
_name = re.compile(rb"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?\.?").fullmatch


class _Rank(IntEnum):
    """The best one has the highest."""

    NEUTRAL = 1
    UNKNOWN = 2
    FAIL = 3
    ERROR = 4
    PASS = 5


class _NoAnswer(Exception):  # noqa: N818 - said by what is wrong
    """The DNS did not say."""


class _BadKey(Exception):  # noqa: N818
    """The key is none that we use; the text says why."""


class DkimLookup:
    """DkimLookup(contents, texts, seconds) -> answers Dkim questions; seconds: of one look-up in
    the DNS."""

    def __init__(self, contents: Contents, texts: Texts, seconds: float) -> None:
        self._contents = contents
        self._texts = texts
        self._seconds = seconds

    def __call__(self, question: Dkim) -> tuple[object, float]:
        try:
            message = self._contents.read(question.message_id, MESSAGE_BYTES + 1)
        except OSError as error:
            return failed(f"dkim: {error}"), KEEP_NOTHING
        if message is None:
            return failed("dkim: the message is not at hand"), KEEP_NOTHING
        if len(message) > MESSAGE_BYTES:
            return failed(f"dkim: the message has more than {MESSAGE_BYTES} bytes"), KEEP_NOTHING
        head, body = divided(message)
        if len(head) > HEADER_BYTES or len(_field.findall(head)) > MOST_FIELDS:
            return failed("dkim: too many header fields"), KEEP_NOTHING
        try:
            import dkim  # type: ignore[import-untyped]  # only users of a dkim clause have it
        except ImportError:
            return failed("dkim: the Python package dkimpy is not installed"), KEEP_NOTHING
        try:
            signer = dkim.DKIM(head + b"\r\n", logger=_silent, timeout=self._seconds)
        except (dkim.DKIMException, IndexError):
            return SpfAnswer(SpfResult.NEUTRAL, "", "no message"), KEEP_NOTHING
        return best(self._verified(signer, body)), KEEP_NOTHING

    def _verified(self, signer: Any, body: bytes) -> Iterator[SpfAnswer]:  # noqa: ANN401 - untyped
        """What comes of each signature, until one is good."""
        fields = [value for name, value in signer.headers if name.lower() == b"dkim-signature"]
        for at, field in enumerate(fields[:MOST_SIGNATURES]):
            answer = self._one(signer, at, field, body)
            yield answer
            if answer.result is SpfResult.PASS:
                return

    def _one(self, signer: Any, at: int, field: bytes, body: bytes) -> SpfAnswer:  # noqa: ANN401
        import dkim

        if len(field) > SIGNATURE_BYTES or _long_blank(field):
            return SpfAnswer(SpfResult.NEUTRAL, "", "a signature of a shape that nobody needs")
        domain = ""
        try:
            tags, names, fields = signer.verify_headerprep(at)
            domain = clean(tags[b"d"].decode("ascii", "replace"))[:255]
            give_body(signer, tags, body)
            if signer.verify_sig(tags, names, fields[at], self._text):
                return SpfAnswer(SpfResult.PASS, domain, "good signature")
        except (_NoAnswer, dkim.DnsTimeoutError) as error:
            return SpfAnswer(SpfResult.ERROR, domain, clean(str(error))[:200])
        except (_BadKey, dkim.KeyFormatError, dkim.UnknownKeyTypeError) as error:
            return SpfAnswer(SpfResult.UNKNOWN, domain, clean(str(error))[:200])
        except dkim.DKIMException as error:
            text = clean(str(error))[:200]
            result = SpfResult.FAIL if text.startswith("body hash") else SpfResult.NEUTRAL
            return SpfAnswer(result, domain, text.partition(" (")[0])
        except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError) as error:
            # What it does with tags that make no sense.
            return SpfAnswer(SpfResult.NEUTRAL, domain, type(error).__name__)
        return SpfAnswer(SpfResult.FAIL, domain, "bad signature")

    def _text(self, name: bytes, timeout: float = 5.0) -> bytes | None:
        """What the library asks us for: the record with a key."""
        if not _name(name):
            raise _BadKey("not the name of a key")
        try:
            record = self._texts(name.decode("ascii").rstrip("."), timeout)
        except OSError as error:
            raise _NoAnswer(str(error) or "the key was not found out in time") from None
        check_key(record or b"")
        return record


def best(answers: Iterator[SpfAnswer]) -> SpfAnswer:
    """What is said of a message with these signatures."""
    found = SpfAnswer(SpfResult.NONE, "", "not signed")
    for answer in answers:
        if found.result is SpfResult.NONE or _Rank[answer.result.name] > _Rank[found.result.name]:
            found = answer
    return found


def divided(message: bytes) -> tuple[bytes, bytes]:
    """The header, with its last line's end, and the body.

    >>> divided(b"A: b\\r\\n\\r\\nhello\\r\\n")
    (b'A: b\\r\\n', b'hello\\r\\n')
    """
    if message.startswith(b"\r\n"):
        return b"", message[2:]
    head, found, body = message.partition(b"\r\n\r\n")
    return (head + b"\r\n" if found else head), body


def give_body(signer: Any, tags: dict[bytes, bytes], body: bytes) -> None:  # noqa: ANN401
    """Hand the body over in its canonical form, and have it taken as it is."""
    head, _, how = tags.get(b"c", b"").partition(b"/")
    if how == b"relaxed":
        canonical = relaxed(body)
        tags[b"c"] = head + b"/simple"
        if canonical == b"\r\n":
            tags[b"l"] = b"0"  # an empty one has no line at all, and `simple` would give it one
    else:
        canonical = without_last_lines(body)
    signer.body = canonical


def relaxed(body: bytes) -> bytes:
    """RFC 6376 section 3.4.4, but for an empty body.

    >>> relaxed(b" C \\r\\nD \\t E\\r\\n\\r\\n\\r\\n")
    b' C\\r\\nD E\\r\\n'
    """
    pieces: list[bytes] = []
    blank = False
    for at in range(0, len(body), PIECE_BYTES):
        piece = _blanks.sub(b" ", body[at : at + PIECE_BYTES])
        if blank and piece.startswith(b" "):
            piece = piece[1:]
        blank = piece.endswith(b" ") or (blank and not piece)
        pieces.append(piece)
    return without_last_lines(b"".join(pieces).replace(b" \r\n", b"\r\n"))


def without_last_lines(body: bytes) -> bytes:
    """RFC 6376 section 3.4.3: no empty lines at the end, but the end of the last line."""
    end = len(body)
    while body.endswith(b"\r\n" * 512, 0, end):
        end -= 1024
    while body.endswith(b"\r\n", 0, end):
        end -= 2
    return body[:end] + b"\r\n"


def check_key(record: bytes) -> None:
    """Raises _BadKey for a record without a key that can be used, or with one that takes long."""
    import dkim

    if len(record) > KEY_RECORD_BYTES:
        raise _BadKey(f"a record of more than {KEY_RECORD_BYTES} bytes")
    if not record:
        raise _BadKey("no key")
    try:
        key, bits, kind, _ = dkim.evaluate_pk("", record)
    except dkim.DKIMException as error:
        raise _BadKey(str(error)) from None
    except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError):
        raise _BadKey("no key in the record") from None
    if kind != b"rsa":
        return
    if not (0 < bits <= LARGEST_KEY and 0 < key["publicExponent"] < LARGEST_EXPONENT):
        raise _BadKey("a key of a size that nobody needs")
