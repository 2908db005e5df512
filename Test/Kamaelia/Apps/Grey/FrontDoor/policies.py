"""What tests of the policy door share: an office, requests, a door that the test talks to."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from Axon.Component import component
from Axon.Testing import harness
from Kamaelia.Apps.Grey.Core.Types import Attempt, Decision
from Kamaelia.Apps.Grey.FrontDoor.DoorRules import DoorRules
from Kamaelia.Apps.Grey.FrontDoor.PolicyDoor import PolicyDoor
from Kamaelia.Apps.Grey.FrontDoor.PolicyMemory import PolicyMemory
from Kamaelia.Support.Protocol.PostfixPolicy import PolicyRequest
from Test.Kamaelia.Apps.Grey.FrontDoor.ruled import PASS, Office, ToldDecider

CLIENT = "192.0.2.7"
USUAL = {
    "request": "smtpd_access_policy",
    "protocol_state": "RCPT",
    "protocol_name": "ESMTP",
    "client_address": CLIENT,
    "client_name": "mx.example.net",
    "client_port": "4000",
    "reverse_client_name": "mx.example.net",
    "server_address": "192.0.2.1",
    "server_port": "25",
    "helo_name": "helo.example.net",
    "sender": "a@example.net",
    "recipient": "b@example.org",
    "recipient_count": "0",
    "queue_id": "",
    "instance": "7b.65a.1.0",
    "size": "0",
    "sasl_username": "",
    "ccert_subject": "",
    "ccert_fingerprint": "",
    "encryption_protocol": "",
    "policy_context": "",
}


def asks(**attributes: str) -> bytes:
    """The usual request, with other values."""
    return PolicyRequest({**USUAL, **attributes}).to_wire()


def passes(_: Attempt) -> Decision:
    return PASS


class Never:
    """Does not answer; the test does."""

    def __call__(self, _: Attempt) -> Decision:
        return None  # type: ignore[return-value]


class Asked:
    """One connection, whose Postfix and whose decider is the test."""

    def __init__(
        self,
        decide: Callable[[Attempt], Decision] = passes,
        rules: DoorRules | None = None,
        before_decider: Callable[[], component] | None = None,
        memory: PolicyMemory | None = None,
    ) -> None:
        self.decider = ToldDecider(decide)
        self.office = Office(self.decider, rules, before_decider)
        self.door = PolicyDoor(self.office, "192.0.2.250", memory=memory)
        # The door links the way to its decider itself.
        self.h = harness(self.decider, self.door, collecting=("outbox", "signal"))
        self.attempts = self.decider.attempts

    def __enter__(self) -> Self:
        self.h.__enter__()
        self.h.settle()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.h.__exit__(kind, error, trace)

    def put(self, data: object, box: str = "inbox") -> None:
        self.h.put(data, (self.door, box))

    def heard(self) -> bytes:
        """What the door has answered since."""
        return b"".join(self.h.take((self.door, "outbox")))

    def ask(self, **attributes: str) -> str:
        """The answer that comes inside of the send."""
        self.put(asks(**attributes))
        answer = self.heard()
        assert answer.startswith(b"action=")
        assert answer.endswith(b"\n\n")
        return answer[len(b"action=") : -2].decode("ascii")

    def decide(self, decision: Decision, place: int = -1) -> None:
        """Answer an attempt late."""
        self.decider.answer(self.attempts[place], decision)
