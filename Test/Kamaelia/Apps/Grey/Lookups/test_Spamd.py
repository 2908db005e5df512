"""Questions to spamd."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Core.Access.Questions import LookupFailed, SpamAnswer, Spamd
from Kamaelia.Apps.Grey.Lookups.Contents import Contents
from Kamaelia.Apps.Grey.Lookups.Spamd import MESSAGE_BYTES, SpamdLookup, address_of, answer_of
from Test.Kamaelia.Apps.Grey.Lookups.daemons import PATIENCE, SHORT, Daemon

LETTER = b"Subject: x\r\n\r\nhello\r\n"


def verdict(line: bytes) -> bytes:
    return b"SPAMD/1.1 0 EX_OK\r\nContent-length: 0\r\n" + line + b"\r\n\r\n"


def ask(where: tuple[str, str], seconds: float = PATIENCE, letter: bytes = LETTER) -> object:
    contents = Contents()
    contents.add(9, letter)
    answer, keep = SpamdLookup(where, contents, seconds)(Spamd(9))
    assert keep == 0.0
    return answer


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"Spam: True ; 15.3 / 5.0", SpamAnswer(True, 153)),
        (b"Spam: False ; -1.25 / 5.0", SpamAnswer(False, -13)),
        (b"spam: Yes ; 5 / 5", SpamAnswer(True, 50)),
        (b"Spam: False ; 0.04 / 5.0", SpamAnswer(False, 0)),
        (b"X: y\r\nSpam:False;0/5", SpamAnswer(False, 0)),
    ],
)
def test_verdict_and_score_are_the_answer(line: bytes, answer: SpamAnswer) -> None:
    with Daemon(verdict(line)) as daemon:
        assert ask(("inet", f"127.0.0.1:{daemon.port}")) == answer
    assert daemon.requests == [b"CHECK SPAMC/1.5\r\nContent-length: 21\r\n\r\n" + LETTER]


def test_a_local_socket_is_as_good(tmp_path: Path) -> None:
    path = tmp_path / "spamd"
    with Daemon(verdict(b"Spam: True ; 9.9 / 5.0"), path):
        assert ask(("unix", str(path))) == SpamAnswer(True, 99)


def test_of_a_large_message_the_beginning_is_sent() -> None:
    with Daemon(verdict(b"Spam: True ; 9.9 / 5.0")) as daemon:
        ask(("inet", f"127.0.0.1:{daemon.port}"), letter=b"x" * 900_000)
    head, _, body = daemon.requests[0].partition(b"\r\n\r\n")
    assert head.endswith(b"Content-length: %d" % MESSAGE_BYTES)
    assert len(body) == MESSAGE_BYTES


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"220 mail.example.org ESMTP\r\n",
        b"SPAMD/1.1 76 Bad header line\r\n",
        b"SPAMD/1.1 0 EX_OK\r\n\r\nSpam: True ; 15.3 / 5.0\r\n",
        b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; nan / 5.0\r\n\r\n",
        b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 1e9 / 5.0\r\n\r\n",
        b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 99999999999 / 5.0\r\n\r\n",
        b"SPAMD/1.1 0 EX_OK\r\n" + b"X: y\r\n" * 1_000_000,
        b"\x00\xff" * 3_000,
    ],
)
def test_what_is_no_verdict_is_a_failure(answer: bytes) -> None:
    with Daemon(answer) as daemon:
        assert isinstance(ask(("inet", f"127.0.0.1:{daemon.port}")), LookupFailed)


def test_its_words_about_an_error_come_with_it() -> None:
    with Daemon(b"SPAMD/1.1 76 Bad header line\r\n") as daemon:
        failure = ask(("inet", f"127.0.0.1:{daemon.port}"))
    assert isinstance(failure, LookupFailed)
    assert "it answered 76 Bad header line" in failure.reason


def test_a_daemon_that_says_nothing_is_given_up() -> None:
    with Daemon(None) as daemon:
        failure = ask(("inet", f"127.0.0.1:{daemon.port}"), SHORT)
    assert isinstance(failure, LookupFailed)
    assert "timed out" in failure.reason


def test_a_message_that_is_gone_is_a_failure_and_nobody_is_asked() -> None:
    look = SpamdLookup(("inet", "127.0.0.1:1"), Contents(), PATIENCE)
    failure, _ = look(Spamd(3))
    assert isinstance(failure, LookupFailed)
    assert "not at hand" in failure.reason


@pytest.mark.parametrize(
    ("kind", "where", "address"),
    [
        ("inet", "127.0.0.1:783", ("127.0.0.1", 783)),
        ("inet", "spam.example.net", ("spam.example.net", 783)),
        ("inet", "[2001:db8::1]", ("2001:db8::1", 783)),
        ("unix", "/run/spamd.sock", "/run/spamd.sock"),
    ],
)
def test_where_spamd_is(kind: str, where: str, address: object) -> None:
    assert address_of(kind, where) == address


@pytest.mark.parametrize(
    ("kind", "where"),
    [
        ("inet", "a:b:c"),
        ("inet", "host:0"),
        ("inet", "host:70000"),
        ("inet", ""),
        ("unix", ""),
        ("unix", "a\0b"),
        ("local", "/run/spamd.sock"),
    ],
)
def test_what_is_no_address_is_refused(kind: str, where: str) -> None:
    with pytest.raises(ValueError, match="spamdsock"):
        address_of(kind, where)


@settings(max_examples=50)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_verdict_or_a_value_error(rest: bytes) -> None:
    try:
        answer = answer_of(b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; " + rest)
    except ValueError:
        return
    assert isinstance(answer, SpamAnswer)


def test_a_digit_more_is_no_score() -> None:
    with pytest.raises(ValueError, match="no verdict"):
        answer_of(verdict(b"Spam: True ; 1.1234567 / 5.0"))
