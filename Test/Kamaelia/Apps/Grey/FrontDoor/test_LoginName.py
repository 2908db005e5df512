"""The name in an exchange of AUTH, and nothing of the password."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.FrontDoor.LoginName import NAME_CHARACTERS, UNKNOWN, LoginName


def name_in(mechanism: str, *lines: bytes, initial: bytes | None = None) -> str:
    login = LoginName(mechanism.encode(), initial)
    for line in lines:
        login.said(base64.b64encode(line) or b"=")
    return login.text


@pytest.mark.parametrize(
    ("mechanism", "lines", "name"),
    [
        ("PLAIN", [b"\0anna\0secret"], "anna"),
        ("PLAIN", [b"admin\0anna\0secret"], "anna"),
        ("PLAIN", [b"anna"], UNKNOWN),
        ("LOGIN", [b"anna", b"secret"], "anna"),
        ("LOGIN", [b"", b"anna", b"secret"], "anna"),
        ("CRAM-MD5", [b"anna b 0123456789abcdef"], "anna b"),
        ("CRAM-MD5", [b"anna"], UNKNOWN),
        ("DIGEST-MD5", [b'charset=utf-8,username="anna",realm="x"', b""], "anna"),
        ("DIGEST-MD5", [b'xusername="root", username="anna",realm="x"', b""], "anna"),
        ("SCRAM-SHA-256", [b"n,,n=an=2Cna=3D,r=abc", b"c=biws,r=abc,p=x"], "an,na="),
        ("XOAUTH2", [b"user=anna@b\x01auth=Bearer x\x01\x01"], "anna@b"),
        ("OAUTHBEARER", [b"n,a=anna@b,\x01auth=Bearer x\x01\x01"], "anna@b"),
        ("GSSAPI", [b"anna"], UNKNOWN),
        ("PLAIN", ["\0b\u00fccher\r\n\0x".encode()], "b\u00fccher??"),
        ("PLAIN", [b"\0" + b"x" * 999 + b"\0y"], "x" * NAME_CHARACTERS),
    ],
)
def test_the_name_is_found(mechanism: str, lines: list[bytes], name: str) -> None:
    assert name_in(mechanism, *lines) == name


@pytest.mark.parametrize("first", [b"*", b"no base64", b"YQ"])
def test_after_words_that_nobody_can_read_no_password_is_taken_for_a_name(first: bytes) -> None:
    login = LoginName(b"LOGIN", None)
    login.said(first)
    login.said(base64.b64encode(b"secret"))
    assert login.text == UNKNOWN


def test_an_initial_response_counts() -> None:
    assert name_in("PLAIN", initial=b"AGFubmEAc2VjcmV0") == "anna"
    assert name_in("LOGIN", b"anna", initial=b"=") == "anna"


@given(st.sampled_from(["PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-X"]), st.binary())
def test_no_words_break_it(mechanism: str, line: bytes) -> None:
    text = name_in(mechanism, line)
    assert text == UNKNOWN or (text and text.isprintable()) or not text.isascii()
