"""What tests of the milter door share: an office, and a mail server that asks at the door."""

from collections.abc import Callable, Mapping
from typing import Any

from Axon.Component import component
from Axon.Ipc import producerFinished
from Axon.Scheduler import scheduler
from Axon.Testing import FakeClock, VirtualWaiter, collect
from Kamaelia.Apps.Grey.Core.Types import Attempt, Decision, MessageAttempt, Reason, Verdict
from Kamaelia.Apps.Grey.FrontDoor.DoorRules import DoorRules
from Kamaelia.Apps.Grey.FrontDoor.MilterDoor import MilterDoor
from Kamaelia.Support.Protocol.Milter.MTASession import FULL_OFFER, MTASession, Response
from Kamaelia.Support.Protocol.Milter.Negotiation import Step
from Test.Kamaelia.Apps.Grey.FrontDoor.ruled import PASS, Office, ToldDecider

WAIT = Decision(Verdict.DEFER, Reason.NEW, wait_seconds=90)
SENDER, RECIPIENT = "<a@example.net>", "<b@example.org>"
POSTFIX = {"v": "Postfix 3.7.11"}
HEADERS = (("Subject", "hello"), ("From", "a@example.net"))
BODY = b"first\r\n.second\r\n"


class Asking:
    """Asking(rules, rcpt, data, ...) -> a mail server at a door, in virtual time.

    rcpt: what is decided on an Attempt, None: nothing yet, see `answer`; data: the same for a
    MessageAttempt, as a ToldDecider has it."""

    def __init__(
        self,
        rules: DoorRules | None = None,
        rcpt: Callable[[Attempt], Any] = lambda _: PASS,
        data: Callable[[MessageAttempt], Any] | None = None,
        offer: Any = FULL_OFFER,  # noqa: ANN401
        before: Callable[[], component] | None = None,
        **settings: Any,  # noqa: ANN401 - of MilterDoor
    ) -> None:
        self.clock = FakeClock(0.0)
        self.waiter = VirtualWaiter(self.clock)
        self.scheduler = scheduler(clock=self.clock, waiter=self.waiter)
        self.decider = ToldDecider(rcpt, data) if data else ToldDecider(rcpt)
        self.decider.activate(Scheduler=self.scheduler)
        self.office = Office(self.decider, rules, before)
        self.door = MilterDoor(self.office, **settings)
        self.sent = collect(self.door, ("outbox", "signal"))
        self.door.activate(Scheduler=self.scheduler)
        self.mta = MTASession(offer)
        self.write(self.mta.negotiate())

    @property
    def attempts(self) -> list[Attempt]:
        return self.decider.attempts

    @property
    def messages(self) -> list[MessageAttempt]:
        return self.decider.messages

    @property
    def ended(self) -> bool:
        """Whether the door has closed the connection."""
        return any(isinstance(each, producerFinished) for each in self.sent["signal"])

    def run(self, seconds: float = 0.0) -> list[Response]:
        """What the door says meanwhile."""
        self.waiter.deadline = self.clock() + seconds
        self.scheduler.runThreads()
        self.clock.advance(self.waiter.deadline - self.clock())
        out = self.sent["outbox"]
        for data in out:
            self.mta.receive_data(data)
        self.writes = len(out)
        out.clear()
        said = []
        while (response := self.mta.next_response()) is not None:
            said.append(response)
        return said

    def write(self, data: bytes) -> list[Response]:
        if data:
            self.door.inboxes["inbox"].deliver(data)
        return self.run()

    def tell(self, message: object) -> list[Response]:
        self.door.inboxes["control"].deliver(message)
        return self.run()

    def answer(self, decision: object, which: int = -1) -> list[Response]:
        """Decide on what was asked."""
        asked = [*self.attempts, *self.messages][which]
        self.decider.answer(asked, decision)  # type: ignore[arg-type]
        return self.run()

    def answered(self) -> list[Response]:
        """All that is said until there is an answer; no more than the door has sent at once waits
        at any time."""
        said = self.run()
        while self.mta.waiting:
            said += self.run(0.1)
        return said

    # ---- what its client does

    def connect(
        self,
        address: str = "192.0.2.7",
        host: str = "mx.example.net",
        macros: Mapping[str, str] = POSTFIX,
        helo: Mapping[str, str] | None = None,
    ) -> "Asking":
        assert self.write(self.mta.connect(host, address, 4000, macros=macros)) == []
        assert self.write(self.mta.helo("mx.example.net", macros=helo or {})) == []
        return self

    def mail(self, sender: str = SENDER, **macros: str) -> list[Response]:
        return self.write(self.mta.mail(sender, macros=macros))

    def rcpt(self, recipient: str = RECIPIENT, **macros: str) -> list[Response]:
        return self.write(self.mta.rcpt(recipient, macros=macros))

    def content(
        self, headers: tuple[tuple[str, str], ...] = HEADERS, body: bytes = BODY
    ) -> list[Response]:
        """The message and its end."""
        self.content_begun(body, headers)
        return self.write(self.mta.end_of_message())

    def content_begun(self, body: bytes, headers: tuple[tuple[str, str], ...] = HEADERS) -> None:
        """The message without its end."""
        agreement = self.mta.agreement
        blank = " " if agreement is not None and agreement.leading_space else ""
        for name, value in headers:
            self.write(self.mta.header(name, blank + value))
        self.write(self.mta.end_of_headers())
        for at in range(0, len(body), 1000):
            self.write(self.mta.body(body[at : at + 1000]))

    def message(self, *recipients: str, sender: str = SENDER) -> list[Response]:
        """All of one; what is said at its end."""
        self.mail(sender)
        for each in recipients or (RECIPIENT,):
            self.rcpt(each)
        return self.content()


def kinds(said: list[Response]) -> bytes:
    """The first bytes of the responses."""
    return b"".join(each.kind for each in said)


def old_offer() -> Any:  # noqa: ANN401
    """Of a Postfix with milter_protocol = 2."""
    return type(FULL_OFFER)(2, 0x1FF, int(Step(0x7F)))
