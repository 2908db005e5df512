"""
What is changed in a message, told to its mail server
=====================================================
The mail server has the message, so a filter tells it what to do: put this in the place of the body,
change that header, add another. `edits_of` makes the packets, in the order in which milter-greylist
sends them: body, Subject, X-Greylist, headers of rules.

>>> from Kamaelia.Support.Protocol.Milter.Negotiation import Action
>>> edits = Edits(b"X-Greylist: late\\r\\n", subject_tag="[ext] ")
>>> list(edits_of(edits, Action.ALL, subject=b"hello"))
[b'\\x00\\x00\\x00\\x19m\\x00\\x00\\x00\\x01Subject\\x00[ext] hello\\x00', \
b'\\x00\\x00\\x00\\x11hX-Greylist\\x00late\\x00']

Rules. What the mail server has not allowed in the negotiation is left out, for it would take it for
a breach of the protocol. A footer stands behind the body's last line, whatever its MIME type is,
and with no empty line of its own in front. A header without an index stands behind all others; 0 is
in front of all that the mail server has told us. What is no header is left out.
"""

from collections.abc import Iterable, Iterator

from Kamaelia.Apps.Grey.FrontDoor.HeaderLines import given_line
from Kamaelia.Apps.Grey.FrontDoor.MessageEdits import Edits, footer_of, subject_word, unstuffed
from Kamaelia.Support.Protocol.Milter.Negotiation import Action
from Kamaelia.Support.Protocol.Milter.Responses import (
    add_header,
    change_header,
    insert_header,
    replace_body,
)

_MOST_INDEX = 10_000


def edits_of(
    edits: Edits,
    allowed: Action,
    *,
    subject: bytes | None = None,
    body: Iterable[bytes] = (),
    leading_space: bool = False,
) -> Iterator[bytes]:
    """The packets, each of 64 KiB at the most.

    subject: the value of the message's first Subject; None: it has none. body: the message's, ended
    with a line end, for a footer. leading_space: as it was negotiated for headers."""
    if edits.footer and allowed & Action.CHANGE_BODY:
        for piece in body:
            if piece:  # without data it would mean that the body is empty
                yield from replace_body(piece)
        yield from replace_body(unstuffed(footer_of(edits.footer)))
    if edits.subject_tag:
        word = subject_word(edits.subject_tag)
        if subject is not None and allowed & Action.CHANGE_HEADERS:
            yield change_header(1, "Subject", word + subject, leading_space=leading_space)
        elif subject is None and allowed & Action.ADD_HEADERS:
            yield add_header("Subject", word.rstrip(), leading_space=leading_space)
    if not allowed & Action.ADD_HEADERS:
        return
    if edits.front:
        yield add_header(*_name_and_value(edits.front), leading_space=leading_space)
    for text, index in edits.headers:
        line = given_line(text)
        if line is None:
            continue
        name, value = _name_and_value(line)
        if index is None:
            yield add_header(name, value, leading_space=leading_space)
        else:
            index = min(max(0, index), _MOST_INDEX)
            yield insert_header(index, name, value, leading_space=leading_space)


def _name_and_value(line: bytes) -> tuple[bytes, bytes]:
    """Of one header line in wire form, perhaps folded."""
    name, _, value = line.removesuffix(b"\r\n").partition(b":")
    return name, value.removeprefix(b" ").replace(b"\r\n", b"\n")


__all__ = ["Edits", "edits_of"]
