"""Lines to a server: nothing in them ends them too early, or shows in an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Support.Protocol.SMTP.Address import Path
from Kamaelia.Support.Protocol.SMTP.CommandLines import (
    AUTH_BYTES,
    auth_response,
    auth_start,
    hello_name,
    mail_line,
    rcpt_line,
)


def test_lines_are_written_as_smtp_has_them() -> None:
    path = Path(b"a@b", b"a", b"b")
    assert mail_line(path, {}) == b"MAIL FROM:<a@b>\r\n"
    assert mail_line(path, {"SIZE": b"5", "SMTPUTF8": None}) == (
        b"MAIL FROM:<a@b> SIZE=5 SMTPUTF8\r\n"
    )
    assert rcpt_line(path, {"NOTIFY": b"NEVER"}) == b"RCPT TO:<a@b> NOTIFY=NEVER\r\n"
    assert hello_name("proxy") == b"proxy"


@pytest.mark.parametrize(
    ("initial", "line"),
    [(None, b"AUTH PLAIN\r\n"), (b"", b"AUTH PLAIN =\r\n"), (b"AGE=", b"AUTH PLAIN AGE=\r\n")],
)
def test_auth_is_written_with_and_without_an_initial_response(
    initial: bytes | None, line: bytes
) -> None:
    assert auth_start(b"PLAIN", initial) == line


def test_an_auth_line_has_12288_bytes_at_most() -> None:
    assert len(auth_response(b"x" * (AUTH_BYTES - 2))) == AUTH_BYTES
    with pytest.raises(LocalProtocolError):
        auth_response(b"x" * (AUTH_BYTES - 1))
    room = AUTH_BYTES - len(b"AUTH PLAIN \r\n")
    assert len(auth_start(b"PLAIN", b"x" * room)) == AUTH_BYTES
    with pytest.raises(LocalProtocolError):
        auth_start(b"PLAIN", b"x" * (room + 1))


@pytest.mark.parametrize("mechanism", [b"", b"A B", b"A\r\n", b"A\0", b"\xff", b"x" * 21])
def test_a_mechanism_that_is_none_is_our_own_mistake(mechanism: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        auth_start(mechanism, None)


@pytest.mark.parametrize("secret", [b"QUJD\r\nRSET", b"QUJD\n", b"QUJD\r", b"QUJD\0", b"QUJD x"])
def test_a_secret_that_would_break_its_line_is_refused_and_does_not_show(secret: bytes) -> None:
    for write in (auth_response, lambda text: auth_start(b"PLAIN", text)):
        with pytest.raises(LocalProtocolError) as error:
            write(secret)
        assert "QUJD" not in str(error.value)


@given(st.binary(max_size=30), st.dictionaries(st.text(max_size=5), st.binary(max_size=9)))
def test_whatever_is_written_is_one_line(raw: bytes, parameters: dict[str, bytes]) -> None:
    for write in (mail_line, rcpt_line):
        try:
            line = write(Path(raw, b"", b""), dict(parameters))
        except (LocalProtocolError, UnicodeEncodeError):
            continue
        assert line.endswith(b"\r\n")
        assert not set(line[:-2]) & {0, 10, 13}
