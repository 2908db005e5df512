"""
What a sender's domain says of a client: SPF
============================================
All seven results of RFC 7208, over our own resolver. The identity is the sender; for the null
sender it is the name in HELO (section 2.4).

>>> question = Spf("192.0.2.7", "mx.example.net", "ann@example.org")
>>> received_spf(question, SpfAnswer(SpfResult.UNKNOWN, "example.org"), "mail.example.com")
'permerror (mail.example.com: no valid SPF record at example.org) receiver=mail.example.com;\
 client-ip=192.0.2.7; envelope-from="ann@example.org"; helo=mx.example.net; identity=mailfrom'

A domain can say that everybody may send its mail ("+all", or networks that hold half of the
world), and then a pass is worth nothing. `as_if_from` makes the question that finds out: would our
own address pass, too?

>>> as_if_from(question, "198.51.100.1").client
'198.51.100.1'
"""

from collections.abc import Generator, Sequence
from dataclasses import replace
from types import coroutine
from typing import TYPE_CHECKING

from Kamaelia.Apps.Grey.Core.Access.Questions import Spf, SpfAnswer, SpfResult
from Kamaelia.Apps.Grey.Lookups.DnsWalks import Wanted, address_of, one_line
from Kamaelia.Support.Protocol.DNS.Messages import Answer

if TYPE_CHECKING:
    from spftrace.trace import Result

LONGEST_SENDER = 320  # RFC 5321 section 4.5.3.1: 64, "@" and 255
LONGEST_HELO = 255
NO_QUESTION_SECONDS = 3600.0

_RESULTS = {
    **{result.value: result for result in SpfResult},
    "permerror": SpfResult.UNKNOWN,
    "temperror": SpfResult.ERROR,
}
_WORDS = {SpfResult.UNKNOWN: "permerror", SpfResult.ERROR: "temperror"}  # of the header
_SAYS = {
    SpfResult.PASS: "{domain} designates {client} as permitted sender",
    SpfResult.FAIL: "{domain} does not designate {client} as permitted sender",
    SpfResult.SOFTFAIL: "{domain} discourages use of {client} as permitted sender",
    SpfResult.NEUTRAL: "{domain} neither permits nor denies {client}",
    SpfResult.UNKNOWN: "no valid SPF record at {domain}",
    SpfResult.ERROR: "the SPF record of {domain} could not be looked up",
    SpfResult.NONE: "{domain} has no SPF record",
}


def prepare() -> None:
    """Read what evaluates SPF now. It takes some 35 ms, in which nobody else has a turn: that is
    for the start and not for the first question."""
    from Kamaelia.Apps.Grey.Lookups import SpfEvaluator  # noqa: F401 - for its being there


@coroutine
def spf(
    receiver: str, question: Spf
) -> Generator[Wanted, Sequence[Answer], tuple[SpfAnswer, float]]:
    """A walk (see DnsWalks) to an SpfAnswer. receiver: this machine's name."""
    # Here and not above: it brings asyncio along, and many a program only reads the settings.
    from Kamaelia.Apps.Grey.Lookups.SpfEvaluator import Evaluation

    client = address_of(question.client)
    sender, domain = identity(question)
    # Section 4.3: an address in brackets has no record, nor has what cannot be a name.
    if client is None or domain.startswith("[") or len(sender) > LONGEST_SENDER:
        return SpfAnswer(SpfResult.NONE, one_line(domain)), NO_QUESTION_SECONDS
    evaluation = Evaluation(str(client), sender, question.helo[:LONGEST_HELO], receiver)
    try:
        result = yield from evaluation.run()
    except (ValueError, RecursionError):  # a number of 5000 digits, or the like
        return SpfAnswer(SpfResult.UNKNOWN, one_line(domain), "it cannot be read"), 1.0
    answer = SpfAnswer(_RESULTS[result.result], one_line(domain), one_line(_why(result)))
    return answer, evaluation.seconds


def identity(question: Spf) -> tuple[str, str]:
    """Whose record is asked for: the sender to be checked, and its domain.

    >>> identity(Spf("192.0.2.7", "mx.example.net", ""))
    ('postmaster@mx.example.net', 'mx.example.net')
    """
    sender = question.sender.strip("<> ") or f"postmaster@{question.helo[:LONGEST_HELO]}"
    return sender, sender.rpartition("@")[2].rstrip(".").lower()


def as_if_from(question: Spf, address: str) -> Spf:
    """The same question for another client."""
    return replace(question, client=address)


def received_spf(question: Spf, answer: SpfAnswer, receiver: str) -> str:
    """What stands behind "Received-SPF: " (RFC 7208 section 9.1), on one line."""
    client, domain = _word(question.client), _word(answer.domain)
    says = _SAYS[answer.result].format(domain=domain, client=client)
    result = _WORDS.get(answer.result, answer.result.value)
    pairs = [f"receiver={_word(receiver)}", f"client-ip={client}"]
    if question.sender.strip("<> "):
        pairs.append(f'envelope-from="{_word(question.sender.strip("<> "))}"')
    pairs.append(f"helo={_word(question.helo)}")
    pairs.append(f"identity={'mailfrom' if question.sender.strip('<> ') else 'helo'}")
    return f"{result} ({_word(receiver)}: {says}) {'; '.join(pairs)}"


def _why(result: "Result") -> str:
    """The domain's explanation; else the term that decided, or what is wrong."""
    if result.explanation:
        return result.explanation
    for event in reversed(result.trace.events):
        if event.kind == "exit":
            return str(event.data.get("reason", ""))
        if event.kind == "eval_done" and "reason" in event.data:
            return ""  # no term did
        if event.kind == "mech_match":
            return str(event.data.get("raw", ""))
    return ""


def _word(text: str) -> str:
    """Without what has a meaning in a header."""
    return "".join("?" if c in ' "()\\;' else c for c in one_line(text))
