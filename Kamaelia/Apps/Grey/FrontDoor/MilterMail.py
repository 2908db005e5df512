"""
One message at the door of a mail server
========================================
What is known of a message between its MAIL and its end, and of nothing before or after: the next
one begins with a new `MilterMail`.

>>> from Kamaelia.Apps.Grey.Core.Types import Decision, Reason, Verdict
>>> mail = MilterMail("<a@example.net>", authenticated=False)
>>> mail.sender
'a@example.net'
>>> mail.let_pass("b@example.org", Decision(Verdict.PASS, Reason.RETRIED, waited_seconds=70))
>>> mail.let_pass("c@example.org", Decision(Verdict.PASS, Reason.KNOWN))
>>> mail.waited, mail.last.reason.value
(70, 'known')

Rules. Its recipients are those that we let pass; whether the mail server, or another of its
filters, has refused one after that we do not hear.
"""

from Kamaelia.Apps.Grey.Core.Access.Rule import Action, Rule, Ruling, Stage
from Kamaelia.Apps.Grey.Core.Access.Rule import Extras as _Extras
from Kamaelia.Apps.Grey.Core.Access.Subject import Mail
from Kamaelia.Apps.Grey.Core.Normalise import milter_recipient, milter_sender
from Kamaelia.Apps.Grey.Core.Types import Decision, Reason, Verdict
from Kamaelia.Apps.Grey.FrontDoor.DoorRules import MOST_HEADERS
from Kamaelia.Apps.Grey.FrontDoor.MilterFacts import bare
from Kamaelia.Apps.Grey.FrontDoor.MilterMessage import MilterMessage

Headers = tuple[tuple[str, int | None], ...]
# Of one message; who sends to more tries the others again. Rules of the DATA stage look at each,
# and Sendmail has no limit of its own.
MOST_RECIPIENTS = 5_000

_NO_RULE = Rule(Stage.RCPT, Action.WHITELIST, (), _Extras(), "", 0, "")
# Of a client that did not come over a network: nobody can say whether it would come again.
NO_ADDRESS = Decision(
    Verdict.PASS, Reason.RULE, ruling=Ruling(Action.WHITELIST, _NO_RULE, kinds=("non-ip",))
)


class MilterMail:
    """MilterMail(address, authenticated) -> one message. address: of MAIL, as it came."""

    __slots__ = (
        *("authenticated", "early", "given_headers", "kept", "last", "message_id", "put_off"),
        *("sender", "told", "waited", "_mail", "_recipients"),
    )

    def __init__(self, address: str, *, authenticated: bool) -> None:
        self.sender = bare(address)
        self.authenticated = authenticated  # the mail server has let its client log in
        self.put_off: tuple[int, str, str] | None = None  # what the null sender hears at the end
        self.early: tuple[int, str, str] | None = None  # what is said at the end, whatever comes
        self.told = False  # the rules know the macros that came with it
        self.waited = 0  # seconds, the recipient that waited longest, or all of it
        self.last: Decision | None = None  # on the last recipient that passed
        self.given_headers: Headers = ()  # by rules at its recipients
        self.kept: MilterMessage | None = None  # until it has been judged
        self.message_id = 0  # under which look-ups find it while it is being judged
        self._mail: Mail | None = None
        self._recipients: list[str] = []

    def mail(self, queue_id: str) -> Mail:
        """What the access rules are told of it; always the same one."""
        mail = self._mail
        if mail is None:
            sender = f"<{self.sender}>"
            recipients = [_cleaned(each) for each in self._recipients]
            self._mail = mail = Mail(milter_sender(sender), sender, recipients)
        mail.queue_id = queue_id
        return mail

    @property
    def is_full(self) -> bool:
        """Whether it has as many recipients as one may have."""
        return len(self._recipients) >= MOST_RECIPIENTS

    def let_pass(self, recipient: str, decision: Decision) -> None:
        """This recipient is to have the message. recipient: without brackets."""
        self.last = decision
        self._recipients.append(recipient)
        if self._mail is not None:
            self._mail.recipients.append(_cleaned(recipient))
        if decision.reason is Reason.RETRIED and decision.waited_seconds > self.waited:
            self.waited = decision.waited_seconds
        ruling = decision.ruling
        if ruling is not None and ruling.addheaders and len(self.given_headers) < MOST_HEADERS:
            headers = dict.fromkeys((*self.given_headers, *ruling.addheaders))
            self.given_headers = tuple(headers)[:MOST_HEADERS]

    def forget_message(self) -> None:
        """Nothing more becomes of what was kept; the room is for others."""
        if self.kept is not None:
            self.kept.kept.close()
            self.kept = None
        if self._mail is not None:
            self._mail.content = None


def _cleaned(recipient: str) -> str:
    return milter_recipient(f"<{recipient}>")
