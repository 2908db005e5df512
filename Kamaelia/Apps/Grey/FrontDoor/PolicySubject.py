"""
What a policy request says of a client
======================================
Made into what the access rules are asked about. Only what Postfix vouches for is believed: a name
that it has looked up both ways (`client_name`), a user that has logged in (`sasl_username`), the
name in a certificate that it has verified (`ccert_subject`; Postfix leaves it empty otherwise). A
name that nobody has confirmed (`reverse_client_name`) and the fingerprint of a certificate that
nobody has signed are macros and no more: what they prove is for a rule of the site to say.

>>> request = {"client_address": "192.0.2.7", "client_name": "unknown", "helo_name": "mx"}
>>> session = session_of(request, "k3f9", "mx.example.org")
>>> session.name, session.helo, session.auth_user
('', 'mx', '')

Macros have the names that milter has for them; those for which it has none are named as here:
`client_ptr` is `reverse_client_name`, and `policy_context` and `ccert_fingerprint` are themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from Kamaelia.Apps.Grey.Core.Access.Subject import Mail, Session, Subject
from Kamaelia.Apps.Grey.Core.Normalise import milter_recipient, milter_sender
from Kamaelia.Apps.Grey.FrontDoor.PolicyMemory import VALUE_CHARACTERS
from Kamaelia.Support.Protocol.PostfixPolicy import decoded_xtext

if TYPE_CHECKING:
    from Kamaelia.Apps.Grey.FrontDoor.DoorRules import DoorRules
    from Kamaelia.Apps.Grey.FrontDoor.PolicyMemory import Letter

_MACROS = (  # attribute, macro
    ("client_address", "client_addr"),
    ("client_name", "client_name"),
    ("reverse_client_name", "client_ptr"),
    ("client_port", "client_port"),
    ("server_address", "if_addr"),
    ("server_address", "daemon_addr"),
    ("server_port", "daemon_port"),
    ("sasl_username", "auth_authen"),
    ("sasl_sender", "auth_author"),
    ("sasl_method", "auth_type"),
    ("encryption_protocol", "tls_version"),
    ("encryption_cipher", "cipher"),
    ("encryption_keysize", "cipher_bits"),
    ("ccert_fingerprint", "ccert_fingerprint"),
    ("ccert_pubkey_fingerprint", "ccert_pubkey_fingerprint"),
    ("policy_context", "policy_context"),
    ("size", "msg_size"),
    ("queue_id", "i"),
)
_CERTIFICATE = (("ccert_subject", "cert_subject"), ("ccert_issuer", "cert_issuer"))


def session_of(request: Mapping[str, str], session_id: str, hostname: str) -> Session:
    """The client of a request. hostname: ours."""
    get = request.get
    most = VALUE_CHARACTERS  # it is kept for an hour
    macros = {macro: value[:most] for name, macro in _MACROS if (value := get(name))}
    macros["j"] = hostname
    for name, macro in _CERTIFICATE:
        if value := get(name):
            macros[macro] = decoded_xtext(value)[:most]  # in this order: a +XX is one character
    subject = macros.get("cert_subject", "")
    if subject:
        macros["verify"] = "OK"  # else Postfix would not have said it
    host = get("client_name", "")[:most] or None
    return Session(
        get("client_address", ""),
        "" if host == "unknown" else host,
        get("helo_name", "")[:most],
        auth_user=macros.get("auth_authen", ""),
        tls_subject=subject,
        tls_version=macros.get("tls_version", ""),
        macros=macros,
        local_address=macros.get("if_addr", ""),
        session_id=session_id,
    )


def mail_of(sender: str, queue_id: str) -> Mail:
    """The message of a request; sender: without brackets."""
    sender = f"<{sender}>"
    return Mail(milter_sender(sender), raw_sender=sender, queue_id=queue_id)


def subject_of(
    rules: DoorRules, letter: Letter, request: Mapping[str, str], recipient: str
) -> Subject:
    """What the rules are asked about: this recipient of the letter, which knows the rest from its
    first one on."""
    session, mail = letter.session, letter.mail
    if session is None:
        session = session_of(request, letter.session_id, rules.settings.hostname)
        letter.session = session
    if mail is None:
        mail = letter.mail = mail_of(letter.sender, session.macros.get("i", ""))
    elif not mail.queue_id and request.get("queue_id"):  # there from the second recipient on
        mail.queue_id = session.macros["i"] = request["queue_id"][:VALUE_CHARACTERS]
    now = rules.clock()
    return Subject(session, mail, milter_recipient(f"<{recipient}>"), now, rules.local(now))
