"""
Who a client says that it is, when it logs in
=============================================
The real server alone knows whether that is true; when it has said so, rules may ask for the name.
Read from what passes by: PLAIN, LOGIN, CRAM-MD5, DIGEST-MD5, SCRAM, XOAUTH2, OAUTHBEARER. Passwords
are not kept.

>>> name = LoginName(b"PLAIN", b"AGFubmEAc2VjcmV0")
>>> name.text
'anna'

For a mechanism that is not known, or words that cannot be read, it is UNKNOWN.
"""

import base64
import binascii
import re

UNKNOWN = "(unknown)"  # logged in all the same
NAME_CHARACTERS = 256

_controls = re.compile(r"[\x00-\x1f\x7f]")
_digest = re.compile(rb'(?:^|,)[ \t]*username="((?:[^"\\]|\\.)*)"').search
_scram = re.compile(rb"(?:^|,)n=([^,]*)").search
_oauth = re.compile(rb"(?:^n,a=|^user=)([^,\x01]*)").search


class LoginName:
    """LoginName(mechanism, initial) -> the name in one exchange of AUTH; `text` has it."""

    __slots__ = ("_mechanism", "text")

    def __init__(self, mechanism: bytes, initial: bytes | None) -> None:
        self._mechanism = mechanism
        self.text = UNKNOWN
        if initial is not None:
            self.said(initial)

    def said(self, line: bytes) -> None:
        """The client said this, in base64. Only the first line that has a name in it counts."""
        if self.text != UNKNOWN:
            return
        try:
            said = b"" if line == b"=" else base64.b64decode(line, validate=True)
        except (binascii.Error, ValueError):
            said = b""
            self._mechanism = b""  # nothing later is any clearer
        if not said:
            return
        found = self._find(said)
        if self._mechanism == b"LOGIN":
            self._mechanism = b""  # what follows is the password, whatever this was
        if found:
            text = _controls.sub("?", found.decode("utf-8", "backslashreplace"))
            self.text = text[:NAME_CHARACTERS]

    def _find(self, said: bytes) -> bytes:
        mechanism = self._mechanism
        if mechanism == b"PLAIN":
            parts = said.split(b"\0")
            return parts[1] if len(parts) == 3 else b""
        if mechanism == b"LOGIN":
            return said
        if mechanism == b"CRAM-MD5":
            return said.rpartition(b" ")[0]
        if mechanism == b"DIGEST-MD5":
            found = _digest(said)
        elif mechanism.startswith(b"SCRAM-"):
            found = _scram(said)
            return found[1].replace(b"=2C", b",").replace(b"=3D", b"=") if found else b""
        elif mechanism in (b"XOAUTH2", b"OAUTHBEARER"):
            found = _oauth(said)
        else:
            return b""
        return found[1] if found else b""
