"""
RFC 7208 by spftrace, asked through our own resolver
====================================================
The only module that knows spftrace. Its evaluator is a coroutine that awaits DNS answers; here it
awaits what a walk does (see DnsWalks), so that it needs no event loop, no sockets and no clock.

What it counts is what RFC 7208 section 4.6.4 says: ten terms that ask, two answers without
anything in them. Beyond that, only so much of a stranger's record is read at all.
"""

import math
from collections.abc import Coroutine, Generator, Sequence
from types import coroutine
from typing import Any

from spftrace import EvaluationSession, Evaluator, Limits, SpfPermError, SpfTempError, Term
from spftrace.macros import MacroContext, expand, truncate_domain
from spftrace.resolver import NOERROR, NXDOMAIN, SERVFAIL, TIMEOUT, BaseResolver, DnsError
from spftrace.trace import DnsQueryRecord, Result

from Kamaelia.Apps.Grey.Lookups.DnsWalks import Wanted, is_unknown, name_as_it_is
from Kamaelia.Support.Protocol.DNS.Messages import MX, Answer, Failure

MOST_QUERIES = 75
LONGEST_RECORD = 4_096
LONGEST_EXPLANATION = 512  # a template: it grows when it is expanded
SOON = 1.0  # seconds, the least that an answer is kept: with 0 each recipient would ask again


@coroutine
def _ask(name: str, kind: str) -> Generator[Wanted, Sequence[Answer], Answer]:
    (answer,) = yield ((name, kind),)
    return answer


class _Names(BaseResolver):
    """What the walk hears. `seconds`: for how long all of it is true; what nobody answered is asked
    again soon, however long the rest may be kept."""

    def __init__(self) -> None:
        self.seconds = math.inf

    async def _lookup(self, name: str, rtype: str) -> tuple[str, list[str]]:
        answer = await _ask(name_as_it_is(name), rtype)
        if is_unknown(answer):
            self.seconds = SOON
            return (TIMEOUT if answer.failure is Failure.TIMEOUT else SERVFAIL), []
        self.seconds = min(self.seconds, max(SOON, float(answer.ttl)))
        if answer.failure in (Failure.NXDOMAIN, Failure.BAD_NAME):
            return NXDOMAIN, []
        return NOERROR, [_text(record) for record in answer.records]


def _text(record: object) -> str:
    match record:
        case bytes():
            return record.decode("utf-8", "replace")
        case MX(host=host):
            return host
        case _:
            return str(record)


class _Session(EvaluationSession):
    """The state of one evaluation: what was asked, and how much. spftrace's own waits with asyncio
    and measures real time."""

    async def query(self, name: str, rtype: str) -> tuple[str, list[str]]:
        """(code, answers). Raises DnsError if nobody knows, SpfPermError beyond a limit."""
        key = (name.lower().rstrip("."), rtype)
        known = self._cache.get(key)
        if known is not None:
            return known
        if self.network_queries >= MOST_QUERIES:
            raise SpfPermError(f"more than {MOST_QUERIES} questions")
        self.network_queries += 1
        code, answers = await self.resolver._lookup(name, rtype)
        if rtype == "TXT":
            answers = self._bounded(answers)
        void = code == NXDOMAIN or (code == NOERROR and not answers)
        self.queries.append(DnsQueryRecord(name, rtype, code, list(answers), 0.0, void))
        if code not in (NOERROR, NXDOMAIN):
            raise DnsError(f"{rtype} {name}: {code}")
        self._cache[key] = code, answers
        if void and not self._void_exempt:
            self.limits.void_used += 1
            self._enforce_void(name)
        return code, answers

    def _bounded(self, answers: list[str]) -> list[str]:
        """Somebody else's texts are read as far as they are of a sane length."""
        if self._void_exempt:  # the explanation
            return [text for text in answers if len(text) <= LONGEST_EXPLANATION]
        if any(len(text) > LONGEST_RECORD and text[:6].lower() == "v=spf1" for text in answers):
            raise SpfPermError(f"a record of more than {LONGEST_RECORD} bytes")
        return answers


class _Evaluator(Evaluator):
    def _begin(self) -> None:
        super()._begin()
        self.session = _Session(self.resolver, self.limits, self.trace)

    async def _explanation(
        self,
        ip: Any,  # noqa: ANN401 - as spftrace has it
        domain: str,
        sender: str,
        helo: str,
        exp_term: Term,
    ) -> str | None:
        """What the domain says to whom it refuses (RFC 7208 section 6.2). spftrace's own does not
        take the spaces in it."""
        who = MacroContext(ip, sender, helo, domain, self.receiver, self.session)
        try:
            with self.session.void_exempt():  # section 4.6.4: it is not counted any more
                target = truncate_domain(await expand(exp_term.arg or "", who))
                _, texts = await self.session.query(target, "TXT")
                if len(texts) != 1:
                    return None
                return " ".join([await expand(word, who, exp=True) for word in texts[0].split(" ")])
        except (SpfPermError, SpfTempError, DnsError, ValueError):
            return None


class Evaluation:
    """Evaluation(client, sender, helo, receiver) -> `run()` is a coroutine that yields what it
    wants to know; `seconds` afterwards, for how long its result is true."""

    def __init__(self, client: str, sender: str, helo: str, receiver: str) -> None:
        self._names = _Names()
        # Our own time limit is that of each question, and of who waits for the result.
        limits = Limits(time_limit=math.inf, max_queries=None)
        self._evaluator = _Evaluator(self._names, limits, receiver)
        self._who = (client, sender, helo)

    def run(self) -> Coroutine[Any, Any, Result]:
        return self._evaluator.evaluate(*self._who)

    @property
    def seconds(self) -> float:
        return self._names.seconds if math.isfinite(self._names.seconds) else SOON
